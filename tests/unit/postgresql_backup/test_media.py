"""Which copy of the uploads belongs to which moment of the database."""

import contextlib
import datetime
import errno
import importlib
import json
import os
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


def test_what_is_past_its_time_goes_before_a_copy_is_refused(own, tmp_path, monkeypatch):
    """New folders come every day, and nothing else would ever make room."""
    free, forgotten = [0], []

    def forget(_settings):
        forgotten.append(True)
        free[0] = 1 << 30

    monkeypatch.setattr(media.room, "free", lambda _path: free[0])
    monkeypatch.setattr(media, "forget", forget)
    (tmp_path / "uploads/2027/01").mkdir(parents=True)
    own(1000)
    assert (tmp_path / "staging/web1/2027/01").is_dir() and forgotten == [True]


def test_nothing_makes_room_where_next_to_nothing_is_left(own, tmp_path, monkeypatch):
    """Older copies may be the only ones of it."""
    fill(tmp_path / "uploads", 20)
    own(1000)
    shutil.rmtree(tmp_path / "uploads/2026")
    (tmp_path / "uploads/2027").mkdir()
    monkeypatch.setattr(media.room, "free", lambda _path: 0)
    monkeypatch.setattr(media, "forget", lambda _settings: pytest.fail("a copy has gone"))
    with pytest.raises(core.Failure) as failure:
        own(1000)
    assert failure.value.code == core.FULL


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
            return LISTING.format(there[sources[0]] + 3, there[sources[0]]) if there[sources[0]] else "\nNumber of files: 1 (dir: 1)\n", ""
        for number in range(there[sources[0]]):
            (pathlib.Path(target) / str(number)).write_text("photo")
        return "", ""

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


@pytest.mark.parametrize("host", ["web1", "web2"])
def test_a_copy_is_counted_by_whose_folder_it_is_in(site, monkeypatch, host):
    """Of another host's files that is postgres, which may put links into it."""
    fill(site.own[0], 20)
    site.there["media/"] = 20
    site.copy()
    acting, counted = [], []
    count = media.mirror.count

    def call(user, function, *words, **more):
        acting.append(user)
        try:
            return function(*words, **more)
        finally:
            acting.pop()

    def counts(folder, *more):
        counted.append((os.readlink(f"/proc/self/fd/{folder}"), tuple(acting)))
        return count(folder, *more)

    monkeypatch.setattr(child, "call", call)
    monkeypatch.setattr(media.mirror, "count", counts)
    site.copy()
    assert {who for path, who in counted if path == str(site.staging / host)} == {() if host == "web1" else (media.USER,)}


@pytest.mark.parametrize(("error", "is_told"), [(errno.EIO, True), (errno.EMFILE, True), (errno.ENOENT, False), (errno.ELOOP, False), (errno.EACCES, False)])
def test_files_that_cannot_be_counted_are_not_taken_for_none(site, monkeypatch, error, is_told):
    """But for a folder that has gone, or one of a mode that keeps postgres from what a web host could not hand over either."""
    fill(site.own[0], 20)
    site.copy()
    opened = os.open

    def fails(path, *rest, **more):
        if path == "2026":
            raise OSError(error, os.strerror(error))
        return opened(path, *rest, **more)

    monkeypatch.setattr(media.mirror.os, "open", fails)
    with pytest.raises(OSError, match=os.strerror(error)) if is_told else contextlib.nullcontext():
        assert media.copied(site.settings, "web1", {"name": ""}) == 0


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

    def ask(_settings, _path, what, _needed, expire=None):
        # There is room for a folder.
        done.extend(["no room"] if what == "a copy of the uploads" else [])
        if expire and done == ["no room"]:
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


# --- What another host hands over ---------------------------------------------------------------


