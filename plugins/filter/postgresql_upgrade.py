# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What an upgrade of PostgreSQL has to do: what plugins/plugin_utils/postgresql_upgrade.py decides, for the playbook."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.plugin_utils.postgresql_upgrade import plan


def postgresql_upgrade_plan(hosts, known, wanted, back="", removed="", clone=False, repository=None):
    """Return what is to be done; known are the variables of all hosts, with what the module postgresql_upgrade_look has seen.

    With a repository that is yet to be named to apt, what there is of it is seen when it is installed.
    """
    found = {host: (known[host].get("__postgresql_upgrade_look") or {}).get("host") for host in hosts}
    word = {"true": "true", "yes": "true", "lose": "lose"}.get(str(back).lower(), "")
    return plan({host: look | {"offered": look["offered"] or bool(repository)} for host, look in found.items() if look}, list(hosts), wanted, word, str(removed or ""), clone)


def postgresql_upgrade_groups(planned, host):
    """Return what a host has to do, in words that groups are named by."""
    what = planned["action"]
    if host == planned["primary"]:
        return {"copy": ["copy", "begun"], "back": ["back", "begun"], "finish": ["begun"], "remove": ["remove"]}.get(what, [])
    return ["standby", "begun"] if host in planned["standbys"] else ["remove"] if what == "remove" else []


def postgresql_backup_is_of_another(repository):
    """Return whether a repository has no backup of the cluster that it goes on with, by pgBackRest's `info`."""
    newest = {row["repo-key"]: row["id"] for row in sorted(repository.get("db", []), key=lambda row: row["id"])}
    saved = {(row["database"]["repo-key"], row["database"]["id"]) for row in repository.get("backup", []) if not row.get("error")}
    return any(pair not in saved for pair in newest.items())


class FilterModule:
    """Registers the filters."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "postgresql_backup_is_of_another": postgresql_backup_is_of_another,
            "postgresql_upgrade_groups": postgresql_upgrade_groups,
            "postgresql_upgrade_plan": postgresql_upgrade_plan,
        }
