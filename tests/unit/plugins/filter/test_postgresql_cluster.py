"""Who is the primary is read from the hosts; where that is in doubt, nobody is."""

import importlib.util
import itertools
import pathlib

import pytest

FILE = pathlib.Path(__file__).parents[4] / "plugins/filter/postgresql_cluster.py"
spec = importlib.util.spec_from_file_location("postgresql_cluster", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
view = module.who
seen_by = module.FilterModule().filters()["postgresql_cluster"]

BARE = {"reachable": True, "exists": False}
SILENT = {"reachable": False}


def primary(timeline=1, running=True, **more):
    return {"reachable": True, "exists": True, "primary": True, "running": running, "timeline": timeline, "system": "7"} | more


def standby(timeline=1, running=True, **more):
    return primary(timeline, running) | {"primary": False} | more


@pytest.mark.parametrize(
    ("states", "name", "apart"),
    [
        ([BARE, BARE], "a", ""),
        ([primary(), BARE], "a", ""),
        ([primary(), standby()], "a", ""),
        ([standby(2), primary(2)], "b", ""),
        ([BARE, primary(2)], "b", ""),
        ([SILENT, primary(2)], "b", ""),
        ([primary(running=False), standby()], "a", ""),
        ([primary(running=False), primary(2)], "b", "a"),
        ([primary(running=False), primary(2, running=False)], "b", "a"),
        ([primary(fenced=True), primary(2)], "b", "a"),
        ([primary(9, fenced=True, running=False), primary(2)], "b", "a"),
        ([primary(), standby(system="8")], "a", "b"),
        ([primary(), primary(5, running=False, system="8")], "a", "b"),
        ([primary(), standby(running=False, fenced=True)], "a", "b"),
    ],
)
def test_the_primary_is_the_one_that_the_hosts_show(states, name, apart):
    seen = view(dict(zip("ab", states)))
    assert (seen["primary"], seen["problem"], "".join(seen["apart"])) == (name, "", apart)
    for host, sentence in seen["apart"].items():
        assert sentence.startswith(host)
        assert f"postgresql_rebuild={host}" in sentence


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ([primary(), primary(2)], "a and b both accept writes"),
        ([primary(), primary(2, running=False)], "a accepts writes, but b, stopped, was promoted after it"),
        ([primary(), standby(2)], "a accepts writes, but b, a standby, is on a newer timeline (2), so another server was promoted after it"),
        ([primary(), standby(2, running=False)], "a accepts writes, but b, a standby, is on a newer timeline (2)"),
        ([primary(running=False), standby(2)], "a is a primary, and stopped, but b, a standby, is on a newer timeline (2)"),
        ([primary(running=False), standby(2, running=False)], "a is a primary, and stopped, but b, a standby, is on a newer timeline (2)"),
        ([primary(running=False), primary(running=False)], "a and b are both primaries, and stopped"),
        ([SILENT, standby()], "none of the hosts that answer is the primary, and a cannot be asked"),
        ([SILENT, BARE], "none of the hosts that answer is the primary, and a cannot be asked"),
        ([BARE, standby()], "there is no primary, only b"),
        ([standby(), standby()], "there is no primary, only a and b"),
        # The primary died, and was taken off the inventory.
        ([standby()], "a is a standby, and the only host: put that of its primary back into the group database, make a the primary with the playbook switch"),
        ([standby(running=False, fenced=True)], "a is a standby, and the only host"),
    ],
)
def test_a_doubt_is_told_and_makes_nobody_the_primary(states, problem):
    seen = view(dict(zip("ab", states)))
    assert seen["primary"] == ""
    assert seen["problem"].startswith(problem)
    assert seen["apart"] == {}


@pytest.mark.parametrize("state", [BARE, primary(), primary(running=False)])
def test_a_host_that_is_left_of_a_pair_serves_where_it_is_no_standby(state):
    found = seen_by(asked(a=state), ["a"], "a")
    assert (found["primary"], found["problem"], found["serves"], found["builds"], found["contradictions"]) == ("a", "", True, False, [])


@pytest.mark.parametrize("running", [True, False])
def test_what_a_standby_knows_does_not_count_where_it_is_given_up_or_of_another_cluster(running):
    states = {"a": primary(running=running), "b": standby(2, running=running)}
    assert "-e postgresql_rebuild=b" in view(states)["problem"]
    assert view(states, given_up=["b"])["primary"] == "a"
    assert view({"a": primary(running=running), "b": standby(2, system="8")})["primary"] == "a"
    assert view({"a": primary(running=running), "b": standby(2, fenced=True)})["primary"] == "a"


