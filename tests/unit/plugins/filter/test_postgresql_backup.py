"""Where the repositories of backups are, and what a host has to do for its backups."""

import importlib.util
import pathlib

import pytest

FILTER = pathlib.Path(__file__).resolve().parents[4] / "plugins/filter/postgresql_backup.py"
spec = importlib.util.spec_from_file_location("postgresql_backup_filter", FILTER)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish-swordfish"}


def test_database_hosts_read_by_keys_that_only_read():
    reader = S3 | {"reader_key": "AKREAD", "reader_secret": "only-reading-only-reading"}
    found = module.postgresql_backup_readable([S3, PATH, reader])
    assert [(row["number"], row.get("key"), row.get("secret")) for row in found] == [(2, None, None), (3, "AKREAD", "only-reading-only-reading")]


def test_each_server_is_reached_alone():
    found = module.postgresql_backup_connections(["db1", "db2"], {"port": 5432}, {"db1": "192.0.2.1", "db2": "192.0.2.2", "web1": "192.0.2.3"})
    assert found == {"db1": {"port": 5432, "host": "192.0.2.1"}, "db2": {"port": 5432, "host": "192.0.2.2"}}


def test_where_the_repositories_of_this_host_are():
    assert module.postgresql_backup_repository_paths([S3, PATH]) == ["", "/srv/backups"]
    (row,) = module.postgresql_backup_repository_directories([S3, PATH])
    assert row == {"dest": "/srv/backups", "state": "directory", "owner": "postgres", "group": "postgres", "mode": "0750"}


# --- The plan ---------------------------------------------------------------------------------

ARCHIVING = {"archive_mode": "on", "archive_command": "postgresql-backup archive %p", "archive_timeout": "300"}


def seen(codes=None, held=False, standby=None, units=None, **settings):
    """Return what a look tells: codes of the repositories (None: not asked), and a server (standby None: not asked)."""
    lock = {"lock": {"backup": {"held": held}}}
    return {
        "repository": None if codes is None else {"repo": [{"status": {"code": code}} for code in codes], "status": lock},
        "server": None if standby is None else {"standby": standby, "settings": ARCHIVING | settings},
        "units": units or {},
    }


def plan(look, **options):
    return module.postgresql_backup_plan(look, ARCHIVING, **options)


NOTHING = {"foreign": False, "enter": [], "first": False, "server": "", "services": []}


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        # All is there; a dry run on a bare host; a host that fetches, and one that is fetched from.
        (seen([0], standby=False), {}),
        (seen(), {}),
        (seen([0, 0]), {}),
        (seen(standby=False), {}),
        # No repository, one without a backup, a second one that is new.
        (seen([1], standby=False), {"enter": ["stanza-create"], "first": True}),
        (seen([2], standby=False), {"enter": ["stanza-create"], "first": True}),
        (seen([0, 1], standby=False), {"enter": ["stanza-create"], "first": True}),
        (seen([1]), {"enter": ["stanza-create"], "first": True}),
        # A backup that an interrupted run left at work will do.
        (seen([2], held=True, standby=False), {}),
        # A standby has an empty one, and is entered once.
        (seen([1], standby=True), {"enter": ["--no-online", "stanza-create"]}),
        (seen([2], standby=True), {}),
        (seen([0, 2], standby=True), {}),
        (seen([2, 1], standby=True), {"enter": ["--no-online", "stanza-create"]}),
        # Only the mode needs a restart.
        (seen([0], standby=False, archive_mode="off"), {"server": "restarted"}),
        (seen([0], standby=True, archive_timeout="60"), {"server": "reloaded"}),
        (seen(standby=False, archive_command="(disabled)"), {"server": "reloaded"}),
        (seen([0], standby=False, archive_library="basic_archive"), {}),
    ],
)
def test_a_host_does_for_its_backups_what_is_missing(look, expected):
    assert plan(look) == NOTHING | expected


def entered(*rows):
    """Return what a look tells of a repository that knows these clusters, each (number of the repository, number of the entry, cluster)."""
    look = seen([0], standby=False)
    look["repository"]["db"] = [{"repo-key": key, "id": number, "system-id": system} for key, number, system in rows]
    return look


@pytest.mark.parametrize(
    ("rows", "systems", "is_foreign"),
    [
        ([(1, 1, 7001)], ["7001"], False),
        ([(1, 1, 7001)], ["7002"], True),
        # The server was upgraded; of two repositories one is another's; nobody knows the server yet; a new repository.
        ([(1, 2, 7002), (1, 1, 7001)], ["7002"], False),
        ([(1, 1, 7001), (2, 1, 7002)], ["7001"], True),
        ([(1, 1, 7001)], [], False),
        ([], ["7001"], False),
    ],
)
def test_a_repository_of_another_cluster_is_told(rows, systems, is_foreign):
    assert plan(entered(*rows), systems=systems)["foreign"] == is_foreign


RUNNING = {"active": True, "enabled": True, "stale": False, "outdated": False}
STOPPED = {"active": False, "enabled": False, "stale": False, "outdated": True}


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (RUNNING, None),
        (RUNNING | {"outdated": True}, "restarted"),
        (RUNNING | {"stale": True}, "started"),
        (RUNNING | {"enabled": False}, "started"),
        (RUNNING | {"active": False}, "started"),
        (STOPPED, "restarted"),
    ],
)
def test_a_service_runs_with_what_is_written(row, state):
    expected = [{"name": "x.service", "state": state, "enabled": True}] if state else []
    assert plan(seen(units={"x.service": row}))["services"] == expected


@pytest.mark.parametrize(("row", "stopped"), [(STOPPED, False), (RUNNING, True), (STOPPED | {"enabled": True}, True), (STOPPED | {"stale": True}, True)])
def test_what_a_restore_starts_is_not_left_running(row, stopped):
    expected = [{"name": "x.socket", "state": "stopped", "enabled": False}] if stopped else []
    assert plan(seen(units={"x.socket": row}), idle=["x.socket"])["services"] == expected


@pytest.mark.parametrize(("debian", "numbers"), [("12", [1, 3]), ("13", [1, 2, 3]), (13, [1, 2, 3])])
def test_what_pgbackrest_of_this_debian_keeps_has_the_number_of_all(debian, numbers):
    rows = [PATH, {"type": "sftp", "path": "/b/shop"}, S3]
    assert [row["number"] for row in module.postgresql_backup_numbered(rows, debian)] == numbers
    assert module.postgresql_backup_elsewhere(rows) == [2, 3]


def test_a_host_with_one_that_is_away_goes_on_with_the_others():
    """The look leaves out one that cannot be read and is at somebody else's."""
    information = {"repo": [{"key": 1, "status": {"code": 0}}], "db": [], "status": {"lock": {"backup": {"held": False}}}}
    for rows in (information["repo"], []):
        plan = module.postgresql_backup_plan({"repository": information | {"repo": rows}, "server": None, "units": {}}, {})
        assert (plan["enter"], plan["first"]) == ([], False)
