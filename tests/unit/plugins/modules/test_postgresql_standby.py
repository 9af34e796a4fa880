"""How a primary is copied: beside the data, which is kept, and in its place only when it is whole. Until then the server runs."""

import pathlib
import subprocess
import types

import pytest
from ansible_collections.selfhost.django.plugins.modules import postgresql_standby as module

GIVEN = {"slot": "standby_db2_copy_", "primary": "host=192.0.2.1", "rebuild": True, "state": "copied"}
ASIDE = GIVEN | {"slot": None, "state": "set_aside"}


@pytest.fixture
def server(tmp_path):
    """A server whose pg_basebackup writes a file, or fails; what is done as postgres is done as whoever runs the tests."""
    server = types.SimpleNamespace(data=tmp_path / "main", programs="/nonexistent", fails="", told=[], held=1 << 20)

    def run(*command, timeout):
        assert timeout is None, "a copy takes as long as it takes"
        server.told.append(command[0])
        answer = types.SimpleNamespace(returncode=0, stdout=f"{server.held}\n", stderr="could not connect\n")
        if command[0].endswith("psql"):
            assert command[-4:] == ("-d", "host=192.0.2.1 dbname=postgres", "-c", "SELECT pg_tablespace_size('pg_default')")
        elif command[0].endswith("pg_basebackup"):
            assert command[-4:] == ("--slot", "standby_db2_copy_", "--dbname", "host=192.0.2.1")
            (tmp_path / "main.new/PG_VERSION").write_text("the primary's")
            answer.returncode = int(server.fails == "pg_basebackup")
        elif server.fails == "mv" and command[-1] == str(server.data):
            answer.returncode = 1
            server.fails = ""
        else:
            return subprocess.run(command, check=False, capture_output=True, text=True)
        return answer

    server.run = run
    return server


@pytest.fixture
def unit(server):
    """Its unit, which runs."""
    unit = types.SimpleNamespace(ran=True, is_up=True)

    def stop():
        server.told.append("stop")
        if server.fails == "stop":
            raise module.Failed("the server does not stop: no")
        unit.is_up = False

    def start():
        unit.is_up = server.fails != "start"
        return unit.is_up

    unit.runs, unit.stop, unit.start = lambda: unit.is_up, stop, start
    return unit


def lay(server, **files):
    """Lay the data there, and what else stands beside it."""
    server.data.mkdir()
    (server.data / "PG_VERSION").write_text("its own")
    for ending, text in files.items():
        server.data.with_name(f"main.{ending.replace('_', '.')}").write_text(text)


def there(server):
    """Return what lies there, by its name without the time."""
    paths = {path.name.replace(path.name[12:27], "") if path.name.startswith("main.before-") else path.name: path for path in server.data.parent.iterdir()}
    return {name: (path / "PG_VERSION" if path.is_dir() else path).read_text() for name, path in paths.items()}


@pytest.mark.parametrize(
    ("files", "rebuild", "due", "aside"),
    [
        ((), False, True, False),
        (("main/PG_VERSION",), False, False, False),
        (("main/PG_VERSION",), True, True, True),
        (("main/PG_VERSION", "main.new/PG_VERSION"), False, True, False),
        (("main/lost+found",), False, True, False),
        ((), True, True, False),
    ],
)
def test_when_it_is_copied_and_when_data_is_set_aside(tmp_path, files, rebuild, due, aside):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert module.is_due(str(tmp_path / "main"), GIVEN | {"rebuild": rebuild}) is due
    assert module.is_due(str(tmp_path / "main"), ASIDE | {"rebuild": rebuild}) is aside


def test_a_copy_takes_the_place_of_data_that_is_kept(server, unit):
    lay(server)
    kept = module.perform(server, GIVEN, unit)
    assert ((server.data / "PG_VERSION").read_text(), (server.data / "standby.signal").exists()) == ("the primary's", True)
    assert (pathlib.Path(kept).parent, (pathlib.Path(kept) / "PG_VERSION").read_text()) == (server.data.parent, "its own")
    stop = server.told.index("stop")
    assert server.told.index("/nonexistent/pg_basebackup") < stop, "it serves until the copy is whole"
    assert stop < server.told.index("mv"), "nobody writes into what is moved away"
    assert server.data.stat().st_mode & 0o777 == 0o700
    # The standby is for the role to start.
    assert not unit.is_up


@pytest.mark.parametrize("ran", [True, False])
@pytest.mark.parametrize(
    ("fails", "said"),
    [("pg_basebackup", "^pg_basebackup failed: could not connect$"), ("stop", "^the server does not stop: no$"), ("mv", "^mv failed: could not connect$")],
)
def test_what_failed_leaves_data_and_server_as_they_were_and_nothing_of_the_copy(server, unit, fails, said, ran):
    lay(server, restore_json="a journal")
    before, server.fails, unit.is_up = there(server), fails, ran
    with pytest.raises(module.Failed, match=said):
        module.perform(server, GIVEN, unit)
    assert (there(server), unit.is_up) == (before, ran)
    # Nor does the next run copy, unless it is asked to.
    assert not module.is_due(str(server.data), GIVEN | {"rebuild": False})
    server.fails = ""
    assert module.perform(server, GIVEN, unit) and there(server)["main"] == "the primary's"


