"""What is planned for the administrators of a host that was looked at."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.administrators import administrators

KEY = "ssh-ed25519 AAAA ops"
USER = {"uid": 1000, "group": "ops", "home": "/home/ops", "shell": "/bin/bash", "groups": ["admins"], "passwordless": True}


def plan(users, **values):
    return administrators([{"name": "ops", "keys": [KEY]} | values], users, "admins", "/candidates")


@pytest.mark.parametrize(
    ("user", "admin", "due"),
    [
        (USER, {}, False),
        (USER | {"groups": [], "group": "admins"}, {}, False),
        (None, {}, True),
        (USER | {"groups": ["adm"]}, {}, True),
        (USER | {"shell": "/bin/sh"}, {}, True),
        # Somebody gave it a password, or locked the key out with it.
        (USER | {"passwordless": False}, {}, True),
        # No hash is in the facts: the host is asked.
        (USER, {"password": "$y$j9T$salt$hash"}, True),
        (USER, {"password": ""}, False),
    ],
)
def test_an_account_is_due_where_it_differs(user, admin, due):
    assert plan({"ops": user} if user else {}, **admin)["due"] == (["ops"] if due else [])


def test_each_has_a_home_and_keys_of_its_own():
    found = plan({"ops": USER | {"home": "/srv/people/ops/", "group": "staff"}})
    own = {"owner": "ops", "group": "staff"}
    assert found["homes"] == [{"dest": "/srv/people/ops", "state": "directory", "mode": "0700", **own}]
    directory, candidate = found["files"]
    assert directory == {"dest": "/srv/people/ops/.ssh", "state": "directory", "mode": "0700", **own}
    assert candidate["dest"] == "/candidates/srv-people-ops-.ssh-authorized_keys"
    assert (candidate["mode"], candidate["owner"], candidate["vars"]) == ("0600", "ops", {"__hardening_keys": [KEY]})
    assert found["keys"] == ["/srv/people/ops/.ssh/authorized_keys"]


def test_who_is_not_there_yet_will_have_the_usual_home():
    found = plan({})
    assert found["keys"] == ["/home/ops/.ssh/authorized_keys"]
    assert {(row["owner"], row["group"]) for row in found["files"] + found["homes"]} == {("ops", "ops")}


def test_the_order_is_the_inventorys():
    found = administrators([{"name": name, "keys": [KEY]} for name in ("zoe", "ann")], {}, "admins", "/c")
    assert found["due"] == ["zoe", "ann"] and found["keys"] == ["/home/zoe/.ssh/authorized_keys", "/home/ann/.ssh/authorized_keys"]
