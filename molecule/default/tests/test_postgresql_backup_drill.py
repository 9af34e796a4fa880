"""On a host that has everything, the drill asks the application's own code, and the uploads are copied from the disk."""

import json
import secrets

import pytest

testinfra_hosts = ["ansible://database"]


@pytest.fixture
def root(host):
    with host.sudo():
        yield host


def status(root, kind):
    return json.loads(root.file("/var/lib/postgresql-backup/status.json").content_string)["kinds"][kind]


def test_the_newest_backup_restores_and_fits_the_release_that_serves(root, variables):
    root.check_output("postgresql-backup diff --quiet")
    done = root.run("postgresql-backup drill")
    assert done.rc == 0, done.stderr
    assert "migrate --check passed" in done.stdout
    row = status(root, "drill")
    assert (row["verdict"], row["label"]) == ("ok", status(root, "diff")["label"])
    assert root.check_output("ls -A %s", variables["postgresql_backup_drill_path"]) == ""


def test_an_upload_comes_back_as_of_its_moment(root, variables):
    uploads, target = variables["app_media_path"], "/var/backups/of-the-test"
    before, after = (f"{uploads}/{word}-{secrets.token_hex(4)}.txt" for word in ("before", "after"))
    try:
        root.check_output("umask 022; echo kept >%s", before)
        root.check_output("postgresql-backup media --quiet")
        point = status(root, "media")["label"]
        assert root.check_output("stat --format=%%h %s", before) == "2", "the plain copy takes no place of its own"
        root.check_output("rm %s; echo new >%s", before, after)
        root.check_output("postgresql-backup media --quiet")
        root.check_output("postgresql-backup media-restore %s --name %s", target, point)
        assert root.check_output("cat %s/*/%s", target, before.rsplit("/", 1)[1]) == "kept"
        assert root.run("ls %s/*/%s", target, after.rsplit("/", 1)[1]).rc != 0
    finally:
        # With their plain copy: otherwise the uploads may have become next to none.
        root.check_output("rm -rf %s %s %s %s/staging/*", target, before, after, variables["media_backup_path"])


def test_nobody_else_reads_the_copies_or_their_passphrase(host, variables):
    with host.sudo("postgres"):
        for path in (f"{variables['media_backup_path']}/repository", "/etc/pgbackrest/media-passphrase"):
            assert host.run("ls %s/ 2>/dev/null || cat %s", path, path).rc != 0
