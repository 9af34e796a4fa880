"""Who may reach which database: owners and declared roles here, those of the product from where they run."""

import pathlib

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_names import derived
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
    assert all(row["databases"][0] == row["database"] for row in found)
    assert [len(row["databases"]) for row in found] == [4 if role == "shop" else 1 for _database, role in rows]


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


TEMPLATE = pathlib.Path(__file__).parents[4] / "roles/postgresql/templates/pg_hba.conf.j2"
NOTHING = dict.fromkeys(("postgresql_receivers", "__postgresql_local_access", "__postgresql_remote_access", "__postgresql_service_access"), [])


@pytest.mark.parametrize("name", ["shop", "a" * 54, "b" * 63])
def test_the_owner_is_let_into_what_is_restored_under_the_name_that_it_has(name):
    """PostgreSQL compares these names as they are: one that is too long is that of no database."""
    rows = postgresql_local_access([{"name": name, "owner": "shop"}], [{"name": "reports", "databases": [name]}])
    variables = NOTHING | {"ansible_managed": "x", "__postgresql_managed": False, "__postgresql_local_access": rows}
    text = Templar(DataLoader(), variables=variables).template(trust_as_template(TEMPLATE.read_text()))
    assert [line for line in text.splitlines() if line.startswith("local") and '"postgres"' not in line] == [
        f'local "{name}","{derived(name, "_copy")}","{derived(name, "_restoring")}","{derived(name, "_restored")}" "shop" peer map=owner',
        f'local "{name}" "reports" peer',
    ]
