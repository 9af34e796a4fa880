"""Where backups go: the first thing that is wrong is named, and no secret with it."""

import importlib.util
import pathlib

import pytest

FILTER = pathlib.Path(__file__).resolve().parents[4] / "plugins/filter/postgresql_backup.py"
spec = importlib.util.spec_from_file_location("postgresql_backup_filter", FILTER)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
wrong = module.postgresql_backup_repositories_wrong

PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish-swordfish"}


@pytest.mark.parametrize("rows", [[PATH], [S3], [PATH, S3 | {"uri_style": "path"}], [PATH, {**PATH, "path": "/srv/b2", "retention_days": "3"}]])
def test_what_is_right(rows):
    assert wrong(rows) == ""


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (None, "has to be a list"), ("path", "has to be a list"), ([], "has to be a list"), (["path"], "has to be a list"), (PATH, "has to be a list"),
        ([{"path": "/x"}], "number 1 is of type 'None': known are path and s3"),
        ([PATH, {"type": "path"}], "number 2 lacks path"),
        ([PATH | {"path": "/srv/backups/"}], "number 1 has the path '/srv/backups/': give an absolute one"),
        ([PATH | {"bucket": "b"}], "number 1 has bucket: a repository of type path has"),
        ([S3 | {"region": " "}], "number 1 lacks region"),
        ([S3 | {"secret": "swordfish\nrepo1-path=/"}], "number 1 has secret of more than one line"),
        ([S3 | {"uri_style": "dns"}], "has the uri_style 'dns'"),
        ([PATH | {"passphrase": "swordfish"}], "has a passphrase of less than 16 characters"),
        ([PATH | {"retention_days": 0}], "has the retention_days '0': give a whole number"),
        ([PATH | {"full_retention": 4}], "number 1 has full_retention: a repository of type path has"),
        ([PATH, PATH], "names the same place twice"),
    ],
)  # fmt: skip
def test_what_is_wrong(rows, sentence):
    said = wrong(rows)
    assert sentence in said
    assert said.startswith("postgresql_backup_repositories")
    assert "swordfish" not in said


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
