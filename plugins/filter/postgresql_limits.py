# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Settings that a standby has to have no lower than its primary: in which order they change."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.module_utils.postgresql_restore import LIMITS

# What they are where nothing is said, in every version.
DEFAULTS = {"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "max_prepared_transactions": 0, "max_locks_per_transaction": 64}


def _wanted(settings):
    return {name: int(settings.get(name, default)) for name, default in DEFAULTS.items()}


def postgresql_limits_raised(settings, least):
    """Return the settings of a server for now: of those limits none is lower than in `least`, what its primary runs with."""
    return {**settings, **{name: int(least[name]) for name, value in _wanted(settings).items() if value < int((least or {}).get(name, 0))}}


def postgresql_limits_fall(settings, least):
    """Return whether some of them are to be lower than what the primary runs with: it has to change first."""
    return postgresql_limits_raised(settings, least) != settings


def postgresql_limits_reached(control, settings):
    """Return whether a standby has replayed that its primary runs with no more than these settings, by its pg_controldata."""
    rows = dict(line.split(":", 1) for line in control.splitlines() if ":" in line)
    return all(row in rows and int(rows[row]) <= _wanted(settings)[name] for name, row in LIMITS.items())


def postgresql_limits_least(states, primary, own):
    """Return what the primary runs with, of what the hosts said; where it does not run, what a standby runs with itself: it follows one."""
    return (states.get(primary) or {}).get("limits") or (states.get(own) or {}).get("limits") or {}


def postgresql_most_cores(hosts, known, own):
    """Return the most processor cores that a host of the cluster has, of those whose facts are known: workers are the same on all."""
    rows = [known.get(host) or {} for host in hosts]
    cores = [row.get("postgresql_cores") or (row.get("ansible_facts") or {}).get("processor_vcpus") for row in rows]
    return max([int(own), *(int(number) for number in cores if str(number or "").isdigit())])


class FilterModule:
    """Registers the filters."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "postgresql_limits_fall": postgresql_limits_fall,
            "postgresql_limits_least": postgresql_limits_least,
            "postgresql_limits_raised": postgresql_limits_raised,
            "postgresql_limits_reached": postgresql_limits_reached,
            "postgresql_most_cores": postgresql_most_cores,
        }
