"""A standby never runs with less than its primary: where a value rises the standbys are first, where it falls the primary is."""

import importlib.util
import itertools
import pathlib

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import is_lowered

FILE = pathlib.Path(__file__).parents[4] / "plugins/filter/postgresql_limits.py"
spec = importlib.util.spec_from_file_location("postgresql_limits", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

CONTROL = """\
wal_level setting:                    replica
max_connections setting:              {max_connections}
max_worker_processes setting:         {max_worker_processes}
max_wal_senders setting:              {max_wal_senders}
max_prepared_xacts setting:           {max_prepared_transactions}
max_locks_per_xact setting:           {max_locks_per_transaction}
"""
RUNNING = {"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "max_prepared_transactions": 0, "max_locks_per_transaction": 64}


def settings(**values):
    return {"shared_buffers": "1GB", "max_connections": 100, "max_worker_processes": 8} | values


@pytest.mark.parametrize(
    ("wanted", "now", "fall"),
    [
        ({}, {"max_connections": 100}, False),
        ({"max_connections": 200}, {"max_connections": 200}, False),
        ({"max_connections": 50}, {"max_connections": 100}, True),
        ({"max_connections": "50", "max_worker_processes": 16}, {"max_connections": 100, "max_worker_processes": 16}, True),
        ({"max_wal_senders": 5}, {"max_wal_senders": 10}, True),
        ({"max_locks_per_transaction": 256}, {"max_locks_per_transaction": 256}, False),
    ],
)
def test_what_a_standby_runs_with_until_its_primary_has_changed(wanted, now, fall):
    raised = module.postgresql_limits_raised(settings(**wanted), RUNNING)
    assert {name: raised[name] for name in now} == now
    assert raised["shared_buffers"] == "1GB"
    assert module.postgresql_limits_fall(settings(**wanted), RUNNING) is fall


def test_what_is_not_said_any_more_falls_to_the_default_and_the_rest_is_not_said():
    assert module.postgresql_limits_raised(settings(), RUNNING) == settings()
    assert module.postgresql_limits_raised(settings(), RUNNING | {"max_locks_per_transaction": 256}) == settings(max_locks_per_transaction=256)
    assert not is_lowered(CONTROL.format(**RUNNING | {"max_locks_per_transaction": 256}), settings())


def test_a_server_without_a_primary_has_what_is_wanted():
    assert module.postgresql_limits_raised(settings(max_connections=50), {}) == settings(max_connections=50)
    assert module.postgresql_limits_fall(settings(max_connections=50), {}) is False


def test_a_standby_is_lowered_once_it_has_replayed_that_the_primary_was():
    wanted = settings(max_connections=50)
    assert not is_lowered(CONTROL.format(**RUNNING), wanted)
    assert is_lowered(CONTROL.format(**RUNNING | {"max_connections": 50}), wanted)
    assert is_lowered(CONTROL.format(**RUNNING), settings())
    assert not is_lowered("", wanted), "nothing was said"


def test_no_step_leaves_a_standby_below_its_primary():
    for former, wanted in itertools.product((50, 100, 200), repeat=2):
        primary, standby = former, former
        standby = module.postgresql_limits_raised({"max_connections": wanted}, {"max_connections": primary})["max_connections"]
        assert standby >= primary
        primary = wanted
        assert standby >= primary
        if module.postgresql_limits_fall({"max_connections": wanted}, {"max_connections": former}):
            standby = wanted
        assert standby == primary == wanted


def test_workers_are_the_same_on_hosts_of_different_sizes():
    known = {"db1": {"ansible_facts": {"processor_vcpus": 4}}, "db2": {"ansible_facts": {"processor_vcpus": 16}}, "db3": {}, "db4": {"postgresql_cores": 2}}
    assert module.postgresql_most_cores(["db1", "db2", "db3"], known, 4) == 16
    assert module.postgresql_most_cores(["db1", "db4"], known, 2) == 4
    assert module.postgresql_most_cores(["db3"], known, 3) == 3
