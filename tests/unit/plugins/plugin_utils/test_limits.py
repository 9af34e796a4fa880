"""Which words of --limit are told to choose nothing."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.limits import limits

NAMES = ["web1", "web2", "db1", "all", "ungrouped", "web", "database"]


@pytest.mark.parametrize(
    "limit",
    [None, "", "web1", "web1,web2", "all:!web1", "web:&database", "web[0]", "web[0:1],db1", "web*", "w?b1", "~web[12]", "!db1", "@hosts", "localhost",
     # Groups that we know, whether or not the site has them.
     "all:!balancer", "backup"],
)  # fmt: skip
def test_what_chooses_something_passes(limit):
    assert list(limits(limit, NAMES)) == []


@pytest.mark.parametrize(
    ("limit", "word", "near"),
    [("wbe1", "wbe1", "web1"), ("all:!wbe2", "wbe2", "web2"), ("web1,databse", "databse", "database"), ("wbe[0]", "wbe", "web"),
     ("mail*", "mail*", "all"), ("~^mail", "~^mail", "all"), ("web:&xyz", "xyz", "all")],
)  # fmt: skip
def test_what_chooses_nothing_is_named_with_the_nearest_that_does(limit, word, near):
    assert list(limits(limit, NAMES)) == [f"--limit names {word}, which is no host and no group of the inventory: give one that is, such as {near}."]
