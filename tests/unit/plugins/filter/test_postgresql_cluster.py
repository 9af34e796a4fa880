"""Who is the primary is read from the hosts; where that is in doubt, nobody is."""

import importlib.util
import itertools
import pathlib

import pytest

FILE = pathlib.Path(__file__).parents[4] / "plugins/filter/postgresql_cluster.py"
spec = importlib.util.spec_from_file_location("postgresql_cluster", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
view = module.FilterModule().filters()["postgresql_cluster"]

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
    ],
)
def test_a_doubt_is_told_and_makes_nobody_the_primary(states, problem):
    seen = view(dict(zip("ab", states)))
    assert seen["primary"] == ""
    assert seen["problem"].startswith(problem)
    assert seen["apart"] == {}


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
