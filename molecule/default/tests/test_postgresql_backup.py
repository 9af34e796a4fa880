"""Backups are what comes back: a written row is read again in a cluster restored beside the running one."""

import json
import re
import secrets

import pytest

testinfra_hosts = ["ansible://database"]

PORT = 5999


@pytest.fixture
def query(host, variables):
    """Return a function that asks as the superuser, over the socket, and returns the rows."""

    def run(sql, database="postgres", port=None, directory=None):
        where = f"-p {port or variables['postgresql_port']}" + (f" -h {directory}" if directory else "")
        with host.sudo("postgres"):
            return host.check_output(f"cd / && psql -XAtq {where} -d %s -c %s", database, sql).splitlines()

    return run


def information(host, variables):
    with host.sudo("postgres"):
        out = host.check_output("cd / && pgbackrest --stanza=%s --output=json --log-level-console=off info", variables["postgresql_backup_name"])
    return json.loads(out)[0]


def cron_lines(host):
    with host.sudo():
        text = host.check_output("cat /etc/cron.d/postgresql-backup /etc/cron.d/media-backup")
    return re.findall(r"^(\S+ \S+ \S+ \S+ \S+) (\w+) (/.*)$", text, re.MULTILINE)


def as_cron_would(host, command):
    """Run a line of the crontab: as its user, in its shell, with its bare environment, from the user's home."""
    _when, user, line = command
    with host.sudo():
        return host.run(
            "cd / && runuser -u %s -- env -i HOME=/ LOGNAME=%s SHELL=/bin/sh "
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c %s",
            user, user, line,
        )  # fmt: skip


@pytest.fixture
def row(host, query):
    """Write a row of its own to the server; forget it afterwards."""
    query("CREATE TABLE IF NOT EXISTS backup_probe_of_the_tests (value text)")
    value = secrets.token_hex(16)
    query(f"INSERT INTO backup_probe_of_the_tests VALUES ('{value}')")
    yield value
    query("DROP TABLE backup_probe_of_the_tests")


@pytest.fixture
def restored(host, variables, row, query):
    """Back up, restore the newest backup beside the running cluster, start it there; yield its socket directory."""
    made = as_cron_would(host, next(line for line in cron_lines(host) if " diff " in line[2]))
    assert made.rc == 0, made.stderr
    programs = f"/usr/lib/postgresql/{variables['postgresql_version']}/bin"
    scratch = "/var/lib/postgresql/restore-of-the-tests"
    # A cluster in recovery wants these to be no lower than where the log was written.
    limits = [f"{name} = {query(f'SHOW {name}')[0]}" for name in ("max_connections", "max_worker_processes")]
    settings = ["listen_addresses = ''", f"port = {PORT}", f"unix_socket_directories = '{scratch}'", "archive_mode = off", *limits]
    try:
        with host.sudo("postgres"):
            host.check_output(f"rm -rf {scratch} && mkdir -m 0700 {scratch} {scratch}/data")
            host.check_output(
                f"cd / && pgbackrest --stanza=%s --pg1-path={scratch}/data --type=immediate --target-action=promote restore",
                variables["postgresql_backup_name"],
            )
            host.check_output(f"echo 'local all postgres peer' >{scratch}/data/pg_hba.conf; : >{scratch}/data/pg_ident.conf")
            host.check_output(f"printf '%%s\n' %s >{scratch}/data/postgresql.conf", "\n".join(settings))
            host.check_output(f"cd / && {programs}/pg_ctl -D {scratch}/data -l {scratch}/log -t 60 -w start >/dev/null")
        yield scratch
    finally:
        with host.sudo("postgres"):
            host.run(f"cd / && {programs}/pg_ctl -D {scratch}/data -m immediate stop; rm -rf {scratch}")


def test_a_written_row_comes_back_from_the_newest_backup(query, row, restored):
    assert query(f"SELECT count(*) FROM backup_probe_of_the_tests WHERE value = '{row}'", port=PORT, directory=restored) == ["1"]


def test_the_host_has_had_a_full_backup_since_its_first_run(host, variables):
    held = information(host, variables)
    assert held["status"]["code"] == 0, held["status"]
    assert held["backup"][0]["type"] == "full"
    assert not any(backup["error"] for backup in held["backup"])


def test_the_log_is_archived_without_a_failure(host, variables, query):
    assert query("SHOW archive_mode") == ["on"]
    before = information(host, variables)["archive"][-1]["max"]
    with host.sudo("postgres"):
        host.check_output("cd / && pgbackrest --stanza=%s check", variables["postgresql_backup_name"])
    assert information(host, variables)["archive"][-1]["max"] > before
    failed, last, last_failed = query("SELECT failed_count, last_archived_wal, last_failed_wal FROM pg_stat_archiver")[0].split("|")
    assert (failed, last_failed) == ("0", "")
    assert re.fullmatch("[0-9A-F]{24}.*", last)


