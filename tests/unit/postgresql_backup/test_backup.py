"""The arithmetic of the program that makes backups: status, moments, what is due and what goes."""

import calendar
import contextlib
import importlib
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tracemalloc
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))

child, core, logical, manifest, media, physical, receive, status = (
    importlib.import_module(f"postgresql_backup.{name}") for name in ("child", "core", "logical", "manifest", "media", "physical", "receive", "status")
)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "manifests").mkdir()
    return core.Settings(state=str(tmp_path))


# --- The configuration ------------------------------------------------------------------------


def test_what_is_said_of_uploads_lies_beside_the_rest(tmp_path):
    (tmp_path / "postgresql-backup.json").write_text('{"name": "main"}')
    assert core.settings(tmp_path / "postgresql-backup.json") == {"name": "main"}
    (tmp_path / "media-backup.json").write_text('{"path": "/var/lib/media-backup"}')
    assert core.settings(tmp_path / "postgresql-backup.json") == {"name": "main", "media": {"path": "/var/lib/media-backup"}}
    with pytest.raises(core.Failure, match=f"the configuration {tmp_path}/none.json cannot be read: No such file"):
        core.settings(tmp_path / "none.json")


# --- Status -----------------------------------------------------------------------------------


def test_a_failure_keeps_what_the_last_good_run_made(settings):
    status.write(settings, "full", "ok", size=10, label="F", seconds=2)
    good = status.read(settings)["kinds"]["full"]
    status.write(settings, "full", "failed", message="the disk is full")
    row = status.read(settings)["kinds"]["full"]
    assert (row["verdict"], row["message"]) == ("failed", "the disk is full")
    assert (row["size_bytes"], row["label"], row["succeeded"]) == (10, "F", good["succeeded"])


def test_a_kind_that_never_went_well_has_no_age(settings):
    status.write(settings, "drill", "failed")
    assert status.read(settings)["kinds"]["drill"]["age_seconds"] is None
    assert 'postgresql_backup_age_seconds{kind="drill"} -1' in (pathlib.Path(settings.state) / status.METRICS).read_text()


def test_the_age_grows():
    content = status.merge({"kinds": {}}, "full", 1000, "ok")
    assert status.age(content, 1060)["kinds"]["full"]["age_seconds"] == 60


def test_an_exception_is_written_down_and_goes_on(settings):
    for error, message in ((core.Failure("too late\nERROR: [082]: all is well", 82), "too late ERROR: [082]: all is well"),
                           (SystemExit(143), "interrupted by SystemExit: 143"), (ValueError("x\n\x1b[2J"), "interrupted by ValueError: x  [2J")):  # fmt: skip
        with pytest.raises(type(error)), status.record(settings, "diff"):
            raise error
        row = status.read(settings)["kinds"]["diff"]
        assert (row["verdict"], row["message"]) == ("failed", message)


def test_status_and_metrics_are_for_everybody_and_say_the_same(settings):
    status.write(settings, "full", "ok", size=7)
    status.write(settings, "logical", "failed")
    for name in (status.FILE, status.METRICS):
        assert (pathlib.Path(settings.state) / name).stat().st_mode & 0o777 == 0o644
    lines = (pathlib.Path(settings.state) / status.METRICS).read_text().splitlines()
    assert 'postgresql_backup_verdict{kind="full"} 1' in lines
    assert 'postgresql_backup_verdict{kind="logical"} 0' in lines
    assert 'postgresql_backup_size_bytes{kind="full"} 7' in lines


@pytest.mark.parametrize("text", ["{", "", "\0" * 20, "null", "[]", "{}", '{"kinds": null}', '{"kinds": {"full": {}}}', '{"kinds": {"full": null}}'])
def test_a_broken_status_file_is_begun_anew(settings, text):
    (pathlib.Path(settings.state) / status.FILE).write_text(text)
    assert status.read(settings)["kinds"] == {}
    status.write(settings, "full", "ok")
    assert json.loads((pathlib.Path(settings.state) / status.FILE).read_text())["kinds"]["full"]["verdict"] == "ok"


