"""Accounts of services, and what makes them."""

import os
import pwd
import subprocess

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed
from ansible_collections.selfhost.django.plugins.modules import accounts
from ansible_collections.selfhost.django.plugins.modules.accounts import commands, look

SHOP = {"name": "shop", "group": "shop", "home": "/srv/shop/home", "shell": "/usr/sbin/nologin"}
BUILD = SHOP | {"name": "shop-build", "home": "/srv/shop/build"}
MADE = ["useradd --system --no-create-home -g shop -d /srv/shop/home -s /usr/sbin/nologin shop",
        "useradd --system --no-create-home -g shop -d /srv/shop/build -s /usr/sbin/nologin shop-build"]  # fmt: skip


@pytest.mark.parametrize(
    ("users", "groups", "due"),
    [
        ({}, set(), ["groupadd --system shop", *MADE]),
        ({}, {"shop"}, MADE),
        ({"shop": SHOP}, {"shop"}, MADE[1:]),
        ({"shop": SHOP | {"group": "users", "shell": "/bin/sh"}, "shop-build": BUILD}, {"shop"}, ["usermod -g shop -s /usr/sbin/nologin shop"]),
        ({"shop": SHOP, "shop-build": BUILD, "other": {}}, {"shop", "other"}, []),
    ],
)
def test_only_what_is_missing_or_differs_is_done(users, groups, due):
    assert [" ".join(words) for words in commands([SHOP, BUILD], users, groups)] == due


def test_an_account_that_is_there_is_left_alone():
    users, groups = look()
    assert list(commands([{"name": "root", **users["root"]}], users, groups)) == []


CHANGE = ["usermod", "-d", "/nonexistent", "shop-build"]


@pytest.fixture
def usermod(monkeypatch):
    """Return a function that lets usermod refuse for some seconds, with a code, and changes an account; and how often it was asked."""
    clock = [0.0]
    monkeypatch.setattr(accounts.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(accounts.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(accounts, "running", lambda name: ["4711 (git)", "4712 (sh)"] if name == "shop-build" else [])

    def run(seconds, code=8):
        asked = []

        def ask(*words):
            asked.append(list(words))
            if clock[0] < seconds:
                raise Failed(words, code, stderr="usermod: user shop-build is currently used by process 4711")
            return ""

        monkeypatch.setattr(accounts, "ask", ask)
        accounts.change(CHANGE)
        return asked

    return run


@pytest.mark.parametrize("seconds", [0, 1, 20])
def test_what_an_account_still_runs_is_waited_for(usermod, seconds):
    """As git, which tidies up behind the back of who has called it."""
    asked = usermod(seconds)
    assert asked == [CHANGE] * len(asked) and (len(asked) > 1) is (seconds > 0)


def test_what_does_not_end_is_told_in_a_sentence(usermod):
    with pytest.raises(Failed) as failed:
        usermod(10_000)
    assert failed.value.details["msg"] == (
        "The account shop-build is not changed, since usermod gives no other home to one that runs something, which is 4711 (git), 4712 (sh): wait for the "
        "release that is being made, or end what was left of one (systemctl status 4711 says what it belongs to), and run this again."
    )
    assert failed.value.details["rc"] == 8


def test_other_failures_are_what_they_are(usermod):
    with pytest.raises(Failed) as failed:
        usermod(10_000, code=6)
    assert failed.value.details["msg"] == "usermod failed with code 6."


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another account")
def test_what_an_account_runs_is_named_in_a_line(tmp_path):
    tmp_path.chmod(0o755)
    assert accounts.running("root") and all(row.split(" ")[0].isdigit() for row in accounts.running("root"))
    uid, pipe = pwd.getpwnam("nobody").pw_uid, subprocess.PIPE
    words = ["python3", "-c", "import ctypes; ctypes.CDLL(None).prctl(15, b'a\\n) \\x1bb'); print(flush=True); input()"]
    with subprocess.Popen(words, user=uid, stdin=pipe, stdout=pipe, cwd="/") as process:
        process.stdout.readline()
        rows = accounts.running("nobody")
        process.communicate(b"\n")
    (row,) = (row for row in rows if row.startswith(f"{process.pid} "))
    assert row.startswith(f"{process.pid} (a") and row.endswith("b)") and row.isprintable()
