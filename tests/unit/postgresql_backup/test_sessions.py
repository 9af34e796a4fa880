"""A session in a database of the application's finds the server's functions, and runs none of the application's with a superuser's rights."""

import importlib
import pathlib
import sys
import threading
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "roles/postgresql_backup/files"))
core, manifest = (importlib.import_module(f"postgresql_backup.{name}") for name in ("core", "manifest"))


class Refusal(Exception):
    """What psycopg2 raises."""

    pgcode = "22012"


class Cursor:
    """Answers what it was told to, by a word of a query; what is to be raised is raised."""

    def __init__(self, **answers):
        self.answers, self.asked, self.rows, self.description = answers, [], [], None
        self.connection = types.SimpleNamespace(closed=0, info=types.SimpleNamespace(backend_pid=7))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def execute(self, query, parameters=None):
        self.asked.append((" ".join(query.split()), parameters))
        if self.connection.closed:
            raise Refusal("connection already closed")
        words = query + str(parameters)
        self.rows = next((rows for word, rows in self.answers.items() if word in words), [])
        if isinstance(self.rows, Exception):
            raise self.rows

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

    monkeypatch.setitem(sys.modules, "psycopg2", types.SimpleNamespace(connect=connect, OperationalError=Refusal, Error=Refusal))
    return known


def test_nothing_of_the_database_decides_what_a_session_finds_or_how_long_it_waits(server):
    with core.connect({"host": "/run", "user": "postgres"}, "shop"):
        (words,) = server.words
    for setting in ("search_path=pg_catalog", "role=none", "statement_timeout=0", "lock_timeout=600s", "idle_in_transaction_session_timeout=0",
                    "row_security=off"):
        assert f"-c {setting}" in words.split("options='")[1].split("'")[0]
    assert "transaction_timeout" in server.cursor.asked[0][0]


TABLES = [("public.a",), ('"a b".c',)]


@pytest.mark.parametrize("may", [True, False])
@pytest.mark.usefixtures("server")
def test_rows_are_counted_by_who_may_read_alone(may):
    cursor = Cursor(rolsuper=[(may,)], to_regprocedure=[(may,)], relpersistence=TABLES, count=[("3",)], reads=[("3",)])
    assert manifest.prepare(cursor) is cursor
    made = [query for query, _parameters in cursor.asked if "SECURITY DEFINER" in query and query.endswith("OWNER TO pg_read_all_data")]
    assert len(made) == may
    assert manifest.content(cursor) == {"migrations": None, "tables": {"public.a": 3, '"a b".c': 3}, "uncounted": {}}
    counts = [row for row in cursor.asked if "count(*)" in str(row)]
    query = "SELECT count(*)::text FROM ONLY public.a"
    assert counts[0] == (("SELECT pg_temp.reads(%s)", (query,)) if may else (query, None))


@pytest.mark.usefixtures("server")
def test_nothing_that_a_function_of_a_table_does_to_the_session_stays():
    cursor = Cursor(to_regprocedure=[("reads",)], reads=[("3",)])
    assert manifest.attempt(cursor, "SELECT count(*) FROM public.a") == (["3"], "")
    queries = [query for query, _parameters in cursor.asked]
    assert (queries[0], queries[-1]) == ("SAVEPOINT attempt", "ROLLBACK TO SAVEPOINT attempt")
    # Found by no name of the application's, whatever it has found before.
    assert all(query.startswith(("SELECT pg_catalog.", "SELECT pg_temp.")) for query in queries[1:-1])


@pytest.mark.usefixtures("server")
def test_what_is_no_table_of_djangos_is_not_read():
    cursor = Cursor(to_regprocedure=[(False,)], relpersistence=[("public.pages",)], count=[("3",)])
    assert manifest.content(cursor)["migrations"] is None
    assert "relkind = 'r'" in cursor.asked[0][0] and "django_migrations" not in str(cursor.asked)


# --- Tables that cannot be counted ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kept"), [("", "no words (22012)"), ("a (42501)\nb", "a (42501) (22012)"), ("é" * 1000, "é" * 200 + " (22012)")], ids=["none", "a lie", "many"]
)
@pytest.mark.usefixtures("server")
def test_what_a_function_says_of_a_table_is_kept_short_and_is_not_its_verdict(words, kept):
    cursor = Cursor(to_regprocedure=[(True,)], relpersistence=TABLES[:1], count=Refusal(words))
    _counts, uncounted = manifest.count(cursor, manifest.names(cursor))
    assert uncounted == {"public.a": kept}
    assert manifest.untold({"shop": {"uncounted": uncounted}})


@pytest.mark.usefixtures("server")
def test_one_that_cannot_be_counted_is_named_and_the_others_are_counted():
    cursor = Cursor(to_regprocedure=[(True,)], relpersistence=TABLES, **{"ONLY public.a": Refusal("division by zero\nCONTEXT: f()"), "count": [("3",)]})
    assert manifest.count(cursor, manifest.names(cursor)) == ({'"a b".c': 3}, {"public.a": "division by zero (22012)"})
    # Its transaction goes on, with the snapshot that the others are counted by.
    assert ("ROLLBACK TO SAVEPOINT attempt", None) in cursor.asked


@pytest.mark.usefixtures("server")
def test_migrations_that_cannot_be_read_are_none():
    found = {"relpersistence": [("public.django_migrations",)], "DISTINCT": Refusal("division by zero"), "count": [("3",)]}
    assert manifest.content(Cursor(to_regprocedure=[(True,)], **found)) == {"migrations": None, "tables": {"public.django_migrations": 3}, "uncounted": {}}


@pytest.mark.parametrize("word", ["public.a", "DISTINCT"])
@pytest.mark.usefixtures("server")
def test_a_session_that_was_ended_says_so_of_every_table_that_was_left(word):
    cursor = Cursor(to_regprocedure=[(True,)], relpersistence=[*TABLES, ("public.django_migrations",)], DISTINCT=[("pages.0001",)])

    def end(query, parameters=None, answer=cursor.execute):
        if word in str(parameters):
            cursor.connection.closed = 1
        return answer(query, parameters)

    cursor.execute = end
    left = dict.fromkeys(["public.a", '"a b".c', "public.django_migrations"], "ended after 3600 s")
    assert manifest.content(cursor) == {"migrations": None if word == "DISTINCT" else ["pages.0001"], "tables": {}, "uncounted": left}


def test_a_session_that_has_no_end_is_ended(server):
    ended = threading.Event()
    server.cursor.execute = lambda query, parameters=None: "pg_terminate_backend" in query and parameters == (7,) and ended.set()
    with manifest.bounded(types.SimpleNamespace(connection={"host": "/run"}), Cursor(), seconds=0):
        assert ended.wait(30)


@pytest.mark.parametrize(
    ("uncounted", "told"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"public.a": 'query would be affected by row-level security policy for table "a" (42501)'}, "", id="row security"),
        pytest.param({"public.a": "division by zero (22012)"}, "the rows of shop: public.a (division by zero (22012)) could not be counted", id="an error"),
        pytest.param({"public.a": "x (22012)", "public.b": "y", "public.c": "z (42501)"}, "shop: public.a (x (22012)) and 1 more could", id="several"),
    ],
)
def test_what_is_told_of_tables_that_could_not_be_counted(uncounted, told):
    sentence = manifest.untold({"shop": {"tables": {}, "uncounted": uncounted}, "other": {"tables": {}}})
    assert told in sentence and bool(told) == bool(sentence)