# --- A full disk ------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Return settings whose directory is a small disk, where status and locks were written, and a function that fills it: with bytes, or with files."""
    image, point = tmp_path / "image", tmp_path / "point"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    point.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "64", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    settings = core.Settings(state=str(point), role="local", repositories=[1], repository_paths=["/srv"], places=["/srv"])

    def fill(what):
        for size in (1 << 16, 1) if what == "bytes" else ():
            with contextlib.suppress(OSError), open(point / "others", "ab", buffering=0) as file:
                while True:
                    file.write(b"x" * size)
        for number in range(100) if what == "files" else ():
            with contextlib.suppress(OSError):
                (point / f"others{number}").touch()

    try:
        for kind in KINDS:
            with core.lock(settings, kind, "a run"), status.record(settings, kind):
                pass
        yield settings, fill
    finally:
        subprocess.run(["umount", point], check=True)


KINDS = ["full", "diff", "logical", "media", "drill"]


@pytest.mark.parametrize("what", ["bytes", "files"])
def test_on_a_full_disk_each_failure_is_told_and_entered(small_disk, what):
    settings, fill = small_disk
    files = sorted(os.listdir(settings.state))
    fill(what)
    with pytest.raises(OSError, match="No space left"), open(settings.path("one-more"), "wb", buffering=0) as file:
        file.write(b"x")
    for kind in KINDS:
        with pytest.raises(core.Failure, match="no room for it") as failure, core.lock(settings, kind, "a run"), status.record(settings, kind):
            raise core.Failure("no room for it", core.FULL)
        assert failure.value.code == core.FULL
        row = status.read(settings)["kinds"][kind]
        assert (row["verdict"], row["message"], bool(row["succeeded"])) == ("failed", "no room for it", True)
    lines = pathlib.Path(settings.path(status.METRICS)).read_text().splitlines() if os.path.exists(settings.path(status.METRICS)) else []
    assert not any(line.startswith("postgresql_backup_verdict{") and line.endswith(" 1") for line in lines)
    # No temporary file is left.
    assert {name for name in os.listdir(settings.state) if not name.startswith(("others", "one-more"))} <= set(files)
    # When there is room again, all is as it was.
    for name in os.listdir(settings.state):
        if name.startswith(("others", "one-more")):
            os.unlink(settings.path(name))
    with core.lock(settings, "full", "a run"), status.record(settings, "full"):
        pass
    assert status.read(settings)["kinds"]["full"]["verdict"] == "ok" and sorted(os.listdir(settings.state)) == files


def test_a_status_that_cannot_be_written_at_all_does_not_say_that_all_is_well(settings, monkeypatch, capsys):
    status.write(settings, "full", "ok", label="F")

    def refuse(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(core.os, "fsync", refuse)
    with pytest.raises(core.Failure, match="no room for it"), status.record(settings, "full"):
        raise core.Failure("no room for it", core.FULL)
    assert "the status cannot be written: No space left on device" in capsys.readouterr().err
    assert status.read(settings)["kinds"] == {}
    # What went well, and cannot be entered, is told.
    with pytest.raises(core.Failure, match="the status cannot be written: No space left on device"), status.record(settings, "full"):
        pass
    with pytest.raises(core.Failure, match="the status cannot be written"):
        status.keep(core.Settings(settings | {"places": ["/srv"], "repository_paths": ["/srv"], "repositories": [1]}), 1, {"backup": 1})
    assert sorted(os.listdir(settings.state)) == ["manifests", "status.lock"]


def test_what_is_written_whole_leaves_nothing_where_it_fails(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        core.write(str(tmp_path / "folder"), "text")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_gap_that_cannot_be_noted_stops_nobody(settings, monkeypatch, capsys):
    """Whoever gives a piece of log up does so to save a full disk."""
    gaps = importlib.import_module("postgresql_backup.gaps")
    monkeypatch.setattr(core.os, "fsync", lambda _file: (row for row in ()).throw(OSError(28, "No space left on device")))
    gaps.note(settings, "000000010000000000000001", "the disk was full")
    assert "the gap from 000000010000000000000001 on cannot be noted: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("role", "paths", "is_alone"),
    [("local", ["/var/lib/pgbackrest"], True), ("local", ["/var/lib/pgbackrest", ""], False), ("backup", ["/var/lib/pgbackrest"], False)],
)
def test_backups_that_would_be_lost_with_the_machine_say_so(settings, role, paths, is_alone):
    status.write(core.Settings(settings | {"role": role, "repository_paths": paths}), "full", "ok")
    assert json.loads((pathlib.Path(settings.state) / status.FILE).read_text())["is_alone"] is is_alone


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({"repository_paths": ["/srv"], "dumps": {"path": "/d"}}, ["logical"]),
        ({"repository_paths": ["/srv", ""], "dumps": {"path": "/d"}, "drill": {"path": "/x"}, "media": {"path": "/m"}}, ["drill", "logical", "media", "offsite"]),
        ({"repository_paths": ["/srv"], "dumps": {"path": "/d"}, "drill": {}, "media": {}}, ["logical"]),
    ],
)
def test_what_is_to_come_is_awaited_from_the_first_run_on(settings, monkeypatch, more, kinds):
    settings = core.Settings(settings | more)
    for now in (2000.0, 1000.0, 3000.0):
        monkeypatch.setattr(status.time, "time", lambda now=now: now)
        status.write(settings, "full", "ok")
    # A clock that was ahead is put right.
    assert status.read(settings)["awaited"] == dict.fromkeys(kinds, 1000)
    # What is set up later is awaited from then on, and what is no more is not.
    status.write(core.Settings(settings | {"drill": {"path": "/x"}, "dumps": {}}), "full", "failed")
    awaited = status.read(settings)["awaited"]
    assert awaited["drill"] == (1000 if "drill" in kinds else 3000) and "logical" not in awaited


