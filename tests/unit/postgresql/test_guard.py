"""Who may start, and who has to stop: the guard's decisions."""

import importlib.util
import json
import pathlib

import pytest

FILE = pathlib.Path(__file__).parents[3] / "roles/postgresql/files/postgresql-guard.py"
spec = importlib.util.spec_from_file_location("postgresql_guard", FILE)
guard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guard)

SILENT = {"alive": False, "error": "connection refused"}
STARTING = {"alive": True, "error": "the database system is starting up"}


def own(**values):
    known = {"host": "db1", "exists": True, "running": True, "standby": False, "fenced": None, "recovery": False, "system": "7", "timeline": 1}
    return known | values


def peer(timeline=1, recovery=True, receiving=True, system="7"):
    return {"alive": True, "system": system, "timeline": timeline, "recovery": recovery, "receiving": receiving}


@pytest.mark.parametrize(
    ("own", "peers", "reason"),
    [
        pytest.param(own(), {}, None, id="alone"),
        pytest.param(own(), {"db2": SILENT}, None, id="nobody answers"),
        pytest.param(own(), {"db2": STARTING}, None, id="the other one is not up yet"),
        pytest.param(own(), {"db2": peer()}, None, id="its standby"),
        pytest.param(own(timeline=2), {"db2": peer(timeline=1, recovery=False)}, None, id="an older primary, which has to go itself"),
        pytest.param(own(), {"db2": peer(timeline=2, recovery=False)}, "db2 has taken its place (timeline 2, here 1)", id="a newer primary"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=2)}, "db3 has taken its place", id="a standby of a newer primary"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=2, receiving=False)}, None, id="what is left of a former timeline"),
        pytest.param(own(), {"db2": peer(recovery=False)}, "db2 is the primary already", id="a primary of the same timeline"),
        pytest.param(own(), {"db2": peer(timeline=9, recovery=False, system="8")}, None, id="another cluster"),
        pytest.param(own(standby=True), {"db2": peer(timeline=2, recovery=False)}, None, id="a standby"),
        pytest.param(own(fenced="because", standby=True), {}, "it is fenced: because", id="fenced"),
    ],
)
def test_start(own, peers, reason):
    answer = guard.why_not_start(own | {"running": False, "recovery": None}, peers)
    assert answer == reason or (reason and answer.startswith(reason))


@pytest.mark.parametrize(
    ("own", "peers", "reason"),
    [
        pytest.param(own(), {}, None, id="alone"),
        pytest.param(own(), {"db2": SILENT}, None, id="nobody answers"),
        pytest.param(own(), {"db2": peer()}, None, id="its standby"),
        pytest.param(own(timeline=2), {"db2": peer(timeline=1, recovery=False)}, None, id="the newer of two primaries"),
        pytest.param(own(), {"db2": peer(timeline=2, recovery=False)}, "db2 has taken its place", id="the older of two primaries"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=3)}, "db3 has taken its place", id="a standby of a newer primary"),
        pytest.param(own(timeline=5), {"db2": peer(timeline=6, receiving=False)}, None, id="a standby that was left behind by a restore"),
        pytest.param(own(), {"db2": peer(recovery=False)}, None, id="of two equal ones, the first"),
        pytest.param(own(host="db2"), {"db1": peer(recovery=False)}, "db1 is a primary too", id="of two equal ones, the second"),
        pytest.param(own(recovery=True, standby=True), {"db2": peer(timeline=2, recovery=False)}, None, id="a standby"),
        pytest.param(own(recovery=True, standby=True, fenced="because"), {}, "it is fenced: because", id="fenced, and started all the same"),
        pytest.param(own(running=False, recovery=None, fenced="because"), {}, None, id="fenced and down"),
        pytest.param(own(recovery=None), {"db2": peer(timeline=2, recovery=False)}, None, id="still starting"),
    ],
)
def test_stop(own, peers, reason):
    answer = guard.why_stop(own, peers, ["db1", "db2", "db3"])
    assert answer == reason or (reason and answer.startswith(reason))


def test_of_two_primaries_exactly_one_stays():
    """Whoever looks first, and at whatever timelines."""
    for one in (1, 2, 3):
        for other in (1, 2, 3):
            first = guard.why_stop(own(timeline=one), {"db2": peer(timeline=other, recovery=False)}, ["db1", "db2"])
            second = guard.why_stop(own(host="db2", timeline=other), {"db1": peer(timeline=one, recovery=False)}, ["db1", "db2"])
            assert (first is None) != (second is None), (one, other)


def test_control_file():
    answer = guard.control(
        "Database system identifier:           7651234567890123456\n"
        "Database cluster state:               shut down\n"
        "Latest checkpoint location:           2/A0000028\n"
        "Latest checkpoint's TimeLineID:       3\n"
        "Min recovery ending loc's timeline:   0\n"
        "Time of latest checkpoint:            Sat Nov 21 14:00:00 2026\n"
    )
    assert answer == {"system": "7651234567890123456", "cluster": "shut down", "timeline": 3, "position": 0x2A0000028 + 1}


@pytest.fixture
def host(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    configuration = {
        "host": "db1", "hosts": {"db1": "192.0.2.1", "db2": "192.0.2.2"}, "data": str(data), "programs": "/nonexistent",
        "unit": "none.service", "local": {}, "remote": {},
    }  # fmt: skip
    return guard.Host(configuration)


def test_a_fence_stays_and_keeps_its_first_reason(host):
    assert host.fence_reason() is None
    assert host.fence("db2 took over") is True
    assert host.fence("something else") is False
    assert host.fence_reason().startswith("db2 took over; fenced at ")
    assert (host.data / "standby.signal").exists(), "it would be read-only, whoever starts it"


def test_a_fence_that_cannot_be_read_is_one(host):
    (host.data / "fenced").write_text("")
    assert host.fence_reason()
    assert guard.why_not_start(own(fenced=host.fence_reason()), {})


def test_a_fence_needs_no_answer_from_anybody(host, monkeypatch):
    (host.data / "PG_VERSION").write_text("17\n")
    host.fence("db2 took over")
    monkeypatch.setattr(host, "controldata", lambda: (_ for _ in ()).throw(AssertionError("asked")))
    monkeypatch.setattr(host, "peers", lambda: (_ for _ in ()).throw(AssertionError("asked")))
    with pytest.raises(guard.Refusal, match="it is fenced: db2 took over"):
        guard.may_start(host)


def test_hosts_that_boot_together_wait_for_each_other(host, monkeypatch):
    """The former primary is up first: it has to hear what the new one says a moment later."""
    answers = iter([{"db2": SILENT}, {"db2": STARTING}, {"db2": peer(timeline=2, recovery=False)}])
    monkeypatch.setattr(guard, "uptime", lambda: 20.0)
    monkeypatch.setattr(guard.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(host, "own", lambda: own(running=False, recovery=None))
    monkeypatch.setattr(host, "peers", lambda: next(answers))
    with pytest.raises(guard.Refusal, match="db2 has taken its place"):
        guard.may_start(host)
    assert host.fence_reason()


def test_what_it_knows_is_json(host, capsys, monkeypatch):
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT})
    guard.state(host)
    known = json.loads(capsys.readouterr().out)
    assert known["exists"] is False and known["running"] is False and known["peers"]["db2"]["alive"] is False
