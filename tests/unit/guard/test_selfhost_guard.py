"""The program that tries a change which could cut off SSH: what it takes for a difference, and what it brings back."""

import os
import pathlib
import subprocess

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[3] / "roles/guard/files/selfhost-guard"


class Host:
    """A host's files in a folder, with programs in the place of systemd's and of nft that write down how they were called."""

    def __init__(self, root):
        self.root, self.home, self.calls = root, root / "guard", root / "calls"
        (self.home / "candidate").mkdir(parents=True)
        (root / "bin").mkdir()
        self.calls.write_text("")
        for name in ("systemctl", "systemd-run"):
            self.program(name)
        self.firewall(loaded=True)

    def program(self, name, code=0):
        path = self.root / "bin" / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\nexit {code}\n')
        path.chmod(0o755)

    def firewall(self, loaded):
        self.program("nft", 0 if loaded else 1)

    def file(self, name, content=None, candidate=None, mode=0o600):
        """Put a file and its candidate there, each unless it is None; return the path that the guard is told."""
        path = self.root / "etc" / name
        path.parent.mkdir(exist_ok=True)
        for place, text in ((path, content), (self.home / "candidate" / str(path)[1:].replace("/", "-"), candidate)):
            if text is not None:
                place.write_text(text)
                place.chmod(mode)
        return str(path)

    def run(self, *words):
        environment = os.environ | {"SELFHOST_GUARD_HOME": str(self.home), "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.run([PROGRAM, *words], env=environment, capture_output=True, text=True, check=False)

    def differs(self, *words):
        done = self.run("differs", *words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_nothing_differs_where_all_is_in_force(host):
    assert host.differs("accounts", host.file("keys", "a\n", "a\n"), host.file("sudoers", "b\n", "b\n"), "sshd", host.file("sshd", "c\n", "c\n")) == []


@pytest.mark.parametrize(
    ("content", "candidate", "mode"), [("old\n", "new\n", None), (None, "new\n", None), ("old\n", None, None), ("same\n", "same\n", 0o644)],
    ids=["content", "not there yet", "no candidate", "mode"],
)  # fmt: skip
def test_each_subject_that_differs_is_named_once_and_no_other(host, content, candidate, mode):
    files = [host.file(name, content, candidate) for name in ("keys", "sudoers")]
    if mode:
        for path in files:
            pathlib.Path(path).chmod(mode)
    same = host.file("sshd", "c\n", "c\n")
    assert host.differs("accounts", *files, "sshd", same) == ["accounts"]
    assert host.differs("sshd", same, "accounts", *files) == ["accounts"]
    assert host.differs("sshd", files[0], "accounts", files[1]) == ["sshd", "accounts"]


def test_what_nobody_has_confirmed_differs(host):
    path = host.file("sshd", "a\n", "a\n")
    (host.home / "pending").mkdir()
    (host.home / "pending/sshd").write_text(path + "\n")
    assert host.differs("accounts", path, "sshd", path) == ["sshd"]


def test_a_ruleset_that_the_kernel_has_lost_differs(host):
    path = host.file("selfhost.nft", "a\n", "a\n")
    assert host.differs("sshd", path, "firewall", path) == []
    host.firewall(loaded=False)
    assert host.differs("sshd", path, "firewall", path) == ["firewall"]


def test_a_change_is_armed_before_it_is_in_force_and_kept_when_confirmed(host):
    old, new = host.file("keys", "old\n", "new\n"), host.file("sudoers", None, "rule\n")
    assert host.run("try", "accounts", "45", old, new).returncode == 0
    assert [pathlib.Path(path).read_text() for path in (old, new)] == ["new\n", "rule\n"]
    assert "systemd-run --quiet --collect --unit=selfhost-guard-accounts --on-active=45" in host.calls.read_text()
    assert host.differs("accounts", old, new) == ["accounts"], "nobody has confirmed it"
    assert host.run("confirm", "accounts").returncode == 0
    assert host.differs("accounts", old, new) == []
    assert host.run("confirm", "accounts").returncode == 1


def test_a_change_that_is_not_confirmed_is_taken_back(host):
    old, new = host.file("keys", "old\n", "new\n"), host.file("sudoers", None, "rule\n")
    host.run("try", "accounts", "45", old, new)
    assert "took back" in host.run("revert", "accounts").stdout
    assert pathlib.Path(old).read_text() == "old\n" and not pathlib.Path(new).exists()


def test_a_change_that_cannot_be_armed_is_not_made(host):
    path = host.file("keys", "old\n", "new\n")
    host.program("systemd-run", 1)
    assert host.run("try", "accounts", "45", path).returncode != 0
    assert pathlib.Path(path).read_text() == "old\n"


def test_a_change_that_does_not_load_is_taken_back_at_once(host):
    path = host.file("sshd", "old\n", "new\n")
    host.program("systemctl", 1)
    assert host.run("try", "sshd", "45", path).returncode != 0
    assert pathlib.Path(path).read_text() == "old\n"
