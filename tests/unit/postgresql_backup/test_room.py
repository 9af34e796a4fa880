"""Room is asked for before it is used: what a run takes, what has to stay free, and that what was expected too small is stopped."""

import importlib
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))

core, gaps, physical, room = (importlib.import_module(f"postgresql_backup.{name}") for name in ("core", "gaps", "physical", "room"))

MB = 1024**2
NOW = 1_800_000_000


def row(label, size, delta, stop="0/0"):
    kinds = {"D": "diff", "I": "incr", "F": "full"}
    return {"label": label, "type": kinds[label[-1]], "info": {"size": size * MB, "repository": {"delta": delta * MB}}, "lsn": {"stop": stop}, "timestamp": {"stop": NOW - 3600}}


FULL = row("20260104-010000F", 1000, 250)
DIFF = row("20260104-010000F_20260105-010000D", 1000, 30)
LATER = row("20260104-010000F_20260106-010000D", 1100, 50)


@pytest.mark.parametrize(
    ("kind", "backups", "database", "expected"),
    [
        ("full", [], 1000, 1000),  # nothing is known of how it compresses
        ("diff", [], 1000, 1000),  # which becomes a full one
        ("full", [FULL], 1000, 250),
        ("full", [FULL, DIFF], 2000, 500),  # it has grown
        ("full", [row("20260104-010000F", 1000, 1200)], 1000, 1000),  # what does not compress
        ("full", [row("20260104-010000F", 0, 0)], 40, 40),
        ("diff", [FULL], 1000, 250),  # what changed since is not known
        ("diff", [FULL, DIFF], 1000, 60),
        ("incr", [FULL, DIFF, LATER], 1100, 100),
        ("diff", [FULL, DIFF, LATER], 1500, 200),  # twice the largest, and what has come
        ("diff", [FULL, DIFF, LATER], 9000, 2075),
        ("diff", [FULL, row("20260104-010000F_20260105-010000D", 1000, 200)], 1000, 250),  # never more than all
        ("diff", [FULL, DIFF, row("20260111-010000F", 1000, 500)], 1000, 500),  # of an older full backup
    ],
)
def test_what_a_backup_takes(kind, backups, database, expected):
    assert room.backup(kind, backups, database * MB) == expected * MB


@pytest.mark.parametrize(
    ("backups", "position", "expected"),
    [
        ([], 500, 0),
        ([FULL | {"lsn": {"stop": "0/6400000"}}], 300, 50),  # a quarter of 200, as the backup
        ([FULL | {"lsn": {"stop": "1/0"}}], 4096 + 100, 25),
        ([FULL | {"lsn": {"stop": "1/0"}}], 100, 0),  # back in time
        ([FULL | {"lsn": None}], 100, 0),
        # There was none for four days: what is to come is a day's share.
        ([FULL | {"lsn": {"stop": "0/0"}, "timestamp": {"stop": NOW - 4 * 86400}}], 400, 25),
    ],
)
def test_what_the_log_takes_until_the_next_backup(backups, position, expected):
    assert room.log(backups, position * MB, NOW) == expected * MB


def test_what_a_dump_takes():
    assert room.dump(0, 100) == 100
    assert room.dump(80, 1000) == 100


@pytest.mark.parametrize(("needed", "free", "reserve", "lacking"), [(10, 110, 100, 0), (11, 110, 100, 1), (0, 50, 100, 50), (0, 100, 100, 0)])
def test_the_reserve_stays_free(needed, free, reserve, lacking):
    assert room.missing(needed, free, reserve) == lacking


@pytest.mark.parametrize(("free", "reserve", "given_up"), [(50, 100, False), (49, 100, True), (0, 100, True)])
def test_when_the_log_is_given_up_rather_than_the_server(free, reserve, given_up):
    assert room.is_too_little_for_the_log(free, reserve) is given_up


def test_what_is_past_its_time_goes_before_anything_is_refused(monkeypatch, tmp_path):
    space, settings = [50 * MB], core.Settings(reserve_mb=40)
    monkeypatch.setattr(room, "free", lambda path: space[0])
    expired = []

    def expire():
        expired.append(True)
        space[0] = 60 * MB

    room.ask(settings, tmp_path, "a dump", 10 * MB, expire)
    assert not expired
    room.ask(settings, tmp_path, "a dump", 20 * MB, expire)
    assert expired
    with pytest.raises(core.Failure, match=r"a dump takes about 21 MB, but /\S+ has 60 MB free, of which 40 MB \(postgresql_backup_reserve_mb\) stay free"):
        room.ask(settings, tmp_path, "a dump", 21 * MB, expire)
    # All is to be kept.
    space[0] = 50 * MB
    with pytest.raises(core.Failure):
        room.ask(settings, tmp_path, "a dump", 20 * MB)


def test_the_room_of_a_directory_that_is_not_there_yet_is_that_of_its_disk(tmp_path):
    # Others write to that disk meanwhile.
    assert room.free(tmp_path / "a" / "b") == pytest.approx(room.free(tmp_path), rel=0.1)


