"""Dumps and copies of uploads in repositories elsewhere: what is brought, what is left for the next time, and what is told."""

import importlib
import json
import pathlib
import socket
import sys
import threading
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "roles/postgresql_backup/files"))
core, offsite, status = (importlib.import_module(f"postgresql_backup.{name}") for name in ("core", "offsite", "status"))

ROW = {"number": 2, "address": ["192.0.2.9", 443], "environment": {"RESTIC_PASSWORD": "swordfish", "RESTIC_REPOSITORY": "s3:https://192.0.2.9:443/b/shop/restic"}, "options": ["-o", "s3.region=eu"]}


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "dumps").mkdir()
    return core.Settings(state=str(tmp_path), name="main", role="local", repositories=[1, 2], repository_paths=["/srv", ""], media={},
                         places=["/srv", "b at s3"], dumps={"path": str(tmp_path / "dumps"), "keep_days": 7})  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """What restic is asked for, and what it answers by the first word."""
    calls, answers = [], {}

    def run(*command, env=None, check=True, **options):
        words = [word for word in command[3:] if word != "--no-cache"]
        calls.append(words)
        assert env["RESTIC_PASSWORD"] == "swordfish"
        assert not any("swordfish" in word for word in command)
        code, out, err = answers.get(words[0], (0, "", ""))
        if check and code:
            raise core.Failure(err, code)
        return types.SimpleNamespace(returncode=code, stdout=out, stderr=err)

    monkeypatch.setattr(core, "run", run)
    monkeypatch.setattr(offsite, "ANSWERED", {2: offsite.time.monotonic()})
    return types.SimpleNamespace(calls=calls, answers=answers, words=lambda: [call[0] for call in calls])


def test_what_a_place_lacks_it_gets_in_order_and_with_its_own_time(settings, asked, monkeypatch):
    for name in ("20260101T030000Z", "20260102T030000Z", "20260103T030000Z", "20260104T030000Z.partial"):
        offsite.os.mkdir(f"{settings.dumps['path']}/{name}")
    there = [{"id": "old", "tags": ["dump:20251220T030000Z"]}, {"id": "abc", "tags": ["dump:20260102T030000Z"]}]
    asked.answers["snapshots"] = 0, json.dumps(there), ""
    monkeypatch.setattr(offsite.time, "time", lambda: 1767415000)
    newest = offsite.dumps(settings, ROW)
    brought = [call for call in asked.calls if call[0] == "backup"]
    assert [call[-1].rpartition("/")[2] for call in brought] == ["20260101T030000Z", "20260103T030000Z"]
    assert "--time=2026-01-01 03:00:00" in brought[0]
    assert newest == 1767409200
    assert asked.calls[-1] == ["forget", "--quiet", "old"]


def test_nothing_is_forgotten_where_something_could_not_be_brought(settings, asked):
    offsite.os.mkdir(f"{settings.dumps['path']}/20260101T030000Z")
    asked.answers["backup"] = 1, "", "no space"
    with pytest.raises(core.Failure, match="no space"):
        offsite.dumps(settings, ROW)
    assert "forget" not in asked.words()


@pytest.mark.parametrize(("verdict", "goes"), [("ok", True), ("failed", False)])
def test_no_copy_of_uploads_is_forgotten_where_the_last_one_lacks_something(settings, asked, monkeypatch, verdict, goes):
    """Older ones may be the only ones of it."""
    settings["media"] = {"path": str(settings.state), "keep_days": 28, "passphrase_file": "/none"}
    monkeypatch.setattr(offsite.media, "is_made", lambda _settings: True)
    there = [{"id": name, "tags": [f"point:media-{day}T030000Z-a"]} for name, day in (("old", "20251101"), ("new", "20260102"), ("newest", "20260103"))]
    asked.answers["snapshots"] = 0, json.dumps(there), ""
    monkeypatch.setattr(offsite.time, "time", lambda: 1767415000)
    status.write(settings, "media", verdict)
    assert offsite.uploads(settings, ROW) == 1767409200
    assert [call for call in asked.calls if call[0] == "forget"] == [["forget", "--quiet", "old"]] * goes
    assert "copy" in asked.words()


def test_a_repository_is_made_where_there_is_none(asked):
    asked.answers["cat"] = 1, "", "Is there a repository at the following location?"
    offsite.open_repository(ROW)
    assert asked.words() == ["cat", "init", "unlock"]


def test_one_that_is_there_and_cannot_be_opened_is_not_made_anew(asked):
    asked.answers |= {"cat": (12, "", "wrong password or no key found"), "init": (1, "", "config file already exists")}
    with pytest.raises(core.Failure, match="it cannot be opened: wrong password"):
        offsite.open_repository(ROW)


def test_who_has_just_answered_is_not_knocked_at_again(monkeypatch, asked):
    knocks = []
    monkeypatch.setattr(offsite, "reach", knocks.append)
    monkeypatch.setattr(offsite, "ANSWERED", {})
    for _again in range(3):
        offsite.restic(ROW, "snapshots")
    assert len(knocks) == 1
    offsite.ANSWERED[2] -= 61
    offsite.restic(ROW, "snapshots")
    assert len(knocks) == 2


