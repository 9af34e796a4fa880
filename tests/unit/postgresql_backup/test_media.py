"""Which copy of the uploads belongs to which moment of the database."""

import datetime
import importlib
import json
import pathlib
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