def test_what_takes_more_than_was_expected_is_stopped(tmp_path):
    with pytest.raises(core.Failure, match="sleep was stopped, since /.* has only .* free, less than half of postgresql_backup_reserve_mb"):
        core.run("sleep", 60, watch=room.watch(core.Settings(reserve_mb=10**9), tmp_path))
    assert core.run("sh", "-c", "sleep 1.2; echo done", watch=room.watch(core.Settings(reserve_mb=0), tmp_path, "")).stdout == "done\n"


# --- The log on a disk that is nearly full --------------------------------------------------------


class Handed(BaseException):
    """Stands for the program that is gone on as."""


def test_a_piece_of_log_is_handed_on_or_given_up_loudly(monkeypatch, tmp_path):
    def hand_on(program, words):
        raise Handed(*words)

    settings = core.Settings(name="main", data="/data", state=str(tmp_path), reserve_mb=100)
    monkeypatch.setattr(physical.os, "execvp", hand_on)
    monkeypatch.setattr(core, "complain", lambda failure: None)
    piece, history = "000000010000000000000003", "00000002.history"
    free = [60 * MB]
    monkeypatch.setattr(room, "free", lambda path: free[0])

    class Words:
        file = f"pg_wal/{piece}"

    with pytest.raises(Handed) as handed:
        physical.archive(settings, Words)
    assert handed.value.args == ("pgbackrest", "--stanza=main", "archive-push", f"/data/pg_wal/{piece}")
    free[0] = 40 * MB
    physical.archive(settings, Words)
    Words.file = f"pg_wal/{piece[:-1]}4"
    physical.archive(settings, Words)
    # From the first one on.
    assert gaps.read(settings)["log"] == piece
    assert physical.status.read(settings)["kinds"]["archive"]["verdict"] == "failed"
    # What is small and leads from history to history is never given up.
    Words.file = f"pg_wal/{history}"
    with pytest.raises(Handed):
        physical.archive(settings, Words)


# --- A share of a volume ----------------------------------------------------------------------


@pytest.mark.parametrize(("taken", "growing"), [(0, 50), (30, 20), (50, 0), (70, -20)])
def test_what_may_still_come_to_a_share(taken, growing):
    assert room.growth(100, taken, 0.5) == growing


@pytest.mark.parametrize(("files", "free", "out"), [(0, 0, False), (1000, 50, False), (1000, 49, True), (1000, 0, True)])
def test_a_file_system_without_names_left_is_full(files, free, out):
    assert room.is_out_of_files(files, free) is out


@pytest.fixture
def volume(monkeypatch, tmp_path):
    """A volume of 100 MB, of which 80 are free and 10 are the folder's; return a function that makes its share beside others."""
    space = {"free": 80 * MB, "files": 1000, "free_files": 900}

    def statvfs(_path):
        class Space:
            f_frsize, f_blocks, f_bavail, f_files, f_favail = 1, 100 * MB, space["free"], space["files"], space["free_files"]

        return Space

    monkeypatch.setattr(room.os, "statvfs", statvfs)
    monkeypatch.setattr(room, "taken", lambda path: 10 * MB)
    settings = core.Settings(reserve_mb=4)

    def make(*others, share=0.5):
        return room.Share(settings, tmp_path, share, others)

    make.space = space
    return make


def test_whoever_fills_its_share_takes_nothing_from_the_others(volume, tmp_path):
    share = volume(tmp_path)
    # 40 may come to the 10 that are there.
    assert (share.most, share.least) == (50 * MB, 40 * MB)
    volume.space["free"] = 40 * MB
    assert share.watch()() == ""
    volume.space["free"] = 39 * MB
    assert share.watch()().startswith(f"stopped, since {tmp_path} has only 39 MB free: what else is kept there has to have 40 MB")


def test_a_volume_of_its_own_is_all_its_own(volume, tmp_path):
    share = volume("/proc", str(tmp_path / "not-there"))
    assert (share.most, share.least) == (100 * MB, 0)
    volume.space["free"] = 3 * MB
    assert share.watch()() == ""
    volume.space["free"] = 1 * MB
    assert "less than half of postgresql_backup_reserve_mb" in share.watch()()


def test_what_claims_to_be_larger_than_the_share_is_refused(volume, tmp_path):
    """A file of 2 TB with nothing in it."""
    share = volume(tmp_path)
    share.ask("web1:/srv/shop/shared/media", 50 * MB)
    with pytest.raises(core.Failure, match=r"web1:/srv/shop/shared/media holds files of 2.0 TB, and /\S+ may take 50 MB \(media_backup_share"):
        share.ask("web1:/srv/shop/shared/media", 2 * 1024**4)


def test_a_million_small_files_are_stopped(volume, tmp_path):
    share = volume(tmp_path)
    volume.space["free_files"] = 10
    assert "can hold only 10 more files" in share.watch()()
    with pytest.raises(core.Failure, match="can hold only 10 more files"):
        room.ask(core.Settings(reserve_mb=1), tmp_path, "a dump", 1)


def test_what_has_a_name_elsewhere_takes_nothing(tmp_path):
    for name in ("folder", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder/own").write_bytes(b"x" * 8192)
    (tmp_path / "elsewhere/theirs").write_bytes(b"x" * 8192)
    (tmp_path / "folder/theirs").hardlink_to(tmp_path / "elsewhere/theirs")
    with open(tmp_path / "folder/sparse", "wb") as file:
        file.truncate(10**12)
    assert room.taken(tmp_path / "folder") == 8192