def test_who_does_not_answer_is_not_asked_for_hours(monkeypatch):
    monkeypatch.setattr(offsite, "ANSWERED", {})
    monkeypatch.setattr(offsite.socket, "create_connection", lambda address, timeout: (_ for _ in ()).throw(ConnectionRefusedError(111, "Connection refused")))
    with pytest.raises(core.Failure, match="192.0.2.9, port 443, does not answer: Connection refused"):
        offsite.restic(ROW, "snapshots")


@pytest.mark.parametrize(
    ("kind", "words", "is_there"),
    [
        ("sftp:keeper@127.0.0.1:/b", b"SSH-2.0-OpenSSH_10.0\r\n", True),
        ("sftp:keeper@127.0.0.1:/b", b"", False),
        ("sftp:keeper@127.0.0.1:/b", None, False),
        ("s3:https://127.0.0.1/b", None, False),
        ("s3:https://127.0.0.1/b", b"HTTP/1.1 400 This is no TLS\r\n", False),
    ],
    ids=["a server", "one that hangs up", "a silent one", "a silent store", "a store without TLS"],
)
def test_who_accepts_and_says_nothing_is_away(monkeypatch, kind, words, is_there):
    monkeypatch.setattr(offsite, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _address = server.accept()
            if words is None:
                done.wait(5)
            connection.sendall(words or b"")
            connection.close()

        done = threading.Event()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        row = {"number": 2, "address": list(server.getsockname()), "environment": {"RESTIC_REPOSITORY": kind}}
        monkeypatch.setattr(offsite, "places", lambda: [row])
        found = offsite.away()
        done.set()
        thread.join()
    assert (not found) is is_there
    assert is_there or f"127.0.0.1, port {row['address'][1]}, does not answer" in found[2]


def test_a_place_keeps_what_it_has_while_it_is_away(settings):
    status.keep(settings, 2, {"dumps": 100, "uploads": 200})
    status.keep(settings, 1, {"backup": 400})
    status.keep(settings, 2, {"dumps": None, "uploads": 300})
    told = status.read(settings)["places"]
    assert told == {
        "/srv": {"is_elsewhere": False, "is_partial": False, "backup": 400},
        "b at s3": {"is_elsewhere": True, "is_partial": False, "dumps": 100, "uploads": 300},
    }


def test_a_place_that_was_dropped_is_told_no_more(settings):
    status.keep(settings, 2, {"dumps": 100})
    status.keep(core.Settings(settings | {"places": ["/srv"], "repository_paths": ["/srv"]}), 1, {"backup": 1})
    assert list(status.read(settings)["places"]) == ["/srv"]


@pytest.mark.parametrize(
    ("end", "told"), [(core.Failure("no space"), "repository 2: no space"), (SystemExit(143), "interrupted by SystemExit")], ids=["a failure", "an end from outside"]
)
def test_whatever_ends_it_is_told(settings, monkeypatch, end, told):
    """One that a unit's time limit ends was the last good one for ever."""
    monkeypatch.setattr(offsite, "places", lambda: [ROW])
    monkeypatch.setattr(offsite, "bring", lambda _settings, _row: (_ for _ in ()).throw(end))
    monkeypatch.setattr(offsite.child, "call", lambda _user, function, *words, **more: function(*words, **more))
    monkeypatch.setattr(offsite.os, "geteuid", lambda: 0)
    monkeypatch.setattr(core, "is_standby", lambda _settings: False)
    with pytest.raises(type(end)):
        offsite.offsite(settings, types.SimpleNamespace(quiet=True))
    row = status.read(settings)["kinds"]["offsite"]
    assert (row["verdict"], row["message"]) == ("failed", told)


def test_a_dump_that_was_brought_back_is_whole_or_not_there_after_a_power_cut(powered, monkeypatch):
    """What has its name is taken for whole, and not brought again."""
    name, dumps = "20260101T010000Z", powered.directory / "dumps"
    dumps.mkdir()

    def restic(_row, word, *words, **_options):
        if word == "restore":
            (target,) = [word.removeprefix("--target=") for word in words if word.startswith("--target=")]
            place = pathlib.Path(target) / "srv" / name
            place.mkdir(parents=True)
            (place / "shop.dump").write_text("PGDMP")
        return types.SimpleNamespace(stdout='{"total_size": 5}')

    monkeypatch.setattr(offsite, "restic", restic)
    monkeypatch.setattr(offsite, "place", lambda number: {"number": number})
    monkeypatch.setattr(offsite, "snapshots", lambda *_words: [])
    monkeypatch.setattr(offsite, "held", lambda _snapshots: {name: "a"})
    settings = core.Settings(dumps={"path": str(dumps)}, reserve_mb=0)
    offsite.fetch_dump(settings, types.SimpleNamespace(repository=2, dump="latest"))
    powered.cut()
    assert (dumps / name / "shop.dump").read_text() == "PGDMP"
