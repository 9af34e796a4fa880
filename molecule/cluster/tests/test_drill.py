"""The drill: a good backup passes, a damaged or incomplete one fails, and production notices neither."""

import contextlib
import json

import pytest

testinfra_hosts = ["ansible://backup"]

DIRECTORY = "/var/lib/postgresql-drill"
STATE = "/var/lib/postgresql-backup"


@pytest.fixture(scope="module")
def label(keeper):
    """Make a backup in which every byte counts; return its label."""
    keeper.check_output("postgresql-backup full --quiet")
    return status(keeper, "full")["label"]


def status(keeper, kind="drill"):
    return json.loads(keeper.file(f"{STATE}/status.json").content_string)["kinds"][kind]


def failed_drill(keeper):
    """Run a drill that has to fail; return what the status says, and hold against it what it told its caller."""
    done = keeper.run("postgresql-backup drill --quiet")
    row = status(keeper)
    assert done.rc != 0
    assert row["verdict"] == "failed"
    assert row["message"] in done.stderr
    assert 'postgresql_backup_verdict{kind="drill"} 0' in keeper.file(f"{STATE}/postgresql_backup.prom").content_string
    return row["message"]


def passed_drill(keeper):
    done = keeper.run("postgresql-backup drill")
    assert done.rc == 0, done.stderr
    assert status(keeper)["verdict"] == "ok"
    return done.stdout


def nothing_is_left(keeper):
    assert keeper.check_output("ls -A %s", DIRECTORY) == ""
    assert keeper.run("pgrep -f '[/]var/lib/postgresql-drill'").stdout == ""


@contextlib.contextmanager
def changed(host, path, command, *arguments):
    """Change a file by a command, and put it back as it was."""
    host.check_output("cp -p %s /var/backups/kept-by-the-test", path)
    try:
        host.check_output(command, *arguments)
        yield
    finally:
        host.check_output("cp -p /var/backups/kept-by-the-test %s && rm /var/backups/kept-by-the-test", path)


def edited_manifest(keeper, label, statement):
    """Change the manifest of a backup by a statement of Python on `manifest`."""
    path = f"{STATE}/manifests/{label}.json"
    script = f"import json; manifest = json.load(open('{path}')); {statement}; json.dump(manifest, open('{path}', 'w'))"
    return changed(keeper, path, "python3 -c %s", script)


def production(site):
    """What nobody may disturb: since when the servers run, who they are, and what they hold."""
    query = "SELECT pg_postmaster_start_time(), (SELECT timeline_id FROM pg_control_checkpoint())"
    return {name: (site.sql(name, query), site.sql(name, "SELECT count(*) FROM pages_note", "probe")) for name in site.groups["database"]}


def test_a_good_backup_passes_and_the_status_says_so(site, keeper, label):
    before = production(site)
    run = site.apply("restore_drill")
    assert f"backup {label} restores" in run.text
    row = status(keeper)
    assert (row["verdict"], row["label"]) == ("ok", label)
    assert row["duration_seconds"] > 0
    assert row["age_seconds"] < 3600
    assert row["detail"]["backup_age_seconds"] >= 0
    assert row["detail"]["rows"] > int(site.sql(site.primary(), "SELECT count(*) FROM pages_note", "probe"))
    assert row["detail"]["migrations"] == "all migrations of the current release are applied"
    assert 'postgresql_backup_verdict{kind="drill"} 1' in keeper.file(f"{STATE}/postgresql_backup.prom").content_string
    assert production(site) == before
    nothing_is_left(keeper)


def test_cron_drills_every_week(keeper):
    (line,) = [row for row in keeper.file("/etc/cron.d/postgresql-backup").content_string.splitlines() if " drill " in row]
    fields = line.split()
    assert fields[5:] == ["root", "/usr/local/sbin/postgresql-backup", "drill", "--quiet"]
    assert (fields[2:4], fields[4].isdigit()) == (["*", "*"], True)


def test_flipped_bytes_in_the_repository_fail_the_drill(keeper, label):
    repository = keeper.check_output("sed -n 's/^repo1-path=//p' /etc/pgbackrest/pgbackrest.conf")
    listing = keeper.check_output("find %s/backup/*/%s -type f -size +64k -printf '%%s %%p\\n' | sort -n | tail -1", repository, label)
    size, path = listing.split()
    flip = f"file = open('{path}', 'r+b'); file.seek({int(size) // 2}); old = file.read(64); file.seek(-64, 1); file.write(bytes(b ^ 255 for b in old))"
    with changed(keeper, path, "python3 -c %s", flip):
        message = failed_drill(keeper)
    assert "ERROR" in message, message
    nothing_is_left(keeper)


def test_what_the_backup_noted_and_the_restore_lacks_fails_the_drill(keeper, label):
    losses = {
        "manifest['databases']['gone'] = {}": "database gone is missing",
        "probe['tables']['public.pages_note'] += 1": "probe: public.pages_note has",
        "probe['tables']['public.gone'] = 1": "probe: public.gone is missing",
        "probe['migrations'].append('pages.0999_gone')": "probe: the migrations pages.0999_gone are missing",
    }
    with edited_manifest(keeper, label, "; ".join(["probe = manifest['databases']['probe']", *losses])):
        message = failed_drill(keeper)
    for sentence in losses.values():
        assert sentence in message


def test_a_backup_that_lacks_a_migration_of_the_release_fails_the_drill(site, keeper, label):
    web = site.hosts[site.groups["web"][0]]
    with changed(web, "/srv/probe/current/migrations.txt", "echo '[X]  pages.0998_shipped' >>/srv/probe/current/migrations.txt"):
        message = failed_drill(keeper)
    assert message == "the restored database lacks migrations of the current release: pages.0998_shipped"
    assert status(keeper)["detail"]["backup_age_seconds"] >= 0


def test_a_killed_drill_is_noticed_and_leaves_nothing_behind(site, keeper, label):
    keeper.check_output("systemctl start --no-block postgresql-drill.service")
    site.wait("the restore", lambda: keeper.run("test -e %s/throw-away/data/PG_VERSION", DIRECTORY).rc == 0, every=0.2)
    keeper.check_output("systemctl kill --signal=KILL postgresql-drill.service")
    site.wait("its end", lambda: keeper.check_output("systemctl show --value -p ActiveState postgresql-drill.service") == "failed")
    row = status(keeper)
    assert row["verdict"] == "failed"
    assert "ended from outside" in row["message"]
    nothing_is_left(keeper)


def test_what_a_lost_host_left_is_gone_after_the_next_drill(keeper, label):
    keeper.check_output("install -d -o postgres -g postgres %s/throw-away/data/base && touch %s/throw-away/running", DIRECTORY, DIRECTORY)
    assert f"backup {label} restores" in passed_drill(keeper)
    nothing_is_left(keeper)


def test_two_drills_do_not_meet(site, keeper, label):
    keeper.check_output("systemctl start --no-block postgresql-drill.service")
    done = keeper.run("postgresql-backup drill")
    assert done.rc != 0
    assert "another one is at work" in done.stderr
    site.wait("the end of the first", lambda: keeper.check_output("systemctl show --value -p ActiveState postgresql-drill.service") == "inactive")
    assert status(keeper)["verdict"] == "ok"
