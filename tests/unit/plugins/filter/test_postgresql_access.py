"""Who may reach which database: owners and declared roles here, those of the product from where they run."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.postgresql_access import (
    postgresql_local_access,
    postgresql_service_access,
    postgresql_service_functions,
    postgresql_bounded_roles,
    postgresql_service_roles,
)

SHOP = {"name": "shop", "owner": "shop"}


@pytest.mark.parametrize(
    ("databases", "roles", "rows"),
    [
        ([], [], []),
        ([SHOP], [{"name": "shop"}], [("shop", "shop")]),
        ([SHOP], [{"name": "shop"}, {"name": "reports", "databases": ["shop"]}], [("shop", "shop"), ("shop", "reports")]),
        ([SHOP, {"name": "more", "owner": "shop"}], [{"name": "shop", "databases": ["shop"]}], [("shop", "shop"), ("more", "shop")]),
        ([SHOP], [{"name": "backup", "databases": ["shop"]}, {"name": "other", "databases": None}], [("shop", "shop")]),
    ],
)
def test_on_the_host(databases, roles, rows):
    found = postgresql_local_access(databases, roles, ["backup"])
    assert [(row["database"], row["role"]) for row in found] == rows
    assert [row["is_owner"] for row in found] == [role == "shop" for _database, role in rows]


def test_from_other_hosts():
    assert postgresql_service_access([], []) == []
    rows = postgresql_service_access(["192.0.2.2", "2001:db8::3"], ["192.0.2.9"])
    assert [tuple(row.values()) for row in rows] == [
        ("replication", "replication", "192.0.2.2"), ("postgres", "replication", "192.0.2.2"),
        ("replication", "replication", "2001:db8::3"), ("postgres", "replication", "2001:db8::3"),
        ("replication", "backup", "192.0.2.9"), ("all", "backup", "192.0.2.9"),
    ]  # fmt: skip


def test_the_product_has_a_role_for_hosts_that_are_there():
    assert postgresql_service_roles([SHOP]) == []
    standbys, backups = postgresql_service_roles([SHOP], replication="r", backup="b")
    assert (standbys["name"], standbys["password"], standbys["attributes"]) == ("replication", "r", ["REPLICATION"])
    assert (backups["name"], backups["password"], backups["databases"]) == ("backup", "b", ["shop"])
    assert "transaction_timeout" not in backups["settings"]
    assert postgresql_service_roles([SHOP], backup="b", version="17")[0]["settings"]["transaction_timeout"] == "0"


def test_what_the_superuser_alone_may_otherwise_is_open_to_who_needs_it():
    assert postgresql_service_functions(False) == {"backup": [], "replication": []}
    assert "pg_switch_wal()" in postgresql_service_functions(False, received=True)["backup"]
    assert "pg_stat_file(text, boolean)" in postgresql_service_functions(True)["replication"]


@pytest.mark.parametrize(("connections", "most"), [(100, 90), ("500", 450), (25, 22), (10, 7)])
def test_no_role_takes_all_connections_unless_it_is_told_to(connections, most):
    roles = [{"name": "shop"}, {"name": "reports", "connection_limit": 3}, {"name": "all", "connection_limit": -1}]
    assert [role["connection_limit"] for role in postgresql_bounded_roles(roles, connections)] == [most, 3, -1]
    assert roles[0] == {"name": "shop"}
