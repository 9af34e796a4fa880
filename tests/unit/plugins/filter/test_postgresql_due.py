"""What is acted on, of what is declared and what a server has."""

import copy

import pytest
from ansible_collections.selfhost.django.plugins.filter.postgresql_due import postgresql_due

ROLES = [
    {"name": "shop", "password": "pencil"},
    {"name": "reports", "password": "pencil", "databases": ["shop"], "attributes": ["CREATEDB"], "connection_limit": "3",
     "settings": {"statement_timeout": "5min", "work_mem": 64}},
    {"name": "backup", "password": "pencil", "databases": ["shop"], "member_of": ["pg_monitor", "pg_read_all_data"]},
]  # fmt: skip
DATABASES = [{"name": "shop", "owner": "shop", "extensions": ["pg_trgm"]}, {"name": "blog", "owner": "shop"}]
PLAIN = {"attributes": ["LOGIN"], "connection_limit": -1, "settings": [], "member_of": [], "password_is_right": True}
BEGUN_WITH = ['default_transaction_read_only=off', 'search_path="$user", public', "statement_timeout=0", "transaction_timeout=0"]
FOUND = {
    "server": {"version": 170002},
    "roles": {
        "postgres": PLAIN | {"attributes": ["LOGIN", "SUPERUSER"], "settings": BEGUN_WITH},
        "pg_monitor": PLAIN, "pg_read_all_data": PLAIN,
        "shop": PLAIN,
        "reports": PLAIN | {"attributes": ["LOGIN", "CREATEDB"], "connection_limit": 3, "settings": ["work_mem=64", "statement_timeout=5min"]},
        "backup": PLAIN | {"member_of": ["pg_read_all_data", "pg_monitor"]},
        "stranger": PLAIN | {"member_of": ["shop"]},
    },
    "databases": {
        "postgres": {"owner": "postgres", "encoding": "UTF8", "privileges": [["", "CONNECT"]], "extensions": ["plpgsql", "pg_stat_statements"]},
        "shop": {"owner": "shop", "encoding": "UTF8", "extensions": ["plpgsql", "pg_trgm"], "privileges": [
            ["shop", "CREATE"], ["reports", "CONNECT"], ["reports", "TEMPORARY"], ["backup", "TEMPORARY"], ["backup", "CONNECT"],
            ["pg_read_all_data", "TEMPORARY"]]},
        "blog": {"owner": "shop", "encoding": "UTF8", "extensions": ["plpgsql"], "privileges": [["shop", "CONNECT"]]},
    },
    "functions": {"pg_switch_wal()": ["postgres", "backup"]},
}  # fmt: skip
CLOSED = ['REVOKE CONNECT, TEMPORARY ON DATABASE "shop" FROM PUBLIC', 'REVOKE CONNECT, TEMPORARY ON DATABASE "blog" FROM PUBLIC']
OPENED = ['GRANT CONNECT, TEMPORARY ON DATABASE "shop" TO "reports"', 'GRANT CONNECT, TEMPORARY ON DATABASE "shop" TO "backup"']
# A function of the reader's, in which a backup has rows counted, is a temporary one.
READ = ['GRANT TEMPORARY ON DATABASE "shop" TO "pg_read_all_data"']
EXECUTED = ['GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO "backup"']
NOTHING = {"roles": [], "memberships": [], "databases": [], "privileges": [], "extensions": []}
EVERYTHING = {
    "roles": ["shop", "reports", "backup"],
    "memberships": [{"role": "backup", "member_of": ["pg_monitor", "pg_read_all_data"]}],
    "databases": ["shop", "blog"],
    "privileges": [*CLOSED, *OPENED, *READ, *EXECUTED],
    "extensions": [{"database": "postgres", "name": "pg_stat_statements"}, {"database": "shop", "name": "pg_trgm"}],
}
BARE = {
    "server": FOUND["server"],
    "roles": {name: FOUND["roles"][name] for name in ("postgres", "pg_monitor", "pg_read_all_data")},
    "databases": {"postgres": FOUND["databases"]["postgres"] | {"extensions": ["plpgsql"]}},
    "functions": {"pg_switch_wal()": ["postgres"]},
}


def due(found, **options):
    return postgresql_due(found, DATABASES, ROLES, preloaded=["pg_stat_statements"], executors={"backup": ["pg_switch_wal()"]}, **options)


def test_nothing_is_due_where_all_is_as_declared():
    assert due(FOUND) == NOTHING


