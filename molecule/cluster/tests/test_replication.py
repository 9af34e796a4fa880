"""The standby as its primary, the application, and somebody elsewhere see it; and what becomes of it in a bad moment."""

import json
import os
import signal
import socket
import time

import pytest

# Asks one question over a connection of its own, as the application could: from its host, with its driver and its environment.
ASK = """
import json, sys, psycopg
options, question = json.loads(sys.argv[1]), sys.argv[2]
with psycopg.connect(options.pop("url", ""), **options) as connection:
    print(connection.execute(question).fetchone()[0])
"""


@pytest.fixture(autouse=True)
def health(site):
    site.healthy()


@pytest.fixture
def ask(site):
    """Return a function that asks a question from the web host; the environment gives what the options leave out."""
    web = site.hosts[site.groups["web"][0]]

    def run(question="SELECT 1", **options):
        return web.run("/usr/local/bin/probe-run python -c %s %s %s", ASK, json.dumps(options), question)

    return run


@pytest.fixture
def pair(site):
    """Return the names of the primary and of a standby."""
    return site.primary(), site.standbys()[0]


def unit(site, name):
    return site.hosts[name].check_output("systemctl list-units --plain --no-legend --all 'postgresql@*-main.service' | cut -d' ' -f1")


def data(site, name):
    return site.hosts[name].check_output("ls -d /etc/postgresql/*/main").replace("/etc/", "/var/lib/")


def play(site, *arguments):
    """The part of the playbook that this is about, on the database hosts."""
    return site.play("database", "--limit", "database", "--tags", "postgresql", *arguments)


def changes(run):
    """What a run says it did, host by host."""
    return {line.split()[0]: int(line.split("changed=")[1].split()[0]) for line in run.output.splitlines() if "changed=" in line}


def receiving(site, name):
    return site.sql(name, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "1"


# --- What everybody sees ----------------------------------------------------------------------


def test_a_row_of_the_primary_is_read_on_the_standby_which_refuses_writes(site, pair):
    primary, standby = pair
    site.sql(primary, "CREATE TABLE replicated (text text); INSERT INTO replicated VALUES ('grüße')")
    try:
        site.wait("the row", lambda: site.attempt(standby, "SELECT text FROM replicated").stdout.strip() == "grüße", seconds=30)
        refused = site.attempt(standby, "INSERT INTO replicated VALUES ('no')")
        assert "cannot execute INSERT in a read-only transaction" in refused.stderr
    finally:
        site.sql(primary, "DROP TABLE replicated")


def test_all_that_leaves_a_host_is_encrypted_and_goes_to_the_proved_server(site, ask):
    rows = site.sql(site.primary(), "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)")
    assert rows == "t"
    assert ask("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").stdout.strip() == "TLSv1.3"
    assert "no encryption" in ask(sslmode="disable").stderr
    # The site's own authority and the server's own address, or no connection.
    assert "certificate verify failed" in ask(sslrootcert="/etc/ssl/certs/ca-certificates.crt").stderr
    primary = site.addresses[site.primary()]
    assert "does not match host name" in ask(host="db.example.org", hostaddr=primary).stderr


def test_the_application_writes_to_the_primary_and_finds_standbys_in_its_environment(site, ask):
    web = site.hosts[site.groups["web"][0]]
    assert ask("SELECT pg_is_in_recovery()").stdout.strip() == "False"
    urls = web.check_output("/usr/local/bin/probe-run printenv DATABASE_REPLICA_URLS").split()
    assert len(urls) == len(site.standbys())
    for url in urls:
        assert ask("SELECT pg_is_in_recovery()", url=url).stdout.strip() == "True"


def test_the_rules_admit_exactly_the_hosts_of_the_site(site):
    web = {site.addresses[name] for name in site.groups["web"]}
    backup = {site.addresses[name] for name in site.groups.get("backup", [])}
    for name in site.groups["database"]:
        peers = {site.addresses[peer] for peer in site.groups["database"] if peer != name}
        rules = site.sql(name, "SELECT type, database[1], user_name[1], address, netmask, auth_method FROM pg_hba_file_rules")
        host, network = "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        assert set(rules.splitlines()) == {
            "local|all|postgres|||peer",
            "local|probe|probe|||peer",
            *("local|postgres|backup|||peer" for _address in backup),
            f"host|probe|probe|127.0.0.1|{host}|scram-sha-256",
            f"host|probe|probe|::1|{network}|scram-sha-256",
            *(f"hostssl|probe|probe|{address}|{host}|scram-sha-256" for address in web),
            *(f"hostssl|{what}|replication|{address}|{host}|scram-sha-256" for address in peers for what in ("replication", "postgres")),
            *(f"hostssl|{what}|backup|{address}|{host}|scram-sha-256" for address in backup for what in ("replication", "all")),
        }  # fmt: skip
        assert site.sql(name, "SELECT DISTINCT substr(rolpassword, 1, 14) FROM pg_authid WHERE rolpassword IS NOT NULL") == "SCRAM-SHA-256$"


