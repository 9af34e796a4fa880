"""Backups in places of others: written, read back, looked for while one is away, and in the end all that is left of the site."""

import json
import secrets
import subprocess
import time

import pytest
from elsewhere import ACCOUNT, DISK, MEDIA, STORE, count, held, outside, places
from playing import finish

testinfra_hosts = ["ansible://web"]


@pytest.fixture(scope="module")
def here(site):
    return site.hosts[site.web[0]]


@pytest.fixture(scope="module")
def copied(site, here, figure):
    """An upload with its row, of which every place has a backup, a dump and a copy."""
    upload = f"{secrets.token_hex(4)}.txt"
    site.upload(upload)
    for kind in ("full", "logical", "media", "offsite"):
        begun = time.monotonic()
        here.check_output(f"postgresql-backup {kind}")
        figure(f"{kind}, to a disk, a store and an account: {time.monotonic() - begun:.0f} s")
    return upload


def test_each_place_tells_what_it_holds(site, here, copied):
    told = places(here)
    assert set(told) == {DISK, STORE, ACCOUNT}
    assert all(time.time() - told[place][what] < 600 for place in (STORE, ACCOUNT) for what in ("backup", "dumps", "uploads"))
    page = site.apply("status").output
    assert "WHERE BACKUPS ARE" in page
    assert STORE in page
    assert "on this machine alone" not in page
    assert "Only on this machine" not in page


def test_what_is_outside_cannot_be_read_there(copied):
    assert outside("find /srv/store/backups/site /srv/sftp/backups/site -name archive.info | wc -l").strip() == "2"
    assert outside(f"grep -rl -e {copied} -e CREATE.TABLE /srv/store /srv/sftp | wc -l").strip() == "0"


# Run on the host, so that the words are in no command's log. The journal is not a log of pgBackRest's alone.
SEARCH = """
import json, pathlib, subprocess
rows = json.load(open("/etc/pgbackrest/places.json"))
words = {value for row in rows for name, value in row["environment"].items() if "SECRET" in name or "PASSWORD" in name}
text = subprocess.run(["journalctl", "--no-pager"], capture_output=True, text=True, errors="replace").stdout
for folder in ("/var/lib/postgresql-backup", "/var/log/pgbackrest", "/etc/systemd", "/etc/cron.d"):
    text += "".join(path.read_text(errors="replace") for path in pathlib.Path(folder).rglob("*") if path.is_file())
print(len(words), sum(word in text for word in words))
"""


def test_no_secret_is_told(here, copied):
    assert here.check_output("python3 -c %s", SEARCH) == "2 0"
    assert not here.check_output("find /etc/pgbackrest -type f -perm /o=r ! -name '*.crt' ! -name known_hosts")
    assert here.check_output("stat -c '%U %a' /etc/pgbackrest/repository-3.key") == "postgres 600"


def test_a_server_with_another_key_is_not_believed(here, copied):
    key = here.check_output("sed -n 1p /etc/pgbackrest/known_hosts")
    here.check_output("sed -i 's/AAAAC3NzaC1lZDI1NTE5AAAAI./AAAAC3NzaC1lZDI1NTE5AAAAIA/' /etc/pgbackrest/known_hosts")
    try:
        assert here.check_output("sed -n 1p /etc/pgbackrest/known_hosts") != key
        run = here.run("runuser -u postgres -- pgbackrest --stanza=main --repo=3 --io-timeout=2 repo-ls")
        assert run.rc != 0
        failed = here.run("postgresql-backup offsite")
        assert failed.rc != 0
        assert "repository 3" in failed.stderr
        assert "repository 2" not in failed.stderr
    finally:
        here.check_output("printf '%%s\\n' %s >/etc/pgbackrest/known_hosts", key)
    here.check_output("postgresql-backup offsite")


def test_a_drill_restores_from_every_place_by_who_only_reads(here, copied):
    outside(": >/var/log/nginx/access.log")
    said = here.check_output("postgresql-backup drill")
    assert len(said.split(" restores:")[0].split(" and ")) == 3
    assert json.loads(here.run("postgresql-backup status --json").stdout)["kinds"]["drill"]["detail"]["dumps"] >= 2
    # The server's log goes there meanwhile as well.
    assert set(outside("grep -E 'GET /backups/site/(backup/main/2|restic/data)' /var/log/nginx/access.log | cut -d ' ' -f 1").split()) == {"lab-reader"}


@pytest.mark.parametrize("number", [2, 3])
def test_the_database_is_restored_beside_from_the_place_that_is_named(site, here, copied, number):
    site.apply("restore", "-e", f"restore_repository={number}")
    assert count(here, copied, port=5433) == 1
    site.apply("restore", "-e", "restore_remove=true")


def test_a_dump_and_the_uploads_come_back_from_the_place_that_is_named(site, here, copied):
    here.check_output("rm -r /var/backups/postgresql/*")
    site.apply("restore", "-e", "restore_dump=latest", "-e", "restore_repository=3")
    assert count(here, copied, database="probe_restored") == 1
    site.apply("restore", "-e", "restore_remove=true")
    site.apply("restore_media", "-e", "restore_media=true", "-e", "restore_repository=2")
    assert here.check_output("cat %s", f"{MEDIA}.restored/{copied}") == f"content of {copied}"
    here.check_output("rm -r %s", f"{MEDIA}.restored")


