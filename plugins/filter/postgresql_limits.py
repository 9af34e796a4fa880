# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Settings that a standby has to have no lower than its primary: in which order they change."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import limits_of


def postgresql_limits_raised(settings, least):
    """Return the settings of a server for now: of those limits none is lower than in `least`, what its primary runs with."""
    return {**settings, **{name: int(least[name]) for name, value in limits_of(settings).items() if value < int((least or {}).get(name, 0))}}


def postgresql_limits_fall(settings, least):
    """Return whether some of them are to be lower than what the primary runs with: it has to change first."""
    return postgresql_limits_raised(settings, least) != settings


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
            "postgresql_limits_raised": postgresql_limits_raised,
            "postgresql_most_cores": postgresql_most_cores,
        }
