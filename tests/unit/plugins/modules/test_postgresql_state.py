"""Which passwords are known to be right, and that neither they nor what is stored of them are told."""

import contextlib

import pytest
from ansible_collections.selfhost.django.plugins.modules import postgresql_state
from ansible_collections.selfhost.django.plugins.modules.postgresql_state import ask, is_password_of

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