def test_from_the_web_host_only_its_own_database_answers_and_from_elsewhere_none(site, ask):
    for name in site.groups["database"]:
        address = site.addresses[name]
        assert ask(host=address, target_session_attrs="any").stdout.strip() == "1"
        for options in ({"dbname": "postgres"}, {"user": "postgres", "dbname": "postgres"}, {"user": "replication", "dbname": "postgres"}):
            assert "no pg_hba.conf entry" in ask(host=address, target_session_attrs="any", **options).stderr
        for backup in site.groups.get("backup", []):
            login = f"host={address} user=probe dbname=probe password=x sslmode=require connect_timeout=10"
            assert "no pg_hba.conf entry" in site.hosts[backup].run("psql -XAtqw %s -c 'SELECT 1'", login).stderr
        with socket.socket() as client:
            client.settimeout(3)
            assert client.connect_ex((address, 5432)) != 0


def test_secrets_are_in_no_log_and_in_the_reach_of_nobody_else(site):
    for name in site.groups["database"]:
        host = site.hosts[name]
        assert host.check_output("stat -c '%U %a' /var/lib/postgresql/.pgpass /etc/selfhost/host.key /etc/selfhost/ca.key").split("\n") == [
            "postgres 600", "root 640", "root 600",
        ]  # fmt: skip
        found = host.run("cut -d: -f5 /var/lib/postgresql/.pgpass | grep -rlFf - /var/log/postgresql /etc/postgresql /etc/systemd/system /etc/selfhost")
        assert found.stdout == ""


def test_a_configuration_is_tried_whatever_postgres_laid_in_the_way(site, pair):
    """Root writes, removes and waits nowhere that postgres could lead it to."""
    host = site.hosts[pair[1]]
    host.check_output("install -d /root/victims && echo precious >/root/victims/precious && echo 'work_mem = 5MB' >/root/candidate")
    traps = ["/run/lock/selfhost-postgresql-try", "/run/lock/selfhost-postgresql-cluster", "/var/lib/postgresql/try-17"]
    host.check_output("rm -rf %s" % " ".join(traps))
    try:
        for trap in traps:
            host.check_output("runuser -u postgres -- ln -s %s %s", "/root/victims" if "try-17" in trap else "/root/victims/precious", trap)
        host.check_output("/usr/local/sbin/postgresql-try settings /root/candidate")
        assert "no_such" in host.run("echo no_such = 1 >/root/candidate; /usr/local/sbin/postgresql-try settings /root/candidate").stderr
        assert host.check_output("cat /root/victims/precious; ls /root/victims") == "precious\nprecious"
    finally:
        host.run("rm -rf /root/victims /root/candidate %s" % " ".join(traps))


def test_a_dry_run_over_the_cluster_finds_nothing_to_change(site):
    run = site.apply("database", "--check")
    assert set(changes(run).values()) == {0}, run.output


# --- Bad moments ------------------------------------------------------------------------------


def test_a_standby_is_added_while_the_primary_serves_although_its_first_copy_is_killed(site, pair, writer):
    _primary, name = pair
    host, directory = site.hosts[name], data(site, name)
    frozen = f"for i in $(seq 12000); do [ ! -e {directory}.new/base ] || break; sleep 0.05; done; pkill -STOP -x pg_basebackup"
    with writer("added") as stream:
        # Like a host that was just put into the inventory: no data.
        host.check_output("systemctl stop %s && rm -rf %s", unit(site, name), directory)
        killed = site.start("database", "--limit", name, "--tags", "postgresql")
        try:
            assert host.run(frozen).rc == 0
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
            killed.wait()
            # What waits for it was halted with it.
            host.run("pkill -KILL -x pg_basebackup; pkill -CONT -x runuser")
        assert not host.file(directory).exists
        run = play(site)
        assert run.code == 0, run.output
        site.healthy()
    assert stream.refused == 0
    site.wait("the last rows", lambda: stream.lost(name) == [], seconds=30)
    assert not host.file(f"{directory}.new").exists