def enter(state, kind):
    status.write(core.Settings(state=state), kind, "ok")


def test_two_that_write_at_once_lose_nothing(settings):
    kinds = [f"kind{number}" for number in range(8)]
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.starmap(enter, [(settings.state, kind) for kind in kinds])
    assert sorted(status.read(settings)["kinds"]) == kinds


# --- The proof of the archive -----------------------------------------------------------------

MADE = {"label": "F", "type": "full", "info": {"size": 7, "repository": {"delta": 3}}, "timestamp": {"start": 100, "stop": 102}}


@pytest.fixture
def backed_up(monkeypatch, settings):
    """Make a backup whose proof of the archive fails or not; return what was done, in order, and the verdicts."""

    def make(failure=None, no_expire=False, away=None, untold="", **made):
        done = []

        def take(_settings, backups, unread):
            done.append((backups, sorted(unread)))
            return untold

        def pgbackrest(_settings, *words, **_options):
            done.append(words[-1])
            if failure and words[-1] == "check":
                raise failure

        monkeypatch.setattr(core, "pgbackrest", pgbackrest)
        monkeypatch.setattr(core, "is_standby", lambda settings: False)
        monkeypatch.setattr(core, "say", lambda line, quiet: None)
        monkeypatch.setattr(core, "information", lambda settings: {"archive": [{"max": "000000010000000000000003"}], "backup": []})
        monkeypatch.setattr(physical, "newest", lambda settings, repository: MADE | made)
        monkeypatch.setattr(physical, "backups", lambda settings, repository: [MADE | made])
        monkeypatch.setattr(manifest, "take", take)
        monkeypatch.setattr(importlib.import_module("postgresql_backup.offsite"), "away", lambda: away or {})
        arguments = types.SimpleNamespace(command="full", no_expire=no_expire, quiet=True)
        try:
            places = ["a place", *(away or {}).values()]
            more = {"role": "local", "places": places, "repositories": list(range(1, len(places) + 1))}
            more |= {"repository_paths": [""] * len(places), "retention_days": [35] * len(places)}
            physical.backup(core.Settings(settings | more), arguments)
        except core.Failure as error:
            done.append(error)
        return done, status.read(settings)["kinds"]

    return make


def test_a_backup_proves_the_archive_at_its_end_and_says_so(backed_up):
    done, kinds = backed_up()
    assert done == ["backup", "expire", ([(1, "F")], []), "check"]
    assert {name: (row["verdict"], row["label"]) for name, row in kinds.items()} == {"full": ("ok", "F"), "archive": ("ok", "000000010000000000000003")}


def test_a_backup_does_not_wait_for_a_repository_that_is_away(backed_up):
    done, kinds = backed_up(away={2: "10.1.1.1, port 443, does not answer: Connection refused"})
    assert done[:-1] == ["backup", "expire", ([(1, "F")], [2])]
    assert (str(done[-1]), done[-1].code) == ("repository 2: 10.1.1.1, port 443, does not answer: Connection refused", core.AWAY)
    assert kinds["full"]["verdict"] == "failed"


def test_a_backup_whose_log_is_not_archived_has_failed(backed_up):
    failure = core.Failure("ERROR: [082]: WAL segment was not archived", 82)
    done, kinds = backed_up(failure)
    assert done == ["backup", "expire", ([(1, "F")], []), "check", failure]
    assert {name: row["verdict"] for name, row in kinds.items()} == {"full": "failed", "archive": "failed"}


