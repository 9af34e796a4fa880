"""Which host becomes the primary, and what a switchover refuses: decided from the servers' answers alone."""

import importlib.util
import itertools
import pathlib

import pytest

FILE = pathlib.Path(__file__).parents[4] / "plugins/filter/postgresql_switchover.py"
spec = importlib.util.spec_from_file_location("postgresql_switchover", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
plan = module.FilterModule().filters()["postgresql_switchover"]

MB = 1024 * 1024
HERE = {"alive": True, "recovery": True}
GONE = {"alive": False, "error": "connection refused"}


def server(**values):
    return {
        "exists": True, "running": True, "standby": False, "fenced": None, "recovery": False, "receiving": False, "system": "7",
        "timeline": 1, "position": 100 * MB, "replayed": None, "cluster": None, "peers": {},
    } | values  # fmt: skip


def primary(**values):
    return server(**values)


def standby(**values):
    return server(**({"standby": True, "recovery": True, "receiving": True, "replayed": 100 * MB} | values))


def stopped(**values):
    return server(**({"running": False, "recovery": None, "cluster": "shut down", "position": 100 * MB} | values))


def crashed(**values):
    return stopped(**({"cluster": "in production"} | values))


def hung(**values):
    return server(recovery=None, error="no answer in time", cluster="in production", **values)


def idle(**values):
    """A standby whose server is stopped: what its control file says is as old as its last checkpoint."""
    return stopped(**({"standby": True, "cluster": "shut down in recovery", "position": 90 * MB} | values))


FENCED = {name: value for name, value in stopped(fenced="db2 has taken its place", standby=True).items() if name not in ("system", "position", "timeline")}
ORPHAN = standby(receiving=False, peers={"db1": GONE})


@pytest.mark.parametrize(
    ("answers", "arguments", "expected"),
    [
        pytest.param(
            {"db1": primary(), "db2": standby()}, {},
            {"new": "db2", "old": "db1", "finish": False, "forced": False, "fence": [], "rejoin": ["db1"], "certain": True},
            id="planned, the one standby",
        ),
        pytest.param({"db1": standby(), "db2": primary()}, {}, {"new": "db1", "old": "db2"}, id="planned, back again"),
        pytest.param(
            {"db1": primary(), "db2": standby(), "db3": standby()}, {"to": "db3"}, {"new": "db3", "old": "db1", "rejoin": ["db1", "db2"]},
            id="planned, one of two standbys",
        ),
        pytest.param({"db1": primary(), "db2": standby(), "db3": None}, {"to": "db2"}, {"new": "db2", "old": "db1"}, id="planned, another is away"),
        pytest.param({"db1": primary(position=110 * MB), "db2": standby()}, {}, {"new": "db2", "lag_mb": 10.0}, id="planned, a little behind"),
        pytest.param({"db1": standby(), "db2": primary()}, {"to": "db2"}, {"new": "db2", "old": None, "finish": True, "rejoin": ["db1"]}, id="done before"),
        pytest.param(
            {"db1": primary(timeline=2), "db2": standby(archived=2), "db3": standby(timeline=2)}, {"to": "db2"}, {"new": "db2", "old": "db1"},
            id="planned, a moment after another switchover: it receives the primary's timeline and does not replay it yet",
        ),
        pytest.param(
            {"db1": primary(), "db2": standby(), "db3": server(recovery=None, standby=True, error="starting up")}, {"to": "db2"}, {"new": "db2", "old": "db1"},
            id="planned, another standby starts up",
        ),
        pytest.param({"db1": primary(), "db2": standby(), "db3": FENCED}, {"to": "db2"}, {"new": "db2", "rejoin": ["db1"]}, id="planned, another is fenced"),
        # Interrupted runs.
        pytest.param(
            {"db1": stopped(), "db2": standby(receiving=False)}, {"to": "db2"}, {"new": "db2", "old": "db1", "finish": False, "position": 100 * MB},
            id="interrupted after the stop",
        ),
        pytest.param(
            {"db1": stopped(standby=True), "db2": standby(receiving=False)}, {"to": "db2"}, {"new": "db2", "old": "db1", "finish": False, "rejoin": ["db1"]},
            id="interrupted before the promotion",
        ),
        pytest.param(
            {"db1": standby(receiving=False), "db2": standby(receiving=False)}, {"to": "db1"}, {"new": "db1", "old": None, "rejoin": ["db2"]},
            id="interrupted, started again, and turned back",
        ),
        pytest.param(
            {"db1": stopped(standby=True), "db2": primary(timeline=2)}, {"to": "db2"}, {"new": "db2", "finish": True, "rejoin": ["db1"]},
            id="interrupted after the promotion",
        ),
        # Forced.
        pytest.param(
            {"db1": crashed(position=200 * MB), "db2": ORPHAN}, {"force": True},
            {"new": "db2", "old": "db1", "fence": ["db1"], "rejoin": [], "certain": False, "forced": True},
            id="forced, the server is dead",
        ),
        pytest.param(
            {"db1": crashed(), "db2": ORPHAN}, {"force": True, "synchronous": 1}, {"new": "db2", "fence": ["db1"], "certain": True, "standbys": 0},
            id="forced, with a synchronous standby",
        ),
        pytest.param(
            {"db1": None, "db2": ORPHAN}, {"force": True, "dead": ["db1"]}, {"new": "db2", "old": "db1", "fence": [], "rejoin": []},
            id="forced, the host is switched off",
        ),
        pytest.param(
            {"db1": crashed(), "db2": ORPHAN, "db3": standby(receiving=False)}, {"to": "db2", "force": True, "synchronous": 1},
            {"new": "db2", "rejoin": ["db3"], "standbys": 1, "certain": True},
            id="forced, two standbys",
        ),
        pytest.param(
            {"db1": crashed(timeline=2), "db2": ORPHAN}, {"force": True}, {"new": "db2", "fence": ["db1"], "certain": False},
            id="forced, nothing of the last timeline has come across",
        ),
        pytest.param(
            {"db1": crashed(timeline=2), "db2": standby(receiving=False, archived=2)}, {"force": True}, {"new": "db2", "fence": ["db1"], "certain": False},
            id="forced, the archive knows the timeline of the one that is given up",
        ),
        pytest.param(
            {"db1": crashed(), "db2": standby(receiving=False, archived=3, accepted=3)}, {"force": True}, {"new": "db2", "certain": False},
            id="forced, what the archive knows was given up",
        ),
        pytest.param(
            {"db1": crashed(), "db2": ORPHAN, "db3": idle()}, {"to": "db2", "force": True, "synchronous": 2}, {"new": "db2", "certain": True},
            id="forced, each of two standbys acknowledged, one answers",
        ),
        pytest.param(
            {"db1": stopped(standby=True), "db2": ORPHAN}, {"to": "db2", "force": True, "synchronous": 1}, {"new": "db2", "certain": True},
            id="forced, after an interrupted switchover",
        ),
        # Without a primary that stopped cleanly, all others have been asked, or it is not certain.
        pytest.param({"db1": FENCED, "db2": ORPHAN}, {"to": "db2"}, {"new": "db2", "certain": False}, id="the former primary was given up"),
        pytest.param(
            {"db1": stopped(standby=True), "db2": ORPHAN, "db3": idle()}, {"to": "db2"}, {"new": "db2", "old": "db1", "certain": True},
            id="interrupted before the promotion, another is stopped",
        ),
        pytest.param(
            {"db1": FENCED, "db2": primary(timeline=2)}, {"to": "db2", "force": True}, {"finish": True, "rejoin": [], "fence": []}, id="forced, done before"
        ),
    ],
)  # fmt: skip
def test_plan(answers, arguments, expected):
    result = plan(answers, **arguments)
    assert result["refusal"] == ""
    assert {name: result[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("answers", "arguments", "sentence"),
    [
        ({"db1": primary()}, {}, "The group database has a single host"),
        ({"db1": primary(), "db2": standby()}, {"to": "db9"}, "switchover_to is 'db9': give one of the database's hosts, db1, db2."),
        ({"db1": primary(), "db2": standby(), "db3": standby()}, {}, "switchover_to is not set: name the new primary, one of db2, db3."),
        ({"db1": primary(), "db2": None}, {}, "db2 cannot be reached"),
        ({"db1": primary(), "db2": stopped(standby=True)}, {}, "db2 runs no server that answers"),
        ({"db1": primary(), "db2": FENCED}, {}, "db2 is fenced (db2 has taken its place): rebuild it with -e postgresql_rebuild=db2"),
        ({"db1": primary(), "db2": standby(receiving=False)}, {}, "db2 does not receive the log of db1"),
        ({"db1": primary(position=117 * MB), "db2": standby()}, {}, "db2 lags 17.0 MB behind db1, more than switchover_max_lag_mb (16)"),
        ({"db1": primary(position=102 * MB), "db2": standby()}, {"max_lag_mb": 1.5}, "db2 lags 2.0 MB behind db1, more than switchover_max_lag_mb (1.5)"),
        ({"db1": primary(system="8"), "db2": standby()}, {}, "db1 and db2 do not hold the same database cluster"),
        ({"db1": primary(), "db2": primary(timeline=2)}, {"to": "db2"}, "db1 and db2 both accept writes"),
        ({"db1": None, "db2": ORPHAN}, {}, "switchover_to is not set"),
        ({"db1": None, "db2": ORPHAN}, {"to": "db2"}, "No primary answers, and db1 cannot be reached: for a dead primary use switchover_force=true"),
        ({"db1": crashed(), "db2": ORPHAN}, {}, "The server of db1 is down and was not stopped cleanly: start it, or give it up with switchover_force"),
        ({"db1": hung(), "db2": ORPHAN}, {"to": "db2"}, "db1 runs a server that does not answer: wait for it, or stop it"),
        ({"db1": stopped(position=100 * MB + 9), "db2": ORPHAN}, {}, "db2 lacks 9 bytes of the log that db1 holds: start the server of db1 first."),
        (
            {"db1": stopped(standby=True, position=100 * MB + 9), "db2": ORPHAN}, {"to": "db2"},
            "db2 lacks 9 bytes of the log that db1 holds: switch over to db1, which has it all.",
        ),
        # Forced: nothing but proof that nobody else is the primary.
        ({"db1": primary(), "db2": standby()}, {"force": True}, "db1 still accepts connections as the primary: leave switchover_force out."),
        ({"db1": hung(), "db2": ORPHAN}, {"to": "db2", "force": True}, "The server of db1 does not answer but still runs: stop it first"),
        ({"db1": None, "db2": ORPHAN}, {"to": "db2", "force": True}, "db1 cannot be reached and may still run: switch it off, then vouch for that with -e switchover_dead=db1."),
        (
            {"db1": None, "db2": standby(peers={"db1": {"alive": True, "recovery": False}})}, {"to": "db2", "force": True, "dead": ["db1"]},
            "db1 still accepts connections from db2: two primaries could result.",
        ),
        ({"db1": crashed(), "db2": ORPHAN}, {"force": True, "dead": ["db1"]}, "switchover_dead names db1, which answers: leave it out."),
        ({"db1": crashed(), "db2": ORPHAN}, {"force": True, "dead": ["db2"]}, "switchover_dead names db2: give the database's hosts"),
        (
            {"db1": crashed(), "db2": ORPHAN, "db3": standby(position=101 * MB)}, {"to": "db2", "force": True},
            "db3 holds more of the log than db2: switch over to db3.",
        ),
        (
            {"db1": crashed(), "db2": ORPHAN, "db3": None}, {"to": "db2", "force": True, "dead": ["db3"], "synchronous": 1},
            "Only 1 of 2 standbys can be asked, so that a row which 1 acknowledged may be missing",
        ),
        ({"db1": crashed(), "db2": FENCED}, {"force": True}, "db2 is fenced"),
        (
            {"db1": crashed(), "db2": ORPHAN, "db3": idle()}, {"to": "db2", "force": True, "synchronous": 1},
            "Only 1 of 2 standbys can be asked, so that a row which 1 acknowledged may be missing: start the server of db3, or accept",
        ),
        (
            {"db1": crashed(), "db2": ORPHAN, "db3": idle(position=101 * MB)}, {"to": "db2", "force": True},
            "db3 holds more of the log than db2: start the server of db3 first.",
        ),
        (
            {"db1": FENCED, "db2": ORPHAN, "db3": idle()}, {"to": "db2"},
            "The server of db3 is stopped and may hold more of the log than db2: start it first.",
        ),
        (
            {"db1": crashed(), "db2": ORPHAN, "db3": standby(timeline=2, receiving=False)}, {"to": "db2", "force": True},
            "db3 is on a newer timeline than db2 (2, not 1): switch over to db3.",
        ),
        (
            {"db1": None, "db2": ORPHAN, "db3": idle(timeline=2)}, {"to": "db2", "force": True, "dead": ["db1"]},
            "db3 is on a newer timeline than db2 (2, not 1): start the server of db3 first.",
        ),
        (
            {"db1": crashed(), "db2": standby(receiving=False, archived=2)}, {"force": True},
            "The archive of the backups holds a newer timeline than db2 (2, not 1), so another server was promoted after it: start that one, or, to give up",
        ),
        ({"db1": stopped(), "db2": standby(receiving=False, archived=2)}, {"to": "db2"}, "The archive of the backups holds a newer timeline than db2"),
        ({"db1": stopped(timeline=2), "db2": ORPHAN}, {}, "db1 is on a newer timeline than db2 (2, not 1): start the server of db1 first."),
        # There is a primary, and another server was promoted after it.
        ({"db1": primary(), "db2": standby(), "db3": idle(timeline=2)}, {"to": "db2"}, "db3 is on a newer timeline than db2 (2, not 1): start the server"),
        ({"db1": primary(), "db2": standby(), "db3": idle(heard=2)}, {"to": "db2"}, "db3 is on a newer timeline than db2 (2, not 1): start the server of db3"),
        ({"db1": primary(), "db2": standby(), "db3": stopped(timeline=2)}, {"to": "db2"}, "db3 is on a newer timeline than db2 (2, not 1): start the server"),
        (
            {"db1": primary(), "db2": standby(), "db3": standby(timeline=2, receiving=False)}, {"to": "db2"},
            "db3 is on a newer timeline than db2 (2, not 1): switch over to db3.",
        ),
        ({"db1": primary(), "db2": standby(archived=2)}, {}, "The archive of the backups holds a newer timeline than db2 (2, not 1)"),
        ({"db1": primary(), "db2": stopped(timeline=2)}, {"to": "db1"}, "db2 is on a newer timeline than db1 (2, not 1): start the server of db2 first."),
        ({"db1": primary(), "db2": idle(timeline=2)}, {"to": "db1", "force": True}, "db2 is on a newer timeline than db1 (2, not 1): start the server of db2"),
        ({"db1": primary(archived=2), "db2": standby()}, {"to": "db1"}, "The archive of the backups holds a newer timeline than db1 (2, not 1)"),
        # Nor is one that does not answer passed over, where it may be a primary.
        (
            {"db1": primary(), "db2": standby(), "db3": hung()}, {"to": "db2"},
            "db3 runs a server that does not answer, and may accept writes as db1 does: wait for it, or stop it.",
        ),
        ({"db1": hung(), "db2": primary(timeline=2)}, {"to": "db2"}, "db1 runs a server that does not answer, and may accept writes as db2 does"),
        ({"db1": hung(), "db2": primary(timeline=2)}, {"to": "db2", "force": True}, "db1 runs a server that does not answer, and may accept writes"),
        ({"db1": primary(), "db2": primary(timeline=2)}, {"to": "db2", "force": True}, "db1 and db2 both accept writes"),
    ],
)  # fmt: skip
def test_refusal(answers, arguments, sentence):
    result = plan(answers, **arguments)
    assert result["refusal"].startswith(sentence), result
    assert result["new"] is None


OTHERS = {
    "answers": (standby(receiving=False), True),
    "stopped": (idle(), False),
    "killed": (idle(cluster="in archive recovery"), False),
    "demoted": (stopped(standby=True, position=90 * MB), False),
    "fenced": (FENCED, False),
    "bare": ({"exists": False, "running": False, "standby": False, "fenced": None, "recovery": None, "peers": {}}, False),
    "away": (None, False),
}


@pytest.mark.parametrize("synchronous", [0, 1, 2, 3])
@pytest.mark.parametrize("others", [pair for count in (0, 1, 2) for pair in itertools.combinations_with_replacement(OTHERS, count)], ids="-".join)
def test_nothing_is_certain_over_a_server_that_was_not_asked(others, synchronous):
    """Of two to four hosts one is dead: a row is found for certain where fewer standbys are not asked than acknowledged it."""
    answers = {"db1": None, "db2": ORPHAN} | {f"db{number}": OTHERS[kind][0] for number, kind in enumerate(others, 3)}
    dead = [name for name, known in answers.items() if known is None]
    result = plan(answers, to="db2", force=True, dead=dead, synchronous=synchronous)
    silent = len([kind for kind in others if not OTHERS[kind][1]])
    if synchronous == 0:
        assert (result["refusal"], result["certain"]) == ("", False)
    elif silent < synchronous:
        assert (result["refusal"], result["certain"]) == ("", True)
    else:
        assert result["refusal"].startswith(f"Only {1 + len(others) - silent} of {1 + len(others)} standbys can be asked")
        for number, kind in enumerate(others, 3):
            assert (f"db{number}" in result["refusal"]) == (kind in ("stopped", "killed", "demoted"))


def test_a_forced_failover_never_passes_over_a_host_that_nobody_knows_of():
    """Whatever the others say: a host that is neither asked nor vouched for may be a primary."""
    for others in ({"db1": crashed()}, {"db1": stopped()}, {"db1": FENCED}, {"db1": standby(receiving=False)}):
        result = plan({**others, "db2": ORPHAN, "db3": None}, to="db2", force=True)
        assert "db3 cannot be reached and may still run" in result["refusal"]
