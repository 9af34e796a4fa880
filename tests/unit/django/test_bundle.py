"""The bundle in which a repository of the controller travels."""

import os
import pathlib
import subprocess

import pytest
import yaml

TASKS = pathlib.Path(__file__).parents[3] / "roles/django/tasks/release/fetch_controller.yml"


def tasks(items):
    for item in items:
        yield item
        for part in ("block", "always"):
            yield from tasks(item.get(part, []))


@pytest.fixture
def bundle(tmp_path):
    """Return a function that bundles a repository as the role does."""
    (task,) = (task for task in tasks(yaml.safe_load(TASKS.read_text())) if task["name"].endswith("Bundle the commits"))
    words = task["ansible.builtin.command"]["argv"][:4]

    def bundle(repository):
        made = subprocess.run([*words, repository], capture_output=True, text=True, env=os.environ | {"TMPDIR": str(tmp_path)})
        if made.stdout:
            pathlib.Path(made.stdout.strip()).rename(tmp_path / "bundle")
        return made

    return bundle


@pytest.fixture
def repository(tmp_path):
    directory = tmp_path / "repository"
    identity = ["-c", "user.name=probe", "-c", "user.email=probe@localhost", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", directory], check=True)
    for message in ("first", "second"):
        subprocess.run(["git", *identity, "-C", directory, "commit", "--quiet", "--allow-empty", "--message", message], check=True)
    return directory


def test_a_repository_arrives_whole(bundle, repository, tmp_path):
    made = bundle(repository)
    assert made.returncode == 0, made.stderr
    subprocess.run(["git", "clone", "--quiet", "--branch=main", tmp_path / "bundle", tmp_path / "arrived"], check=True)
    log = subprocess.run(["git", "-C", tmp_path / "arrived", "log", "--format=%s"], check=True, capture_output=True, text=True)
    assert log.stdout.split() == ["second", "first"]


def test_a_shallow_clone_is_refused_with_what_to_do(bundle, repository, tmp_path):
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repository}", shallow], check=True)
    made = bundle(shallow)
    assert made.returncode != 0
    assert made.stderr.strip() == f"app_repository {shallow} is a shallow clone: complete it with git fetch --unshallow."