def test_a_backup_whose_rows_were_not_counted_is_archived_and_has_failed(backed_up):
    done, kinds = backed_up(untold="the rows of shop: public.a (division by zero) could not be counted")
    assert done[:-1] == ["backup", "expire", ([(1, "F")], []), "check"]
    assert {name: row["verdict"] for name, row in kinds.items()} == {"full": "failed", "archive": "ok"}
    assert kinds["full"]["message"] == str(done[-1]) == "the rows of shop: public.a (division by zero) could not be counted"


# --- What is past its time ----------------------------------------------------------------------


def test_the_backup_of_a_restore_expires_nothing(backed_up):
    assert backed_up(no_expire=True)[0] == ["backup", ([(1, "F")], []), "check"]


def test_a_backup_of_damaged_pages_has_failed_and_expires_nothing(backed_up):
    done, kinds = backed_up(error=True)
    assert done[:-1] == ["backup"]
    assert (kinds["full"]["verdict"], kinds["full"]["label"]) == ("failed", None)
    assert kinds["full"]["message"].startswith("the backup F copied damaged pages of the server")


DAY = 86400


def of_day(day, label="", error=False, prior=None):
    label = label or f"202601{day:02}-010000F"
    return {"label": label, "type": "full" if label.endswith("F") else "diff", "error": error, "timestamp": {"stop": day * DAY}, "prior": prior}


GOOD, BAD = of_day(1), of_day(8, error=True)


@pytest.mark.parametrize(
    ("found", "now", "spares"),
    [
        pytest.param([GOOD, of_day(8)], 60, True, id="a newer good one"),
        pytest.param([GOOD, BAD], 20, True, id="within its time"),
        pytest.param([GOOD, BAD], 42, True, id="the newest of those that are older is kept"),
        pytest.param([GOOD, BAD], 43, False, id="the damaged one would be the one that is kept"),
        pytest.param([GOOD, BAD, of_day(9, "20260108-010000F_20260109-010000D", prior=BAD["label"])], 43, False, id="nothing good rests on a damaged one"),
        pytest.param([GOOD, BAD, of_day(15)], 60, True, id="mended since"),
        pytest.param([GOOD, of_day(8), of_day(9, "20260108-010000F_20260109-010000D", error=True)], 60, True, id="the full one is good"),
        pytest.param([], 60, False, id="none"),
    ],
)
def test_expiry_never_takes_the_last_good_backup(found, now, spares):
    assert physical.spares_a_good_one(found, 35, now * DAY) is spares


@pytest.mark.parametrize(
    ("moments", "now", "leapt"),
    [
        ([], 10 * DAY, False),
        ([1 * DAY], 10 * DAY, False),
        ([1 * DAY, 2 * DAY], 2 * DAY, False),
        # A host that makes one in a month, and one that was off, or has another clock since.
        ([1 * DAY, 32 * DAY], 32 * DAY, False),
        ([1 * DAY, 2 * DAY, 400 * DAY], 400 * DAY, True),
        # The next one shows which.
        ([1 * DAY, 2 * DAY, 400 * DAY, 401 * DAY], 401 * DAY, False),
        # The clock is right again.
        ([1 * DAY, 2 * DAY, 400 * DAY, 3 * DAY], 3 * DAY, False),
    ],
)
def test_a_leap_of_the_clock_is_seen_in_the_copies_before(moments, now, leapt):
    assert core.has_leapt(moments, now) is leapt
    assert core.past(list(zip(moments, map(str, moments))), 9999, now) == []


def test_what_is_past_goes_by_the_newest_copy_and_not_by_one_of_a_time_to_come():
    copies = [(day * DAY, str(day)) for day in (1, 2, 20, 21, 4000)]
    assert core.past(copies, 7, 21 * DAY) == ["1", "2"]
    assert core.past(copies, 7, 30 * DAY) == ["1", "2"], "nothing is made any more, so nothing goes any more"
    assert core.past(copies, 7, 4000 * DAY) == []


