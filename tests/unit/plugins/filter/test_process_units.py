"""Which units a host has of processes and timers, and what is to be done about them."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.process_units import process_units, stale_units, unstarted_units

WORKER, BEAT = {"name": "worker", "command": "work"}, {"name": "beat", "command": "beat", "hosts": "one"}
TICK, EVERYWHERE = {"name": "tick", "schedule": "daily"}, {"name": "sweep", "schedule": "daily", "hosts": "all"}
RUNS = {"active": True, "enabled": True, "read": True, "current": True}


@pytest.mark.parametrize(
    ("is_first", "names"),
    [
        (True, ["a-worker.service", "a-beat.service", "a-tick.service", "a-tick.timer", "a-sweep.service", "a-sweep.timer"]),
        (False, ["a-worker.service", "a-sweep.service", "a-sweep.timer"]),
    ],
)
def test_what_runs_once_runs_on_the_first_host(is_first, names):
    units = process_units([WORKER, BEAT], [TICK, EVERYWHERE], "a", is_first)
    assert [row["unit"] for row in units] == names
    assert [row["file"]["dest"] for row in units] == [f"/etc/systemd/system/{name}" for name in names]


@pytest.mark.parametrize(
    ("seen", "changed", "is_stale"),
    [
        ({}, [], True),
        ({"a-worker.service": RUNS}, [], False),
        ({"a-worker.service": RUNS}, ["/etc/systemd/system/a-worker.service"], True),
        ({"a-worker.service": RUNS}, ["/etc/systemd/system/a-tick.timer"], False),
        ({"a-worker.service": RUNS | {"current": False}}, [], True),
        ({"a-worker.service": RUNS | {"read": False}}, [], True),
        ({"a-worker.service": RUNS | {"active": False}}, [], True),
    ],
)
def test_a_process_is_restarted_for_another_release_or_unit(seen, changed, is_stale):
    assert stale_units(process_units([WORKER], [TICK], "a", True), seen, changed) == (["a-worker.service"] if is_stale else [])


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        ({}, ["a-worker.service", "a-tick.timer"]),
        ({"a-worker.service": RUNS, "a-tick.timer": RUNS}, []),
        # A process is started with the application; a timer has to run by itself.
        ({"a-worker.service": RUNS | {"active": False}, "a-tick.timer": RUNS | {"active": False}}, ["a-tick.timer"]),
        ({"a-worker.service": RUNS | {"enabled": False}, "a-tick.timer": RUNS}, ["a-worker.service"]),
    ],
)
def test_what_is_started_already_is_left_alone(seen, names):
    assert [row["unit"] for row in unstarted_units(process_units([WORKER], [TICK], "a", True), seen)] == names
