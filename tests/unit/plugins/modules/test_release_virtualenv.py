"""A virtualenv is made by commands that get a token from their environment, and nothing that is said shows it."""

import json
import os
import pathlib

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.modules.release_virtualenv import main

BUILDER, GROUP = 4711, 4712
TOKEN = "swordfish-7"
RUN = """#!/bin/sh
echo "$@" >>{log}
export TOKEN={token}
exec "$@"
"""
UV = """#!/bin/sh
echo "asking https://x:$TOKEN@packages.example.org for $*, $FURTHER, ${{VIRTUAL_ENV-none}}, in $(pwd)" >&2
case $* in *missing*) exit 3 ;; esac
stat --format='%u:%g %a' {home}/venvs/one >>{home}/seen
touch {home}/venvs/one/made {home}/python/cpython/made
chown {builder}:{builder} {home}/venvs/one/made {home}/python/cpython/made
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to other accounts")


@pytest.fixture
def make(tmp_path, monkeypatch, capsys):
    """Return a function that runs the module and returns what it says, as text."""
    log = tmp_path / "log"
    for name, text in (("run", RUN.format(log=log, token=TOKEN)), ("home/uv-1.venv/bin/uv", UV.format(home=tmp_path, builder=BUILDER))):
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    for name in ("venvs", "code", "python/cpython"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    options = {
        "virtualenv": f"{tmp_path}/venvs/one", "user": str(BUILDER), "group": str(GROUP), "seal": [f"{tmp_path}/python/*"],
        "code": f"{tmp_path}/code", "run": [f"{tmp_path}/run"], "environment": {"FURTHER": "more"},
        "secrets": [TOKEN], "installer": "uv", "uv": f"{tmp_path}/home/uv-1.venv", "uv_requirement": "uv==1", "poetry": f"{tmp_path}/home/poetry-1.venv",
        "poetry_requirement": "poetry==1", "python": "/usr/bin/python3", "scratch": f"{tmp_path}/scratch",
    }  # fmt: skip

    def run(**given):
        with patch_module_args(options | given), pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    run.log = log
    return run


def state(path):
    information = path.lstat()
    return information.st_uid, information.st_gid, f"{information.st_mode & 0o7777:04o}"


def test_the_commands_of_what_was_made_are_told_without_the_token(make):
    text = make(requirements=["uv.lock"], packages=["x"])
    answer = json.loads(text)
    assert answer["changed"] and [pathlib.PurePath(command[0]).name for command in answer["commands"]] == ["uv", "uv", "uv"]
    assert TOKEN not in make.log.read_text()


def test_of_what_fails_its_words_are_told_without_the_token(make, tmp_path):
    text = make(requirements=["missing.txt"])
    answer = json.loads(text)
    assert TOKEN not in text and answer["rc"] == 3
    assert "asking https://x:********@packages.example.org for pip install" in answer["stderr"]
    assert answer["stderr"].endswith(f"--requirement=missing.txt, more, none, in {tmp_path}/code\n")
    assert answer["msg"].startswith(f"The command failed: {tmp_path}/home/uv-1.venv/bin/uv pip install ")


def test_it_is_the_accounts_while_it_is_made_and_then_sealed_and_complete(make, tmp_path):
    make(packages=["x"])
    assert (tmp_path / "seen").read_text().splitlines()[0] == f"{BUILDER}:{GROUP} 750"
    virtualenv = tmp_path / "venvs/one"
    assert {path.name: state(path) for path in virtualenv.iterdir()} == {".complete": (0, GROUP, "0640"), "made": (0, GROUP, "0640")}
    assert state(virtualenv) == (0, GROUP, "0750") and state(tmp_path / "python/cpython/made") == (0, GROUP, "0640")


def test_what_an_interrupted_one_left_is_cleared(make, tmp_path):
    (tmp_path / "venvs/one").mkdir()
    (tmp_path / "venvs/one/left").touch()
    (tmp_path / "venvs/one/link").symlink_to(tmp_path / "code")
    make(packages=["x"])
    assert sorted(path.name for path in (tmp_path / "venvs/one").iterdir()) == [".complete", "made"] and (tmp_path / "code").is_dir()


@pytest.mark.parametrize("requirements", [["uv.lock"], ["missing.txt"]])
def test_where_the_host_went_down_nothing_is_made_of_what_builds_share(make, tmp_path, requirements):
    (tmp_path / "build/.cache/uv").mkdir(parents=True)
    (tmp_path / "build-pending").write_text("an earlier boot")
    uv = tmp_path / "home/uv-1.venv/bin/uv"
    uv.write_text(uv.read_text() + f"ls -A {tmp_path} {tmp_path}/build >{tmp_path}/there\n")
    make(root=f"{tmp_path}", requirements=requirements)
    there = (tmp_path / "there").read_text().split()
    assert "build-pending" in there and ".cache" not in there and not (tmp_path / "build-pending").exists()


def test_one_that_fails_is_not_complete_and_made_anew(make, tmp_path):
    make(requirements=["missing.txt"])
    assert (tmp_path / "venvs/one/made").exists() and not (tmp_path / "venvs/one/.complete").exists()
    assert state(tmp_path / "venvs/one") == (BUILDER, GROUP, "0750")
    assert json.loads(make(packages=["x"]))["changed"] and (tmp_path / "venvs/one/.complete").exists()


def test_one_that_is_complete_is_left_as_it_is(make, tmp_path):
    make(packages=["x"])
    make.log.unlink()
    answer = json.loads(make(packages=["x"]))
    assert (answer["changed"], answer["commands"]) == (False, []) and not make.log.exists()


def test_what_cannot_be_sealed_is_not_complete(make, tmp_path):
    (tmp_path / "python/file").touch()
    os.chown(tmp_path / "python", BUILDER, BUILDER)
    answer = json.loads(make(packages=["x"]))
    assert answer["msg"].startswith(f"{tmp_path}/python/file is no directory") and not (tmp_path / "venvs/one/.complete").exists()