@pytest.mark.parametrize("now, kept", [(9, False), (4000, True)])
def test_after_a_leap_of_the_clock_no_backup_goes(monkeypatch, now, kept):
    called = []
    monkeypatch.setattr(core, "pgbackrest", lambda _settings, *words, **_more: called.append("--repo1-retention-full=9999999" in words))
    monkeypatch.setattr(physical, "backups", lambda _settings, _repository: [of_day(1), of_day(8), of_day(now)])
    monkeypatch.setattr(physical.time, "time", lambda: now * DAY)
    physical.expire(core.Settings(retention_days=[35]), 1, is_made=True)
    physical.expire(core.Settings(retention_days=[35]), 1)
    assert called == [kept, False], "who needs room is not kept from it"


@pytest.mark.parametrize(("error", "words"), [(False, ("--repo=1", "expire")), (True, ("--repo=1", "--repo1-retention-full=9999999", "expire"))])
def test_where_only_damaged_backups_would_stay_none_goes(monkeypatch, error, words):
    called = []
    monkeypatch.setattr(core, "pgbackrest", lambda _settings, *words, **_more: called.append(words))
    monkeypatch.setattr(physical, "backups", lambda _settings, _repository: [of_day(1), of_day(8, error=error)])
    physical.expire(core.Settings(retention_days=[35]), 1)
    assert called == [words]


# --- Locks and words --------------------------------------------------------------------------


def test_a_second_one_is_told_who_is_at_work(settings):
    with core.lock(settings, "physical", "a full backup"):
        with pytest.raises(core.Failure, match="another one is at work: a full backup, process"):
            with core.lock(settings, "physical", "a diff backup"):
                pass
        with core.lock(settings, "logical", "a logical backup"):
            pass
    with core.lock(settings, "physical", "a diff backup"):
        pass


def test_a_connection_string_is_quoted():
    assert core.libpq({"host": "a,b", "user": "o'hara", "passfile": ""}, dbname="my db\\") == r"host='a,b' user='o\'hara' dbname='my db\\'"


def test_sizes_as_people_say_them():
    assert [core.human(size) for size in (0, 1023, 1024, 5 * 1024**3, 3 * 1024**4)] == ["0 B", "1023 B", "1 kB", "5 GB", "3.0 TB"]


def test_the_sentence_of_a_failure_holds_its_reason():
    assert core.sentence("P00 WARN: a\nP00 ERROR: [041]: b\n HINT: c") == "P00 ERROR: [041]: b"
    assert core.sentence("P00 ERROR: [104]: errors:\n   repo1: No space left on device\nx") == "P00 ERROR: [104]: errors: repo1: No space left on device"
    assert core.sentence("the server is away") == "the server is away"
    assert core.sentence("") == "no message"


@pytest.mark.parametrize(
    "said",
    [
        "pg_dump: error: query failed: ERROR:  boom\nERROR: [001]: all is well",
        "pg_dump: error: query failed: ERROR:  boom\nP00  ERROR: [001]: all is well",
        "pg_dump: error: query failed: ERROR:  boom\u2028ERROR: all is well",
    ],
)
def test_no_line_of_the_applications_is_told_in_the_place_of_ours(capsys, said):
    """A function of its own raises what it likes, and pg_dump hands it on."""
    with pytest.raises(core.Failure) as failure:
        core.run("sh", "-c", 'echo "$1" >&2; exit 1', "sh", said)
    assert str(failure.value) == "pg_dump: error: query failed: ERROR:  boom"
    core.complain(failure.value)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "postgresql-backup: pg_dump: error: query failed: ERROR:  boom"
    # For whoever is mailed: all of it, and no line as one of ours begins.
    assert others and all(line.startswith("    ") for line in others) and "all is well" in others[-1]


def test_of_pgbackrest_the_error_is_told_and_all_else_it_said_is_kept(capsys, monkeypatch):
    monkeypatch.setattr(core, "become", lambda _name: None)
    said = "P00   WARN: slow\nP00  ERROR: [056]: unable to find primary cluster\n       HINT: is it up?"
    with pytest.raises(core.Failure) as failure:
        child.call("root", core.run, "sh", "-c", 'echo "$1"; exit 56', "sh", said)
    assert (str(failure.value), failure.value.code, failure.value.words) == ("P00  ERROR: [056]: unable to find primary cluster", 56, said)
    core.complain(failure.value)
    assert "HINT: is it up?" in capsys.readouterr().err


NAME = 'public."x\nERROR: all is well\x1b[2J"'


