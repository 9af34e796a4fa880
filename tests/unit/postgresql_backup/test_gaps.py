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
CONFIGURATION = "[global]\nrepo1-path=/srv\nrepo2-path=/shop\nrepo2-s3-key-secret=swordfish\nlog-level-file=info\n[main]\npg1-path=/server\n"


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
        # It began while the clock was ahead, so it may have begun before.
        ({"time": 100}, [made(1, 200 + 2 * 3600)], True),
        ({"time": 100}, [made(1, 200 + 2 * 3600), made(1, 150)], False),
    ],
)
def test_a_gap_stays_until_a_backup_began_after_it(gap, found, is_open):
    assert bool(gaps.still_open(gap, found, [1], 200)) is is_open


def test_a_gap_stays_until_every_repository_has_a_backup_since():
    gap = {"time": 100}
    assert gaps.still_open(gap, [made(1, 200)], [1, 2], 200)
    assert not gaps.still_open(gap, [made(1, 200), made(2, 101)], [1, 2], 200)


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
        state=str(tmp_path), name="main", repositories=[1, 2], repository_paths=["/srv", ""], connection={}, reserve_mb=0,
        receive={"path": str(tmp_path / "receive"), "slot": "backup", "configuration": str(tmp_path / "receive.conf"), "limit_mb": 48},
    )  # fmt: skip
    (tmp_path / "receive.conf").write_text(CONFIGURATION)
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
    receiver = receive.Receiver(settings, settings.state)
    (pathlib.Path(receiver.path) / gaps.name(1, 2, 16 * MB)).touch()
    for one in receiver.repositories:
        one.step()
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


def test_a_gap_that_was_noted_while_the_clock_was_ahead_ends_with_a_backup_too(archive, monkeypatch):
    """It was a false alarm for years. When it came is not known then; not after it was looked at."""
    settings, _held, backups = archive
    monkeypatch.setattr(gaps.time, "time", lambda: 2e9)
    gaps.note(settings, piece(1, 1), "the disk was full")
    backups += [made(1, 1_700_000_050), made(2, 1_700_000_050)]
    for now in (1_700_000_100.0, 1_700_000_200.0):
        monkeypatch.setattr(gaps.time, "time", lambda now=now: now)
        with pytest.raises(core.Failure, match="is missing"):
            physical.prove(settings)
    backups += [made(1, 1_700_000_150), made(2, 1_700_000_150)]
    physical.prove(settings)
    assert gaps.read(settings) is None


@pytest.mark.parametrize("former", [False, True])
def test_what_is_noted_while_somebody_looks_is_not_forgotten(archive, monkeypatch, former):
    """The server's archiving goes on while its log is proved to be whole."""
    settings, _held, backups = archive
    if former:
        monkeypatch.setattr(gaps.time, "time", lambda: 50.0)
        gaps.note(settings, piece(1, 1), "the disk was full")
        backups += [made(1, 60), made(2, 60)]
    seen = gaps.seen

    def meanwhile(*arguments):
        found = seen(*arguments)
        monkeypatch.setattr(gaps.time, "time", lambda: 100.0)
        gaps.note(settings, piece(1, 2), "the disk was full")
        return found

    monkeypatch.setattr(gaps, "seen", meanwhile)
    physical.prove(settings)
    monkeypatch.setattr(gaps, "seen", seen)
    with pytest.raises(core.Failure, match="is missing"):
        physical.prove(settings)


def test_a_trouble_that_lost_nothing_ends_with_it(archive):
    settings, _held, _backups = archive
    receiver = receive.Receiver(settings, settings.state)
    receiver.tell("the server cannot be reached")
    assert verdict(settings)[0] == "failed"
    receiver.settle()
    assert verdict(settings) == ("ok", "")


# --- Repositories that are handed what was received ---------------------------------------------


@pytest.fixture
def receiver(archive, monkeypatch):
    """Return a receiver with four pieces, and the set of numbers of repositories that are away; what each has got is in `archive`."""
    settings, _held, _backups = archive
    away, got = set(), {1: [], 2: []}

    def push(_settings, configuration, _word, path):
        number = int(configuration[-6])
        if number in away:
            raise core.Failure("ERROR: [049]: unable to connect to 's3.example.org:443'")
        got[number].append(pathlib.Path(path).name)

    monkeypatch.setattr(core, "pgbackrest", push)
    one = receive.Receiver(settings, settings.state)
    for number in range(1, 5):
        with open(pathlib.Path(one.path) / gaps.name(1, number, 16 * MB), "wb") as file:
            file.truncate(16 * MB)
    one.away, one.got = away, got
    return one


def test_each_repository_is_known_to_its_own_configuration_alone(receiver):
    first, second = (pathlib.Path(one.configuration).read_text() for one in receiver.repositories)
    assert "swordfish" not in first and "repo1-path=/srv" in first and "pg1-path=/server" in first
    assert "repo1" not in second and "repo2-s3-key-secret=swordfish" in second and "log-level-file=info" in second


def test_one_that_is_away_keeps_no_other_from_its_log(receiver):
    receiver.away.add(2)
    near, far = receiver.repositories
    near.step(), far.step()
    assert (near.trouble, len(receiver.got[1])) == ("", 4)
    assert far.trouble == "repository 2: ERROR: [049]: unable to connect to 's3.example.org:443'"
    assert len(far.waiting()) == 4
    receiver.away.clear()
    far.step()
    assert (far.trouble, receiver.got[2]) == ("", receiver.got[1])
    receiver.clear()
    assert receive.os.listdir(receiver.path) == [gaps.name(1, 4, 16 * MB)]


def test_what_waits_for_one_elsewhere_does_not_fill_the_disk(receiver):
    receiver.away.add(2)
    near, far = receiver.repositories
    near.step(), far.step()
    receiver.clear()
    assert len(far.waiting()) == 3
    assert gaps.read(receiver.settings)["log"] == gaps.name(1, 1, 16 * MB)
    assert "given up for repository 2" in gaps.read(receiver.settings)["reason"]


def test_of_one_that_only_has_more_to_do_nothing_is_given_up(receiver):
    receiver.repositories[0].step()
    receiver.clear()
    assert len(receiver.repositories[1].waiting()) == 4
    assert gaps.read(receiver.settings) is None


def test_what_waits_for_one_on_this_host_is_never_given_up(receiver):
    receiver.away.add(1)
    for one in receiver.repositories:
        one.step()
    receiver.clear()
    assert len(receive.os.listdir(receiver.path)) == 4
    assert gaps.read(receiver.settings) is None


@pytest.mark.parametrize(
    ("limit", "is_tight", "kept"), [(100, False, ["b", "c", "h"]), (25, False, ["c", "h"]), (15, False, ["c", "h"]), (5, False, ["h"]), (100, True, ["h"])],
)
def test_the_oldest_is_given_up_first_and_no_history_of_timelines(limit, is_tight, kept):
    names = {"b": gaps.name(1, 1, MB), "c": gaps.name(1, 2, MB), "h": "00000002.history"}
    sizes = {names["b"]: 16, names["c"]: 10, names["h"]: 1}
    given = receive.given_up(list(names.values()), sizes, limit, is_tight)
    assert [name for name, piece in names.items() if piece not in given] == kept
