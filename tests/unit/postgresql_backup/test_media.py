"""Which copy of the uploads belongs to which moment of the database."""

import datetime
import importlib
import json
import pathlib
import shutil
import sys
import types

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))

child, core, media = (importlib.import_module(f"postgresql_backup.{name}") for name in ("child", "core", "media"))

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

ZERO = datetime.datetime(2026, 1, 4, 3, 15, tzinfo=datetime.timezone.utc)


def snapshot(seconds):
    """A copy made so many seconds after ZERO."""
    when = ZERO + datetime.timedelta(seconds=seconds)
    return {"id": f"id{seconds}", "tags": ["lsn:0/1", f"point:media-{when:%Y%m%dT%H%M%SZ}-abc123"]}


def after(seconds):
    return ZERO + datetime.timedelta(seconds=seconds)


COPIES = [snapshot(20), snapshot(10), {"id": "by hand", "tags": None}, {"id": "other", "tags": ["point:mine"]}]


def test_before_the_first_copy_there_are_none(tmp_path):
    assert media.snapshots(core.Settings(media={"path": str(tmp_path)})) == []


@pytest.mark.parametrize(("moment", "chosen"), [(0, "id10"), (10, "id10"), (11, "id20"), (20, "id20"), (21, "id20")])
def test_a_moment_gets_the_first_copy_from_then_on_or_else_the_last(moment, chosen):
    assert media.choose(COPIES, moment=after(moment))[1] == chosen


def test_a_restore_point_gets_its_own_copy_and_no_other():
    name = COPIES[1]["tags"][1].removeprefix("point:")
    assert media.choose(COPIES, name=name) == (name, "id10")
    with pytest.raises(core.Failure, match="no backup of the uploads was made at the restore point backup-1"):
        media.choose(COPIES, name="backup-1")


def test_without_a_target_it_is_the_newest():
    assert media.choose(COPIES)[1] == "id20"


def test_without_a_copy_there_is_nothing_to_choose():
    with pytest.raises(core.Failure, match="no backup of the uploads yet"):
        media.choose([COPIES[2]])


@given(st.sets(st.integers(0, 10**6), min_size=1), st.integers(-10, 10**6))
def test_no_earlier_copy_would_have_done(times, moment):
    chosen = int(media.choose([snapshot(number) for number in times], moment=after(moment))[1].removeprefix("id"))
    assert chosen in times
    assert chosen == min((number for number in times if number >= moment), default=max(times))


@pytest.mark.parametrize(
    "text", ["2026-01-04 03:15:00+00:00", "2026-01-04T03:15:00Z", "2026-01-04 04:15:00+01", "2026-01-04 04:15:00+0100", "2026-01-04 03:15:00"]
)
def test_a_moment_is_read_as_people_and_servers_write_it(text):
    assert media.parse(text) == ZERO


def test_a_moment_that_is_none_is_refused():
    with pytest.raises(core.Failure, match="'yesterday' is no moment"):
        media.parse("yesterday")


def test_what_another_user_did_or_could_not_do_comes_back(monkeypatch):
    monkeypatch.setattr(core, "become", lambda name: None)
    assert child.call("somebody", lambda a, b: [a, b], 1, b="x") == [1, "x"]

    def refuse():
        raise core.Failure("the server refuses", 7)

    with pytest.raises(core.Failure, match="the server refuses") as caught:
        child.call("somebody", refuse)
    assert caught.value.code == 7


@pytest.mark.parametrize(
    ("found", "hosts", "expected"),
    [
        (["web1", "shared@web1"], ["web1"], ["web1", "shared@web1"]),
        (["old", "shared@old"], ["new"], ["new", "shared@new"]),
        (["shared@old"], ["new"], ["shared@new"]),
        (["web1", "web2"], ["web1"], ["web1", "web2"]),
        (["web1"], ["web2", "web3"], ["web1"]),
        ([], ["web1"], []),
    ],
)
def test_the_files_of_a_lost_host_are_those_of_the_one_in_its_place(found, hosts, expected):
    assert list(media.present_names(found, dict.fromkeys(hosts, "")).values()) == expected


# --- How much ---------------------------------------------------------------------------------


def test_what_files_claim_to_hold_is_read_from_the_listing():
    text = "Number of files: 3 (reg: 2, dir: 1)\nTotal file size: {} bytes\nTotal transferred file size: 7 bytes\n"
    for said, size in (("2199023255552", 2 * 1024**4), ("2,199,023,255,552", 2 * 1024**4), ("0", 0)):
        assert media.claimed(text.format(said)) == size
    assert media.claimed("") == 0


