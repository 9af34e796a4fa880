"""What roles read of the look at the beginning of a run."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhost.django.plugins.test.host import absent, account, active, enabled, installed, running

UP, DOWN = {"active": True, "enabled": True, "stale": False}, {"active": False, "enabled": True, "stale": False}
SHOP = {"uid": 990, "group": "shop", "home": "/srv/shop", "shell": "/bin/sh", "groups": []}
UNITS = {"nginx.service": UP, "shop.service": DOWN, "old.service": UP | {"stale": True}}
FACTS = {"selfhost": {"users": {"shop": SHOP}, "packages": ["git", "nginx"], "leftovers": ["telnet"], "units": UNITS}}


@pytest.mark.parametrize(
    ("names", "is_so"),
    [("nginx", True), (["git", "nginx"], True), ([], True), (["git", "vim"], False), ("nginx=1.2", False)],
)
def test_installed(names, is_so):
    assert installed(names, FACTS) is is_so
    assert installed(names, {}) is (names == [])


@pytest.mark.parametrize(
    ("names", "is_so"),
    [
        ("nginx.service", True), (["nginx.service", "shop.service"], False), ("old.service", False), ("none.service", False), ([], True),
    ],
)  # fmt: skip
def test_running(names, is_so):
    assert running(names, FACTS) is is_so
    assert running(names, {}) is (names == [])


@pytest.mark.parametrize(
    ("name", "wanted", "is_so"),
    [("shop", {"group": "shop", "home": "/srv/shop"}, True), ("shop", {"group": "web"}, False), ("web", {}, False)],
)
def test_account(name, wanted, is_so):
    assert account(name, FACTS, **wanted) is is_so
    assert account(name, {}, **wanted) is False


@pytest.mark.parametrize(
    ("names", "is_so"),
    [("nis", True), (["nis", "talk"], True), (["nis", "git"], False), ("telnet", False), ("t*", False), ("nis=1", False), ("nis:i386", False)],
)
def test_absent(names, is_so):
    assert absent(names, FACTS) is is_so
    assert absent(names, {}) is False


@pytest.mark.parametrize(
    ("names", "is_so"), [("nginx.service", True), (["nginx.service", "shop.service"], True), ("old.service", False), ("none.service", False)]
)
def test_enabled(names, is_so):
    assert enabled(names, FACTS) is is_so
    assert enabled(names, {}) is False


@pytest.mark.parametrize(
    ("names", "is_so"),
    [("nginx.service", True), ("made.service", True), (["made.service", "shop.service"], False), ("old.service", False), ("none.service", False)],
)
def test_active(names, is_so):
    facts = {"selfhost": {"units": FACTS["selfhost"]["units"] | {"made.service": UP | {"enabled": False}}}}
    assert active(names, facts) is is_so
    assert active(names, {}) is False


def test_facts_that_are_none_are_told():
    with pytest.raises(AnsibleFilterError, match="give ansible_facts"):
        running("nginx.service", "facts")
