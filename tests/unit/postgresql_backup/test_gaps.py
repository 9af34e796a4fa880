"""Log that is missing is told until a newer backup makes up for it, however it was lost and whoever looks."""

import importlib
import pathlib
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))

core, gaps, physical, receive, status = (importlib.import_module(f"postgresql_backup.{name}") for name in ("core", "gaps", "physical", "receive", "status"))

MB = 1024**2


def made(repository, start, first="000000010000000000000001"):
    return {"database": {"repo-key": repository, "id": 1}, "timestamp": {"start": start, "stop": start + 1}, "archive": {"start": first}}


# --- What is known of -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gap", "found", "is_open"),
    [
        (None, [], False),
        ({"time": 100}, [], True),
        ({"time": 100}, [made(1, 90)], True),
        ({"time": 100}, [made(1, 100)], True),  # it may have begun before
        ({"time": 100}, [made(1, 90), made(1, 101)], False),
    ],
)
def test_a_gap_stays_until_a_backup_began_after_it(gap, found, is_open):
    assert bool(gaps.still_open(gap, found, [1])) is is_open


def test_a_gap_stays_until_every_repository_has_a_backup_since():
    gap = {"time": 100}
    assert gaps.still_open(gap, [made(1, 200)], [1, 2])
    assert not gaps.still_open(gap, [made(1, 200), made(2, 101)], [1, 2])


# --- What is seen -----------------------------------------------------------------------------


def piece(timeline, number, end="-0123456789abcdef.zst"):
    return gaps.name(timeline, number, 16 * MB) + end


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        pytest.param([(1, 5), (1, 6), (1, 7)], None, id="whole"),
        pytest.param([(1, 3), (1, 5)], None, id="older than the backup"),
        pytest.param([], None, id="nothing yet"),
        pytest.param([(1, 6)], (1, 5), id="that of the backup itself"),
        pytest.param([(1, 5), (1, 8)], (1, 6), id="the first one of several"),
        pytest.param([(1, 255), *((1, number) for number in range(5, 255)), (1, 256)], None, id="across the folders"),
        pytest.param([*((1, number) for number in range(5, 256)), (1, 257)], (1, 256), id="the first one of a folder"),
        pytest.param([(1, 5), (1, 6), (2, 6), (2, 7)], None, id="a promotion"),
        pytest.param([(1, 5), (2, 6), (2, 7)], None, id="a promotion, and what it replaced was never finished"),
        pytest.param([(1, 5), (2, 7)], (1, 6), id="the piece of a promotion"),
        pytest.param([(1, 5), (1, 6), (1, 7), (2, 6), (2, 8)], (2, 7), id="of the new timeline, though the former one holds its number"),
        pytest.param([(1, 5), (2, 6), (3, 7), (3, 8)], None, id="two promotions"),
        pytest.param([(1, 5), (1, 6), (2, 3), (2, 4), (2, 5)], None, id="back in time, before the backup"),
        pytest.param([(1, 5), (1, 6), (2, 3), (2, 5)], (2, 4), id="the same, with a hole"),
    ],
)
def test_the_first_piece_that_the_archive_lacks_since_the_newest_backup(held, missing):
    names = [piece(*one) for one in held] + [piece(1, 9, ".partial-0123.zst"), piece(1, 4, ".00000028.backup"), "00000002.history"]
    assert gaps.hole(names, gaps.name(1, 5, 16 * MB), 16 * MB) == (missing and gaps.name(*missing, 16 * MB))


def test_pieces_of_another_size_have_other_names():
    assert gaps.name(1, 4, 1024 * MB) == "000000010000000100000000"
    assert gaps.hole([gaps.name(1, number, 1024 * MB) for number in (2, 3, 4)], gaps.name(1, 2, 1024 * MB), 1024 * MB) is None


@pytest.fixture
def archive(monkeypatch, tmp_path):
    """Return settings of a host with two repositories and a mapping of what the archive of each holds; backups are of the first second."""
    settings = core.Settings(
        state=str(tmp_path), name="main", repositories=[1, 2], connection={},
        receive={"path": str(tmp_path / "receive"), "slot": "backup", "configuration": "/receive.conf"},
    )  # fmt: skip
    (tmp_path / "receive/log").mkdir(parents=True)
    held = {1: [piece(1, 1), piece(1, 2)], 2: [piece(1, 1), piece(1, 2)]}
    backups = [made(1, 1), made(2, 1)]

    def pgbackrest(_settings, *words, **_options):
        if words[-2:-1] != ("repo-ls",):
            return types.SimpleNamespace(stdout="")
        names = held[int(words[0].removeprefix("--repo="))]
        folder = words[-1].removeprefix("archive/main/17-1").strip("/")
        return types.SimpleNamespace(stdout="\n".join(name for name in names if name.startswith(folder)) if folder else "\n".join({name[:16] for name in names}))

    archives = [{"id": "17-1", "database": {"id": 1, "repo-key": number}, "max": "x"} for number in (1, 2)]
    monkeypatch.setattr(core, "pgbackrest", pgbackrest)
    monkeypatch.setattr(core, "information", lambda _settings: {"backup": backups, "archive": archives})
    monkeypatch.setattr(core, "ask", lambda _connection, _query, *_more: [(16 * MB,)])
    monkeypatch.setattr(core, "complain", lambda failure: None)
    monkeypatch.setattr(core, "say", lambda line, quiet=False: None)
    return settings, held, backups


def verdict(settings):
    row = status.read(settings)["kinds"]["archive"]
    return row["verdict"], row["message"]


def test_a_hole_in_any_repository_fails_the_proof_of_the_archive(archive):
    settings, held, backups = archive
    assert physical.prove(settings) == "x"
    held[2] = [piece(1, 1), piece(1, 3)]
    with pytest.raises(core.Failure, match=r"the log from 000000010000000000000002 on is missing \(repository 2 does not hold it\)"):
        physical.prove(settings)
    assert verdict(settings)[0] == "failed"
    backups.append(made(2, 50, gaps.name(1, 3, 16 * MB)))
    physical.prove(settings)
    assert verdict(settings) == ("ok", "")


def test_log_that_the_server_threw_away_is_told_until_a_newer_backup(archive, monkeypatch):
    """That the log comes again is no end of it."""
    settings, _held, backups = archive
    monkeypatch.setattr(gaps.time, "time", lambda: 100.0)
    receiver = receive.Receiver(settings)
    (pathlib.Path(receiver.path) / gaps.name(1, 2, 16 * MB)).touch()
    receiver.child = types.SimpleNamespace(returncode=1)
    receiver.words = open(pathlib.Path(settings.state) / "words", "w+", encoding="utf-8")
    receiver.words.write("ERROR: requested WAL segment 000000010000000000000003 has already been removed")
    with pytest.raises(core.Failure) as failure:
        receiver.ended()
    receiver.tell(core.sentence(str(failure.value)))
    for _again in range(2):
        receiver.settle()
        assert verdict(settings)[0] == "failed"
        assert "000000010000000000000002 on is missing (the server has thrown it away)" in verdict(settings)[1]
        with pytest.raises(core.Failure, match="is missing"):
            physical.prove(settings)
    backups += [made(1, 101), made(2, 101)]
    receiver.settle()
    assert verdict(settings) == ("ok", "")


def test_a_trouble_that_lost_nothing_ends_with_it(archive):
    settings, _held, _backups = archive
    receiver = receive.Receiver(settings)
    receiver.tell("the server cannot be reached")
    assert verdict(settings)[0] == "failed"
    receiver.settle()
    assert verdict(settings) == ("ok", "")