def test_a_table_of_any_name_is_told_in_a_line_of_ours(settings):
    told = manifest.untold({"shop": {"uncounted": {NAME: "boom (P0001)"}}})
    with pytest.raises(core.Failure, match="^the backup is made, but the rows of shop: public"), status.record(settings, "full"):
        raise core.Failure(told)
    row = status.read(settings)["kinds"]["full"]
    assert row["message"].startswith("the backup is made, but the rows of shop: public") and row["message"].isprintable()


def test_what_is_shown_of_a_status_that_another_has_written_is_text(settings, capsys):
    """The file is postgres', and the terminal may be root's."""
    status.write(settings, "full", "failed", message="x\n\x1b[2Jall is well")
    with pytest.raises(core.Failure, match="the last run failed of: full"):
        status.show(settings, types.SimpleNamespace(json=False))
    assert capsys.readouterr().out.rstrip("\n").isprintable()


@pytest.mark.parametrize(("first", "is_refused"), [("1:1:", True), ("999999000:999999000:", False)])
def test_a_snapshot_that_lies_far_back_is_no_snapshot_of_that_moment(first, is_refused):
    """Root reads it in a drill, in a file of postgres'."""
    with pytest.raises(core.Failure, match="transactions lie between") if is_refused else contextlib.nullcontext():
        assert len(manifest.unseen(first, "1000000000:1000000000:")) == 1000


# --- Moments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        ("10:10:", "10:10:", set()),  # nothing going on
        ("10:10:", "10:12:10,11", {10, 11}),  # two began
        ("10:12:10,11", "10:12:10,11", {10, 11}),  # two were at work and may have committed
        ("10:12:10", "12:12:", {10}),  # one ended
        ("10:10:", "11:11:", {10}),  # one came and went
    ],
)
def test_transactions_that_a_restore_could_hold_and_the_counts_not(first, later, expected):
    assert manifest.unseen(first, later) == expected


# --- Dumps ------------------------------------------------------------------------------------


def test_dumps_are_kept_by_their_age_however_many_are_made_and_strangers_left_alone():
    names = ["20260103T010000Z", "20260101T010000Z", "20260102T010000Z", "20260104T010000Z.partial", "of-mine"]
    now = calendar.timegm((2026, 1, 5, 0, 59, 0))
    # Of what is older than the days, the newest stays: it is what can be gone back to at their beginning.
    assert logical.expired(names, 1, now) == ["20260101T010000Z", "20260102T010000Z"]
    # A clock that has leapt ahead, and made a dump there.
    assert logical.expired([*names, "20990101T010000Z"], 1, calendar.timegm((2099, 1, 1, 1, 0, 9))) == []
    assert logical.expired([*names, "20990101T010000Z"], 1, now) == ["20260101T010000Z", "20260102T010000Z"]
    assert logical.expired(names, 2, now) == ["20260101T010000Z"]
    assert logical.expired(names, 4, now) == []
    by_hand = [f"20260105T00{minute:02}00Z" for minute in range(50)]
    assert logical.expired([*names, *by_hand], 2, now) == ["20260101T010000Z"]
    assert logical.expired(["20250101T010000Z", "20260105T005900Z"], 7, now) == []
    assert logical.unfinished(names) == ["20260104T010000Z.partial"]


def test_a_database_of_any_name_has_a_file():
    assert "/" not in logical.file_of("../etc/passwd")
    assert logical.file_of("shop") == "shop.dump"


# --- The received log -------------------------------------------------------------------------

A, B, C = "000000010000000000000001", "000000010000000000000002", "000000020000000000000002"


def test_pieces_are_handed_over_in_order_a_history_before_its_log():
    assert receive.due([C, B, "00000002.history", A, f"{C[:23]}3.partial"], {A}) == [B, "00000002.history", C]


def test_the_newest_piece_stays_for_pg_receivewal_to_know_where_it_was():
    assert receive.superfluous([A, B], {A, B}) == [A]
    assert receive.superfluous([A, B], set()) == []
    assert receive.superfluous([A], {A}) == []


def test_what_a_newer_timeline_has_replaced_goes():
    assert receive.superfluous([A, f"{B}.partial", C], {A, C}) == [A, f"{B}.partial"]
    assert receive.superfluous([A, f"{B}.partial"], {A}) == []


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ("could not send replication command: ERROR: requested WAL segment 000000010000000000000003 has already been removed", True),
        ("ERROR: requested starting point 0/5000000 on timeline 1 is not in this server's history", True),
        ('ERROR: can no longer get changes from replication slot "backup_b"', True),
        ("could not connect to server: Connection refused", False),
        ('ERROR: replication slot "backup_b" is active for PID 7', False),
    ],
)
def test_when_the_log_cannot_go_on(words, lost):
    assert bool(receive.LOST.search(words)) is lost


