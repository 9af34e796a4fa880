"""Where the repositories of backups are, and which folders go into them."""

import importlib.util
import pathlib

import pytest

FILTER = pathlib.Path(__file__).resolve().parents[4] / "plugins/filter/postgresql_backup.py"
spec = importlib.util.spec_from_file_location("postgresql_backup_filter", FILTER)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish-swordfish"}


def test_where_the_repositories_of_this_host_are():
    assert module.postgresql_backup_repository_paths([S3, PATH]) == ["", "/srv/backups"]


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
    assert [(row["name"], row["path"]) for row in module.postgresql_backup_trees(media, "/srv/shop/shared", paths)] == expected
