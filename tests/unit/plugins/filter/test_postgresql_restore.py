"""Which backup leads to a moment: the decisions of a restore."""

import importlib.util
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = pathlib.Path(__file__).parents[4] / "plugins/filter/postgresql_restore.py"
spec = importlib.util.spec_from_file_location("postgresql_restore", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
moment = module.FilterModule().filters()["postgresql_restore_moment"]
decide = module.FilterModule().filters()["postgresql_restore_plan"]

# 2026-01-04 03:15:00 in UTC
SUNDAY = 1767496500
DAY = 86400


def backup(label, stop, timeline=1, **keys):
    segment = f"{timeline:08X}0000000000000004"
    return {
        "label": label, "timestamp": {"start": stop - 60, "stop": stop}, "error": False, "archive": {"start": segment, "stop": segment},
        "info": {"size": 100 * 1024**2},
    } | keys  # fmt: skip


BACKUPS = [backup("20260104-031500F", SUNDAY), backup("20260104-031500F_20260105-031500D", SUNDAY + DAY)]


def plan(backups=BACKUPS, **wishes):
    return decide({"backup": backups}, **({"now": SUNDAY + 9 * DAY, "free_bytes": 10 * 1024**3, "headroom_mb": 1024} | wishes))


def at(seconds):
    return module.datetime.datetime.fromtimestamp(seconds, module.datetime.timezone.utc).isoformat()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("2026-01-04 04:15:00+01:00", "2026-01-04 03:15:00.000000+00"),
        ("2026-01-04T03:15:00Z", "2026-01-04 03:15:00.000000+00"),
        ("2026-01-04 03:15:00.25 UTC", "2026-01-04 03:15:00.250000+00"),
        ("2026-01-03 22:15-0500", "2026-01-04 03:15:00.000000+00"),
        ("2026-01-04 03:15:00.123456+00", "2026-01-04 03:15:00.123456+00"),
    ],
)
def test_a_moment_is_brought_to_utc(text, target):
    assert moment(text)["target"] == target


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-01-04", "2026-01-04 03:15:00", "2026-13-04 03:15Z", "2026-02-30 03:15Z", "03:15Z", "2026-01-04 03:15Z; x"]
)
def test_what_is_no_moment(text):
    assert moment(text) == {"target": "", "seconds": None}


@given(st.datetimes(min_value=module.datetime.datetime(1990, 1, 1), timezones=st.just(module.datetime.timezone.utc)))
def test_a_moment_stays_what_it_is(when):
    parsed = moment(when.strftime("%Y-%m-%d %H:%M:%S.%f+00"))
    assert parsed["target"] == when.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    assert parsed["seconds"] == when.timestamp()


@given(st.lists(st.integers(0, 8 * DAY), min_size=1, max_size=8, unique=True), st.integers(0, 9 * DAY))
def test_the_backup_is_the_newest_that_ended_before_the_moment(stops, after):
    backups = [backup(f"{stop}", SUNDAY + stop) for stop in sorted(stops)]
    decided = plan(backups, moment=at(SUNDAY + after))
    before = [stop for stop in stops if stop < after]
    if before:
        assert decided["error"] == ""
        assert decided["sets"][0] == str(max(before))
        assert decided["type"] == "time"
    else:
        assert "before the oldest backup" in decided["error"]


