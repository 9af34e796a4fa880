"""A moment comes back with exactly the rows that were committed by then, whoever was the primary then and is now."""

import datetime
import json
import os
import random
import signal
import time

import failing
import pytest

CLUSTER = "probe/main"
BASE = "/var/lib/postgresql/17"
JOURNAL = f"{BASE}/main.restore.json"
BESIDE = 5433
PSQL = ("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", "probe")


def wish(**values):
    return ["-e", json.dumps({f"restore_{name}": value for name, value in values.items()})]


def at(moment):
    """A moment as the operator writes it."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(sep=" ", timespec="microseconds")


def rows(site, name, port=5432):
    return set(site.inside(name, *PSQL, "-p", str(port), "-c", "SELECT row FROM trial").split())


def kept(site):
    """What was set aside, by host."""
    return {name: site.inside(name, "sh", "-c", f"ls -d {BASE}/main.before-* 2>/dev/null || :").split() for name in site.groups["database"]}


def common_settings(site, name):
    """What the voters keep for all servers."""
    return site.inside(name, "patronictl", "-c", "/etc/patroni/17-main.yml", "show-config")


@pytest.fixture
def tidy(site):
    """Take away what was there before, at the end."""
    before = kept(site)
    yield
    for name, paths in kept(site).items():
        for path in set(paths) - set(before[name]):
            site.inside(name, "rm", "-r", path)


def written(site, chance, *events):
    """Have rows written while things happen, of which the last ones end well; returned are all rows, and the acknowledged ones with a quiet moment."""
    with site.writing() as acknowledged:
        for event in events:
            began = time.time()
            event()
            site.healthy()
            site.wait("rows after it", lambda began=began: sum(ack.sent > began for ack in acknowledged()) > 40, 60)
        acks = acknowledged()
    return rows(site, site.leader()), acks, failing.quiet(acks, chance)


def by_then(everything, moment):
    """The rows that were committed by a moment when none was under way."""
    return {row for row in everything if failing.sent(row) < moment}


def assert_it_is_a_whole_cluster(site):
    """It has one primary and two standbys that have what it has, is backed up, changes its primary, and takes what a visitor writes."""
    site.healthy()
    leader = site.leader()
    newest = json.loads(site.inside(leader, "runuser", "-u", "postgres", "--", "pgbackrest", "--stanza=main", "--output=json", "info"))[0]["backup"][-1]
    timeline = int(site.sql(leader, "SELECT timeline_id FROM pg_control_checkpoint()"))
    assert (newest["type"], int(newest["archive"]["stop"][:8], 16)) == ("full", timeline)
    assert site.sql(leader, "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'backup%' AND active") == "1"
    for name in site.groups["database"]:
        assert site.inside(name, "systemctl", "is-enabled", "patroni@17-main").strip() == "enabled"
        assert site.inside(name, "sh", "-c", f"ls -d {BASE}/main.restoring {JOURNAL} 2>/dev/null || :").split() == []
    assert site.get("/status/").status_code == 200
    assert site.post("/write/", data={"text": "after the restore"}).status_code == 200


def test_a_moment_takes_the_place_of_the_cluster(site, seed, figure, tidy):
    chance = random.Random(seed)
    everything, acks, moment = written(site, chance, lambda: site.wrong("switch over", chance))
    expected, leader, former = by_then(everything, moment), site.leader(), kept(site)
    assert {ack.row for ack in acks if ack.heard < moment} <= expected < everything
    common = common_settings(site, leader)
    began = time.time()
    run = site.apply("restore", *wish(target_time=at(moment), in_place=CLUSTER))
    figure(f"restore in place under Patroni, three database hosts, a full backup at the end: {time.time() - began:.0f} s")
    site.healthy()
    assert site.leader() == leader
    for name in site.groups["database"]:
        assert rows(site, name) == expected
        (path,) = set(kept(site)[name]) - set(former[name])
        assert site.inside(name, "cat", f"{path}/PG_VERSION").strip() == "17"
        assert name != leader or path in run.text
    assert_it_is_a_whole_cluster(site)
    assert common_settings(site, leader) == common


@pytest.mark.long
def test_what_is_not_safe_is_refused_and_nothing_is_touched(site):
    leader, point = site.leader(), wish(target_name="nowhere", in_place=CLUSTER)
    began = site.sql(leader, "SELECT pg_postmaster_start_time()")
    site.inside(leader, "patronictl", "-c", "/etc/patroni/17-main.yml", "pause", "--wait")
    try:
        assert "Patroni is paused, and would leave the servers as they are" in site.play("restore", *point).text
    finally:
        site.inside(leader, "patronictl", "-c", "/etc/patroni/17-main.yml", "resume", "--wait")
    assert site.sql(leader, "SELECT pg_postmaster_start_time()") == began
    site.healthy()


@pytest.mark.long
def test_moments_before_between_and_after_all_that_happened_come_back_exactly(site, seed, figure, tidy):
    """A failover, a switchover, and a standby that is built anew; the moments are random."""
    chance = random.Random(seed)
    events = [
        lambda: None,
        lambda: site.wrong("kill the primary's host", chance),
        lambda: site.wrong("switch over", chance),
        lambda: site.apply("database", "-e", f"postgresql_rebuild={site.standbys()[0]}"),
    ]
    everything, acks, _moment = written(site, chance, *events)
    leader = site.leader()
    for moment in sorted(failing.quiet(acks, chance) for _number in range(3)):
        site.apply("restore", *wish(target_time=at(moment), remove=True))
        expected = by_then(everything, moment)
        figure(f"seed {seed}: {len(expected)} of {len(everything)} rows at {at(moment)}")
        assert rows(site, leader, BESIDE) == expected
    site.apply("restore", *wish(remove=True))


@pytest.mark.long
def test_a_restore_that_is_killed_halfway_is_finished_by_the_next_run(site, seed, tidy):
    chance = random.Random(seed)
    everything, _acks, moment = written(site, chance, lambda: None)
    expected, leader, arguments = by_then(everything, moment), site.leader(), wish(target_time=at(moment), in_place=CLUSTER)
    run, program = site.start("restore", *arguments), "pgrep -x restore-swap"
    try:
        # Frozen in the middle of the exchange.
        site.inside(leader, "timeout", "600", "sh", "-c", f"until grep -qs swapping {JOURNAL}; do sleep 0.02; done; kill -STOP $({program})")
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        site.inside(leader, "sh", "-c", f"kill -KILL $({program})")
    # Nobody takes the place of the server that is away, not after a reboot either.
    others = [name for name in site.groups["database"] if name != leader]
    site.down(others, 2)
    time.sleep(30)
    assert site.leader() in ("", leader)
    assert "was interrupted: run it again as it was" in site.play("restore", *wish(target_name="another", in_place=CLUSTER)).text
    site.apply("restore", *arguments)
    assert rows(site, leader) == expected
    assert_it_is_a_whole_cluster(site)