def test_a_running_primary_is_never_passed_over_for_a_stopped_host():
    kinds = [BARE, SILENT, standby(), standby(2, running=False), primary(running=False), primary(2, running=False), primary(fenced=True)]
    for others in itertools.product(kinds, repeat=2):
        for place in range(3):
            states = list(others)
            states.insert(place, primary(2))
            assert view(dict(zip("abc", states)))["primary"] in ("abc"[place], "")


def test_a_standby_that_has_heard_of_a_newer_timeline_speaks_against_the_primary_and_a_restored_one_does_not():
    assert view({"a": primary(), "b": standby(heard=2)})["problem"].startswith("a accepts writes, but b, a standby, is on a newer timeline (2)")
    assert view({"a": primary(heard=2), "b": standby()})["primary"] == "a"
    assert view({"a": primary(2), "b": primary(heard=3, running=False)})["primary"] == "a"


def asked(**states):
    return [{"item": name, "server": state} if state else {"item": name, "unreachable": True} for name, state in states.items()]


LIMITS = {"max_connections": 200}


@pytest.mark.parametrize(
    ("states", "own", "more", "expected"),
    [
        pytest.param({}, "a", {}, {"primary": "a", "builds": False, "serves": True, "least": {}}, id="a cluster of one"),
        pytest.param({"a": BARE, "b": BARE}, "a", {}, {"primary": "a", "builds": False, "serves": True}, id="bare, the first"),
        pytest.param({"a": BARE, "b": BARE}, "b", {}, {"primary": "a", "builds": True, "serves": False, "contradictions": []}, id="bare, the second"),
        pytest.param(
            {"a": primary(limits=LIMITS), "b": standby()}, "b", {}, {"builds": False, "serves": True, "least": LIMITS}, id="a standby"
        ),
        pytest.param({"a": primary(running=False), "b": standby(limits=LIMITS)}, "b", {}, {"least": LIMITS}, id="a standby whose primary is down"),
        pytest.param({"a": primary(limits=LIMITS), "b": standby()}, "b", {"managed": True}, {"serves": True, "least": {}}, id="under Patroni"),
        pytest.param({"a": primary(limits=LIMITS), "b": standby()}, "a", {}, {"builds": False, "serves": True, "least": {}}, id="the primary"),
        pytest.param({"a": primary(), "b": standby(unfinished=True)}, "b", {}, {"builds": True, "serves": False}, id="a copy that was interrupted"),
        pytest.param({"a": primary(unfinished=True), "b": standby()}, "a", {}, {"builds": False, "serves": True}, id="what a primary has no use for"),
        pytest.param(
            {"a": primary(), "b": standby()}, "b", {"rebuild": "b"}, {"builds": True, "serves": False, "rebuilt": ["b"]}, id="asked for by its name"
        ),
        pytest.param({"a": primary(), "b": standby()}, "b", {"rebuild": ["b"]}, {"builds": True, "rebuilt": ["b"]}, id="asked for in a list"),
        pytest.param({"a": primary(), "b": standby()}, "b", {"rebuild": ""}, {"builds": False, "rebuilt": []}, id="asked for by nobody"),
        pytest.param(
            {"a": standby(2), "b": primary(2)}, "a", {},
            {"primary": "b", "contradictions": ["b is the primary, not a as the inventory says: put it first in the group database."]}, id="the inventory is wrong",
        ),
        pytest.param({"a": standby(2), "b": primary(2)}, "a", {"managed": True}, {"primary": "b", "contradictions": []}, id="it says nothing under Patroni"),
        pytest.param(
            {"a": primary(), "b": standby(system="8")}, "b", {}, {"serves": False, "builds": False, "contradictions": [
                "b has data of another cluster than a: it becomes a standby with -e postgresql_rebuild=b, which sets this data aside."]}, id="a stranger",
        ),
        pytest.param({"a": primary(), "b": standby(system="8")}, "b", {"managed": True}, {"serves": True}, id="a stranger under Patroni"),
        pytest.param(
            {"a": primary(), "b": standby(system="8")}, "b", {"rebuild": "b"}, {"serves": False, "builds": True, "contradictions": []}, id="no longer",
        ),
        pytest.param({"a": None, "b": standby()}, "b", {}, {"primary": "", "problem": "none of the hosts that answer is the primary, and a cannot be asked"},
                     id="nobody knows"),
    ],
)  # fmt: skip
def test_what_follows_for_one_host(states, own, more, expected):
    found = seen_by(asked(**states), ["a", "b"], own, **more)
    assert {name: found[name] for name in expected} == expected
