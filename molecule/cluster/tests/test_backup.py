"""Backups are fetched by a host of their own: from the standby, out of the database hosts' reach, and a failure does not stay unseen."""

import contextlib
import json
import re
import secrets
import time

import playing
import pytest

COMMAND = "/usr/local/sbin/postgresql-backup"
# pgBackRest's patience for a piece of log that does not come.
IMPATIENT = "PGBACKREST_ARCHIVE_TIMEOUT=10"


def pgbackrest(host, *arguments):
    return host.run(f"cd / && runuser -u postgres -- pgbackrest --stanza=main --log-level-console=warn {' '.join(arguments)}")


def information(host):
    done = pgbackrest(host, "--output=json", "info")
    assert done.rc == 0, done.stderr
    return json.loads(done.stdout)[0]


def labels(host):
    return [row["label"] for row in information(host)["backup"]]


def verdict(host, kind):
    """What the status file says, to whoever reads it."""
    text = host.check_output("runuser -u nobody -- cat /var/lib/postgresql-backup/status.json")
    row = json.loads(text)["kinds"][kind]
    metrics = host.check_output("runuser -u nobody -- cat /var/lib/prometheus/node-exporter/postgresql_backup.prom")
    assert f'postgresql_backup_verdict{{kind="{kind}"}} {int(row["verdict"] == "ok")}' in metrics
    return row


def check(host):
    """Run the line of the crontab that proves the archive, as cron does, with less patience."""
    (line,) = re.findall(r"^\S+ \S+ \S+ \S+ \S+ root (.* check .*)$", host.file("/etc/cron.d/postgresql-backup").content_string, re.MULTILINE)
    return host.run(
        f"cd /root && env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin {IMPATIENT} /bin/sh -c %s",
        line,
    )


def proves_itself(host):
    return check(host).rc == 0


@pytest.fixture
def note(site):
    """Return a function that writes a note through the site."""

    def write():
        text = f"backup-{secrets.token_hex(4)}"
        answer = site.post("/write/", data={"text": text}, timeout=60)
        assert answer.status_code == 200, answer.text
        return text

    yield write
    site.sql(site.primary(), "DELETE FROM pages_note WHERE text LIKE 'backup-%'", database="probe")


def test_a_backup_is_made_of_the_standby_and_its_label_size_and_duration_are_printed(site, keeper, note):
    note()
    before = labels(keeper)
    done = site.apply("backup", "-e", "backup_type=incr")
    (label,) = [label for label in labels(keeper) if label not in before]
    assert re.search(rf"incr backup {label}: database \d+ MB, added to the repository \d+ k?M?B, \d+ s", done.text), done.output
    log = keeper.check_output("tac /var/log/pgbackrest/main-backup.log | sed '/PROCESS START/q'")
    assert "replay on the standby reached" in log, log
    row = verdict(keeper, "incr")
    assert (row["verdict"], row["label"]) == ("ok", label)
    assert row["size_bytes"] > 1024**2
    assert row["age_seconds"] < 3600


def test_a_manifest_says_what_the_backup_holds(site, keeper, note):
    note()
    done = keeper.run(f"{COMMAND} incr")
    assert done.rc == 0, done.stderr
    manifest = json.loads(keeper.file(f"/var/lib/postgresql-backup/manifests/{labels(keeper)[-1]}.json").content_string)
    probe = manifest["databases"]["probe"]
    counted = site.sql(site.primary(), "SELECT count(*) FROM pages_note", database="probe")
    assert probe["tables"]["public.pages_note"] == int(counted)
    assert "pages.0001_initial" in probe["migrations"]
    # The moment is in the archive, so that a restore can lead to it.
    walfile = site.sql(site.primary(), f"SELECT pg_walfile_name('{manifest['lsn']}')")
    assert information(keeper)["archive"][-1]["max"] >= walfile


# A function that was harmless when its index was made fails since; a table shows its rows to its owner alone.
UNCOUNTED = """
SET ROLE probe;
CREATE TABLE failing (id int);
CREATE FUNCTION told(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE INDEX ON failing (told(1));
CREATE OR REPLACE FUNCTION told(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1 / 0; END';
CREATE TABLE hidden (id int);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY
"""