@pytest.mark.parametrize(
    ("settings", "version", "begun"),
    [
        ([], 170002, ["default_transaction_read_only TO off", 'search_path TO "$user", public', "statement_timeout TO 0", "transaction_timeout TO 0"]),
        (BEGUN_WITH[:3], 160004, []),
        # What somebody has set stays.
        ([*BEGUN_WITH[:2], "statement_timeout=5min", "work_mem=1GB"], 170002, ["transaction_timeout TO 0"]),
    ],
)
def test_no_owner_of_a_database_says_what_sessions_of_the_superuser_begin_with(settings, version, begun):
    found = copy.deepcopy(FOUND) | {"server": {"version": version}}
    found["roles"]["postgres"]["settings"] = settings
    assert due(found) == NOTHING | {"privileges": [f'ALTER ROLE "postgres" SET {words}' for words in begun]}


def test_all_is_due_on_a_server_that_was_made_just_now():
    assert due(BARE) == EVERYTHING


def test_a_dry_run_leaves_out_what_belongs_into_what_is_not_there():
    alone = {"roles": EVERYTHING["roles"], "databases": EVERYTHING["databases"], "extensions": EVERYTHING["extensions"][:1]}
    assert due(BARE, dry=True) == NOTHING | alone
    assert due(FOUND | {"functions": BARE["functions"]}, dry=True) == NOTHING | {"privileges": EXECUTED}


@pytest.mark.parametrize(
    ("kind", "name", "change", "what"),
    [
        ("roles", "shop", {"password_is_right": False}, {"roles": ["shop"]}),
        ("roles", "shop", {"attributes": []}, {"roles": ["shop"]}),
        ("roles", "shop", {"attributes": ["LOGIN", "SUPERUSER"]}, {"roles": ["shop"]}),
        ("roles", "shop", {"connection_limit": 5}, {"roles": ["shop"]}),
        ("roles", "shop", {"settings": ["search_path=shop, public=1"]}, {"roles": ["shop"]}),
        ("roles", "reports", {"settings": ["work_mem=64"]}, {"roles": ["reports"]}),
        ("roles", "reports", {"attributes": ["LOGIN"]}, {"roles": ["reports"]}),
        ("roles", "reports", {"connection_limit": -1}, {"roles": ["reports"]}),
        ("roles", "backup", {"member_of": ["pg_monitor"]}, {"memberships": EVERYTHING["memberships"]}),
        ("roles", "backup", {"member_of": ["pg_monitor", "pg_read_all_data", "shop"]}, {"memberships": EVERYTHING["memberships"]}),
        ("roles", "shop", {"member_of": ["stranger"]}, {}),
        ("databases", "shop", {"owner": "postgres"}, {"databases": ["shop"]}),
        ("databases", "shop", {"encoding": "SQL_ASCII"}, {"databases": ["shop"]}),
        ("databases", "shop", {"extensions": ["plpgsql"]}, {"extensions": EVERYTHING["extensions"][1:]}),
        ("databases", "blog", {"privileges": [["", "TEMPORARY"]]}, {"privileges": CLOSED[1:]}),
        ("databases", "blog", {"privileges": [["", "CREATE"]]}, {}),
        ("databases", "postgres", {"extensions": ["plpgsql"]}, {"extensions": EVERYTHING["extensions"][:1]}),
        ("databases", "shop", {"privileges": [["reports", "CONNECT"], ["reports", "TEMPORARY"], ["backup", "CONNECT"], ["pg_read_all_data", "TEMPORARY"]]},
         {"privileges": OPENED[1:]}),
        ("databases", "shop",
         {"privileges": [["reports", "CONNECT"], ["reports", "TEMPORARY"], ["backup", "CONNECT"], ["backup", "TEMPORARY"], ["pg_read_all_data", "CONNECT"]]},
         {"privileges": READ}),
    ],
)  # fmt: skip
def test_what_differs_is_due_and_nothing_else(kind, name, change, what):
    found = copy.deepcopy(FOUND)
    found[kind][name].update(change)
    assert due(found) == NOTHING | what


def test_names_are_quoted_in_statements():
    found = copy.deepcopy(BARE) | {"functions": {}}
    statements = postgresql_due(found, [{"name": 'a"b; %s', "owner": "shop"}], [])["privileges"]
    assert statements == ['REVOKE CONNECT, TEMPORARY ON DATABASE "a""b; %s" FROM PUBLIC']


def test_no_password_is_in_the_plan():
    assert "pencil" not in repr(due(BARE))
