"""What a server is, from what it says or from its data directory; and that a role's look and the guard are told the same."""

import contextlib
import importlib.util
import json
import os
import pathlib
import sys

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import postgresql_server as module

# As it lies beside the guard on a host.
sys.modules["postgresql_server"] = module
FILE = pathlib.Path(__file__).parents[4] / "roles/postgresql/files/postgresql-guard.py"
spec = importlib.util.spec_from_file_location("postgresql_guard", FILE)
guard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guard)

CONTROL = """\
Database system identifier:           7651234567890123456
Database cluster state:               {state}
Latest checkpoint location:           2/A0000028
Latest checkpoint's TimeLineID:       {timeline}
Min recovery ending loc's timeline:   {ending}
Time of latest checkpoint:            Sat Nov 21 14:00:00 2026
max_connections setting:              100
max_prepared_xacts setting:           0
"""


def control(state="shut down", timeline=1, ending=0):
    return CONTROL.format(state=state, timeline=timeline, ending=ending)


def says(timeline=1, recovery=False, **values):
    return {"recovery": recovery, "system": "7651234567890123456", "timeline": timeline, "received": None, "receiving": False, "streaming": False,
            "upstream": None, "standbys": [], "limits": {"max_connections": 100}, "position": 11, "replayed": None} | values  # fmt: skip


def standby(timeline=1, **values):
    return says(timeline, recovery=True, received=timeline, receiving=True, streaming=True, upstream="192.0.2.1", replayed=11) | values


def test_control_file():
    assert module.control(control(timeline=3)) == {"system": "7651234567890123456", "cluster": "shut down", "timeline": 3, "position": 0x2A0000028 + 1}
    assert module.control(control(timeline=1, ending=2))["timeline"] == 2, "promoted a moment before it stopped"
    assert module.limits(control()) == {"max_connections": 100, "max_prepared_transactions": 0}


