"""What roles read of the look at the beginning of a run."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhost.django.plugins.test.host import installed, running

UP, DOWN = {"active": True, "enabled": True, "stale": False}, {"active": False, "enabled": True, "stale": False}
FACTS = {"selfhost": {"packages": ["git", "nginx"], "units": {"nginx.service": UP, "shop.service": DOWN, "old.service": UP | {"stale": True}}}}


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


def test_facts_that_are_none_are_told():
    with pytest.raises(AnsibleFilterError, match="give ansible_facts"):
        running("nginx.service", "facts")
