# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether hosts can become the next Debian: what plugins/plugin_utils/debian_upgrade.py decides, for the playbook."""

from __future__ import annotations

import json

from ansible_collections.selfhost.django.plugins.plugin_utils import debian_upgrade as decisions


def _looks(known, hosts):
    """Return what hosts have said; none that could not be asked."""
    found = {host: (known[host].get("__hardening_upgrade_look") or {}).get("host") for host in hosts}
    return {host: look for host, look in found.items() if look}


def _waiting(looks, known, groups):
    """Return the hosts that wait for the upgrade, in order; a single database host is in no need of an order."""
    servers = {host: (known[host].get("__postgresql_before_reboot") or {}).get("server") or {} for host in looks}
    primaries = [host for host, server in servers.items() if server.get("running") and server["primary"]]
    primary = primaries[0] if primaries and len(groups.get("database", [])) > 1 else ""
    return decisions.following(looks, decisions.order(groups, primary))


def debian_upgrade_refusals(hosts, known, groups, is_pinned):
    """Return what speaks against what a run asks for, all of it: sentences.

    hosts are those of the run; known are the variables of all, groups the inventory's; is_pinned tells whether the inventory says which PostgreSQL
    the site has.
    """
    looks = _looks(known, hosts)
    waiting = _waiting(looks, known, groups)
    versions = sorted({row["version"] for host in waiting if host in groups.get("database", []) for row in _clusters(known[host])})
    return decisions.refusals(looks, waiting, ["postgresql-%s" % version for version in versions], is_pinned, versions)


def _clusters(variables):
    return ((variables.get("ansible_facts") or {}).get("selfhost") or {}).get("neighbours", {}).get("clusters", [])


def debian_upgrade_stale(results, now):
    """Return a sentence on backups that are too old; results are those of reading status.json on the hosts that keep them."""
    statuses = {row["item"]: json.loads(row["stdout"]) if row.get("stdout") else {} for row in results}
    return decisions.stale(statuses, now)


def debian_upgrade_steps(look):
    """Return what is left to do on a host."""
    return decisions.steps(look)


def debian_upgrade_warning(look):
    """Return what an operator should know before."""
    return decisions.warning(look)


class FilterModule:
    """Registers the filters."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "debian_upgrade_refusals": debian_upgrade_refusals,
            "debian_upgrade_stale": debian_upgrade_stale,
            "debian_upgrade_steps": debian_upgrade_steps,
            "debian_upgrade_warning": debian_upgrade_warning,
        }
