"""By which name the one who ships is known."""

import getpass
import pathlib
import re
import subprocess

import pytest
import yaml

VARIABLES = pathlib.Path(__file__).resolve().parents[3] / "roles/django/vars/main.yml"
(COMMAND,) = re.findall(r"pipe', '(.*)'\)", yaml.safe_load(VARIABLES.read_text())["__django_operator"])


def told(directory, **environment):
    paths = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(COMMAND, shell=True, cwd=directory, env=paths | environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_it_is_that_of_commits_from_here(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "config", "user.name", "Zoë O'Hara"], check=True)
    assert told(tmp_path) == "Zoë O'Hara"


@pytest.mark.parametrize("environment", [{}, {"PATH": "without-git"}], ids=["no name", "no git"])
def test_without_it_it_is_that_of_the_login(tmp_path, environment):
    if environment:
        (tmp_path / "without-git").mkdir()
        for name in ("id", "sh"):
            (tmp_path / "without-git" / name).symlink_to(f"/usr/bin/{name}")
        environment = {"PATH": str(tmp_path / "without-git")}
    login = subprocess.run(["logname"], capture_output=True, text=True).stdout.strip()
    assert told(tmp_path, **environment) in (login, getpass.getuser())
