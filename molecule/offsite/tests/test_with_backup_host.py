"""A backup host comes to the site, and brings to these places what it fetches: the host that serves holds no key of theirs any more."""

import json
import secrets
import time

import pytest
import yaml
from elsewhere import ACCOUNT, DISK, MEDIA, STORE, count, held, information, outside, places, sql
from playing import finish, quick

testinfra_hosts = ["ansible://web"]
pytestmark = pytest.mark.long


def set_up(site, *arguments):
    """Run site.yml, as hosts of the lab are set up."""
    run = finish(site.start("site", *arguments, **quick()))
    assert run.code == 0, run.output[-6000:]
    return run


@pytest.fixture(scope="module")
def here(site):
    return site.hosts[site.web[0]]


@pytest.fixture(scope="module")
def keeper(site):
    return site.hosts["backup1"]


@pytest.fixture(scope="module")
def kept(site, here, tmp_path_factory, figure):
    """The arguments of a playbook by which the bare host keeps the backups. In the end the site is as it was."""
    inventory = tmp_path_factory.mktemp("kept") / "backup.yml"
    inventory.write_text(yaml.safe_dump({"backup": {"hosts": {"backup1": None}}}))
    arguments = ("-i", str(inventory))
    begun = time.monotonic()
    set_up(site, *arguments)
    figure(f"a backup host comes to the site: {time.monotonic() - begun:.0f} s")
    yield arguments
    site.hosts["backup1"].check_output(
        "systemctl disable --now postgresql-receive.service pgbackrest-server.service && rm -f /etc/cron.d/postgresql-backup /etc/cron.d/media-backup"
    )
    sql(here, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'backup_backup1'")
    set_up(site)
    here.check_output("postgresql-backup full")


@pytest.fixture(scope="module")
def copied(site, keeper, kept):
    """An upload with its row, of which every place has a backup, a dump and a copy."""
    upload = f"{secrets.token_hex(4)}.txt"
    site.upload(upload)
    keeper.check_output("postgresql-backup full && postgresql-backup logical && postgresql-backup media && postgresql-backup offsite")
    return upload


def test_each_place_tells_what_it_holds(site, keeper, kept, copied):
    told = places(keeper)
    assert set(told) == {DISK, STORE, ACCOUNT}
    assert all(time.time() - told[place][what] < 600 for place in (STORE, ACCOUNT) for what in ("backup", "dumps", "uploads"))
    page = site.apply("status", *kept).output
    assert STORE in page
    assert "on this machine" not in page.lower()


def test_who_takes_the_host_over_that_serves_finds_no_key_of_these_places(here, kept):
    assert not here.check_output("find /etc/pgbackrest -name '*.key' -o -name places.json -o -name known_hosts -o -name 'media-passphrase*' -o -name '*.crt'")
    assert here.run("grep -rlE 'lab-writer|lab-reader|repo[0-9]+-cipher' /etc/pgbackrest").stdout == ""


def test_a_drill_restores_from_every_place_by_who_only_reads(keeper, copied):
    outside(": >/var/log/nginx/access.log")
    said = keeper.check_output("postgresql-backup drill")
    assert len(said.split(" restores:")[0].split(" and ")) == 3
    assert json.loads(keeper.run("postgresql-backup status --json").stdout)["kinds"]["drill"]["detail"]["dumps"] >= 2
    assert "lab-reader" in outside("grep -E 'GET /backups/site/backup/main/2' /var/log/nginx/access.log | cut -d ' ' -f 1")


@pytest.mark.parametrize("number", [1, 2])
def test_the_database_is_restored_from_the_place_that_is_named(site, here, kept, copied, number):
    site.apply("restore", *kept, "-e", f"restore_repository={number}")
    assert count(here, copied, port=5433) == 1
    site.apply("restore", *kept, "-e", "restore_remove=true")


def test_what_only_the_backup_host_can_read_is_refused_before_a_host_is_touched(site, kept):
    run = site.play("restore", *kept, "-e", "restore_repository=3")
    assert run.code != 0
    assert "restore_repository is 3, which database hosts cannot read" in run.text


def test_a_dump_and_the_uploads_come_back_from_the_place_that_is_named(site, here, keeper, kept, copied):
    keeper.check_output("rm -r /var/backups/postgresql/*")
    site.apply("restore", *kept, "-e", "restore_dump=latest", "-e", "restore_repository=3")
    assert count(here, copied, database="probe_restored") == 1
    site.apply("restore", *kept, "-e", "restore_remove=true")
    site.apply("restore_media", *kept, "-e", "restore_media=true", "-e", "restore_repository=2")
    assert here.check_output("cat %s", f"{MEDIA}.restored/{copied}") == f"content of {copied}"
    here.check_output("rm -r %s", f"{MEDIA}.restored")


def newest_log(host, number):
    return max(row["max"] or "" for row in information(host, number)["archive"])


def test_a_store_that_says_nothing_holds_nobody_up_and_gets_what_it_missed(site, here, keeper, kept, copied, figure):
    before, row = newest_log(keeper, 1), f"meanwhile {secrets.token_hex(4)}"
    outside("systemctl kill -s STOP nginx")
    try:
        assert site.post("/write/", data={"text": row}).status_code == 200
        begun = time.monotonic()
        written = here.check_output("cd / && runuser -u postgres -- psql -XAtqc 'SELECT pg_walfile_name(pg_switch_wal())'")
        assert written > before
        site.wait("the log on the host's own disk", lambda: newest_log(keeper, 1) >= written, seconds=60)
        figure(f"the log reaches the backup host's disk while the store says nothing: {time.monotonic() - begun:.0f} s")
        site.wait("the account to have it, too", lambda: newest_log(keeper, 3) >= written, seconds=60)
        site.wait("the status to say so", lambda: "repository 2" in keeper.run("postgresql-backup status").stdout, seconds=200, every=5)
        failed = keeper.run("postgresql-backup check")
        assert (failed.rc, "port 9443, does not answer: it says nothing" in failed.stderr) == (69, True)
    finally:
        outside("systemctl kill -s CONT nginx")
    site.wait("the log in the store", lambda: newest_log(keeper, 2) >= written, seconds=200, every=5)
    site.wait("the proof that nothing is missing", lambda: keeper.run("postgresql-backup check").rc == 0, seconds=200, every=5)
    assert len(held(keeper, 2)) >= 1
    site.apply("restore", *kept, "-e", "restore_repository=2")
    assert count(here, row, port=5433) == 1
    site.apply("restore", *kept, "-e", "restore_remove=true")
