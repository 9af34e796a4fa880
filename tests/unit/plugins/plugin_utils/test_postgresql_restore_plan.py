"""Which backup leads to a moment: the decisions of a restore."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils import postgresql_restore as module
from hypothesis import given
from hypothesis import strategies as st

moment, decide = module.moment_of, module.way

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
        ({"free_bytes": 1100 * 1024**2}, "takes 100 MB and 1024 MB are to stay free (postgresql_restore_headroom_mb), but only 1100 MB are"),
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


def test_an_application_serves_where_a_host_did_not_say_that_it_has_stopped():
    said = {"web1": {"rc": 0}, "web2": {"rc": 1}, "web3": {}, "web4": {"unreachable": True}}
    assert module.serving([*said, "web5"], said) == ["web2", "web3", "web4", "web5"]


def test_patroni_stands_where_a_host_did_not_say_that_it_has_stopped():
    said = {"db1": {"state": "stopped", "failed": False}, "db2": {"failed": True}, "db3": {"unreachable": True}, "db4": {"skipped": True, "failed": False}}
    assert module.standing([*said, "db5"], said) == ["db2", "db3", "db4", "db5"]


@pytest.mark.parametrize(
    ("running", "left", "sentence"),
    [
        ([], [], ""),
        (["web1", "web2"], ["db2"], "The application was not stopped on web1, web2: nothing was restored."),
        ([], ["db2"], "Patroni was not stopped on db2: nothing was restored."),
    ],
)
def test_why_nothing_takes_the_place_of_what_serves(running, left, sentence):
    assert module.hindrance(running, left) == sentence


@pytest.mark.parametrize(
    ("said", "done"), [({"result": {"kept": "/x"}}, True), ({"failed": True, "msg": "x"}, False), ({"skipped": True}, False), ({"unreachable": True}, False), ({}, False)]
)
def test_what_is_restored_is_in_its_place_where_the_host_said_so(said, done):
    assert module.is_done(said) is done


def left(phase, words="the newest state", exchanged=None, fits=True):
    """What an interrupted restore in place has left, as a host tells it."""
    exchanged = phase in ("swapping", "swapped") if exchanged is None else exchanged
    return {"phase": phase, "words": words, "stamp": "20260105T031500Z", "exchanged": exchanged, "fits": fits}


@pytest.mark.parametrize(
    ("looks", "host"),
    [
        ({}, "db1"),
        ({"db1": {"primary": False}, "db2": {"primary": True}}, "db2"),
        # What has begun has to be finished where it has begun.
        ({"db1": {"journal": left("swapping")}, "db2": {"primary": True}}, "db1"),
        ({"db1": {}, "db2": {"journal": left("swapped", "another")}}, "db2"),
        # Unless what it holds is by now what the primary has.
        ({"db1": {"journal": left("swapped"), "running": True}, "db2": {"primary": True}}, "db2"),
        ({"db1": {"journal": left("swapped"), "running": True}, "db2": {}}, "db1"),
        # What has not, would be of a server that is the primary no more.
        ({"db1": {"journal": left("prepared")}, "db2": {"primary": True}}, "db2"),
        ({"db1": {"journal": left("swapping", exchanged=False)}, "db2": {"primary": True}}, "db2"),
        ({"db1": {}, "db2": {"journal": left("prepared")}}, "db2"),
        ({"db1": {}, "db2": {"journal": left("swapping", "another", exchanged=False)}}, "db2"),
        # Of another wish, and nothing came of it: that says nothing of the host.
        ({"db1": {}, "db2": {"journal": left("prepared", "another")}}, "db1"),
    ],
)
def test_which_host_is_restored(looks, host):
    looks = {name: {"primary": False, "running": False, "journal": None} | row for name, row in looks.items()}
    assert module.host_of(looks, ["db1", "db2"], "the newest state") == host


# --- What is refused --------------------------------------------------------------------------


def look(primary=True, **values):
    nothing = {"journal": None, "beside": None, "tablespaces": False, "trouble": "", "paused": False, "voters": True}
    return {"running": True, "primary": primary} | nothing | values


DOWN = look(primary=False, running=False)
SWAPPING = left("swapping")
BESIDE = {"words": "the restore point x", "finished": True}


@pytest.mark.parametrize(
    ("looks", "action", "more", "sentence"),
    [
        pytest.param({"db1": look(), "db2": look(primary=False)}, "swap", {}, "", id="the primary, and its standby"),
        pytest.param({"db1": look()}, "beside", {}, "", id="a standby that does not answer is no matter"),
        pytest.param({"db1": look(), "db2": look()}, "beside", {}, "Several database hosts are primaries: db1, db2", id="two primaries"),
        pytest.param({"db1": DOWN}, "swap", {}, "No database host is the primary, and db2 did not answer", id="who may be the primary"),
        pytest.param({"db1": look(primary=False, running=False, journal=SWAPPING)}, "swap", {"resumed": True}, "", id="the same, and gone on with"),
        pytest.param(
            {"db1": DOWN | {"journal": left("prepared", "x")}}, "swap", {}, "No database host is the primary, and db2 did not answer",
            id="the same, and what never began",
        ),
        pytest.param(
            {"db1": DOWN | {"journal": left("prepared")}}, "swap", {"resumed": True}, "No database host is the primary, and db2 did",
            id="the same, and what is ready",
        ),
        pytest.param(
            {"db1": DOWN | {"journal": left("swapping", exchanged=False)}}, "swap", {"resumed": True}, "No database host is the primary, and db2 did",
            id="the same, and what was stopped",
        ),
        pytest.param({"db1": DOWN, "db2": DOWN}, "swap", {}, "", id="all servers are down"),
        pytest.param(
            {"db1": DOWN | {"journal": SWAPPING}, "db2": look()}, "swap", {"resumed": True},
            "db2 is the primary by now, and a restore in place to the newest state was interrupted on db1: build db1 anew first, by database.yml -e",
            id="another is the primary since",
        ),
        pytest.param(
            {"db1": look(primary=False), "db2": DOWN}, "swap", {}, "db1 is a standby, and no database host is the primary: make one by switchover", id="a standby"
        ),
        pytest.param({"db1": look(journal=SWAPPING), "db2": DOWN}, "beside", {}, "A restore in place to the newest state was interrupted", id="another wish"),
        pytest.param({"db1": look(journal=SWAPPING), "db2": DOWN}, "swap", {"resumed": True}, "", id="the same wish"),
        pytest.param({"db1": look(journal=left("prepared", "x")), "db2": DOWN}, "beside", {}, "", id="nothing was changed yet"),
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
    said = module.refusal_of(looks, ["db1", "db2"], "db1", action, **more)
    assert said.startswith(sentence) and bool(said) == bool(sentence)


@pytest.mark.parametrize(
    ("codes", "wished", "repository", "sets"),
    [([0, 0], 0, 0, ["b", "a", "c"]), ([0, 99], 0, 1, ["b", "c"]), ([99, 0], 0, 1, ["b", "c"]), ([0, 99], 2, 2, ["a"])],
)
def test_while_one_is_away_all_comes_from_the_repository_of_the_backup(codes, wished, repository, sets):
    """The server would wait for that one with each piece of log; which backups there are is known of the others alone."""
    rows = [backup(label, SUNDAY + stop, database={"id": 1, "repo-key": key}) for label, stop, key in (("c", 0, 1), ("a", 60, 2), ("b", 120, 1))]
    repositories = [{"key": number, "status": {"code": code}} for number, code in enumerate(codes, 1)]
    found = decide({"backup": rows, "repo": repositories}, now=SUNDAY + DAY, free_bytes=10**12, repository=wished)
    assert (found["error"], found["repository"], found["sets"]) == ("", repository, sets)


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


# --- The plan -----------------------------------------------------------------------------------


NOTHING = {"time": "", "point": "", "label": "", "timeline": "", "dump": "", "database": "shop", "confirmation": ""}
NOTHING |= {"repository": 0, "removed": False, "headroom_mb": 1024}
SEEN = {"information": {"backup": BACKUPS}, "histories": "", "free_bytes": 10 * 1024**3, "beside_bytes": 0}
PAIR = {"db1": look(**SEEN), "db2": look(primary=False, **SEEN)}


def planned(looks=PAIR, more=None, **wishes):
    return module.plan(looks, ["db1", "db2"], NOTHING | wishes, "17", now=SUNDAY + 9 * DAY, **(more or {}))


@pytest.mark.parametrize(
    ("wishes", "action", "words"),
    [
        ({}, "beside", "the newest state"),
        ({"time": "2026-01-04 04:16+01:00"}, "beside", "2026-01-04 03:16:00.000000+00"),
        ({"point": "x", "confirmation": "shop/main"}, "swap", "the restore point x"),
        ({"label": BACKUPS[0]["label"]}, "beside", "the end of the backup from the backup 20260104-031500F"),
        ({"point": "x", "label": BACKUPS[0]["label"], "timeline": "2"}, "beside", "the restore point x from the backup 20260104-031500F on the timeline 2"),
        ({"dump": "latest", "confirmation": "shop"}, "dump", "the dump latest of the database shop"),
        ({"removed": True}, "remove", "the newest state"),
        ({"removed": True, "point": "x"}, "beside", "the restore point x"),
    ],
)
def test_what_is_done_with_what_is_asked_for(wishes, action, words):
    plan = planned(**wishes)
    assert (plan["host"], plan["action"], plan["words"], plan["order"]["words"]) == ("db1", action, words, words)
    assert plan["in_place"] == bool(wishes.get("confirmation"))


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({}, []),
        ({"time": "x"}, ["restore_target_time"]),
        ({"time": "x", "label": "y"}, ["restore_target_time"]),
        ({"time": "x", "point": "y"}, ["restore_target_time", "restore_target_name"]),
        ({"dump": "latest", "label": "y"}, ["restore_dump", "restore_backup_label"]),
        ({"removed": True, "time": "x"}, ["restore_target_time"]),
        ({"removed": True, "confirmation": "x"}, ["restore_in_place", "restore_remove"]),
        ({"removed": True, "dump": "x"}, ["restore_dump", "restore_remove"]),
    ],
)
def test_which_words_do_not_go_together(wishes, words):
    assert module.conflicts(NOTHING | wishes) == words


@pytest.mark.parametrize(
    ("wishes", "more", "stood_down", "rebuilt"),
    [
        ({"point": "x"}, {"managed": True}, [], []),
        ({"point": "x", "confirmation": "shop/main"}, {}, [], ["db2"]),
        ({"point": "x", "confirmation": "shop/main"}, {"managed": True}, ["db2"], ["db2"]),
        ({"dump": "latest", "confirmation": "shop"}, {"managed": True}, [], []),
    ],
)
def test_what_becomes_of_the_other_servers(wishes, more, stood_down, rebuilt):
    plan = planned(more=more, **wishes)
    assert (plan["stood_down"], plan["rebuilt"]) == (stood_down, rebuilt)


@pytest.mark.parametrize(("backup_hosts", "keeper"), [([], "db1"), (["backup1"], "backup1"), (["db1"], "db1"), (["db2", "backup1"], "backup1")])
def test_who_keeps_the_backups(backup_hosts, keeper):
    assert planned(more={"backup_hosts": backup_hosts})["keeper"] == keeper


def interrupted(phase, words="the newest state", exchanged=None, fits=True, **more):
    # The repository is away meanwhile: what goes on needs none.
    seen = SEEN | {"information": {}, "journal": left(phase, words, exchanged, fits), "trouble": "too far"}
    return {"db1": look(**seen) | more, "db2": look(primary=False, **SEEN)}


AWAY = "The repository does not answer: too far."
FINISHED = "On db1 the restore in place to %s is finished, which was interrupted: it was made ready at 2026-01-05 03:15:00+00, and nothing newer is restored."
AGAIN = " To restore again, run it again."
READY = "On db1 the restore point x is restored in the place of the cluster, as a run that was interrupted made it ready at 2026-01-05 03:15:00+00."


@pytest.mark.parametrize(
    ("looks", "wishes", "sentence"),
    [
        (interrupted("swapping"), {}, ""),
        (interrupted("swapped"), {}, ""),
        # The newest state of then is no longer the newest.
        (interrupted("prepared"), {}, AWAY),
        # Nor is it where nothing was exchanged and the server serves.
        (interrupted("swapping", exchanged=False), {}, AWAY),
        # Nobody has written to one that was stopped for it.
        (interrupted("swapping", exchanged=False, primary=False, running=False), {}, ""),
        (interrupted("prepared", "the restore point x"), {"point": "x"}, ""),
        (interrupted("swapping", "the restore point x", exchanged=False), {"point": "x"}, ""),
        # Another history has begun since.
        (interrupted("prepared", "the restore point x", fits=False), {"point": "x"}, AWAY),
        (interrupted("swapping", "the restore point x", exchanged=False, fits=False), {"point": "x"}, AWAY),
        (interrupted("swapping", exchanged=False, fits=False, primary=False, running=False), {}, AWAY),
        (interrupted("swapping"), {"point": "x"}, "A restore in place to the newest state was interrupted: run it again as it was, which finishes it."),
        (interrupted("swapping", exchanged=False), {"point": "x"}, "A restore in place to the newest state was interrupted: run it again as it was"),
        (interrupted("preparing", "the restore point x"), {"point": "x"}, AWAY),
    ],
)
def test_what_was_interrupted_is_gone_on_with(looks, wishes, sentence):
    wishes = wishes | {"confirmation": "shop/main"}
    if sentence:
        with pytest.raises(module.Refusal) as refusal:
            planned(looks, **wishes)
        assert str(refusal.value).startswith(sentence)
    else:
        plan = planned(looks, **wishes)
        assert (plan["action"], plan["order"]["sets"], plan["order"]["complete_log"]) == ("swap", [], not wishes.get("point"))


@pytest.mark.parametrize(
    ("phase", "wishes", "sentence"),
    [
        ("swapped", {}, FINISHED % "the newest state" + AGAIN),
        ("swapping", {}, FINISHED % "the newest state" + AGAIN),
        ("swapped", {"point": "x"}, FINISHED % "the restore point x" + AGAIN),
        ("prepared", {"point": "x"}, READY),
    ],
)
def test_what_an_interrupted_run_made_is_told_as_what_it_is(phase, wishes, sentence):
    """However long ago that was: nobody is to take it for what he asks for now."""
    plan = planned(interrupted(phase, module.words_of(NOTHING | wishes)), **wishes, confirmation="shop/main")
    assert (plan["sentence"], plan["order"]["since"]) == (sentence, "2026-01-05 03:15:00+00")
    assert "since" not in planned(**wishes, confirmation="shop/main")["order"]


def test_what_stands_beside_makes_room_for_another_beside_alone():
    pair = {"db1": look(**SEEN | {"free_bytes": 0, "beside_bytes": 2 * 1024**3}), "db2": look(primary=False, **SEEN)}
    assert planned(pair, removed=True, point="x")["action"] == "beside"
    with pytest.raises(module.Refusal, match="only 0 MB are"):
        planned(pair, point="x", confirmation="shop/main")


@pytest.mark.parametrize(
    ("looks", "wishes", "sentence"),
    [
        ({}, {}, "db1, db2 did not answer."),
        ({"db2": look(primary=False, **SEEN)}, {}, "No database host is the primary, and db1 did not answer."),
        (PAIR, {"time": "2001-01-01 00:00Z"}, "restore_target_time is '2001-01-01 00:00Z', before the oldest backup, which ended at 2026-01-04 03:15:00+00."),
        (PAIR, {"repository": 2}, "repository 2 holds no backup."),
    ],
)
def test_why_a_restore_does_not_begin(looks, wishes, sentence):
    looks = {host: look(**SEEN | {"information": {"backup": [backup("x", SUNDAY, database={"id": 1, "repo-key": 1})]}}) if wishes.get("repository") else row
             for host, row in looks.items() if not wishes.get("repository") or host == "db1"}  # fmt: skip
    with pytest.raises(module.Refusal) as refusal:
        planned(looks, **wishes)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({}, "On db1 the newest state is restored beside the cluster, from the backup 20260104-031500F_20260105-031500D."),
        ({"point": "x", "confirmation": "shop/main"}, "On db1 the restore point x is restored in the place of the cluster, from the backup 20260104-031500F_20260105-031500D."),
        ({"dump": "latest"}, "On db1 the dump latest of the database shop is restored beside the database."),
        ({"dump": "latest", "confirmation": "shop"}, "On db1 the dump latest of the database shop is restored in the place of the database."),
        ({"removed": True}, "What was restored beside is removed on db1."),
    ],
)
def test_what_is_to_be_done_is_said(wishes, sentence):
    assert planned(**wishes)["sentence"] == sentence