@pytest.mark.long
def test_a_standby_that_is_too_far_behind_is_told_of_and_built_anew_when_asked(site, pair):
    primary, name = pair
    host, directory = site.hosts[name], data(site, name)
    near = "SELECT coalesce(bool_and(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < 50e6), true) FROM pg_replication_slots WHERE active"
    lost = "SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'"
    host.check_output("systemctl stop %s", unit(site, name))
    try:
        for setting in ("max_slot_wal_keep_size = '200MB'", "wal_keep_size = 0"):
            site.sql(primary, f"ALTER SYSTEM SET {setting}")
        site.sql(primary, "SELECT pg_reload_conf()")
        # Slowly enough for others who fetch the log.
        for _round in range(3):
            for _segment in range(6):
                site.sql(primary, "SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()")
            site.wait("those who fetch the log", lambda: site.sql(primary, near) == "t")
        site.sql(primary, "CHECKPOINT")
        assert site.sql(primary, lost) == "1"
        host.check_output("systemctl start %s", unit(site, name))

        told = play(site)
        assert told.code == 0, told.output
        assert "needs log that" in told.text
        assert not receiving(site, name)

        rebuilt = play(site, "-e", f"postgresql_rebuild={name}")
        assert rebuilt.code == 0, rebuilt.output
        site.healthy()
        assert site.sql(primary, lost) == "0"
        assert host.check_output("ls -d %s.before-*", directory)

        refused = play(site, "-e", f"postgresql_rebuild={primary}")
        assert refused.code != 0
        assert f"postgresql_rebuild names {primary}, which is the primary" in refused.text
    finally:
        site.sql(primary, "ALTER SYSTEM RESET ALL")
        site.sql(primary, "SELECT pg_reload_conf()")
        host.run("systemctl start %s; rm -rf %s.before-*", unit(site, name), directory)


@pytest.mark.long
def test_with_a_synchronous_standby_a_commit_waits_for_it(site, pair):
    primary, name = pair
    host = site.hosts[name]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'CREATE TABLE waited%'"
    start = "cd / && runuser -u postgres -- psql -XAtqd postgres -c 'CREATE TABLE waited ()' >/tmp/waited 2>&1; echo $? >>/tmp/waited"
    run = play(site, "-e", "postgresql_synchronous_standbys=1")
    assert run.code == 0, run.output
    try:
        assert site.sql(primary, "SELECT DISTINCT sync_state FROM pg_stat_replication WHERE application_name LIKE 'standby%'") == "quorum"
        host.check_output("systemctl stop %s", unit(site, name))
        site.hosts[primary].check_output("rm -f /tmp/waited; systemd-run --quiet --collect sh -c %s", start)
        site.wait("the commit that waits", lambda: site.sql(primary, waiting) == "1")
        host.check_output("systemctl start %s", unit(site, name))
        site.wait("the commit", lambda: site.sql(primary, waiting) == "0" and site.hosts[primary].file("/tmp/waited").exists)
        site.wait("its end", lambda: site.hosts[primary].file("/tmp/waited").content_string.strip() == "0")
        assert site.sql(name, "SELECT count(*) FROM pg_class WHERE relname = 'waited'") == "1"
    finally:
        host.run("systemctl start %s", unit(site, name))
        site.healthy()
        site.sql(primary, "DROP TABLE IF EXISTS waited")
        site.hosts[primary].run("rm -f /tmp/waited")
        run = play(site)
    assert run.code == 0, run.output
    assert site.sql(primary, "SHOW synchronous_standby_names") == ""


def test_a_limit_falls_on_the_primary_first_and_rises_on_the_standbys_first(site):
    """A standby with less of it than its primary does not start."""
    since = int(time.time())

    def limits():
        return {site.sql(name, "SHOW max_connections") for name in site.groups["database"]}

    before = limits()
    try:
        site.apply("database", "--tags", "app,postgresql", "-e", "postgresql_max_connections=70")
        assert limits() == {"70"}
        site.healthy()
    finally:
        site.apply("database", "--tags", "app,postgresql")
    assert limits() == before
    site.healthy()
    for name in site.groups["database"]:
        said = site.hosts[name].run(f"journalctl --no-pager -o cat --since=@{since} -u 'postgresql@*'; cat /var/log/postgresql/*-main.log | tail -300").stdout
        assert "is a lower setting than on the primary server" not in said, name
