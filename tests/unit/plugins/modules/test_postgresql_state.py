"""Which passwords are known to be right, that neither they nor what is stored of them are told, and how long an answer is waited for."""

import contextlib
import types

import pytest
from ansible_collections.selfhost.django.plugins.modules import postgresql_state
from ansible_collections.selfhost.django.plugins.modules.postgresql_state import ask, is_password_of

psycopg2 = types.SimpleNamespace(OperationalError=type("OperationalError", (Exception,), {}))
# The example of RFC 7677, as PostgreSQL stores it.
STORED = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="


@pytest.mark.parametrize(
    ("stored", "password", "is_right"),
    [
        (STORED, "pencil", True),
        (STORED, "Pencil", False),
        (STORED, "", False),
        (STORED.replace("4096", "4095"), "pencil", False),
        (STORED.replace("WG5d", "XG5d"), "pencil", False),
        (STORED, "pencïl", False),
        (STORED, STORED, False),
        ("md5" + 32 * "0", "pencil", False),
        ("", "pencil", False),
        (None, "pencil", False),
    ],
)
def test_a_password_is_right_where_the_verifier_is_its_own(stored, password, is_right):
    assert is_password_of(stored, password) is is_right


@pytest.fixture
def server(monkeypatch):
    """A server's answers to the questions, by database; return what it was asked."""
    asked = []
    answers = {
        postgresql_state.SERVER: [({"stale": False},)],
        postgresql_state.ROLES: [("shop", STORED, {"attributes": ["LOGIN"]}), ("pg_monitor", None, {"attributes": []})],
        postgresql_state.DATABASES: [("shop", True, {"owner": "shop"}), ("template0", False, {"owner": "postgres"}), ("other", True, {"owner": "other"})],
        postgresql_state.FUNCTIONS: [("pg_switch_wal()", ["postgres"])],
        postgresql_state.EXTENSIONS: [("plpgsql",)],
    }

    @contextlib.contextmanager
    def database_of(_params, name):
        yield lambda query: asked.append((name, query)) or answers[query]

    monkeypatch.setattr(postgresql_state, "database_of", database_of)
    return asked


def test_what_the_server_has_is_told_without_its_secrets(server):
    found = ask({"passwords": {"shop": "pencil", "new": "pencil"}, "databases": ["shop", "template0", "new"], "functions": ["pg_switch_wal()"]})
    assert found["roles"] == {"shop": {"attributes": ["LOGIN"], "password_is_right": True}, "pg_monitor": {"attributes": []}}
    assert {name: row["extensions"] for name, row in found["databases"].items()} == {"shop": ["plpgsql"], "template0": [], "other": []}
    assert (found["server"], found["functions"]) == ({"stale": False}, {"pg_switch_wal()": ["postgres"]})
    assert [name for name, query in server if query == postgresql_state.EXTENSIONS] == ["shop"]
    assert "SCRAM" not in repr(found) and "pencil" not in repr(found)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("ActiveState=active\n", True),
        ("ActiveState=activating\nJob=71\n", True),
        ("Job=71\nActiveState=inactive\n", True),
        ("ActiveState=inactive\n", False),
        ("ActiveState=inactive\nJob=0\n", False),
        ("ActiveState=failed\n", False),
        ("ActiveState=deactivating\n", False),
        ("", False),
    ],
)
def test_a_server_is_waited_for_while_its_unit_runs_or_is_started(shown, expected):
    assert postgresql_state.is_coming(shown) is expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("ActiveState=active\nJob=0\n", False), ("ActiveState=active\n", False), ("ActiveState=activating\nJob=71\n", True),
        ("ActiveState=active\nJob=71\n", True), ("ActiveState=failed\n", False), ("", False),
    ],
)  # fmt: skip
def test_a_start_is_over_when_systemd_says_so(shown, expected):
    assert postgresql_state.is_starting(shown) is expected


class Server:
    """One that answers at a moment, with a clock of its own."""

    def __init__(self, ready, gone=1000):
        self.now, self.ready, self.gone = 0, ready, gone

    def ask(self):
        if self.now < self.ready:
            raise psycopg2.OperationalError("refused at %d" % self.now)
        return "answer"

    def wait(self, patience, early=lambda answer: False):
        def pause(_seconds):
            self.now += 1

        return postgresql_state.answered(self.ask, patience, lambda: self.now >= self.gone, lambda: self.now, pause, early)


@pytest.fixture
def psycopg(monkeypatch):
    """The driver's error, where the driver is not installed either."""
    monkeypatch.setattr(postgresql_state, "psycopg2", psycopg2)


def test_the_answer_comes_as_soon_as_the_server_takes_connections(psycopg):
    server = Server(ready=5)
    assert (server.wait(10), server.now) == ("answer", 5)


@pytest.mark.parametrize(("ready", "started", "patience", "end"), [(5, 8, 10, 8), (5, 3, 10, 5), (5, 50, 10, 10), (0, 8, 0, 0)])
def test_an_answer_before_the_start_is_over_is_asked_for_again(psycopg, ready, started, patience, end):
    server = Server(ready)
    assert (server.wait(patience, lambda answer: server.now < started), server.now) == ("answer", end)


@pytest.mark.parametrize(("server", "patience", "end"), [(Server(ready=50), 10, 10), (Server(ready=50), 0, 0), (Server(ready=50, gone=3), 10, 3)])
def test_a_server_that_comes_too_late_or_never_is_told_in_its_words(psycopg, server, patience, end):
    with pytest.raises(psycopg2.OperationalError, match="refused at %d" % end):
        server.wait(patience)