def test_cron_makes_every_kind_of_backup_and_proves_them(host, variables):
    lines = {re.search(r"postgresql-backup (\w+) --quiet$", line[2])[1]: line for line in cron_lines(host)}
    assert set(lines) == {"full", "diff", "logical", "check", "drill", "media"}
    for word, name in (("full", "full"), ("diff", "differential"), ("logical", "logical"), ("check", "check")):
        assert lines[word][0] == variables[f"postgresql_backup_{name}_schedule"]
    assert host.service("cron").is_running


def status_of(host):
    """What anybody on the host reads of how the last runs went."""
    with host.sudo("nobody"):
        return json.loads(host.check_output("cat /var/lib/postgresql-backup/status.json"))["kinds"]


@pytest.mark.parametrize("kind", ["full", "diff"])
def test_the_line_of_the_crontab_works_as_cron_runs_it(host, variables, kind):
    before = [backup["label"] for backup in information(host, variables)["backup"]]
    done = as_cron_would(host, next(line for line in cron_lines(host) if f" {kind} " in line[2]))
    assert (done.rc, done.stdout, done.stderr) == (0, "", "")
    (new,) = [backup for backup in information(host, variables)["backup"] if backup["label"] not in before]
    assert new["type"] == kind
    row = status_of(host)[kind]
    assert (row["verdict"], row["label"]) == ("ok", new["label"])
    assert row["size_bytes"] == new["info"]["size"]


def test_a_nightly_dump_brings_a_table_back(host, variables, row, query):
    """Dumped as cron does, restored into a database of its own."""
    done = as_cron_would(host, next(line for line in cron_lines(host) if " logical " in line[2]))
    assert (done.rc, done.stdout, done.stderr) == (0, "", "")
    path = f"{variables['postgresql_backup_logical_path']}/{status_of(host)['logical']['label']}"
    programs = f"/usr/lib/postgresql/{variables['postgresql_version']}/bin"
    query("CREATE DATABASE dump_of_the_tests")
    try:
        with host.sudo("postgres"):
            host.check_output(f"cd / && {programs}/pg_restore -p {variables['postgresql_port']} --exit-on-error -d dump_of_the_tests {path}/postgres.dump")
        assert query(f"SELECT count(*) FROM backup_probe_of_the_tests WHERE value = '{row}'", "dump_of_the_tests") == ["1"]
    finally:
        query("DROP DATABASE dump_of_the_tests")
    with host.sudo():
        assert host.check_output(f"find {path} -type f ! -perm 0600") == ""
        assert "PASSWORD" not in host.file(f"{path}/globals.sql").content_string


def test_a_failed_backup_is_noticed(host):
    """As when the server is down: non-zero, on standard error for cron's mail, and in the journal."""
    with host.sudo():
        done = host.run("PGBACKREST_PG1_PORT=1 /usr/local/sbin/postgresql-backup diff --quiet")
        journal = host.check_output("journalctl -q -t postgresql-backup -p err -n 1 -o cat")
    assert done.rc != 0
    assert "unable to find primary cluster" in done.stderr
    assert re.match(r"FAILED with \d+: .*unable to find primary cluster", journal)
    row = status_of(host)["diff"]
    assert row["verdict"] == "failed"
    assert "unable to find primary cluster" in row["message"]
    with host.sudo("nobody"):
        assert 'postgresql_backup_verdict{kind="diff"} 0' in host.check_output("cat /var/lib/prometheus/node-exporter/postgresql_backup.prom")
    assert as_cron_would(host, next(line for line in cron_lines(host) if " diff " in line[2])).rc == 0
    assert status_of(host)["diff"]["verdict"] == "ok"


def test_a_backup_beside_another_is_refused(host, variables):
    """The lock is held, as by a backup that goes on."""
    directory, name = "/run/postgresql/pgbackrest", variables["postgresql_backup_name"]
    with host.sudo("postgres"):
        done = host.run(
            f"cd / && flock {directory}/{name}-backup.lock flock {directory}/{name}-backup-1.lock /usr/local/sbin/postgresql-backup diff",
        )
    assert done.rc != 0
    assert "unable to acquire lock" in done.stderr


def test_the_repository_is_encrypted_where_a_passphrase_is_set(host, variables):
    cipher = information(host, variables)["cipher"]
    assert cipher == ("aes-256-cbc" if variables["postgresql_backup_passphrase"] else "none")


def test_a_passphrase_that_does_not_open_the_repository_is_found_out(host, variables):
    with host.sudo():
        done = host.run(
            "umask 077; sed /^repo1-cipher/d /etc/pgbackrest/pgbackrest.conf >/root/candidate; "
            "sed -i '/^repo1-path/a repo1-cipher-type=aes-256-cbc\\nrepo1-cipher-pass=not-the-one-it-was-made-with' /root/candidate; "
            "/usr/local/sbin/postgresql-backup try /root/candidate; rc=$?; rm /root/candidate; exit $rc"
        )
    assert done.rc == 1
    assert "cannot be opened" in done.stderr