def test_a_table_that_cannot_be_counted_is_told_and_all_others_are_in_the_manifest(site, keeper):
    try:
        site.sql(site.primary(), UNCOUNTED, database="probe")
        done = keeper.run(f"{COMMAND} incr")
        assert done.rc and "the rows of probe: public.failing (division by zero (22012)) could not be counted" in done.stderr, done.stdout + done.stderr
        assert verdict(keeper, "incr")["verdict"] == "failed" and verdict(keeper, "archive")["verdict"] == "ok"
        probe = json.loads(keeper.file(f"/var/lib/postgresql-backup/manifests/{labels(keeper)[-1]}.json").content_string)["databases"]["probe"]
        assert sorted(probe["uncounted"]) == ["public.failing", "public.hidden"] and "public.pages_note" in probe["tables"]
        site.sql(site.primary(), "DROP TABLE failing", database="probe")
        assert keeper.run(f"{COMMAND} incr").rc == 0, "hidden rows are no failure"
    finally:
        site.sql(site.primary(), "DROP TABLE IF EXISTS failing, hidden; DROP FUNCTION IF EXISTS told", database="probe")
        keeper.check_output(f"{COMMAND} incr --quiet")


def test_a_database_host_reads_the_history_and_cannot_harm_it(site, keeper):
    """As somebody would who has taken the host over: with its certificate, as its superuser, from both hosts."""
    before = labels(keeper)
    files = "cd /var/lib/pgbackrest && find . -type f -path './backup/*' -exec sha256sum {} + | sort"
    held = keeper.check_output(files)
    for name in site.groups["database"]:
        host = site.hosts[name]
        assert labels(host) == before
        for attempt in (
            "--repo1-retention-full=1 --repo1-retention-archive=1 expire",
            f"--set={before[0]} expire",
            "--repo=1 --force stanza-delete",
            "repo-rm --repo=1 --recurse backup/main",
            f"repo-rm --repo=1 backup/main/{before[0]}/backup.manifest",
            "--type=full backup",
        ):
            assert pgbackrest(host, attempt).rc != 0, attempt
        done = host.run("cd / && echo harm | runuser -u postgres -- pgbackrest repo-put --repo=1 --stanza=main backup/main/backup.info")
        assert done.rc != 0
        assert "Read-only file system" in done.stdout + done.stderr
    assert keeper.check_output(files) == held
    assert labels(keeper) == before


@pytest.mark.parametrize("name", ["database", "backup"])
def test_who_asks_another_host_for_files_reads_what_that_is_for_and_no_secret(site, keeper, name):
    """pgBackRest's server hands out whatever it can read: a database host asks the backup host, and the other way round."""
    asking, asked = site.hosts[site.groups[name][0]], site.groups["backup" if name == "database" else "database"][0]
    # Whatever the asking host's own configuration says: the certificate opens the door.
    options = " ".join(
        f"--repo1-host{option}={value}" for option, value in {
            "": site.addresses[asked], "-type": "tls", "-ca-file": "/etc/selfhost/ca.crt", "-cert-file": "/etc/selfhost/host.crt",
            "-key-file": "/etc/selfhost/host.key",
        }.items()
    )  # fmt: skip
    plain = "printf '[global]\n[main]\npg1-path=/nowhere\n' >/tmp/plain.conf"
    asking.check_output("runuser -u postgres -- sh -c %s", plain)

    def ask(path, *words):
        raw = "--raw" if words[0] == "repo-get" else ""
        return asking.run(
            f"cd / && runuser -u postgres -- pgbackrest --config=/tmp/plain.conf --stanza=main --repo=1 --log-level-file=off {options} "
            f"--repo1-path={path} {raw} {' '.join(words)}"
        )  # fmt: skip

    try:
        assert ask("/etc", "repo-get", "passwd").rc == 0, "it is asked the right way"
        secrets_of_it = [
            ("/etc/selfhost", "host.key"), ("/run/pgbackrest-server", "host.key"), ("/etc/pgbackrest", "pgpass"), ("/etc/pgbackrest", "receive.conf"),
            ("/etc/pgbackrest", "media-passphrase"), ("/etc", "shadow"), ("/etc/ssh", "ssh_host_ed25519_key"), ("/proc/1", "environ"),
            ("/var/lib/postgresql", ".pgpass"),
        ]  # fmt: skip
        for path, file in secrets_of_it:
            assert ask(path, "repo-get", file).rc != 0, f"{path}/{file}"
        for number in filter(str.isdigit, ask("/proc", "repo-ls").stdout.split()):
            assert "hostname" not in ask(f"/proc/{number}", "repo-ls", "root/etc").stdout, "the root of another process"
        for path in ("/var/lib/media-backup", "/var/backups", "/home", "/srv", "/root"):
            assert ask(path, "repo-ls").stdout.strip() == "", path
        for path in ("/etc/pgbackrest", "/var/lib/pgbackrest", "/var/lib/postgresql"):
            assert asking.run(f"cd / && echo harm | runuser -u postgres -- pgbackrest --config=/tmp/plain.conf --stanza=main --repo=1 {options} --repo1-path={path} "
                              "repo-put harm").rc != 0, path  # fmt: skip
    finally:
        asking.run("rm -f /tmp/plain.conf")


