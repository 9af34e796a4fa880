# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Who may reach which database of a server, for its access rules."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.module_utils.postgresql_names import derived


# What a database's owner reaches, too, by postgres alone: bin/selfhost makes a copy, and the playbook restore the others.
OF_OWNERS = ("_copy", "_restoring", "_restored")


def postgresql_local_access(databases, roles, product=()):
    """Return who may reach which database on this host: owners, and the declared roles but those of the product, each once.

    Rows of `database`, `role` and `databases`: the same, and for its owner what is a copy of it, or is restored from a dump.
    """
    owners = [(database["name"], database["owner"]) for database in databases]
    grants = [(database, role["name"]) for role in roles for database in role.get("databases") or [] if role["name"] not in product]
    return [
        {"database": name, "role": role, "databases": [name, *(derived(name, suffix) for suffix in OF_OWNERS if (name, role) in owners)]}
        for name, role in dict.fromkeys(owners + grants)
    ]


# What is left of the connections for backups, standbys and operators: a part, and at least as many as PostgreSQL keeps for the superuser.
LEFT_OF = 10
LEFT_AT_LEAST = 3


def postgresql_bounded_roles(roles, connections):
    """Return declared roles, each with the number of connections that it may hold at once: by default not all of the server's."""
    connections = int(connections)
    most = connections - max(LEFT_AT_LEAST, connections // LEFT_OF)
    return [{"connection_limit": most} | role for role in roles]


def postgresql_service_access(peers, receivers):
    """Return what the product's own roles may reach from other hosts, by the addresses of these: the log, and what is asked beside it."""
    return [
        {"database": database, "role": role, "from": address}
        for role, databases, addresses in (("replication", ("replication", "postgres"), peers), ("backup", ("replication", "all"), receivers))
        for address in addresses
        for database in databases
    ]


def postgresql_service_roles(databases, replication="", backup="", version=0):
    """Return the roles that the product makes for other hosts, by their passwords; none where that is none. version is the server's."""
    roles = [] if not replication else [{"name": "replication", "password": replication, "attributes": ["REPLICATION"]}]
    if backup:
        roles.append({
            "name": "backup", "password": backup, "attributes": ["REPLICATION", "BYPASSRLS"],
            "databases": [database["name"] for database in databases],
            "member_of": ["pg_monitor", "pg_read_all_data", "pg_checkpoint"],
            # Its dumps hold large objects, whoever owns them. No database's owner says how long its sessions may take.
            "settings": {"lo_compat_privileges": "on"} | ({"transaction_timeout": "0"} if int(version) >= 17 else {}),
        })  # fmt: skip
    return roles


# What a backup takes beside the log and the rows, and what pg_rewind does.
RECEIVING = [
    "pg_create_restore_point(text)", "pg_switch_wal()", "pg_read_binary_file(text)", "pg_backup_stop(boolean)", "pg_backup_start(text, boolean)",
]  # fmt: skip
REWINDING = [
    "pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)",
]  # fmt: skip


def postgresql_service_functions(managed, received=False):
    """Return by role of the product which functions it may execute, of those that are the superuser's otherwise."""
    return {"backup": list(RECEIVING) if received else [], "replication": list(REWINDING) if managed else []}


class FilterModule:
    """Registers the filters."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "postgresql_bounded_roles": postgresql_bounded_roles,
            "postgresql_derived_name": derived,
            "postgresql_local_access": postgresql_local_access,
            "postgresql_service_access": postgresql_service_access,
            "postgresql_service_functions": postgresql_service_functions,
            "postgresql_service_roles": postgresql_service_roles,
        }
