"""Uploads and database are backed up at the same named moment, come back together, and are out of the web host's reach."""

import json
import secrets

import pytest

testinfra_hosts = ["ansible://backup"]

UPLOADS = "/srv/probe/shared/media"
STATE = "/var/lib/postgresql-backup"


@pytest.fixture(scope="module")
def web(site):
    return site.hosts[site.groups["web"][0]]


def back_up(keeper):
    """Back the uploads up; return the restore point."""
    done = keeper.run("postgresql-backup media --quiet")
    assert done.rc == 0, done.stderr
    row = json.loads(keeper.file(f"{STATE}/status.json").content_string)["kinds"]["media"]
    assert row["verdict"] == "ok"
    return row["label"]


@pytest.fixture(scope="module")
def moments(site, keeper, web):
    """An upload before a restore point and one after it, with the rows that go with them: (point, name before, name after)."""
    before, after = f"before-{secrets.token_hex(4)}.txt", f"after-{secrets.token_hex(4)}.txt"
    site.upload(before)
    point = back_up(keeper)
    site.upload(after)
    yield point, before, after
    web.check_output("rm -f %s %s", f"{UPLOADS}/{before}", f"{UPLOADS}/{after}")
    site.sql(site.primary(), f"DELETE FROM pages_note WHERE text IN ('{before}', '{after}')", "probe")


def test_database_and_uploads_come_back_to_the_same_moment(site, web, moments):
    point, before, after = moments
    host = site.hosts[site.groups["database"][0]]
    try:
        site.apply("restore", "-e", f"restore_target_name={point}", "-e", "restore_media=true")
        files = web.check_output("ls %s", f"{UPLOADS}.restored").split()
        assert (before in files, after in files) == (True, False)
        assert web.check_output("cat %s", f"{UPLOADS}.restored/{before}") == f"content of {before}"
        owners = web.check_output("stat -c '%%U %%G %%a' %s", UPLOADS), web.check_output("stat -c '%%U %%G %%a' %s", f"{UPLOADS}.restored")
        assert owners[0] == owners[1]
        done = site.hosts[site.primary()].run(
            "cd / && runuser -u postgres -- psql -XAtq -p 5433 -d probe -c %s", f"SELECT text FROM pages_note WHERE text IN ('{before}', '{after}')"
        )
        assert done.stdout.strip() == before, done.stderr
        # Production has both.
        assert {before, after} <= set(web.check_output("ls %s", UPLOADS).split())
    finally:
        site.play("restore", "-e", "restore_remove=true")
        web.check_output("rm -rf %s", f"{UPLOADS}.restored")
    assert host.check_output("pg_lsclusters --no-header").count("\n") == 0


def test_in_place_only_with_the_clusters_name_and_what_was_there_is_kept(site, web, moments):
    point, before, after = moments
    refused = site.play("restore_media", "-e", "restore_media=true", "-e", f"restore_target_name={point}", "-e", "restore_in_place=yes")
    assert refused.code != 0
    assert "restore_in_place is 'yes'" in refused.text
    try:
        site.apply("restore_media", "-e", "restore_media=true", "-e", f"restore_target_name={point}", "-e", "restore_in_place=probe/main")
        assert site.get(f"/media/{before}").text == f"content of {before}"
        assert site.get(f"/media/{after}").status_code == 404
        assert web.run("ls %s.before-*/%s", UPLOADS, after).rc == 0
        site.upload("in-the-restored.txt")
    finally:
        web.run("old=$(ls -d %s.before-* | tail -1) && rm -rf %s && mv -T $old %s", UPLOADS, UPLOADS, UPLOADS)
        web.run("rm -rf %s.before-*", UPLOADS)
        site.sql(site.primary(), "DELETE FROM pages_note WHERE text = 'in-the-restored.txt'", "probe")
    assert site.get(f"/media/{after}").text == f"content of {after}"


def test_a_point_that_is_none_is_refused_in_a_sentence(site, web):
    run = site.play("restore_media", "-e", "restore_media=true", "-e", "restore_target_name=never-made")
    assert run.code != 0
    assert "no backup of the uploads was made at the restore point never-made" in run.text
    assert web.run("test -e %s", f"{UPLOADS}.restored").rc != 0