def test_the_account_that_fetches_is_no_superuser_and_writes_nothing(site, keeper):
    """As somebody would who has taken the backup host over, with what the database host's side of it may do."""
    host = site.hosts[site.primary()]
    account = host.check_output("ps -o user= -p $(systemctl show --value -p MainPID pgbackrest-server)").strip()
    assert account not in ("root", "postgres")
    assert site.sql(site.primary(), f"SELECT rolsuper FROM pg_roles WHERE rolname = '{account}'") == "f"
    ask = f"cd / && runuser -u {account} -- psql -XAtq -d postgres"
    assert host.check_output(f"{ask} -c 'SELECT current_user'") == account
    assert host.run(f"{ask} -U postgres -c 'SELECT 1'").rc != 0
    for statement in ("CREATE TABLE harm (x int)", "COPY (SELECT 1) TO PROGRAM 'id'", "ALTER SYSTEM SET port = 1", "CREATE ROLE harm SUPERUSER"):
        assert host.run(f"{ask} -c %s", statement).rc != 0, statement
    assert host.run(f"cd / && runuser -u {account} -- touch /var/lib/postgresql/harm").rc != 0


def test_only_a_backup_host_reads_the_data_of_a_database_host(site):
    """A certificate of the site is not enough: the other database host's name is not admitted, and a stranger has none."""
    first, second = site.groups["database"]
    asked = site.hosts[second].run(
        "cd / && runuser -u postgres -- timeout 10 openssl s_client -connect %s:8432 -brief </dev/null", site.addresses[first]
    )
    assert asked.rc != 0, "the port answers another database host"


def test_two_backups_at_once_are_refused_naming_the_other(site, keeper):
    before = labels(keeper)
    holder = (
        "import sys, time; sys.path.insert(0, '/usr/local/lib/selfhost'); from postgresql_backup import core\n"
        "core.become('postgres')\n"
        "with core.lock(core.settings(), 'physical', 'a full backup'): print('held', flush=True); time.sleep(600)"
    )
    # Whoever cron has at work just now comes first.
    again = "--property=Restart=on-failure --property=RestartSec=3"
    keeper.check_output(f"systemd-run --quiet --unit=test-of-the-lock {again} /usr/bin/python3 -B -c %s", holder)
    try:
        site.wait("the lock", lambda: "a full backup, process" in keeper.file("/var/lib/postgresql-backup/physical.lock").content_string)
        done = site.play("backup", "-e", "backup_type=diff")
    finally:
        keeper.run("systemctl stop test-of-the-lock")
    assert done.code != 0
    assert re.search(r"another one is at work: a full backup, process \d+, since 2", done.text), done.output
    assert labels(keeper) == before


def test_a_stopped_receiver_is_noticed_while_the_site_goes_on(site, keeper, note):
    keeper.check_output("systemctl stop postgresql-receive")
    try:
        note()
        done = check(keeper)
        assert done.rc != 0
        assert done.stderr.startswith("postgresql-backup: "), done.stderr
        row = verdict(keeper, "archive")
        assert (row["verdict"], row["succeeded"] < row["finished"]) == ("failed", True)
        assert "archive" in row["message"], row
        note()
    finally:
        keeper.check_output("systemctl start postgresql-receive")
    site.wait("the archive to catch up", lambda: proves_itself(keeper))
    assert verdict(keeper, "archive")["verdict"] == "ok"


@contextlib.contextmanager
def small_repository(keeper):
    """The repository on a volume of its own that is nearly full; what was archived meanwhile is taken over afterwards.

    What lies below is seen by a mount that is private: the volume would come over that as well.
    """
    path, volume = "/var/lib/pgbackrest", "/mnt/small"
    keeper.check_output("systemctl stop postgresql-receive")
    size = int(keeper.check_output(f"du -sm {path}").split()[0])
    try:
        keeper.check_output(
            f"mkdir -p {volume} && mount -t tmpfs -o size={size + 64}m,mode=0750,uid=postgres,gid=postgres tmpfs {volume} && "
            f"cp -a {path}/. {volume}/ && mkdir -p {volume}.below && mount --bind {path} {volume}.below && mount --make-private {volume}.below && "
            f"mount --bind {volume} {path} && "
            "systemctl start postgresql-receive",
        )
        yield volume
    finally:
        keeper.check_output(
            f"systemctl stop postgresql-receive; rm -f {volume}/filler; "
            f"mountpoint -q {volume}.below && {{ cp -a {volume}/. {volume}.below/; umount {path}; umount {volume}.below; }}; "
            f"umount {volume}; rmdir {volume} {volume}.below; systemctl start postgresql-receive",
        )


