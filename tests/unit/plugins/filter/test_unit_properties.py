"""Directives of a unit become options of systemd-run."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.unit_properties import unit_properties


@pytest.mark.parametrize("text, options", [
    ("", ""),
    ("# a comment\n; another\n\nPrivateTmp=true\n", "--property=PrivateTmp=true"),
    ("CapabilityBoundingSet=\n  RemoveIPC=true", "--property=CapabilityBoundingSet= --property=RemoveIPC=true"),
    ("SystemCallFilter=~@privileged @resources", "'--property=SystemCallFilter=~@privileged @resources'"),
    ("ReadWritePaths=/srv/it's", "'--property=ReadWritePaths=/srv/it'\"'\"'s'"),
])  # fmt: skip
def test_every_directive_is_an_option(text, options):
    assert unit_properties(text) == options


def test_what_a_host_does_not_know_is_left_out():
    text = "PrivateUsers=true\nPrivatePIDs=true\nPrivateTmp=true"
    assert unit_properties(text, without=["PrivatePIDs"]) == "--property=PrivateUsers=true --property=PrivateTmp=true"