# --- What another account has made -------------------------------------------------------------


@pytest.mark.parametrize("what", ["link", "hard link", "pipe"])
def test_a_lock_that_leads_elsewhere_is_not_opened(settings, tmp_path, what):
    """The directory is postgres', and root locks there as well."""
    precious, lock = tmp_path / "precious", pathlib.Path(settings.path("media.lock"))
    precious.write_text("precious")
    {"link": lock.symlink_to, "hard link": lock.hardlink_to, "pipe": lambda _target: os.mkfifo(lock)}[what](precious)
    with pytest.raises(core.Failure, match=r"media.lock (cannot be opened|is no file of its own)"), core.lock(settings, "media", "a backup of the uploads"):
        pass
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("what", ["pipe", "link", "torn", "no mapping", "another", "deep"])
def test_what_stands_in_the_place_of_the_status_is_none_and_not_waited_for(settings, in_time, what):
    """Root reads it for the backup of uploads, the drill, and whoever asks."""
    path = pathlib.Path(settings.path(status.FILE))
    (pathlib.Path(settings.state) / "secret").write_text('{"kinds": {"full": {"succeeded": 1}}}')
    texts = {"torn": "{", "no mapping": "[]", "another": '{"kinds": {"full": 1}}', "deep": "[" * 200_000}
    {"pipe": os.mkfifo, "link": lambda path: path.symlink_to("secret")}.get(what, lambda path: path.write_text(texts[what]))(path)
    assert status.read(settings)["kinds"] == {}


@pytest.mark.parametrize("what", ["pipe", "link", "torn"])
def test_what_stands_in_the_place_of_a_manifest_is_none_and_not_waited_for(settings, in_time, what):
    path = pathlib.Path(manifest.path(settings, "F"))
    (path.parent / "secret").write_text("{}")
    {"pipe": os.mkfifo, "link": lambda path: path.symlink_to("secret"), "torn": lambda path: path.write_text("{")}[what](path)
    with pytest.raises(core.Failure, match=f"backup F has no manifest in {settings.path('manifests')}"):
        manifest.read(settings, "F")


def test_of_a_lock_that_is_held_one_line_is_read(settings):
    """Whoever holds it may have made it as long as they like."""
    with core.lock(settings, "media", "a backup of the uploads"):
        os.truncate(settings.path("media.lock"), 300 << 20)
        with open(settings.path("media.lock"), "r+b") as file:
            file.seek(150)
            file.write(b"\xff")
        tracemalloc.start()
        with pytest.raises(core.Failure, match="another one is at work: a backup of the uploads, process") as failure, core.lock(settings, "media", "another"):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 1 << 20 and len(str(failure.value)) < 300


def test_what_a_program_prints_without_end_is_not_held():
    """Another host's words, say, or the application's."""
    tracemalloc.start()
    with pytest.raises(core.Failure, match="yes printed more than 32 MB") as failure:
        core.run("yes")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 200 << 20 and len(str(failure.value)) < 300


def test_what_the_application_names_reaches_a_terminal_as_text():
    assert str(core.Failure("table \"a\x1b[2J\tb\" is missing\nis all")) == 'table "a [2J b" is missing is all'
    assert len(str(core.Failure("x" * 10**6))) == core.MOST_LETTERS


# --- A repository elsewhere that is away ----------------------------------------------------------

STATES = [{"key": 1, "status": {"code": 0}}, {"key": 2, "status": {"code": 99, "message": "[HostConnectError] unable to connect"}}]


@pytest.mark.parametrize("away", [(), (2,)])
def test_the_manifests_of_one_that_cannot_be_read_stay(settings, monkeypatch, away):
    for repository, label in ((1, "kept"), (1, "expired"), (2, "of the store")):
        core.write(manifest.path(settings, label), json.dumps({"label": label, "repository": repository}))
    settings["repositories"], asked, answers = [1, 2], [], [{"backup": [{"label": "kept"}], "repo": STATES[:1]}, {"backup": [], "repo": STATES[1:]}]

    def information(_settings, word):
        asked.append(word)
        return answers[int(word.removeprefix("--repo=")) - 1]

    monkeypatch.setattr(core, "information", information)
    manifest.forget(settings, away)
    assert sorted(os.listdir(settings.path("manifests"))) == ["kept.json", "of the store.json"]
    # pgBackRest would wait for minutes.
    assert asked == ["--repo=1", "--repo=2"][: 2 - len(away)]
    answers[1]["repo"] = [{"key": 2, "status": {"code": 0}}]
    manifest.forget(settings)
    assert os.listdir(settings.path("manifests")) == ["kept.json"]