@pytest.mark.parametrize(
    "said",
    [
        "", "7|1|0/0|", "null", "7|1|0/0|\nnull", "7|1|0/0|\n{}", "no\n{}", '7|1|0/0|\n{"timeline": null, "recovery": true}', "[]",
        '7|1|0/0|\n{"timeline": 1, "recovery": null}',
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_no_answer(said):
    with pytest.raises(ConnectionError, match="an answer that is none"):
        module.answer(said)


def test_an_answer_with_and_without_the_word_of_a_sender_of_the_log():
    assert module.answer(json.dumps(says(3)))["timeline"] == 3
    assert module.answer("7|4|0/0|\n" + json.dumps(standby(3)))["timeline"] == 4, "it replays what its control file does not name yet"


@pytest.mark.parametrize(
    ("names", "timelines"),
    [
        ([], []),
        (["00000001000000000000000A", "archive_status", "00000001000000000000000A.00000028.backup"], []),
        (["00000002.history", "0000000A.history", "0000000A.history.ready"], [2, 10]),
    ],
)
def test_histories(names, timelines):
    assert module.histories(names) == timelines


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a function that lays down a host's server: files, the control file, and what it says, an error where it does not."""
    data = tmp_path / "17" / "main"
    data.parent.mkdir()

    def make(files=(), control=None, said=None, running=None):
        for name in files:
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_text("")

        def ask(_self, target, *statements, **_options):
            if isinstance(said, str):
                raise ConnectionError(said)
            assert "replication" in target and len(statements) == 2
            return "7651234567890123456|%d|0/0|\n%s" % (said["timeline"], json.dumps(said))

        def controldata(_self):
            if control is None:
                raise module.Unreadable("nobody had to ask")
            return control

        monkeypatch.setattr(module.Server, "ask", ask)
        monkeypatch.setattr(module.Server, "controldata", controldata)
        monkeypatch.setattr(module.Server, "processes", lambda _self: [1] if (said is not None if running is None else running) else [])
        monkeypatch.setattr(module, "ACCOUNT", "root" if os.geteuid() == 0 else module.ACCOUNT)
        configuration = {"host": "db1", "hosts": {}, "data": str(data), "programs": "/nonexistent", "unit": "x", "local": {}, "remote": {}}
        return module.Server(data, "/nonexistent", {}).look(), guard.Host(configuration).own()

    return make


MADE = ("PG_VERSION",)
STANDBY = ("PG_VERSION", "standby.signal")
STARTING = "the database system is starting up"

TABLE = [
    pytest.param({"files": MADE, "said": says(2)}, {"running": True, "primary": True, "timeline": 2, "heard": 2}, True, id="a primary that runs"),
    pytest.param(
        {"files": STANDBY, "said": standby(2)}, {"running": True, "primary": False, "timeline": 2, "heard": 2, "streaming": True, "upstream": "192.0.2.1"}, False,
        id="a standby that runs",
    ),
    pytest.param(
        {"files": STANDBY, "said": standby(2, receiving=False, streaming=False, received=None)}, {"primary": False, "timeline": 2, "streaming": False}, False,
        id="a standby that waits for its primary",
    ),
    pytest.param({"files": MADE, "control": control(timeline=3)}, {"running": False, "primary": True, "timeline": 3, "heard": 3}, False, id="a stopped primary"),
    pytest.param(
        {"files": MADE, "control": control("in production", timeline=3)}, {"running": False, "primary": True, "timeline": 3}, False, id="a primary that was killed"
    ),
    pytest.param(
        {"files": STANDBY, "control": control("shut down in recovery", 2)}, {"running": False, "primary": False, "timeline": 2, "heard": 2}, False,
        id="a stopped standby",
    ),
    pytest.param(
        # It says the timeline that it writes on, and its control file the former one.
        {"files": MADE, "said": says(2), "control": control("in production", 1)}, {"running": True, "primary": True, "timeline": 2, "heard": 2}, True,
        id="promoted a moment ago, with the control file still on the former timeline",
    ),
    pytest.param(
        {"files": MADE, "control": control("in production", 1, ending=2)}, {"running": False, "primary": True, "timeline": 2}, False,
        id="promoted a moment ago, and killed",
    ),
    pytest.param(
        {"files": (*STANDBY, "pg_wal/00000002.history"), "said": standby(1)}, {"primary": False, "timeline": 1, "heard": 2}, False,
        id="a standby that runs and has fetched a newer history",
    ),
    pytest.param(
        {"files": (*STANDBY, "pg_wal/00000002.history"), "control": control(timeline=1)}, {"primary": False, "timeline": 1, "heard": 2}, False,
        id="a stopped standby that has fetched a newer history",
    ),
    pytest.param({"files": STANDBY, "said": standby(1, received=2)}, {"timeline": 1, "heard": 2}, False, id="a standby that receives a newer timeline"),
    pytest.param(
        {"files": (*MADE, "pg_wal/00000003.history"), "said": says(2)}, {"primary": True, "timeline": 2, "heard": 2}, True,
        id="a primary beside a history that it does not follow",
    ),
    pytest.param({"files": (*STANDBY, "fenced")}, {"exists": True, "running": False, "primary": False, "fenced": True}, False, id="fenced"),
    pytest.param({"files": (*MADE, "fenced"), "said": says(1)}, {"running": True, "primary": True, "fenced": True}, True, id="fenced, and started all the same"),
    pytest.param(
        {"files": MADE, "said": STARTING, "control": control("in production")}, {"running": False, "primary": True, "timeline": 1}, True,
        id="a primary that does not answer",
    ),
    pytest.param(
        {"files": STANDBY, "said": STARTING, "control": control("in archive recovery")}, {"running": False, "primary": False}, False,
        id="a standby that does not answer",
    ),
    pytest.param({}, {"exists": False, "running": False, "primary": False, "timeline": 0, "system": ""}, False, id="empty"),
]  # fmt: skip


@pytest.mark.parametrize(("server", "expected", "leads"), TABLE)
def test_the_look_of_a_role_and_the_guard_are_told_the_same(host, server, expected, leads):
    look, own = host(**server)
    assert {name: look[name] for name in expected} == expected
    assert look["exists"] == own["exists"]
    assert look["fenced"] == (own["fenced"] is not None)
    assert look["running"] == (own["recovery"] is not None)
    assert (look["timeline"], look["heard"], look["system"]) == (own.get("timeline", 0), own["heard"], own.get("system", ""))
    assert look["streaming"] == own.get("streaming", False)
    if look["exists"]:
        assert look["primary"] == (not module.follows(own))
    assert (own["running"] and guard.leads(own)) == leads
    # A primary by the word of either is one that the guard keeps from starting beside another.
    if look["primary"] and not look["running"] and not look["fenced"]:
        rival = {"db2": {"alive": True, "system": own["system"], "timeline": own["timeline"] + 1, "recovery": False, "receiving": False}}
        assert "has taken its place" in guard.why_never_start(own, rival)


def test_what_was_not_made_to_its_end_is_nothing_for_a_role_and_no_leave_for_the_guard(host, tmp_path):
    (tmp_path / "17-main.unfinished").parent.mkdir(exist_ok=True)
    (tmp_path / "17-main.unfinished").write_text("")
    look, own = host(files=MADE, control=control())
    assert (look["exists"], own["exists"]) == (False, True)


@pytest.mark.parametrize("name", ["17/main.new", "17/main"])
def test_a_copy_that_was_not_finished_is_told(host, tmp_path, name):
    (tmp_path / name).mkdir(parents=True, exist_ok=True)
    assert host()[0]["unfinished"] is name.endswith(".new")


def test_a_data_directory_that_says_nothing_is_an_error_and_not_a_guess(host):
    with pytest.raises(module.Unreadable):
        host(files=MADE)


def test_a_restore_that_is_to_end_by_itself_is_no_standby_of_anybody(host):
    look, own = host(files=(*MADE, "recovery.signal"), control=control("in archive recovery"))
    assert (look["primary"], own["standby"]) == (True, True)


def test_a_server_that_sends_its_log_to_nobody_is_asked_plainly(monkeypatch):
    def ask(_self, target, *statements, **_options):
        if "replication" in target:
            raise ConnectionError('number of requested standby connections exceeds "max_wal_senders" (currently 0)')
        assert statements == (module.QUESTION,)
        return json.dumps(says(3))

    monkeypatch.setattr(module.Server, "ask", ask)
    assert module.Server("/x", "/x", {}).says()["timeline"] == 3
    with pytest.raises(ConnectionError):
        # Of another host's server less would be known, and that might let this one go on.
        module.Server("/x", "/x", {}).question({})


@pytest.mark.parametrize(
    ("seen", "serving", "streaming"),
    [
        ({"running": True, "primary": True, "streaming": False}, True, False),
        ({"running": False, "primary": True, "streaming": False}, False, False),
        ({"running": True, "primary": False, "streaming": False}, False, False),
        ({"running": True, "primary": False, "streaming": True}, True, True),
        ({"running": False, "primary": False, "streaming": False}, False, False),
    ],
)
def test_what_is_waited_for(seen, serving, streaming):
    reached = [module.is_reached(state, seen) for state in ("any", "serving", "streaming")]
    assert reached == [True, serving, streaming]


def test_it_is_waited_no_longer_than_allowed(monkeypatch):
    looks = iter([{"running": False}, {"running": True, "primary": False, "streaming": False}, {"running": True, "primary": False, "streaming": True}] * 2)
    monkeypatch.setattr(module.Server, "look", lambda _self: {"primary": False, "streaming": False} | next(looks))
    server, clock = module.Server("/x", "/x", {}), iter(range(100))
    assert server.wait("streaming", 60, clock=lambda: next(clock), pause=lambda _seconds: None)[1] is True
    assert server.wait("streaming", 0, clock=lambda: 0, pause=lambda _seconds: None) == ({"running": False, "primary": False, "streaming": False}, False)


def test_a_host_without_the_account_has_nothing(monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root takes another's place")
    monkeypatch.setattr(module, "ACCOUNT", "nobody-of-that-name")
    assert module.Server("/nonexistent/17/main", "/x", {}).look() == module.NOTHING | {"unfinished": False}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to leave")
def test_rights_are_left_for_a_while():
    account = module.pwd.getpwuid(1)
    with module.as_account(account.pw_name):
        assert os.geteuid() == 1
        with pytest.raises(PermissionError):
            open("/etc/shadow", encoding="utf-8").close()
    assert (os.geteuid(), os.getegid()) == (0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("is_account", [False, True])
def test_what_runs_as_the_account_has_none_of_roots_groups(monkeypatch, tmp_path, is_account):
    monkeypatch.setattr(module, "ACCOUNT", "nobody")
    server = module.Server(tmp_path, "/usr/bin", {})
    before = os.getgroups()
    os.setgroups([0, *before])
    try:
        with module.as_account("nobody") if is_account else contextlib.nullcontext():
            groups = server.run("id", "--groups").stdout.split()
    finally:
        os.setgroups(before)
    assert "0" not in groups
