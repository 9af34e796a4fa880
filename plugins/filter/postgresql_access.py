# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Who may reach which database of a server, for its access rules."""

from __future__ import annotations


def postgresql_local_access(databases, roles, product=()):
    """Return who may reach which database on this host: owners, and the declared roles but those of the product, each once."""
    owners = [{"database": database["name"], "role": database["owner"]} for database in databases]
    grants = [
        {"database": database, "role": role["name"]} for role in roles for database in role.get("databases") or [] if role["name"] not in product
    ]  # fmt: skip
    rows = owners + grants
    return [row for place, row in enumerate(rows) if row not in rows[:place]]


def postgresql_service_access(peers, receivers):
    """Return what the product's own roles may reach from other hosts, by the addresses of these: the log, and what is asked beside it."""
    return [
        {"database": database, "role": role, "from": address}
        for role, databases, addresses in (("replication", ("replication", "postgres"), peers), ("backup", ("replication", "all"), receivers))
        for address in addresses
        for database in databases
    ]


class FilterModule:
    """Registers the filters."""

    def filters(self):
        """Return the filters of this file by name."""
        return {"postgresql_local_access": postgresql_local_access, "postgresql_service_access": postgresql_service_access}