def test_a_moment_within_the_second_in_which_the_backup_ended_takes_the_one_before():
    assert plan(moment=at(SUNDAY + DAY + 0.9))["sets"] == ["20260104-031500F"]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"moment": "tomorrow"}, "restore_target_time is 'tomorrow': give a moment with its time zone"),
        ({"moment": at(SUNDAY + 99 * DAY)}, "which is in the future"),
        ({"moment": at(SUNDAY)}, "before the oldest backup, which ended at 2026-01-04 03:15:00+00"),
        ({"label": "20250104-031500F"}, "restore_backup_label is '20250104-031500F', which the repository does not hold: there are 20260104-031500F,"),
        ({"label": BACKUPS[1]["label"], "moment": at(SUNDAY + 60)}, "before the end of the backup 20260104-031500F_20260105-031500D"),
        ({"backups": []}, "the repository holds no backup"),
        ({"backups": [backup("a", SUNDAY, error=True)]}, "every backup in the repository is damaged"),
        ({"free_bytes": 1100 * 1024**2}, "takes 100 MB and 1024 MB are to stay free (postgresql_backup_restore_headroom_mb), but only 1100 MB are"),
    ],
)
def test_what_cannot_be_is_refused(wishes, words):
    assert words in plan(**wishes)["error"]


def test_the_newest_state_and_a_name_begin_with_the_newest_backup():
    assert plan()["sets"][0] == plan(name="before-the-move")["sets"][0] == BACKUPS[1]["label"]
    assert (plan()["type"], plan(name="before-the-move")["type"], plan()["timeline"]) == ("default", "name", "latest")


def test_a_label_alone_ends_with_that_backup():
    decided = plan(label=BACKUPS[0]["label"])
    assert (decided["type"], decided["sets"], decided["timeline"]) == ("immediate", [BACKUPS[0]["label"]], "current")


def test_a_damaged_backup_is_taken_only_by_its_label():
    damaged = [BACKUPS[0], backup("damaged", SUNDAY + DAY, error=True)]
    assert plan(damaged)["sets"] == [BACKUPS[0]["label"]]
    assert plan(damaged, label="damaged")["sets"] == ["damaged"]


# Taken back on Wednesday to Monday, with backups on both histories.
HISTORY = "1\t0/5000000\tbefore 2026-01-05 12:00:00.5+00\n"
PARTED = [*BACKUPS, backup("new", SUNDAY + 3 * DAY, timeline=2)]


@pytest.mark.parametrize(
    ("after", "timeline"),
    [
        (DAY / 2, "current"),
        (DAY + 3600, "latest"),
        (2 * DAY, None),
        (4 * DAY, "latest"),
    ],
    ids=["between two of one history", "before they part", "after they part", "on the new one"],
)
def test_the_history_is_the_one_that_the_moment_was_on(after, timeline):
    decided = plan(PARTED, moment=at(SUNDAY + after), histories=HISTORY)
    if timeline is None:
        assert "say by restore_target_timeline whether 1, the history before that, or latest" in decided["error"]
    else:
        assert (decided["error"], decided["timeline"]) == ("", timeline)


def test_a_promoted_standby_goes_on_with_the_same_history():
    decided = plan(PARTED, moment=at(SUNDAY + 2 * DAY), histories="1\t0/5000000\tno recovery target specified\n")
    assert (decided["error"], decided["timeline"]) == ("", "latest")


def test_the_timeline_that_is_named_is_followed():
    assert plan(PARTED, moment=at(SUNDAY + 2 * DAY), histories=HISTORY, timeline="1")["timeline"] == "1"


# --- What hosts said --------------------------------------------------------------------------


def test_what_hosts_said_that_answered():
    known = {
        "db1": {"__postgresql_backup_restore_look": {"stdout": '{"primary": true}'}, "__postgresql_backup_restore_unsettled": {"msg": "it is not."}},
        "db2": {"__postgresql_backup_restore_look": {"unreachable": True}},
        "web1": {"__uwsgi_stopped": {"rc": 0}}, "web2": {"__uwsgi_stopped": {"rc": 1}}, "web3": {},
    }  # fmt: skip
    assert module.postgresql_restore_looks(["db1", "db2"], known) == {"db1": {"primary": True}}
    assert module.postgresql_restore_complaints(["db1", "db2"], known) == ["it is not."]
    assert module.postgresql_restore_serving(["web1", "web2", "web3"], known) == ["web2", "web3"]


