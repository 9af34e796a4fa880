"""Whose uploads a host copies, which folders go with them, and what that needs."""

import pytest
from ansible_collections.selfhost.django.plugins.filter import media_backup as module


def test_whose_uploads_a_host_copies():
    addresses = {"web1": "192.0.2.1", "web2": "2001:db8::2"}
    sources = module.media_backup_sources
    assert sources(["web1", "web2"], "backup1", "backup", addresses) == {"web1": "192.0.2.1", "web2": "[2001:db8::2]"}
    assert sources(["web1", "web2"], "web1", "backup", addresses) == {"web1": "", "web2": "[2001:db8::2]"}
    assert sources(["web1", "web2"], "web1", "local", addresses) == {"web1": ""}
    assert sources(["web1", "web2"], "db1", "local", addresses) == sources(["web1"], "web1", "database", addresses) == {}


MEDIA = "/srv/shop/shared/media"


@pytest.mark.parametrize(
    ("media", "paths", "expected"),
    [
        (MEDIA, [], [("", MEDIA)]),
        ("/data/media", ["private"], [("", "/data/media"), ("private", "/srv/shop/shared/private")]),
        (MEDIA, ["media"], [("", MEDIA)]),
        (MEDIA, ["media/", "./media"], [("", MEDIA)]),
        (MEDIA, ["media/private"], [("", MEDIA)]),
        # The uploads go with the path that they are in.
        ("/srv/shop/shared/data/media", ["data"], [("data", "/srv/shop/shared/data")]),
        (MEDIA, ["a/b", "a", "ab"], [("", MEDIA), ("a", "/srv/shop/shared/a"), ("ab", "/srv/shop/shared/ab")]),
        ("", ["private", "private"], [("private", "/srv/shop/shared/private")]),
    ],
)
def test_every_folder_that_outlives_a_release_is_copied_once(media, paths, expected):
    assert [(row["name"], row["path"]) for row in module.media_backup_trees(media, "/srv/shop/shared", paths)] == expected


@pytest.mark.parametrize(
    ("role", "sources", "packages"),
    [
        ("local", {}, []), ("database", {}, []), ("local", {"web1": ""}, ["restic", "rsync", "openssl"]),
        ("backup", {"web1": "192.0.2.1"}, ["restic", "rsync", "openssl", "stunnel4"]),
    ],
)  # fmt: skip
def test_what_copies_of_uploads_need(role, sources, packages):
    assert module.media_backup_packages(role, sources) == packages