@pytest.fixture
def own(tmp_path):
    """Return a function that copies this host's own uploads, of which no more than so many bytes may be."""
    for name in ("uploads", "staging"):
        (tmp_path / name).mkdir()
    settings = core.Settings(reserve_mb=0, media={"path": str(tmp_path)})

    class Limit:
        def __init__(self, most):
            self.most = most

        def ask(self, what, size):
            if size > self.most:
                raise core.Failure(f"{what} holds {size}")

        def watch(self):
            return lambda: ""

    return lambda most: media.own(settings, Limit(most), "web1", {"path": str(tmp_path / "uploads"), "name": ""}, delete=True)


def test_a_file_that_claims_to_be_huge_is_not_copied(own, tmp_path):
    (tmp_path / "uploads/small").write_text("small")
    own(1000)
    assert (tmp_path / "staging/web1/small").read_text() == "small"
    with open(tmp_path / "uploads/huge", "wb") as file:
        file.truncate(2 * 1024**4)
    with pytest.raises(core.Failure, match="uploads holds 21990232555"):
        own(1000)
    assert not (tmp_path / "staging/web1/huge").exists()


# --- Where next to nothing is left ------------------------------------------------------------

LISTING = "\nNumber of files: {} (reg: {}, dir: 2, link: 1)\nNumber of created files: 3 (reg: 1, dir: 2)\nTotal file size: 3 bytes\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return settings of a host that copies its own uploads and those of web2, of two folders each; what rsync is asked to bring; and the folders."""
    own = [tmp_path / "shared/media", tmp_path / "shared/private"]
    for folder in (*own, tmp_path / "media/staging"):
        folder.mkdir(parents=True)
    trees = [{"name": "", "path": str(own[0])}, {"name": "private", "path": str(own[1])}]
    media_settings = {"path": str(tmp_path / "media"), "share": 1, "sources": {"web1": "", "web2": "192.0.2.2"}, "trees": trees, "keep_days": 28}
    settings = core.Settings(
        state=str(tmp_path), role="local", reserve_mb=0, repository_paths=["/nowhere"], data="/nowhere", dumps={"path": "/nowhere"},
        receive={"path": "/nowhere"}, media=media_settings,
    )  # fmt: skip
    pulled, there = [], {"media/": 0, "shared/private/": 0}

    def pull(_settings, _host, _address, sources, target, *options, watch=None):
        pulled.append((sources[0], *options))
        if "--dry-run" in options:
            return LISTING.format(there[sources[0]] + 3, there[sources[0]]) if there[sources[0]] else "\nNumber of files: 1 (dir: 1)\n"
        for number in range(there[sources[0]]):
            (pathlib.Path(target) / str(number)).write_text("photo")
        return ""

    monkeypatch.setattr(media, "pull", pull)
    monkeypatch.setattr(child, "call", lambda _user, function, *words, **more: function(*words, **more))
    return types.SimpleNamespace(
        settings=settings, pulled=pulled, there=there, own=own, staging=tmp_path / "media/staging",
        copy=lambda delete=True: media.copy(settings, media.share(settings), delete),
    )  # fmt: skip


def fill(folder, count):
    """Have so many files in a folder, below another one."""
    shutil.rmtree(folder / "2026", ignore_errors=True)
    (folder / "2026").mkdir()
    for number in range(count):
        (folder / "2026" / str(number)).write_text("photo")


def files(folder):
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("before", "now", "copied"),
    [
        (0, 0, 0), (20, 20, 20), (20, 2, 2), (20, 21, 21),
        # Not mounted, and not mounted with what came since.
        (20, 0, 20), (1, 0, 1), (20, 1, 20), (31, 3, 31),
    ],
)  # fmt: skip
def test_a_folder_of_which_next_to_nothing_is_left_takes_nothing_from_its_copy(site, number, before, now, copied):
    folder, copy = site.own[number], site.staging / ("web1", "shared@web1/private")[number]
    fill(folder, before)
    assert site.copy() == []
    fill(folder, now)
    told = site.copy()
    assert files(copy) == copied
    assert [f"{folder} have fallen from {before} to {now}," in sentence for sentence in told] == ([True] if copied > now else [])
    # The other one is judged by itself.
    assert files(site.staging) == copied