def test_nobody_else_reads_the_backups_or_their_passphrase(host, variables):
    with host.sudo("nobody"):
        for path in (variables["postgresql_backup_path"], "/etc/pgbackrest/pgbackrest.conf", "/var/log/pgbackrest"):
            assert host.run("ls %s/ 2>/dev/null || cat %s", path, path).rc != 0
    with host.sudo():
        configuration = host.file("/etc/pgbackrest/pgbackrest.conf")
        assert (configuration.user, configuration.group, configuration.mode) == ("root", "postgres", 0o640)
        if variables["postgresql_backup_passphrase"]:
            found = host.run("grep -rlF -e %s /var/log/postgresql /var/log/pgbackrest /etc/cron.d", variables["postgresql_backup_passphrase"])
            assert found.stdout == ""


def test_any_number_of_backups_in_a_day_leaves_the_history_from_before(host, variables):
    """As after several restores in place, each of which ends with a full backup."""
    before = [backup["label"] for backup in information(host, variables)["backup"]]
    with host.sudo():
        for _number in range(5):
            done = host.run("/usr/local/sbin/postgresql-backup full --quiet")
            assert done.rc == 0, done.stderr
    after = [backup["label"] for backup in information(host, variables)["backup"]]
    assert after[: len(before)] == before
    assert len(after) == len(before) + 5


@pytest.fixture
def nearly_full(host, variables):
    """Return a configuration by which the disk is nearly full: more is to stay free than is, but half of it is still there."""
    path = "/etc/pgbackrest/of-the-tests.json"
    with host.sudo():
        free = min(int(host.check_output("df --output=avail -m %s | tail -1", variables[name].rstrip("/")))
                   for name in ("postgresql_backup_logical_path", "media_backup_path"))  # fmt: skip
        host.check_output("sed 's/\"reserve_mb\": .*/\"reserve_mb\": %d,/' /etc/pgbackrest/postgresql-backup.json >%s" % (int(free * 1.5), path))
        host.check_output("chmod 0640 %s && chgrp postgres %s", path, path)
        yield f"POSTGRESQL_BACKUP_CONFIGURATION={path}"
        host.check_output("rm -f %s /var/lib/postgresql-backup/gap.json", path)


@pytest.mark.parametrize("kind", ["full", "diff", "logical", "media"])
def test_what_would_not_fit_is_not_made_and_is_noticed(host, variables, nearly_full, kind):
    """Of the disk that a server shares with its backups, some stays free for the server."""
    before = [backup["label"] for backup in information(host, variables)["backup"]], status_of(host).get(kind, {}).get("label")
    with host.sudo():
        done = host.run(f"{nearly_full} /usr/local/sbin/postgresql-backup {kind} --quiet")
    assert done.rc == 73, done.stderr
    assert "(postgresql_backup_reserve_mb) stay free" in done.stderr
    row = status_of(host)[kind]
    assert row["verdict"] == "failed"
    assert "(postgresql_backup_reserve_mb) stay free" in row["message"]
    assert ([backup["label"] for backup in information(host, variables)["backup"]], row["label"]) == before
    with host.sudo():
        done = host.run(f"/usr/local/sbin/postgresql-backup {kind} --quiet")
    assert done.rc == 0, done.stderr


def test_the_server_outlives_a_full_disk_and_the_gap_in_its_log_is_told_until_a_backup_closes_it(host, variables, nearly_full):
    """A piece of log is given up instead of the server; until the next backup nobody is told that the archive works."""
    with host.sudo():
        host.check_output("sed -i 's/\"reserve_mb\": .*/\"reserve_mb\": 100000000,/' /etc/pgbackrest/of-the-tests.json")
    with host.sudo("postgres"):
        done = host.run(f"cd / && {nearly_full} /usr/local/sbin/postgresql-backup archive pg_wal/0000000F0000000000000001")
    # For the server it is done.
    assert done.rc == 0
    assert "the log 0000000F0000000000000001 is given up" in done.stderr
    check = next(line for line in cron_lines(host) if " check " in line[2])
    done = as_cron_would(host, check)
    assert done.rc == 73
    assert "the log from 0000000F0000000000000001 on is missing" in done.stderr
    assert status_of(host)["archive"]["verdict"] == "failed"
    assert as_cron_would(host, next(line for line in cron_lines(host) if " diff " in line[2])).rc == 0
    done = as_cron_would(host, check)
    assert (done.rc, done.stderr) == (0, "")
    assert status_of(host)["archive"]["verdict"] == "ok"
