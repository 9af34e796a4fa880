"""Where backups go: the first thing that is wrong is named, and no secret with it."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.repositories import wrong_repositories as wrong

PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish-swordfish"}


@pytest.mark.parametrize("rows", [[PATH], [S3], [PATH, S3 | {"uri_style": "path"}], [PATH, {**PATH, "path": "/srv/b2", "retention_days": "3"}]])
def test_what_is_right(rows):
    assert wrong(rows) == ""


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (None, "has to be a list"), ("path", "has to be a list"), ([], "has to be a list"), (["path"], "has to be a list"), (PATH, "has to be a list"),
        ([{"path": "/x"}], "number 1 is of type 'None': known are path, s3 and sftp"),
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
