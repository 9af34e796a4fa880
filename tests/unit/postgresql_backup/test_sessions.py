"""A session in a database of the application's finds the server's functions, and runs none of the application's with a superuser's rights."""

import importlib
import pathlib
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "roles/postgresql_backup/files"))
core, manifest = (importlib.import_module(f"postgresql_backup.{name}") for name in ("core", "manifest"))


class Cursor:
    """Answers what it was told to, by the beginning of a query."""

    def __init__(self, **answers):
        self.answers, self.asked, self.rows = answers, [], []

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def execute(self, query, parameters=None):
        self.asked.append((" ".join(query.split()), parameters))
        self.rows = next((rows for word, rows in self.answers.items() if word in query), [])

    def fetchone(self):
        return self.rows[0]

    def fetchall(self):
        return self.rows


@pytest.fixture
def server(monkeypatch):
    """Return what is known of the sessions of a server that is none."""
    known = types.SimpleNamespace(cursor=Cursor(), words=[])

    def connect(words):
        known.words.append(words)
        return types.SimpleNamespace(cursor=lambda: known.cursor, close=lambda: None)

    monkeypatch.setitem(sys.modules, "psycopg2", types.SimpleNamespace(connect=connect, OperationalError=OSError, Error=OSError))
    return known


def test_nothing_of_the_database_decides_what_a_session_finds_or_how_long_it_waits(server):
    with core.connect({"host": "/run", "user": "postgres"}, "shop"):
        (words,) = server.words
    for setting in ("search_path=pg_catalog", "role=none", "statement_timeout=0", "lock_timeout=600s", "idle_in_transaction_session_timeout=0"):
        assert f"-c {setting}" in words.split("options='")[1].split("'")[0]
    assert "transaction_timeout" in server.cursor.asked[0][0]


TABLES = [("public.a",), ('"a b".c',)]


@pytest.mark.parametrize("may", [True, False])
def test_rows_are_counted_by_who_may_read_alone(may):
    cursor = Cursor(rolsuper=[(may,)], to_regprocedure=[(may,)], relpersistence=TABLES, count=[("3",)], reads=[("3",)])
    assert manifest.prepare(cursor) is cursor
    made = [query for query, _parameters in cursor.asked if "SECURITY DEFINER" in query and query.endswith("OWNER TO pg_read_all_data")]
    assert len(made) == may
    assert manifest.tables(cursor) == {"public.a": 3, '"a b".c': 3}
    counts = [row for row in cursor.asked if "count(*)" in str(row)]
    query = "SELECT count(*)::text FROM ONLY public.a"
    assert counts[0] == (("SELECT pg_temp.reads(%s)", (query,)) if may else (query, None))


def test_what_is_no_table_of_djangos_is_not_read():
    cursor = Cursor(django_migrations=[(False,)])
    assert manifest.migrations(cursor) is None
    assert "relkind = 'r'" in cursor.asked[0][0] and len(cursor.asked) == 1