@pytest.fixture
def web_host(tmp_path, monkeypatch):
    """Return a function that puts a program in the place of rsync, and the settings of a host that fetches from one that hands over `web`."""
    programs = tmp_path / "programs"
    for folder in (programs, tmp_path / "state" / "release", tmp_path / "uploads" / "staging"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(media, "USER", "root")
    monkeypatch.setattr(core, "become", lambda _name: None)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def make(script, name="rsync"):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    make.settings = core.Settings(
        state=str(tmp_path / "state"), reserve_mb=0,
        media={"path": str(tmp_path / "uploads"), "port": 1, "tls": dict.fromkeys(("ca", "certificate", "key"), ""), "sources": {"web1": "192.0.2.1"},
               "trees": [{"name": "", "path": "/srv/shop/media"}, {"name": "private", "path": "/srv/shop/private"}]},
    )  # fmt: skip
    make.release, make.staging = tmp_path / "state" / "release", tmp_path / "uploads" / "staging"
    return make


TARGET = 'for target; do :; done; case "$*" in *--dry-run*) target=/nowhere; echo "Total file size: 4 bytes" ;; esac; '


@pytest.mark.parametrize(
    "script",
    [
        "yes >$target/release.json",
        "mkdir -p $target/release.json && touch $target/release.json/file",
        "mkfifo $target/release.json",
        "ln -s /etc/passwd $target/release.json",
        "truncate --size=1M $target/other",
        "yes",
        "yes >&2",
    ],
    ids=["endless", "folder", "pipe", "link", "another", "words", "complaints"],
)
def test_of_a_release_a_web_host_hands_over_two_plain_files_of_bounded_size(web_host, monkeypatch, script, in_time):
    """Whoever has taken the host over hands over what they like; what is known stays."""
    monkeypatch.setattr(media, "RELEASE_SECONDS", 2)
    web_host("exit 1")
    media.releases(web_host.settings)
    web_host(f"{TARGET} echo known >$target/release.json; echo plan >$target/migrations.txt")
    media.releases(web_host.settings)
    web_host(f"{TARGET} {script}")
    media.releases(web_host.settings)
    assert {path.name: path.read_text() for path in (web_host.release / "web1").iterdir()} == {"release.json": "known\n", "migrations.txt": "plan\n"}
    assert os.listdir(web_host.release) == ["web1"]


def test_a_release_is_not_waited_for_without_end(web_host, monkeypatch, in_time):
    monkeypatch.setattr(media, "RELEASE_SECONDS", 1)
    web_host("sleep 60")
    media.releases(web_host.settings)
    assert os.listdir(web_host.release) == []


class Unlimited:
    def ask(self, what, size):
        self.asked = what, size

    def watch(self):
        return lambda: ""


@pytest.mark.parametrize(("code", "told"), [(0, False), (23, True), (24, False)])
def test_one_upload_that_cannot_be_read_or_has_gone_keeps_no_other_from_the_backup(web_host, code, told):
    """The application may make one of mode 000 at any time, and remove one while it is fetched. A folder of that mode ends the listing so, too."""
    failing = f"echo 'rsync: [sender] send_files failed to open \"one\" (in media): Permission denied (13)' >&2; exit {code}"
    web_host(f"{TARGET} [ $target = /nowhere ] || echo there >$target/other; {failing}")
    limit = Unlimited()
    complaints = media.copy(web_host.settings, limit, delete=True)
    assert limit.asked == ("web1:/srv/shop/private", 4)
    assert [(web_host.staging / path).read_text() for path in ("web1/other", "shared@web1/private/other")] == ["there\n", "there\n"]
    words = '{} does not hand over its files ({}): rsync: [sender] send_files failed to open "one" (in media): Permission denied (13)'
    assert complaints == ([words.format("web1", name) for name in ("media", "shared")] if told else [])


@pytest.mark.parametrize("code", [5, 12, 30])
def test_a_web_host_that_hands_over_nothing_fails_the_backup(web_host, code):
    web_host(f"echo '@ERROR: chdir failed' >&2; exit {code}")
    with pytest.raises(core.Failure, match=r"web1 does not hand over its files \(media\): @ERROR: chdir failed") as failure:
        media.copy(web_host.settings, Unlimited(), delete=True)
    assert failure.value.code == code


@pytest.mark.skipif(not shutil.which("rsync") or os.geteuid() != 0, reason="rsync is not here, or nobody is to be refused")
def test_what_rsync_makes_of_it(web_host, tmp_path, in_time):
    """Over a server of files as the web host has it, without the certificates."""
    rsync, web = shutil.which("rsync"), tmp_path / "web"
    for name in ("media", "private", "release"):
        (web / name).mkdir(parents=True)
    (web / "media/one").write_text("one")
    (web / "media/other").write_text("other")
    (web / "media/one").chmod(0)
    (web / "media/folder").mkdir(mode=0)
    os.mkfifo(web / "media/pipe")
    (web / "release/release.json").write_text("known")
    with open(web / "release/migrations.txt", "wb") as file:
        file.truncate(media.RELEASE_BYTES + 1)
    modules = "".join(f"[{name}]\npath = {web / path}\n" for name, path in (("media", "media"), ("shared", ""), ("release", "release")))
    (tmp_path / "rsyncd.conf").write_text(f"use chroot = no\nuid = nobody\ngid = nogroup\nlog file = /dev/null\n{modules}")
    # pytest's folder is root's alone.
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    web_host(f"exec {rsync} --daemon --config={tmp_path}/rsyncd.conf", name="openssl")
    complaints = media.copy(web_host.settings, Unlimited(), delete=True)
    assert len(complaints) == 1 and "Permission denied" in complaints[0]
    # A line for each that is none would be more than is held.
    assert media.pull(web_host.settings, "web1", "192.0.2.1", ["media/"], str(tmp_path / "other/"))[0] == ""
    assert (web_host.staging / "web1/other").read_text() == "other"
    media.releases(web_host.settings)
    assert {path.name: path.read_text() for path in (web_host.release / "web1").iterdir()} == {"release.json": "known"}
    (web / "release/release.json").unlink()
    (web / "release/release.json").mkdir()
    (web / "release/migrations.txt").write_text("plan")
    media.releases(web_host.settings)
    assert {path.name: path.read_text() for path in (web_host.release / "web1").iterdir()} == {"release.json": "known", "migrations.txt": "plan"}


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