@pytest.fixture
def site_elsewhere(settings, monkeypatch, tmp_path):
    """Return settings of two repositories, what is away, and the configurations that pgBackRest was run with."""
    away, run = {}, []
    (tmp_path / "pgbackrest.conf").write_text("[global]\nrepo1-path=/srv\nrepo2-path=/shop\n[main]\npg1-path=/data\n")
    settings |= {"repositories": [1, 2], "repository_paths": ["/srv", ""], "name": "main", "role": "local"}

    def pgbackrest(_settings, *words, **_options):
        configuration = pathlib.Path(words[0].removeprefix("--config=")).read_text() if words[0].startswith("--config=") else ""
        run.append((words[-1], configuration))
        if away and "repo2" in (configuration or "repo2"):
            raise core.Failure("ERROR: [049]: unable to connect")

    monkeypatch.setattr(physical, "PGBACKREST", str(tmp_path / "pgbackrest.conf"))
    monkeypatch.setattr(core, "pgbackrest", pgbackrest)
    monkeypatch.setattr(importlib.import_module("postgresql_backup.offsite"), "away", lambda: away)
    return settings, away, run


def test_the_archive_is_proved_where_one_is_away_and_that_one_is_told(site_elsewhere):
    settings, away, run = site_elsewhere
    away[2] = "s3.example.org, port 443, does not answer: Connection refused"
    with pytest.raises(core.Failure, match="repository 2: s3.example.org, port 443, does not answer") as failure:
        physical.prove(settings)
    assert failure.value.code == core.AWAY
    # Who is known to be away is not waited for.
    assert run == [("check", "[global]\nrepo1-path=/srv\n[main]\npg1-path=/data\n")]
    assert status.read(settings)["kinds"]["archive"]["verdict"] == "failed"


@pytest.mark.parametrize("is_away", [True, False])
def test_uploads_are_backed_up_where_one_elsewhere_is_away(site_elsewhere, monkeypatch, is_away):
    """As failed ones they would keep every older copy."""
    settings, away, run = site_elsewhere
    away |= {2: "it says nothing"} if is_away else {}
    monkeypatch.setattr(core, "connect", lambda _connection: contextlib.nullcontext(types.SimpleNamespace(execute=lambda _query: None)))
    settings["connection"] = {}
    media.archive_moment(settings)
    assert [bool(configuration) for _word, configuration in run] == [is_away]


def test_the_archive_is_proved_where_one_goes_away_meanwhile(site_elsewhere, monkeypatch):
    settings, away, run = site_elsewhere
    away[2] = "it says nothing"
    answers = iter([{}, away])
    monkeypatch.setattr(importlib.import_module("postgresql_backup.offsite"), "away", lambda: next(answers))
    assert physical.archived(settings).startswith("repository 2: it says nothing (the log is in the other repositories")
    assert [bool(configuration) for _word, configuration in run] == [False, True]


def test_where_all_answer_and_the_proof_fails_it_is_no_matter_of_one_that_is_away(site_elsewhere, monkeypatch):
    settings, _away, _run = site_elsewhere
    monkeypatch.setattr(core, "pgbackrest", lambda *_words, **_more: (row for row in ()).throw(core.Failure("ERROR: [082]: WAL was not archived", 82)))
    with pytest.raises(core.Failure, match="WAL was not archived") as failure:
        physical.prove(settings)
    assert failure.value.code == 82


@pytest.mark.parametrize(("is_away", "is_refused"), [(True, False), (False, True)])
def test_a_configuration_is_taken_while_one_is_away_and_refused_where_one_cannot_be_opened(site_elsewhere, monkeypatch, is_away, is_refused):
    settings, away, _run = site_elsewhere
    away |= {2: "it says nothing"} if is_away else {}
    monkeypatch.setattr(core, "information", lambda _settings, *_words: {"repo": STATES})
    try:
        physical.attempt(settings, types.SimpleNamespace(file="/candidate"))
    except core.Failure as failure:
        assert is_refused and "repository 2 cannot be opened with this configuration" in str(failure)
    else:
        assert not is_refused
