"""Static files are collected, changed by commands, and added to the store, in this order and each with what it may write to."""

import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.module_utils.paths import DEEPEST
from ansible_collections.selfhost.django.plugins.modules import release_static
from ansible_collections.selfhost.django.plugins.modules.release_static import main, said_last

USER, GROUP = 4711, 4712
STATE = {"uid": USER, "gid": GROUP, "mode": "0755"}
# Notes each command, and says what Django would say; fails where its words say so.
RUN = """#!/bin/sh
printf '%s\\n' "$*" >>{log}
case $* in
    *collectstatic*) stat --format=%u {root}/brought >>{log}.owner 2>/dev/null; cat {log}.said ;;
    *" - collect "*) cat >{log}.stdin; echo '{{"files": 2}}' ;;
    *"exit 3"*) echo "on stdout"; echo "Traceback: on stderr" >&2; exit 3 ;;
    *"exit 4"*) echo "on stdout alone"; exit 4 ;;
esac
"""
SAID = "2 static files copied to '/x $HOME'."

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to other accounts")


class Release:
    """A release that was built and sealed, with an application's run command that notes what it is told."""

    def __init__(self, directory, capsys):
        self.directory, self.capsys, self.log, self.run = directory, capsys, directory / "log", directory / "run"
        self.release, self.store = directory / "releases/r1", directory / "store"
        self.root = self.release / "code/static"
        (self.release / "code").mkdir(parents=True)
        (directory / "releases/r0/static").mkdir(parents=True)
        self.run.write_text(RUN.format(log=self.log, root=self.root))
        (directory / "log.said").write_text(f"A warning of settings.\n\n{SAID}\n\n")
        self.run.chmod(0o755)

    def make(self, **given):
        """Run the module, and return what it says."""
        options = {
            "run": f"{self.run}", "root": f"{self.directory}", "release": "r1", "static_root": f"{self.root}", "user": str(USER),
            "group": str(GROUP), "program": "print('x')", "store": f"{self.store}",
        }  # fmt: skip
        with patch_module_args(options | given), pytest.raises(SystemExit):
            main()
        return json.loads(self.capsys.readouterr().out)

    def commands(self):
        return [line.removeprefix("--release r1 ") for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def release(tmp_path, capsys):
    return Release(tmp_path, capsys)


def state(path):
    information = path.lstat()
    return {"uid": information.st_uid, "gid": information.st_gid, "mode": f"{information.st_mode & 0o7777:04o}"}


def test_the_commands_run_in_order_each_with_what_it_may_write_to(release):
    (release.directory / "current").symlink_to("releases/r0")
    answer = release.make(commands=["npm run build", "echo $HOME ~"])
    root, files = release.root, release.release / "static"
    assert release.commands() == [
        f"--write {root} python manage.py collectstatic --noinput --no-color",
        f"--write {root} sh -euc npm run build",
        f"--write {root} sh -euc echo $HOME ~",
        f"--write {release.directory} --write {release.store} /usr/bin/python3 -I - collect {SAID} {root} {files} {release.store}"
        f" {release.directory}/current/static",
    ]
    said = [" ".join(words).removeprefix(f"{release.run} --release r1 ") for words in answer["commands"]]
    assert answer["changed"] and said == release.commands()[:-1]
    assert (release.directory / "log.stdin").read_text() == "print('x')"
    assert state(files) == state(root) == STATE


@pytest.mark.parametrize("text, line", [("", ""), ("\n", ""), ("one\ntwo\n\n", "two"), ("one\r\n", "one")])
def test_what_django_says_last_is_its_last_line(text, line):
    assert said_last(text) == line


def test_what_the_revision_brings_is_the_applications_before_django_collects(release):
    (release.root / "below").mkdir(parents=True)
    victim = release.directory / "victim"
    for path in (release.root / "brought", release.root / "below/file", victim):
        path.touch()
        path.chmod(0o640)
    (release.root / "below/link").symlink_to(victim)
    (release.root / "folder").symlink_to(release.directory)
    release.make()
    assert (release.directory / "log.owner").read_text() == f"{USER}\n"
    owners = {name: state(release.root / name)["uid"] for name in ("brought", "below", "below/file", "below/link", "folder")}
    assert set(owners.values()) == {USER} and state(release.root / "brought") == {"uid": USER, "gid": 0, "mode": "0640"}
    assert state(victim)["uid"] == state(release.run)["uid"] == 0


@pytest.mark.parametrize("given", [{"is_shared": True}, {"collect": False}])
def test_a_shared_root_and_one_that_the_project_commits_are_left_as_they_are(release, given):
    release.root.mkdir()
    (release.root / "brought").touch()
    release.make(**given)
    assert state(release.root)["uid"] == state(release.root / "brought")["uid"] == 0
    assert state(release.release / "static") == STATE


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_shared_root_is_on_the_disk_and_a_releases_own_is_waited_for_with_its_record(release, monkeypatch, is_shared):
    waited = []
    monkeypatch.setattr(release_static, "flush_all", waited.append)
    release.make(is_shared=is_shared)
    assert waited == [f"{release.root}"] * is_shared


def test_of_files_that_the_project_commits_django_says_nothing(release):
    release.make(collect=False)
    store = release.store
    assert release.commands() == [
        f"--write {release.directory} --write {store} /usr/bin/python3 -I - collect  {release.root} {release.release}/static {store}",
    ]


def test_without_a_store_nothing_is_added(release):
    release.make(store="")
    assert [line for line in release.commands() if " - collect " in line] == [] and len(release.commands()) == 1


def test_a_second_time_without_a_command_nothing_changes(release):
    assert release.make(collect=False, store="")["changed"] is True
    assert release.make(collect=False, store="") | {"invocation": None} == {"changed": False, "commands": [], "invocation": None}


@pytest.mark.parametrize("command, rc, stdout, stderr", [("exit 3", 3, "on stdout\n", "Traceback: on stderr\n"), ("exit 4", 4, "on stdout alone\n", "")])
def test_a_command_that_fails_says_why_and_is_the_last(release, command, rc, stdout, stderr):
    answer = release.make(commands=["true", command, "true"])
    assert (answer["failed"], answer["rc"], answer["stdout"], answer["stderr"]) == (True, rc, stdout, stderr)
    assert answer["cmd"] == [f"{release.run}", "--release", "r1", "--write", f"{release.root}", "sh", "-euc", command]
    assert answer["msg"] == f"{release.run} failed with code {rc}." and len(release.commands()) == 3


def test_a_link_in_the_place_of_the_root_is_refused(release):
    release.root.symlink_to(release.directory)
    os.chown(release.root, USER, USER, follow_symlinks=False)
    answer = release.make()
    assert answer["msg"].startswith(f"{release.root} is a link to {release.directory}") and release.commands() == []


@pytest.mark.parametrize("levels", [DEEPEST + 1, 1100])
def test_folders_deeper_than_anybodys_in_the_place_of_the_root_are_refused_in_a_sentence(release, deep, levels):
    deep(release.root, levels)
    answer = release.make()
    assert answer["msg"].startswith(f"{release.root} has more than {DEEPEST} folders one in another, which nobody goes through: d/d/")
    assert release.commands() == []