def test_a_web_host_cannot_delete_what_was_backed_up(site, keeper, web, moments):
    """Whoever takes the web host over deletes every upload, and knocks at the backup host's doors. A volume that is not mounted is the same to a copy."""
    point, before, after = moments
    back_up(keeper)
    web.check_output("cp -a %s /var/backups/kept-by-the-test && find %s -mindepth 1 -delete", UPLOADS, UPLOADS)
    try:
        done = keeper.run("postgresql-backup media --quiet")
        assert done.rc != 0
        assert "to 0, so none was removed from their copy: mount what is missing" in done.stderr
        for name, words in ((before, ["--name", point]), (after, [])):
            keeper.check_output("rm -rf /var/backups/of-the-test")
            keeper.check_output("postgresql-backup media-restore /var/backups/of-the-test" + " %s" * len(words), *words)
            assert keeper.run("cat /var/backups/of-the-test/*/%s", name).stdout == f"content of {name}"
        address = site.addresses[site.groups["backup"][0]]
        for port in (5432, 8432, 8873):
            assert web.run("timeout 5 bash -c 'echo >/dev/tcp/%s/%s'", address, str(port)).rc != 0, port
    finally:
        keeper.run("rm -rf /var/backups/of-the-test")
        web.check_output("cp -a /var/backups/kept-by-the-test/. %s && rm -rf /var/backups/kept-by-the-test", UPLOADS)
    back_up(keeper)


def test_only_the_backup_host_may_read_the_uploads_and_nobody_may_write_them(site, keeper, moments):
    _point, before, _after = moments
    name = site.groups["web"][0]

    def rsync(host, *words):
        connect = (
            f"openssl s_client -quiet -verify_quiet -verify_return_error -verify 4 -verify_hostname {name} -CAfile /etc/selfhost/ca.crt "
            f"-cert /etc/selfhost/host.crt -key /etc/selfhost/host.key -connect {site.addresses[name]}:8873"
        )
        return host.run("RSYNC_CONNECT_PROG=%s timeout 20 rsync -t " + " ".join(["%s"] * len(words)), connect, *words)

    read = rsync(keeper, f"{name}::media/{before}", "/var/backups/of-the-test")
    assert read.rc == 0, read.stderr
    keeper.check_output("rm /var/backups/of-the-test")
    written = rsync(keeper, "/etc/hostname", f"{name}::media/planted")
    assert written.rc != 0
    assert "read only" in written.stderr
    for path in ("release/environment", "media/../../current/environment"):
        assert rsync(keeper, f"{name}::{path}", "/var/backups/of-the-test").rc != 0, path
    # A certificate of the site is not enough, and from elsewhere the port is closed.
    for other in (name, *site.groups["database"]):
        assert rsync(site.hosts[other], f"{name}::media/{before}", "/var/backups/of-the-test").rc != 0, other


def test_cron_backs_the_uploads_up_every_night(keeper):
    (line,) = [row for row in keeper.file("/etc/cron.d/media-backup").content_string.splitlines() if " media " in row]
    fields = line.split()
    assert fields[2:] == ["*", "*", "*", "root", "/usr/local/sbin/postgresql-backup", "media", "--quiet"]
    assert fields[0].isdigit()
    assert fields[1].isdigit()


def test_a_web_host_that_is_away_is_noticed(keeper, web):
    web.check_output("systemctl stop media-server.socket")
    try:
        done = keeper.run("postgresql-backup media --quiet")
        row = json.loads(keeper.file(f"{STATE}/status.json").content_string)["kinds"]["media"]
    finally:
        web.check_output("systemctl start media-server.socket")
    assert done.rc != 0
    assert done.stderr
    assert row["verdict"] == "failed"
    assert row["label"].startswith("media-"), "what the last good one made is kept"
    back_up(keeper)


def test_an_upload_that_only_claims_to_be_huge_fills_no_disk(keeper, web):
    """The log's archive is on the same one, and whoever restores would have to believe it."""
    web.check_output("truncate -s 2T %s && chown --reference=%s %s", f"{UPLOADS}/huge", UPLOADS, f"{UPLOADS}/huge")
    try:
        done = keeper.run("postgresql-backup media --quiet")
        assert done.rc == 73, done.stderr
        assert "holds files of 2.0 TB, and /var/lib/media-backup may take" in done.stderr
        assert keeper.run("find /var/lib/media-backup -name huge | grep .").rc != 0
        assert keeper.run("postgresql-backup check --quiet").rc == 0
    finally:
        web.check_output("rm %s", f"{UPLOADS}/huge")
    back_up(keeper)