def test_a_server_that_does_not_start_again_is_told_of(server, unit, monkeypatch):
    lay(server)
    monkeypatch.setattr(module, "copy", lambda *_words: (row for row in ()).throw(module.Failed("mv failed: no")))
    server.fails = "start"
    with pytest.raises(module.Failed, match="^mv failed: no; and its server does not start again, its journal says why$"):
        module.perform(server, GIVEN, unit)


def test_the_first_copy_that_failed_is_begun_anew(server, unit):
    server.fails, unit.is_up = "pg_basebackup", False
    with pytest.raises(module.Failed):
        module.perform(server, GIVEN | {"rebuild": False}, unit)
    assert there(server) == {} and not unit.is_up and module.is_due(str(server.data), GIVEN | {"rebuild": False})


def test_where_there_is_none_nothing_is_kept(server, unit):
    assert module.perform(server, GIVEN, unit) == ""
    assert (server.data / "standby.signal").exists()


@pytest.mark.parametrize("given", [GIVEN, ASIDE])
@pytest.mark.parametrize(("held_mb", "free_mb", "is_refused"), [(1000, 1500, False), (1000, 1499, True), (0, 499, True)])
def test_nothing_is_begun_without_room(server, unit, monkeypatch, given, held_mb, free_mb, is_refused):
    """As of a disk that grew on the primary alone. The server that is there writes to the same disk."""
    lay(server)
    before, server.held = there(server), held_mb << 20
    monkeypatch.setattr(module.os, "statvfs", lambda path: types.SimpleNamespace(f_bavail=free_mb, f_frsize=1 << 20))
    if not is_refused:
        module.perform(server, given, unit)
        return
    said = f"^a copy takes {held_mb} MB beside what is there, 500 are to stay free, and {free_mb} are free in {server.data.parent}$"
    with pytest.raises(module.Failed, match=said):
        module.perform(server, given, unit)
    assert (there(server), unit.is_up) == (before, True) and "stop" not in server.told and "/nonexistent/pg_basebackup" not in server.told


def test_the_room_that_a_killed_run_took_is_free_again(server, unit, monkeypatch):
    lay(server)
    (server.data.parent / "main.new").mkdir()
    monkeypatch.setattr(
        module.os, "statvfs", lambda path: types.SimpleNamespace(f_bavail=0 if (server.data.parent / "main.new").exists() else 501, f_frsize=1 << 20)
    )
    assert module.perform(server, GIVEN | {"rebuild": False}, unit)


def test_what_a_restore_has_left_of_the_data_goes_with_it(server, unit):
    """Nobody can finish it any more, and a later one would take it for its own."""
    lay(server, restoring="the former cluster", restore_json="a journal")
    kept = module.perform(server, GIVEN, unit)
    assert there(server) == {
        "main": "the primary's", "main.before-": "its own", "main.before-.restoring": "the former cluster", "main.before-.restore.json": "a journal",
    }  # fmt: skip
    assert all(pathlib.Path(kept + ending).exists() for ending in ("", ".restoring", ".restore.json"))


def test_data_is_set_aside_for_patroni(server, unit):
    lay(server, restore_json="a journal")
    kept = module.perform(server, ASIDE, unit)
    assert kept.startswith(f"{server.data}.before-") and not unit.is_up
    assert there(server) == {"main.before-": "its own", "main.before-.restore.json": "a journal"}


@pytest.mark.parametrize(
    ("files", "params", "said"),
    [
        (True, {"rebuild": False}, {"changed": False, "kept": ""}),
        (True, {"rebuild": True}, {"failed": True, "msg": "The primary was not copied, and what was there is as it was: no room."}),
        (False, {"rebuild": False}, {"failed": True, "msg": "The primary was not copied: no room."}),
        (True, {"rebuild": False, "state": "set_aside"}, {"changed": False, "kept": ""}),
        (False, {"rebuild": False, "state": "set_aside"}, {"failed": True, "msg": "The primary was not copied: no room."}),
    ],
)
def test_what_it_tells(server, tmp_path, monkeypatch, files, params, said):
    """Data that stays needs no room, and that which an interrupted Patroni has begun to copy is begun anew by it."""
    if files:
        lay(server)

    class Ended(Exception):
        pass

    def end(**words):
        raise Ended(words)

    def perform(*_words):
        raise module.Failed("no room")

    given = GIVEN | {"version": "17", "name": "main", "unit": "u", "lock": str(tmp_path / "lock")} | params
    one = types.SimpleNamespace(params=given, check_mode=False, exit_json=end, fail_json=lambda **words: end(failed=True, **words))
    monkeypatch.setattr(module, "AnsibleModule", lambda **_spec: one)
    monkeypatch.setattr(module.Server, "of", lambda *_words: server)
    monkeypatch.setattr(module, "perform", perform)
    with pytest.raises(Ended) as ended:
        module.main()
    assert ended.value.args[0] == said