def test_patroni_stands_where_a_host_did_not_say_that_it_has_stopped():
    said = {"db1": {"state": "stopped", "failed": False}, "db2": {"failed": True}, "db3": {"unreachable": True}, "db4": {"skipped": True, "failed": False}}
    known = {name: {"__postgresql_backup_restore_stood_down": row} for name, row in said.items()} | {"db5": {}}
    assert module.postgresql_restore_standing(list(known), known) == ["db2", "db3", "db4", "db5"]


@pytest.mark.parametrize(
    ("looks", "host"),
    [
        ({}, "db1"),
        ({"db1": {"primary": False}, "db2": {"primary": True}}, "db2"),
        # What has begun has to be finished where it has begun.
        ({"db1": {"journal": {"phase": "swapping"}}, "db2": {"primary": True}}, "db1"),
        # What has not, would be of a server that is the primary no more.
        ({"db1": {"journal": {"phase": "prepared"}}, "db2": {"primary": True}}, "db2"),
        ({"db1": {}, "db2": {"journal": {"phase": "prepared"}}}, "db2"),
    ],
)
def test_which_host_is_restored(looks, host):
    looks = {name: {"primary": False, "journal": None} | row for name, row in looks.items()}
    assert module.postgresql_restore_host(looks, ["db1", "db2"]) == host


# --- What is refused --------------------------------------------------------------------------


def look(primary=True, **values):
    nothing = {"journal": None, "beside": None, "tablespaces": False, "trouble": "", "paused": False, "voters": True}
    return {"running": True, "primary": primary} | nothing | values


DOWN = look(primary=False, running=False)
SWAPPING = {"phase": "swapping", "words": "the newest state"}
BESIDE = {"words": "the restore point x", "finished": True}


@pytest.mark.parametrize(
    ("looks", "action", "more", "sentence"),
    [
        pytest.param({"db1": look(), "db2": look(primary=False)}, "swap", {}, "", id="the primary, and its standby"),
        pytest.param({"db1": look()}, "beside", {}, "", id="a standby that does not answer is no matter"),
        pytest.param({"db1": look(), "db2": look()}, "beside", {}, "Several database hosts are primaries: db1, db2", id="two primaries"),
        pytest.param({"db1": DOWN}, "swap", {}, "No database host is the primary, and db2 did not answer", id="who may be the primary"),
        pytest.param({"db1": look(primary=False, running=False, journal=SWAPPING)}, "swap", {"resumed": True}, "", id="the same, and gone on with"),
        pytest.param({"db1": DOWN, "db2": DOWN}, "swap", {}, "", id="all servers are down"),
        pytest.param(
            {"db1": look(primary=False), "db2": DOWN}, "swap", {}, "db1 is a standby, and no database host is the primary: make one by switchover", id="a standby"
        ),
        pytest.param({"db1": look(journal=SWAPPING), "db2": DOWN}, "beside", {}, "A restore in place to the newest state was interrupted", id="another wish"),
        pytest.param({"db1": look(journal=SWAPPING), "db2": DOWN}, "swap", {"resumed": True}, "", id="the same wish"),
        pytest.param({"db1": look(journal={"phase": "prepared", "words": "x"}), "db2": DOWN}, "beside", {}, "", id="nothing was changed yet"),
        pytest.param({"db1": look(beside=BESIDE), "db2": DOWN}, "beside", {}, "What was restored to the restore point x stands beside", id="one is beside"),
        pytest.param({"db1": look(beside=BESIDE), "db2": DOWN}, "beside", {"removed": True}, "", id="which goes first"),
        pytest.param({"db1": look(beside=BESIDE), "db2": DOWN}, "swap", {}, "", id="which is not in the way"),
        pytest.param({"db1": look(beside=BESIDE | {"finished": False}), "db2": DOWN}, "beside", {}, "", id="which came to nothing"),
        pytest.param({"db1": look(tablespaces=True), "db2": DOWN}, "swap", {}, "The cluster has tablespaces", id="tablespaces"),
        pytest.param({"db1": look(tablespaces=True), "db2": DOWN}, "beside", {}, "", id="tablespaces, beside"),
        pytest.param({"db1": look(trouble="too far"), "db2": DOWN}, "swap", {}, "The repository does not answer: too far", id="no repository"),
        pytest.param({"db1": look(trouble="too far"), "db2": DOWN}, "dump", {}, "", id="which a dump does not need"),
        pytest.param({"db1": look()}, "swap", {"managed": True}, "db2 did not answer, and would take the place of what is restored: start it", id="a successor"),
        pytest.param({"db1": look()}, "beside", {"managed": True}, "", id="which takes nobody's place"),
        pytest.param({"db1": look(paused=True), "db2": DOWN}, "swap", {"managed": True}, "Patroni is paused", id="Patroni is paused"),
        pytest.param({"db1": look(voters=False), "db2": DOWN}, "swap", {"managed": True}, "The voters do not answer", id="no voters"),
        pytest.param({"db1": look(), "db2": look(primary=False)}, "swap", {"managed": True}, "", id="under Patroni"),
    ],
)  # fmt: skip
def test_what_is_not_restored(looks, action, more, sentence):
    said = module.postgresql_restore_refusal(looks, ["db1", "db2"], "db1", action, **more)
    assert said.startswith(sentence) and bool(said) == bool(sentence)