def test_what_is_past_its_time_goes_from_the_places_too(here, copied):
    # Beside one of these days alone it stays, since the clock could have leapt.
    here.check_output("cd /var/backups/postgresql && cp -a $(ls | tail -n 1) 20200101T000000Z && postgresql-backup offsite")
    here.check_output("postgresql-backup logical && postgresql-backup offsite && rm -r /var/backups/postgresql/20200101T000000Z")
    missing = here.run("postgresql-backup fetch-dump --repository 2 20200101T000000Z")
    assert missing.rc != 0
    assert "holds no dump 20200101T000000Z: it has 20" in missing.stderr
    former = held(here, 2)
    here.check_output("postgresql-backup full")
    keep = "--repo2-retention-full-type=count --repo2-retention-full=1"
    here.check_output(f"runuser -u postgres -- pgbackrest --stanza=main --repo=2 {keep} expire")
    assert len(held(here, 2)) == 1
    assert not set(former) & set(held(here, 2))


# Who is away is waited for each time, so the backup alone takes minutes.
@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "place", "stop", "start", "words"),
    [
        (2, STORE, "systemctl stop nginx", "systemctl start nginx", "10.88.15.99, port 9443, does not answer"),
        (2, STORE, "systemctl kill -s STOP nginx", "systemctl kill -s CONT nginx", "10.88.15.99, port 9443, does not answer: it says nothing for 20 s"),
        (3, ACCOUNT, "systemctl kill -s STOP keeper", "systemctl kill -s CONT keeper", "10.88.15.99, port 2222, does not answer: it says nothing for 20 s"),
    ],
    ids=["a store that is off", "a store that says nothing", "an account that says nothing"],
)
def test_the_others_go_on_while_one_is_away(site, here, copied, figure, number, place, stop, start, words):
    before, row = places(here), f"meanwhile {secrets.token_hex(4)}"
    (other,) = {STORE, ACCOUNT} - {place}
    outside(stop)
    try:
        assert site.post("/write/", data={"text": row}).status_code == 200
        begun = time.monotonic()
        failed = here.run("postgresql-backup full")
        figure(f"a full backup while one of three places is away ({words}): {time.monotonic() - begun:.0f} s")
        assert failed.rc == 69
        assert f"repository {number}" in failed.stderr
        failed = here.run("postgresql-backup offsite")
        assert f"repository {number}: {words}" in failed.stderr
        now = places(here)
        assert now[DISK]["backup"] > before[DISK]["backup"]
        assert now[other]["backup"] > before[other]["backup"]
        assert now[other]["dumps"] >= before[other]["dumps"]
        assert now[place] == before[place]
        begun = time.monotonic()
        failed = here.run("postgresql-backup check")
        figure(f"the proof of the archive meanwhile: {time.monotonic() - begun:.0f} s")
        assert (failed.rc, f"repository {number}: {words}" in failed.stderr) == (69, True)
        here.check_output("postgresql-backup media && postgresql-backup logical")
        failed = here.run("postgresql-backup drill")
        assert failed.rc != 0
        assert f"repository {number}: " in failed.stderr
        assert f"repository {5 - number}: " not in failed.stderr
        page = site.apply("status").output
        assert f"The last offsite backup failed: repository {number}" in page
        begun = time.monotonic()
        assert f"repository {number}: {words}" in site.apply("database").text
        figure(f"database.yml meanwhile: {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        site.apply("restore")
        figure(f"a restore beside meanwhile: {time.monotonic() - begun:.0f} s")
        assert count(here, row, port=5433) == 1
        site.apply("restore", "-e", "restore_remove=true")
    finally:
        outside(start)
    # What waited goes there by itself, so that its history has no gap.
    site.wait("the log to reach the place", lambda: here.run("postgresql-backup check").rc == 0, seconds=400, every=5)
    here.check_output("postgresql-backup drill && postgresql-backup offsite && postgresql-backup full")
    site.apply("restore", "-e", f"restore_repository={number}")
    assert count(here, row, port=5433) == 1
    site.apply("restore", "-e", "restore_remove=true")


@pytest.mark.long
def test_a_restore_in_place_ends_well_while_one_is_away(site, here, copied):
    upload, row = copied, f"written over {secrets.token_hex(4)}"
    here.check_output("postgresql-backup check")
    moment = here.check_output("date --iso-8601=seconds")
    time.sleep(2)
    assert site.post("/write/", data={"text": row}).status_code == 200
    outside("systemctl stop nginx")
    try:
        site.apply("restore", "-e", f"restore_target_time={moment}", "-e", "restore_in_place=probe/main")
    finally:
        outside("systemctl start nginx")
    assert (count(here, upload), count(here, row)) == (1, 0)
    site.healthy()
    here.check_output("postgresql-backup full && postgresql-backup check")


@pytest.fixture(scope="module")
def lost(site, here, copied):
    """A bare machine in the place of the one that is lost; returned are a row that came after the last backup, and the release that served."""
    (name,), row = site.web, f"later {secrets.token_hex(4)}"
    release = site.current()[name]
    assert site.post("/write/", data={"text": row}).status_code == 200
    here.check_output("postgresql-backup check")
    subprocess.run(["docker", "rm", "--force", f"selfhost-offsite-{name}"], check=True, capture_output=True)
    run = finish(site.start("../molecule/shared/create", FRESH="1"))
    assert run.code == 0, run.output
    return row, release


def test_vault_inventory_and_bucket_become_the_site(site, here, copied, lost, figure):
    row, release = lost
    begun = time.monotonic()
    site.apply("rebuild")
    figure(f"a bare host becomes the site out of a store in S3: {time.monotonic() - begun:.0f} s")
    assert site.current()[site.web[0]] == release
    assert count(here, row) == count(here, copied) == 1
    assert here.check_output("cat %s", f"{MEDIA}/{copied}") == f"content of {copied}"
    here.check_output("postgresql-backup media && postgresql-backup logical && postgresql-backup offsite && postgresql-backup status")
    assert all(len(held(here, number)) >= 1 for number in (1, 2, 3))
