"""Accounts of services, and what makes them."""

import pytest
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
