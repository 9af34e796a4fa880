# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Where the repositories of backups are, and what a host has to do for its backups."""

from __future__ import annotations

# pgBackRest's own numbers: a usable backup is there; the server is known, only without a backup. What else it tells is cured by
# a first backup, too: no repository yet, an unfinished one.
OK = 0
EMPTY = 2


def postgresql_backup_repository_paths(rows):
    """Return where on this host each repository is, in their order; an empty word for one that is elsewhere."""
    return [row["path"] if row["type"] == "path" else "" for row in rows]


def postgresql_backup_numbered(rows, debian):
    """Return the repositories that pgBackRest keeps, each with its number in the order of all: that of Debian 12 knows no SFTP."""
    return [{**row, "number": number} for number, row in enumerate(rows, 1) if row["type"] != "sftp" or int(debian) >= 13]


def postgresql_backup_elsewhere(rows):
    """Return the numbers of the repositories that are not on this host."""
    return [number for number, path in enumerate(postgresql_backup_repository_paths(rows), 1) if not path]


def postgresql_backup_readable(rows):
    """Return the repositories that a backup host lets database hosts read, each with its number: never with keys that write."""
    found = []
    for number, row in enumerate(rows, 1):
        if row.get("type") == "path":
            found.append({**row, "number": number})
        elif row.get("reader_key"):  # none of type sftp has one: whoever may ask could have the key read
            found.append({**row, "number": number, "key": row["reader_key"], "secret": row["reader_secret"]})
    return found


def postgresql_backup_repository_directories(rows):
    """Return the directories of the repositories that are on this host, as rows of the action `files`."""
    paths = filter(None, postgresql_backup_repository_paths(rows))
    return [{"dest": path, "state": "directory", "owner": "postgres", "group": "postgres", "mode": "0750"} for path in paths]


def postgresql_backup_connections(hosts, remote, addresses):
    """Return by name of host how its server is reached: libpq's keywords."""
    return {host: remote | {"host": addresses[host]} for host in hosts}


def _service(name, row, idle):
    """Return how a unit is to be left, or None where it is so already."""
    if idle:
        settled, state = not (row["active"] or row["enabled"]), "stopped"
    else:
        settled, state = row["active"] and row["enabled"] and not row["outdated"], "restarted" if row["outdated"] else "started"
    return None if settled and not row["stale"] else {"name": name, "state": state, "enabled": not idle}


def _foreign(repository, systems):
    """Return whether a repository holds the backups of another cluster than these systems, which it could not go on with."""
    newest = {row["repo-key"]: str(row["system-id"]) for row in sorted(repository.get("db", []), key=lambda row: row["id"])}
    return bool(systems) and any(system not in systems for system in newest.values())


def postgresql_backup_plan(seen, archiving, idle=(), systems=()):
    """Return what is to be done on a host, by what the module postgresql_backup_look has seen there.

    `archiving` are the settings that the server has to run with, `idle` the units that wait until a restore starts them, `systems` the numbers
    of the clusters whose backups are made, as far as they are known. The answer is a mapping: `foreign` (whether the repository holds the
    backups of another cluster), `enter` (arguments of pgBackRest that enter the server into the repository; empty where that is done), `first`
    (whether a first backup is to be made), `server` (reloaded, restarted, or empty) and `services` (rows of `name`, `state` and `enabled`).
    """
    repository, server = seen["repository"], seen["server"]
    standby = bool(server and server["standby"])
    codes = {row["status"]["code"] for row in repository["repo"]} if repository else set()
    # An interrupted run may have left its first backup at work: that one will do.
    missing = bool(codes - {OK}) and not repository["status"]["lock"]["backup"]["held"]
    # A standby has an empty repository, to archive into from the moment it is the primary.
    entered = not missing or standby and codes <= {OK, EMPTY}
    running = server["settings"] if server else archiving
    same = all(running.get(name) == value for name, value in archiving.items())
    services = (_service(name, row, name in idle) for name, row in seen["units"].items())
    return {
        "foreign": bool(repository) and _foreign(repository, systems),
        "enter": [] if entered else [*(["--no-online"] if standby else []), "stanza-create"],
        "first": missing and not standby,
        # Only the mode needs a restart.
        "server": "" if same else "reloaded" if running["archive_mode"] == "on" else "restarted",
        "services": [row for row in services if row],
    }


class FilterModule:
    """Registers the filter."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "postgresql_backup_connections": postgresql_backup_connections,
            "postgresql_backup_elsewhere": postgresql_backup_elsewhere,
            "postgresql_backup_numbered": postgresql_backup_numbered,
            "postgresql_backup_plan": postgresql_backup_plan,
            "postgresql_backup_readable": postgresql_backup_readable,
            "postgresql_backup_repository_directories": postgresql_backup_repository_directories,
            "postgresql_backup_repository_paths": postgresql_backup_repository_paths,
        }