def test_a_full_repository_is_noticed_while_the_site_goes_on_and_heals(site, keeper, note):
    before = labels(keeper)
    with small_repository(keeper) as volume:
        site.wait("the archive", lambda: proves_itself(keeper))
        keeper.run(f"cat /dev/zero >{volume}/filler")
        for _ in range(3):
            note()
            site.sql(site.primary(), "SELECT pg_switch_wal()")
        done = check(keeper)
        assert done.rc != 0
        assert verdict(keeper, "archive")["verdict"] == "failed"
        done = keeper.run(f"{IMPATIENT} {COMMAND} full --quiet")
        assert done.rc != 0
        assert verdict(keeper, "full")["verdict"] == "failed"
        journal = keeper.check_output("journalctl -q -t postgresql-backup -p err -n 20 -o cat")
        assert re.search(r"FAILED with \d+: .*No space left on device", journal), journal
        note()
        keeper.check_output(f"rm {volume}/filler")
        site.wait("the archive to catch up", lambda: proves_itself(keeper))
        assert verdict(keeper, "archive")["verdict"] == "ok"
        assert set(before) <= set(labels(keeper))
    site.wait("the archive", lambda: proves_itself(keeper))
    done = keeper.run(f"{COMMAND} full")
    assert done.rc == 0, done.stderr
    assert verdict(keeper, "full")["verdict"] == "ok"


def test_dumps_are_made_beside_and_can_be_read(site, keeper, note):
    text = note()
    done = site.apply("backup", "-e", "backup_type=logical")
    (label,) = re.findall(r"logical backup (\d{8}T\d{6}Z): \d+ databases, \d+ k?M?B, \d+ s", done.text)
    path = f"/var/backups/postgresql/{label}"
    row = verdict(keeper, "logical")
    assert (row["verdict"], row["label"]) == ("ok", label)
    assert keeper.check_output(f"find {path} -type f ! -perm 0600") == ""
    assert keeper.run(f"runuser -u nobody -- ls {path}").rc != 0
    listed = set(keeper.check_output(f"ls {path}").split())
    databases = site.sql(site.primary(), "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate").split()
    assert listed == {"globals.sql", *(f"{name}.dump" for name in databases)}
    programs = keeper.check_output("ls -d /usr/lib/postgresql/*/bin")
    assert text in keeper.check_output(f"{programs}/pg_restore --data-only --table=pages_note --file=- {path}/probe.dump")
    globals_ = keeper.file(f"{path}/globals.sql").content_string
    assert re.search(r"^CREATE ROLE probe;", globals_, re.MULTILINE)
    assert "PASSWORD" not in globals_


def test_no_secret_lies_open(site, keeper):
    """Neither in a file that anybody reads, nor in the command line of what runs while a backup is made."""
    directory = playing.ROOT / ".cache/lab" / site.variables["_meta"]["hostvars"][keeper.backend.host]["lab_name"]
    patterns = "\n".join((directory / name).read_text().split()[0] for name in ("backup_password", "backup_passphrase"))
    keeper.check_output("umask 077; printf '%%s\n' %s >/run/looked-for", patterns)
    watch = (
        "n=0; while runuser -u postgres -- [ ! -e /tmp/made ]; do "
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -F -f /run/looked-for; sleep 0.05; done"
    )
    try:
        seen = keeper.run(f"rm -f /tmp/made; ({COMMAND} incr --quiet; touch /tmp/made) & {watch}; wait; rm -f /tmp/made")
        assert seen.stdout == ""
        open_files = keeper.run(
            "find /etc /run /usr/local /var/lib/postgresql-backup /var/lib/prometheus /var/log -xdev -type f -perm -o=r "
            "-exec grep -lF -f /run/looked-for {} + 2>/dev/null",
        )
        assert open_files.stdout == ""
    finally:
        keeper.run("rm -f /run/looked-for")


@pytest.mark.long
def test_a_second_run_changes_nothing(site):
    started = time.time()
    done = site.apply("database", "--tags", "app,postgresql_backup,media_backup", "--limit", "backup")
    assert re.search(r"backup1 .*changed=0 ", done.output), f"{done.output} after {time.time() - started:.0f} s"