# --- Before and after an upgrade --------------------------------------------------------------


UPGRADED = {
    "db": [{"id": 1, "repo-key": 1, "version": "15"}, {"id": 2, "repo-key": 1, "version": "17"}],
    "backup": [
        # The former server was on its third timeline; a new one begins with its first.
        backup("20260104-031500F", SUNDAY, timeline=3, database={"id": 1, "repo-key": 1}),
        backup("20260105-031500F", SUNDAY + DAY, timeline=3, database={"id": 1, "repo-key": 1}),
        backup("20260106-031500F", SUNDAY + 2 * DAY, database={"id": 2, "repo-key": 1}),
    ],
}


@pytest.mark.parametrize(
    ("seconds", "version", "sets"),
    [
        (SUNDAY + DAY - 60, "15", ["20260104-031500F"]),
        (SUNDAY + DAY + 60, "15", ["20260105-031500F", "20260104-031500F"]),
        (SUNDAY + 2 * DAY + 60, "17", ["20260106-031500F"]),
        (None, "17", ["20260106-031500F"]),
    ],
)
def test_a_moment_is_of_the_server_that_ran_then(seconds, version, sets):
    found = decide(UPGRADED, moment=at(seconds) if seconds else "", now=SUNDAY + 9 * DAY, free_bytes=10**12, version=17)
    assert (found["error"], found["version"], found["sets"]) == ("", version, sets)


def test_what_is_of_another_version_takes_nobodys_place():
    wishes = {"now": SUNDAY + 9 * DAY, "free_bytes": 10**12, "version": 17, "in_place": True}
    assert decide(UPGRADED, moment=at(SUNDAY + DAY + 60), **wishes)["error"].startswith("what is asked for is of PostgreSQL 15, and 17 serves: restore it beside")
    assert decide(UPGRADED, moment=at(SUNDAY + 2 * DAY + 60), **wishes)["error"] == ""
    assert decide(UPGRADED, label="20260104-031500F", **wishes)["error"].startswith("what is asked for is of PostgreSQL 15")


def test_the_histories_of_the_new_server_say_nothing_of_the_former_one():
    histories = f"1\t0/5000000\tbefore {at(SUNDAY + 3 * DAY)}\n"
    assert decide(UPGRADED, moment=at(SUNDAY + DAY + 60), histories=histories, now=SUNDAY + 9 * DAY, free_bytes=10**12)["timeline"] == "latest"
