"""How a primary is copied: beside the data, which is kept, and in its place only when it is whole."""

import pathlib
import subprocess
import types

import pytest
from ansible_collections.selfhost.django.plugins.modules import postgresql_standby as module

GIVEN = {"slot": "standby_db2", "primary": "host=192.0.2.1"}


@pytest.fixture
def server(tmp_path):
    """A server whose pg_basebackup writes a file, or fails; what is done as postgres is done as whoever runs the tests."""
    server = types.SimpleNamespace(data=tmp_path / "main", programs="/nonexistent", fails=False, told=[])

    def run(*command, timeout):
        assert timeout is None, "a copy takes as long as it takes"
        server.told.append(command[0])
        if command[0].endswith("pg_basebackup"):
            assert command[-4:] == ("--slot", "standby_db2", "--dbname", "host=192.0.2.1")
            if not server.fails:
                (tmp_path / "main.new/PG_VERSION").write_text("the primary's")
            return types.SimpleNamespace(returncode=int(server.fails), stderr="could not connect\n")
        return subprocess.run(command, check=False, capture_output=True, text=True)

    server.run = run
    return server


@pytest.mark.parametrize(
    ("files", "rebuild", "due"),
    [
        ((), False, True),
        (("main/PG_VERSION",), False, False),
        (("main/PG_VERSION",), True, True),
        (("main/PG_VERSION", "main.new/PG_VERSION"), False, True),
        (("main/lost+found",), False, True),
    ],
)
def test_when_it_is_copied(tmp_path, files, rebuild, due):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert module.is_due(str(tmp_path / "main"), rebuild) is due


def test_a_copy_takes_the_place_of_data_that_is_kept(server):
    server.data.mkdir()
    (server.data / "PG_VERSION").write_text("its own")
    kept = module.copy(server, GIVEN, lambda: server.told.append("stop"))
    assert ((server.data / "PG_VERSION").read_text(), (server.data / "standby.signal").exists()) == ("the primary's", True)
    assert (pathlib.Path(kept).parent, (pathlib.Path(kept) / "PG_VERSION").read_text()) == (server.data.parent, "its own")
    assert server.told.index("stop") < server.told.index("/nonexistent/pg_basebackup"), "nobody writes into what is moved away"
    assert server.data.stat().st_mode & 0o777 == 0o700


def test_what_failed_leaves_the_data_and_the_next_run_begins_anew(server):
    server.data.mkdir()
    (server.data / "PG_VERSION").write_text("its own")
    server.fails = True
    with pytest.raises(module.Failed, match="pg_basebackup failed: could not connect"):
        module.copy(server, GIVEN, lambda: None)
    assert (server.data / "PG_VERSION").read_text() == "its own" and module.is_due(str(server.data), False)
    server.fails = False
    assert module.copy(server, GIVEN, lambda: None)
    assert (server.data / "PG_VERSION").read_text() == "the primary's" and not module.is_due(str(server.data), False)


def test_where_there_is_none_nothing_is_kept(server):
    assert module.copy(server, GIVEN, lambda: None) == ""
    assert (server.data / "standby.signal").exists()