def test_a_folder_that_has_gone_takes_nothing_from_its_copy(site):
    fill(site.own[0], 20)
    site.copy()
    shutil.rmtree(site.own[0])
    (told,) = site.copy()
    assert "media have fallen from 20 to 0" in told and files(site.staging / "web1") == 20


@pytest.mark.parametrize("source", ["media/", "shared/private/"])
@pytest.mark.parametrize(("now", "is_told"), [(20, False), (2, False), (1, True), (0, True)])
def test_the_same_of_another_hosts(site, source, now, is_told):
    site.there[source] = 20
    assert site.copy() == []
    site.there[source] = now
    site.pulled.clear()
    told = site.copy()
    assert [f"have fallen from 20 to {now}," in sentence and sentence.startswith("the files in web2:") for sentence in told] == [True] * is_told
    # What came meanwhile is brought all the same.
    assert [options for name, *options in site.pulled if name == source and "--dry-run" not in options] == [[] if is_told else ["--delete"]]


def test_the_complaint_ends_with_the_files_or_by_the_operators_word(site):
    fill(site.own[0], 20)
    site.copy()
    fill(site.own[0], 0)
    (told,) = site.copy()
    assert site.copy(delete=False) == [] and files(site.staging) == 20
    fill(site.own[0], 20)
    assert site.copy() == []
    fill(site.own[0], 0)
    shutil.rmtree(told.rpartition("rm -r ")[2])
    assert site.copy() == [] == site.copy() and files(site.staging) == 0


@pytest.mark.parametrize("left", [20, 0])
def test_nothing_expires_where_next_to_nothing_is_left(site, monkeypatch, left):
    """The copy is made all the same, with what is there and what was."""
    done = []

    def restic(_settings, word, *_words, **_options):
        done.append(word)
        return types.SimpleNamespace(stdout=json.dumps({"message_type": "summary", "total_bytes_processed": 1, "total_files_processed": 1, "data_added": 1, "snapshot_id": "a"}))

    def ask(_settings, _path, _what, _needed, expire=None):
        done.append("no room")
        if expire:
            expire()

    for name, function in (("restic", restic), ("prepare", lambda _settings: None), ("open_repository", lambda _settings: None),
                           ("name_moment", lambda _settings: ("media-20260104T031500Z-a", "0/1")), ("archive_moment", lambda _settings: None),
                           ("releases", lambda _settings: None), ("forget", lambda _settings: done.append("forget"))):  # fmt: skip
        monkeypatch.setattr(media, name, function)
    monkeypatch.setattr(media.room, "ask", ask)
    fill(site.own[1], 20)
    media.make(site.settings, {})
    assert done == ["no room", "forget", "backup", "forget"]
    fill(site.own[1], left)
    done.clear()
    if left:
        media.make(site.settings, {})
        assert done == ["no room", "forget", "backup", "forget"]
    else:
        with pytest.raises(core.Failure, match="what is left was backed up, but the files in web1:.*/private have fallen from 20 to 0"):
            media.make(site.settings, {})
        assert done == ["no room", "backup"]


# --- The passphrase ---------------------------------------------------------------------------


@pytest.mark.parametrize(("opens", "expected"), [(True, ["list", "list", "remove"]), (False, ["list", "add", "list", "remove"])])
def test_a_repository_that_the_former_passphrase_opens_gets_the_present_one(monkeypatch, tmp_path, opens, expected):
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/config").write_text("")
    settings = core.Settings(media={"path": str(tmp_path), "passphrase_file": "/now", "former_passphrase_file": "/former"})
    calls = []

    def run(*words, env, check=True, **options):
        calls.append((words[2], env["RESTIC_PASSWORD_FILE"], words))
        keys = [{"id": "a", "current": False}, {"id": "b", "current": True}]
        return types.SimpleNamespace(returncode=0 if check else int(not opens), stdout=json.dumps(keys), stderr="")

    monkeypatch.setattr(core, "run", run)
    media.replace_passphrase(settings)
    assert [call[0] for call in calls] == expected
    assert [call[1] for call in calls if call[0] == "add"] == ([] if opens else ["/former"])
    assert calls[-1][2][3] == "a"


def test_without_a_former_passphrase_no_key_is_looked_at(monkeypatch, tmp_path):
    monkeypatch.setattr(core, "run", lambda *words, **more: pytest.fail(str(words)))
    media.replace_passphrase(core.Settings(media={"path": str(tmp_path), "passphrase_file": "/now", "former_passphrase_file": ""}))
