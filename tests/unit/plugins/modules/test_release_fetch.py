"""The mirror of a repository: fetched from where it is, and only when something is missing."""

import os
import pathlib
import subprocess

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.action.release_fetch import RECENT_BYTES, RECENT_COMMITS, bundle, git, recent
from ansible_collections.selfhost.django.plugins.module_utils.sources import Refusal, is_there
from ansible_collections.selfhost.django.plugins.modules.release_fetch import bring, interpreter_of, keep

IDENTITY = ["-c", "user.name=unit", "-c", "user.email=unit@localhost", "-c", "commit.gpgSign=false"]


def commit(repository, message):
    subprocess.run(["git", *IDENTITY, "-C", repository, "commit", "--quiet", "--allow-empty", "--message", message], check=True)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    directory = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", directory], check=True)
    for message in ("first", "second"):
        commit(directory, message)
    return str(directory)


@pytest.fixture
def fetch(tmp_path):
    """Return a function that brings a mirror up to date as the module does."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()

    def run(repository, commit="", bundle="", key="", host_keys=(), recent=""):
        places = {"key_path": str(tmp_path / "key"), "host_keys_path": str(tmp_path / "host_keys")}
        return bring(str(mirror), repository, commit, recent, str(bundle), key, places["key_path"], host_keys, places["host_keys_path"])

    run.mirror = str(mirror)
    return run


def test_a_repository_of_the_controller_travels_only_when_its_commit_is_missing(repository, fetch, tmp_path):
    head = git(repository, "rev-parse", "main^{commit}")
    assert fetch(repository, head) is None and fetch(repository, "") is None
    bundle(repository, str(tmp_path / "bundle"))
    assert fetch(repository, head, tmp_path / "bundle") is True
    assert git(fetch.mirror, "log", "--format=%s", "refs/remotes/origin/main").split() == ["second", "first"]
    assert fetch(repository, head) is False
    assert fetch(repository, "", tmp_path / "bundle") is False, "nothing is new"
    new = commit(repository, "third")
    assert fetch(repository, new) is None


def test_the_newest_commits_travel_with_the_question(repository, fetch):
    head = git(repository, "rev-parse", "main")
    assert fetch(repository, head, recent=recent(repository, head)) is True, "a small repository is sent whole"
    subprocess.run(["git", "-C", repository, "branch", "other"], check=True)
    fetch(repository, "", recent=recent(repository, head))
    for number in range(RECENT_COMMITS + 1):
        new = commit(repository, f"later {number}")
    assert fetch(repository, new, recent=recent(repository, new)) is None, "the mirror lacks what these follow"
    before = git(repository, "rev-parse", "main~1")
    assert fetch(repository, before, recent=recent(repository, before)) is True
    assert git(fetch.mirror, "rev-parse", "refs/remotes/origin/main") == new, "with it came all that is newer"
    assert git(fetch.mirror, "rev-parse", "refs/remotes/origin/other") == head, "what was not sent is still there"
    assert fetch(repository, new, recent="broken") is False


def test_what_is_many_bytes_or_no_commit_does_not_travel_with_the_question(repository):
    assert recent(repository, "") == ""
    (pathlib.Path(repository) / "film").write_bytes(os.urandom(2 * RECENT_BYTES))
    subprocess.run(["git", "-C", repository, "add", "film"], check=True)
    assert recent(repository, commit(repository, "a film")) == ""


def test_what_is_checked_out_on_no_branch_travels(repository, fetch, tmp_path):
    subprocess.run(["git", "-C", repository, "checkout", "--quiet", "--detach"], check=True)
    detached = commit(repository, "by a job")
    bundle(repository, str(tmp_path / "bundle"))
    fetch(repository, detached, tmp_path / "bundle")
    subprocess.run(["git", "-C", fetch.mirror, "gc", "--quiet", "--prune=now"], check=True)
    assert is_there(fetch.mirror, detached)


def test_a_bare_repository_without_a_checked_out_branch_travels(repository, fetch, tmp_path):
    bare = str(tmp_path / "bare")
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, bare], check=True)
    subprocess.run(["git", "-C", bare, "symbolic-ref", "HEAD", "refs/heads/none"], check=True)
    bundle(bare, str(tmp_path / "bundle"))
    assert fetch(bare, "", tmp_path / "bundle") is True


def test_a_shallow_clone_and_no_repository_are_refused_with_what_to_do(repository, tmp_path):
    shallow = str(tmp_path / "shallow")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repository}", shallow], check=True)
    with pytest.raises(AnsibleActionFail, match=f"app_repository {shallow} is a shallow clone: complete it with git fetch --unshallow."):
        bundle(shallow, str(tmp_path / "bundle"))
    with pytest.raises(AnsibleActionFail, match="/nowhere is no Git repository on this machine: give its absolute path here, or a URL."):
        bundle("/nowhere", str(tmp_path / "bundle"))


def test_a_url_is_always_asked_and_says_why_it_refuses(repository, fetch):
    assert fetch(f"file://{repository}", key="one") is True
    assert fetch(f"file://{repository}", key="one") is False
    commit(repository, "third")
    assert fetch(f"file://{repository}", key="one") is True
    with pytest.raises(Refusal, match="does not appear to be a git repository|does not exist"):
        fetch("file:///nowhere")


def test_a_key_is_its_owners_alone_and_goes_when_it_is_not_used(tmp_path):
    path = tmp_path / "key"
    assert keep(str(path), "") is False
    assert keep(str(path), "one\n") is True and keep(str(path), "one\n") is False
    assert keep(str(path), "two\n") is True
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o600)
    assert keep(str(path), "") is True and not path.exists()


@pytest.mark.parametrize("plant", ["mkfifo {0}", "mkdir -p {0}/full", "ln -s /etc/hostname {0}", "ln -s nowhere {0}", "mkfifo {0}.new; ln -s nowhere {0}.new2"])
@pytest.mark.parametrize("text", ["one\n", ""])
def test_what_a_build_has_left_in_the_place_of_a_key_stops_nobody(tmp_path, plant, text):
    """Its home is the account's own, and a package that it built may have run there."""
    path = tmp_path / "key"
    subprocess.run(["sh", "-c", plant.format(path)], check=True)
    keep(str(path), text)
    assert path.read_text() == text if text else not os.path.lexists(path)
    assert keep(str(path), text) is False


def test_an_interpreter_is_told_from_the_distributions():
    version, path, kind = interpreter_of("/usr/bin/python3")
    assert (kind, path) == ("system", os.path.realpath("/usr/bin/python3")) and version.startswith("3.")
    for name in ("/bin/false", "/no/such/interpreter"):
        with pytest.raises(Refusal, match=f"app_python {name} does not run on "):
            interpreter_of(name)


def test_a_version_is_the_hosts_interpreter_where_it_has_that_and_uvs_where_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter_of("3.12") == ["3.12", "3.12", "other"]
    with pytest.raises(Refusal, match="^app_python 3.12 is not on .*: install it there, or let uv download it by django_installer: uv.$"):
        interpreter_of("3.12", "pip")
    command = tmp_path / "python3.12"
    command.write_text("#!/bin/sh\nprintf '3.12.9\\n/opt/python3.12\\n'\n")
    command.chmod(0o755)
    assert interpreter_of("3.12") == interpreter_of("3.12.9", "pip") == ["3.12.9", "/opt/python3.12", "other"]
    assert interpreter_of("3.12.1") == ["3.12.1", "3.12.1", "other"], "another one of that version"
