"""The primary changes place, planned and forced: no acknowledged row is lost, and there are never two primaries."""

import contextlib
import json
import os
import re
import signal

import pytest

DATA = "/var/lib/postgresql/17/main"
UNIT = "postgresql@17-main"
# Takes every connection that a server has, also the superuser's.
FULL = """
import psycopg2, time
held = []
try:
    while True:
        held.append(psycopg2.connect("dbname=postgres"))
except psycopg2.OperationalError:
    time.sleep(300)
"""


@pytest.fixture(scope="module", autouse=True)
def order(site):
    """Leave the cluster as it was found, whatever happens: whole, and its first host the primary."""
    first = site.groups["database"][0]
    yield
    broken = [name for name in site.groups["database"] if site.hosts[name].file(f"{DATA}/fenced").exists]
    if broken or site.streaming() == 0:
        site.play("database", "--tags", "postgresql", "-e", json.dumps({"postgresql_rebuild": broken}))
    if site.primary() != first:
        site.play("switchover", "-e", f"switchover_to={first}")
    site.healthy()


@pytest.fixture
def pair(site):
    """Names of the primary and of its standby."""
    site.healthy()
    return site.primary(), site.standbys()[0]


def changes(run):
    """How many tasks of a playbook changed something, by host."""
    return {name: int(count) for name, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", run.output, re.MULTILINE)}


def accepts_writes(site, name):
    # The role of the application would do as well; the superuser may most.
    return site.attempt(name, "CREATE TEMPORARY TABLE proof (); SELECT pg_current_xact_id()").rc == 0


def runs(site, name):
    return site.hosts[name].run("pgrep --uid postgres --full bin/postgres").rc == 0


@pytest.fixture
def writing(writer, figure):
    """A stream of writes that still goes on at the end: what has to be waited for is the first write after the change."""

    @contextlib.contextmanager
    def write(name):
        with writer(name) as stream:
            yield stream
            held = len(stream.acknowledged)
            stream.site.wait("writes after the change", lambda: len(stream.acknowledged) > held + 5)
        figure(f"{name}: {len(stream.acknowledged)} writes acknowledged, {stream.refused} refused, {stream.gap:.1f} s without one at the worst")

    return write


def test_a_planned_switchover_and_back(site, writing, pair):
    old, new = pair
    # What somebody who is postgres lays in the way of what root has written there.
    host = site.hosts[old]
    host.check_output(f"echo precious >/root/victim; runuser -u postgres -- ln -sf /root/victim {DATA}/.standby.signal.new")
    with writing("planned") as stream:
        run = site.apply("switchover")
    assert host.check_output("stat -c '%U %s' /root/victim; rm /root/victim") == "root 9"
    assert f"{new} is the primary on timeline" in run.text
    assert ("Change the inventory" in run.text) == (new != site.groups["database"][0])
    site.healthy()
    assert (site.primary(), site.standbys()) == (new, [old])
    site.wait("all rows on the standby", lambda: not stream.lost(old))
    assert stream.lost(new) == []

    # The servers' word holds, not the inventory's.
    again = site.apply("database")
    assert set(changes(again).values()) == {0}, again.output
    assert site.primary() == new
    assert (f"{new} is the primary, not {old}" in again.text) == (new != site.groups["database"][0])

    with writing("back") as stream:
        site.apply("switchover", "-e", f"switchover_to={old}")
    site.healthy()
    assert (site.primary(), site.standbys()) == (old, [new])
    site.wait("all rows on the standby", lambda: not stream.lost(new))
    assert stream.lost(old) == []


def test_a_primary_waits_for_the_word_of_a_server_that_runs(site, pair):
    """The standby hangs, and may be the primary by now. Once it answers, the primary comes up, and nobody had to get up for it."""
    old, new = pair
    host, other = site.hosts[old], site.hosts[new]
    host.check_output(f"systemctl stop {UNIT}")
    try:
        other.check_output(f"systemctl kill --signal=STOP {UNIT}")
        refused = host.run(f"systemctl start {UNIT}")
        assert refused.rc != 0
        assert not runs(site, old)
        assert f"a server runs on {new} and does not say what it is" in host.check_output(f"journalctl --unit {UNIT} --since -2min")
        assert not host.file(f"{DATA}/fenced").exists
        other.check_output(f"systemctl kill --signal=CONT {UNIT}")
        site.wait("the primary", lambda: site.primaries() == [old], seconds=60)
    finally:
        other.run(f"systemctl kill --signal=CONT {UNIT}")
        host.run(f"systemctl start {UNIT}")


@pytest.mark.long
def test_a_switchover_that_would_lose_rows_is_refused(site, pair, tmp_path):
    old, new = pair
    # The primary as it looks from here when only this machine has lost its way to it.
    lost = tmp_path / "lost.yml"
    nobody = site.addresses[old].rsplit(".", 1)[0] + ".99"
    lost.write_text(json.dumps({"all": {"hosts": {old: {"ansible_host": nobody}}}}))
    force = ("-e", f"switchover_to={new}", "-e", "switchover_force=true")
    started = site.sql(old, "SELECT pg_postmaster_start_time()")

    def refused(sentence, *arguments):
        run = site.play("switchover", *arguments)
        assert run.code != 0, run.output
        assert sentence in run.text, run.output
        assert set(changes(run).values()) == {0}
        assert site.primaries() == [old]

    try:
        site.sql(new, "SELECT pg_wal_replay_pause()")
        site.sql(old, "SELECT pg_logical_emit_message(false, 'lag', repeat('x', 1000000)) FROM generate_series(1, 3)")
        refused(f"behind {old}, more than switchover_max_lag_mb (1.5)", "-e", "switchover_max_lag_mb=1.5")
        refused(f"{old} still accepts connections as the primary", *force)
        refused(f"{old} still accepts connections from {new}", *force, "-e", f"switchover_dead={old}", "-i", str(lost))
        site.hosts[new].check_output(f"systemctl stop {UNIT}")
        refused(f"{new} runs no server that answers")
    finally:
        site.hosts[new].run(f"systemctl start {UNIT}")
    site.healthy()
    assert site.sql(old, "SELECT pg_postmaster_start_time()") == started, "the primary was not touched"


def test_a_forced_failover(site, writing, pair):
    old, new = pair
    host = site.hosts[old]
    site.apply("database", "--tags", "postgresql", "-e", "postgresql_synchronous_standbys=1")
    assert site.sql(old, "SHOW synchronous_standby_names").startswith("ANY 1 ")

    with writing("forced") as stream:
        # A server that hangs may go on at any moment.
        host.check_output(f"systemctl kill --signal=STOP {UNIT}")
        try:
            run = site.play("switchover", "-e", f"switchover_to={new}", "-e", "switchover_force=true")
        finally:
            host.run(f"systemctl kill --signal=KILL {UNIT}")
        assert run.code != 0, run.output
        assert f"The server of {old} does not answer but still runs: stop it first, or two primaries could result." in run.text
        run = site.play("switchover")
        assert run.code != 0, run.output
        assert f"The server of {old} is down and was not stopped cleanly" in run.text
        assert site.primaries() == []

        run = site.apply("switchover", "-e", "switchover_force=true")
    assert site.primaries() == [new]
    assert stream.lost(new) == []
    assert f"-e postgresql_rebuild={old}" in run.text
    the_former_primary_stays_down(site, old, new)
    whoever_knows_a_newer_timeline_is_believed(site, old, new)
    the_archive_is_believed_where_nobody_else_answers(site, old, new)

    site.apply("database", "--tags", "postgresql", "-e", f"postgresql_rebuild={old}")
    site.healthy()
    assert (site.primary(), site.standbys()) == (new, [old])
    site.wait("all rows on the rebuilt host", lambda: not stream.lost(old))
    assert not site.hosts[new].file("/etc/postgresql/17/main/conf.d/90-degraded.conf").exists
    site.hosts[old].check_output(f"rm -rf {DATA}.before-*")


def the_former_primary_stays_down(site, old, new):
    """However it is started, it does not take a write; `new` is untouched by the attempts."""
    host = site.hosts[old]
    behind_systemd = "pg_ctlcluster --skip-systemctl-redirect 17 main start"
    forget = f"rm -f {DATA}/fenced {DATA}/standby.signal"

    assert host.run(f"systemctl start {UNIT}").rc != 0
    assert not runs(site, old)
    host.run(behind_systemd)
    assert not accepts_writes(site, old)
    site.wait("the guard to stop a fenced server", lambda: not runs(site, old))

    # A host that could not be reached at the failover has no fence yet, and hears of it from the others.
    host.check_output(forget)
    assert host.run(f"systemctl start {UNIT}").rc != 0
    assert not runs(site, old)
    assert host.file(f"{DATA}/fenced").exists
    # Also from one that takes no more connections.
    host.check_output(forget)
    site.hosts[new].check_output("cd / && systemd-run --collect --unit=full --uid=postgres python3 -c %s", FULL)
    site.wait("the last connection", lambda: "too many clients" in site.attempt(new, "SELECT 1").stderr, every=0.2)
    assert host.run(f"systemctl start {UNIT}").rc != 0
    assert not runs(site, old)
    site.hosts[new].check_output("systemctl stop full")
    host.check_output(forget)
    host.run(behind_systemd)
    site.wait("the guard to stop a second primary", lambda: not runs(site, old))
    assert f"{new} has taken its place" in host.file(f"{DATA}/fenced").content_string

    host.check_output(forget)
    # When the first process was started, in ticks of the machine's clock.
    booting = "cut -d ' ' -f 22 /proc/1/stat"
    booted = host.check_output(booting)
    with contextlib.suppress(RuntimeError):
        host.run("systemctl reboot")

    def up():
        with contextlib.suppress(RuntimeError):
            again = host.run(booting).stdout.strip() not in ("", booted)
            return again and host.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    site.wait("the host after its reboot", up)
    assert not runs(site, old)
    assert host.file(f"{DATA}/fenced").exists

    run = site.apply("database", "--tags", "postgresql", "--limit", old)
    assert "fenced" in run.text
    assert not runs(site, old)
    assert site.primaries() == [new]


def whoever_knows_a_newer_timeline_is_believed(site, old, new):
    """As after a power cut of the site: the former primary and a standby of the new one are up, the new one is not."""
    host, other = site.hosts[old], site.hosts[new]
    other.check_output(f"systemctl stop {UNIT}; runuser -u postgres -- touch {DATA}/standby.signal; systemctl start {UNIT}")
    try:
        host.check_output(f"rm -f {DATA}/fenced {DATA}/standby.signal")
        assert host.run(f"systemctl start {UNIT}").rc != 0
        assert not runs(site, old)
        host.run("pg_ctlcluster --skip-systemctl-redirect 17 main start")
        site.wait("the guard to stop it", lambda: not runs(site, old))
        # Nothing is given up while no primary of that timeline is seen.
        assert not host.file(f"{DATA}/fenced").exists
        run = site.play("database", "--tags", "postgresql")
        assert run.code != 0, run.output
        assert f"{old} is a primary, and stopped, but {new}, a standby, is on a newer timeline" in run.text
    finally:
        other.check_output(f"systemctl stop {UNIT}; rm -f {DATA}/standby.signal; systemctl start {UNIT}")
    assert site.primaries() == [new]


def the_archive_is_believed_where_nobody_else_answers(site, old, new):
    """As after a power cut of the site: the former primary comes back alone, and only the backup host knows of the new one."""
    host, other = site.hosts[old], site.hosts[new]
    other.check_output(f"systemctl stop {UNIT}")
    try:
        host.check_output(f"rm -f {DATA}/fenced {DATA}/standby.signal")
        assert host.run(f"systemctl start {UNIT}").rc != 0
        assert not runs(site, old)
        assert "the archive of the backups holds a newer timeline" in host.check_output(f"journalctl --unit {UNIT} --since -1min")
        assert not host.file(f"{DATA}/fenced").exists
    finally:
        other.check_output(f"systemctl start {UNIT}")
    assert site.primaries() == [new]


@pytest.mark.long
def test_an_interrupted_switchover_is_finished_by_the_next_run(site, writing, pair):
    old, new = pair
    with writing("interrupted") as stream:
        process = site.start("switchover", "-e", f"switchover_to={new}")
        site.wait("the primary to stop", lambda: not runs(site, old), every=0.2)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert old not in site.primaries(), "it is no primary any more"
        site.apply("switchover", "-e", f"switchover_to={new}")
    site.healthy()
    assert (site.primary(), site.standbys()) == (new, [old])
    assert stream.lost(new) == []
