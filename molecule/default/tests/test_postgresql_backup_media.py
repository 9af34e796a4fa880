"""The application owns its uploads and may do there what it likes: the backup takes its files, and nothing that they lead to."""

import json

import pytest

testinfra_hosts = ["ansible://database"]

TARGET = "/var/backups/of-the-test"


@pytest.fixture
def root(host):
    with host.sudo():
        yield host


def media(root):
    """How the last copy of the uploads went."""
    return json.loads(root.file("/var/lib/postgresql-backup/status.json").content_string)["kinds"]["media"]


def test_files_of_any_kind_and_name_neither_stop_the_backup_nor_lead_it_away(root, variables):
    """Restored as they were: links as links, and what holds nothing left out."""
    folder = f"{variables['app_media_path']}/of-the-test"
    make = (
        'mkdir "$1"; cd "$1"; mkfifo pipe; ln -s /etc/shadow link; ln -s /etc folder; echo kept >one; ln one other; '
        """printf x >"$(printf 'two\\nlines')" """
    )
    try:
        root.check_output("cd / && runuser -u %s -- sh -euc %s sh %s", variables["app_user"], make, folder)
        done = root.run("timeout 240 postgresql-backup media --quiet")
        assert done.rc == 0, done.stderr
        assert media(root)["verdict"] == "ok"
        root.check_output("postgresql-backup media-restore %s", TARGET)
        found = root.check_output("cd %s/*/of-the-test && find . -mindepth 1 -printf '%%y %%P|' | tr '\\n' ' '", TARGET)
        assert sorted(found.strip("|").split("|")) == sorted(["l link", "l folder", "f one", "f other", "f two lines"])
        assert root.check_output("cat %s/*/of-the-test/other", TARGET) == "kept"
    finally:
        # With its plain copy: otherwise the uploads may have become next to none.
        root.check_output("rm -rf %s %s %s/staging/*", folder, TARGET, variables["media_backup_path"])


def test_uploads_that_are_a_link_of_the_applications_are_not_copied(root, variables):
    """The whole folder leads to the host's secrets: the copy of before stays, and everybody hears of it."""
    path, staging = variables["app_media_path"], f"{variables['media_backup_path']}/staging"
    root.check_output("mv %s %s.mine && ln -s /etc %s && chown -h %s: %s", path, path, path, variables["app_user"], path)
    try:
        done = root.run("postgresql-backup media --quiet")
        assert root.run("ls %s/*/shadow", staging).rc != 0, "the copy holds the host's passwords"
        assert done.rc != 0
        assert "root does not follow it" in media(root)["message"]
    finally:
        root.check_output("rm %s && mv %s.mine %s", path, path, path)
    assert root.run("postgresql-backup media --quiet").rc == 0
    assert media(root)["verdict"] == "ok"
