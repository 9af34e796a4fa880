"""Who may start, and who has to stop: the guard's decisions."""

import contextlib
import importlib.util
import json
import os
import pathlib
import pwd
import socket
import subprocess
import sys
import tempfile
import types

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import postgresql_server

# As it lies beside the guard on a host.
sys.modules["postgresql_server"] = postgresql_server
FILE = pathlib.Path(__file__).parents[3] / "roles/postgresql/files/postgresql-guard.py"
spec = importlib.util.spec_from_file_location("postgresql_guard", FILE)
guard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guard)

SILENT = {"alive": False, "error": "connection refused"}
STARTING = {"alive": True, "error": "the database system is starting up"}
FULL = {"alive": True, "error": "sorry, too many clients already"}
WAITS = "a server runs on db2 and does not say what it is (the database system is starting up), so it may be the primary"
NEWER = "db3 is on a newer timeline (2, here 1), so another server was promoted after this one"

ARCHIVED = "the archive of the backups holds a newer timeline (2, here 1), so another server was promoted after this one"


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
        pytest.param(own(), {"db2": STARTING}, WAITS, id="the other one is not up yet"),
        pytest.param(own(), {"db2": FULL}, "a server runs on db2 and does not say what it is (sorry, too many", id="the other one cannot be asked"),
        pytest.param(own(), {"db2": STARTING, "db3": peer()}, WAITS, id="one of two cannot be asked"),
        pytest.param(own(), {"db2": STARTING, "db3": FULL}, "a server runs on db2 and db3 and does not say", id="none of two can be asked"),
        pytest.param(own(), {"db2": STARTING, "db3": peer(timeline=2)}, "db3 has taken its place", id="one cannot be asked, the other knows"),
        pytest.param(own(standby=True), {"db2": STARTING}, None, id="a standby, and the other one is not up yet"),
        pytest.param(own(), {"db2": peer()}, None, id="its standby"),
        pytest.param(own(), {"db2": peer(receiving=False)}, None, id="its standby, which waits for it"),
        pytest.param(own(timeline=2), {"db2": peer(timeline=1, recovery=False)}, None, id="an older primary, which has to go itself"),
        pytest.param(own(), {"db2": peer(timeline=2, recovery=False)}, "db2 has taken its place (timeline 2, here 1)", id="a newer primary"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=2)}, "db3 has taken its place", id="a standby of a newer primary"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=2, receiving=False)}, NEWER, id="a standby of a newer primary that is down"),
        pytest.param(own(timeline=2), {"db2": SILENT, "db3": peer(receiving=False)}, None, id="a standby of an older timeline"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=2, receiving=False, system="8")}, None, id="a standby of another cluster"),
        pytest.param(own(accepted=2), {"db2": SILENT, "db3": peer(timeline=2, receiving=False)}, None, id="what it knows was given up"),
        pytest.param(own(accepted=2), {"db3": peer(timeline=3, receiving=False)}, "db3 is on a newer timeline (3, here 1)", id="and not what came after"),
        pytest.param(own(accepted=2), {"db2": peer(timeline=2, recovery=False)}, "db2 has taken its place", id="a primary that runs is not given up"),
        pytest.param(own(accepted=2), {"db2": SILENT, "db3": peer(timeline=2)}, "db3 has taken its place", id="nor one that is not seen"),
        pytest.param(own(archived=2), {"db2": SILENT}, ARCHIVED, id="nobody answers, and the archive knows of another primary"),
        pytest.param(own(archived=1), {"db2": SILENT}, None, id="nobody answers, and the archive knows of none"),
        pytest.param(own(archived=None), {"db2": SILENT}, None, id="nobody answers, nor does the archive"),
        pytest.param(own(archived=2, accepted=2), {"db2": SILENT}, None, id="the archive's was given up"),
        pytest.param(own(archived=2, standby=True), {"db2": SILENT}, None, id="a standby, whatever the archive holds"),
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
        pytest.param(own(), {"db2": STARTING}, None, id="a standby that is restarted takes no site down"),
        pytest.param(own(), {"db2": FULL, "db3": SILENT}, None, id="nor one that cannot be asked"),
        pytest.param(own(), {"db2": peer(timeline=2, recovery=False)}, "db2 has taken its place", id="the older of two primaries"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=3)}, "db3 has taken its place", id="a standby of a newer primary"),
        pytest.param(own(), {"db2": SILENT, "db3": peer(timeline=2, receiving=False)}, NEWER, id="a standby of a newer primary that is down"),
        pytest.param(own(timeline=6), {"db2": peer(timeline=5, receiving=False)}, None, id="a standby that was left behind by a restore"),
        pytest.param(own(), {"db2": peer(recovery=False)}, None, id="of two equal ones, the first"),
        pytest.param(own(host="db2"), {"db1": peer(recovery=False)}, "db1 is a primary too", id="of two equal ones, the second"),
        pytest.param(own(recovery=True, standby=True), {"db2": peer(timeline=2, recovery=False)}, None, id="a standby"),
        pytest.param(own(recovery=True, standby=True, fenced="because"), {}, "it is fenced: because", id="fenced, and started all the same"),
        pytest.param(own(running=False, recovery=None, fenced="because"), {}, None, id="fenced and down"),
        pytest.param(own(recovery=None), {"db2": peer(timeline=2, recovery=False)}, None, id="still starting"),
        pytest.param(
            own(recovery=None, cluster="in crash recovery"), {"db2": peer(timeline=2, recovery=False)}, None, id="still starting, after a crash"
        ),
        pytest.param(
            own(recovery=None, cluster="in production"), {"db2": peer(timeline=2, recovery=False)}, "db2 has taken its place", id="a primary that does not answer"
        ),
        pytest.param(own(recovery=None, cluster="in production"), {"db2": peer()}, None, id="one that does not answer, and its standby"),
        pytest.param(own(recovery=None, standby=True, cluster="in production"), {"db2": peer(timeline=2, recovery=False)}, None, id="it becomes a standby"),
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


@pytest.fixture
def configuration(tmp_path):
    return {
        "host": "db1", "hosts": {"db1": "192.0.2.1", "db2": "192.0.2.2"}, "data": str(tmp_path / "data"), "programs": "/nonexistent",
        "unit": "none.service", "local": {}, "remote": {},
    }  # fmt: skip


@pytest.fixture
def host(configuration):
    host = guard.Host(configuration)
    host.data.mkdir()
    return host


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


@pytest.fixture
def stopped(host, monkeypatch):
    """A primary that is down, long after the boot; returns a function that says what the others answer, look by look."""
    clock = iter(range(0, 100000, 2))
    monkeypatch.setattr(guard, "uptime", lambda: 90000.0)
    monkeypatch.setattr(guard.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(guard.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(host, "own", lambda: own(running=False, recovery=None, fenced=host.fence_reason()))

    def others(*answers):
        looks = iter(answers)
        last = [{}]
        monkeypatch.setattr(host, "peers", lambda: last.append(next(looks, last[-1])) or last[-1])

    return others


def test_whoever_runs_is_given_time_to_say_what_it_is(host, stopped):
    stopped({"db2": STARTING}, {"db2": STARTING}, {"db2": peer(receiving=False)})
    guard.may_start(host)
    stopped({"db2": STARTING}, {"db2": peer(timeline=2, recovery=False)})
    with pytest.raises(guard.Refusal, match="db2 has taken its place"):
        guard.may_start(host)


def test_silence_takes_nothing_back(host, stopped):
    """A primary that is restarted does not answer for a moment."""
    stopped({"db2": STARTING}, {"db2": SILENT})
    with pytest.raises(guard.Refusal, match="a server runs on db2"):
        guard.may_start(host)
    assert guard.watch(host) == 0
    assert host.fence_reason() is None


def test_a_start_that_was_put_off_is_made_good_without_anybody(host, stopped):
    stopped({"db2": STARTING})
    assert guard.watch(host) == 0, "whoever is down for another reason stays down"
    with pytest.raises(guard.Refusal, match="does not start: a server runs on db2"):
        guard.may_start(host)
    for still in (STARTING, SILENT):
        stopped({"db2": still})
        assert guard.watch(host) == 0
    stopped({"db2": peer(receiving=False), "db3": FULL})
    assert guard.watch(host) == 0, "another one is in doubt now"
    stopped({"db2": peer(receiving=False)})
    assert guard.watch(host) == guard.START
    guard.may_start(host)
    assert guard.watch(host) == 0, "it was started: what ends it after that is another matter"


@pytest.mark.parametrize(
    ("answer", "fenced"),
    [
        pytest.param({"db2": peer(timeline=2, recovery=False)}, True, id="a newer primary"),
        pytest.param({"db2": peer(timeline=2, receiving=False)}, False, id="what is left of one"),
        pytest.param({"db2": peer(recovery=False)}, False, id="an equal one"),
    ],
)
def test_a_start_that_was_put_off_is_given_up_where_the_other_is_the_primary(host, stopped, answer, fenced):
    stopped({"db2": STARTING})
    with pytest.raises(guard.Refusal):
        guard.may_start(host)
    stopped(answer)
    with pytest.raises(guard.Refusal, match="The server of db1 does not start: db2 "):
        guard.watch(host)
    assert bool(host.fence_reason()) == fenced
    stopped({"db2": peer(receiving=False)})
    assert guard.watch(host) == 0, "nothing starts by itself what somebody has to decide about"


def test_nothing_is_given_up_for_a_standby_that_receives_from_nobody(host, monkeypatch):
    halted = []
    monkeypatch.setattr(host, "own", own)
    monkeypatch.setattr(host, "halt", lambda: halted.append(True))
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT, "db3": peer(timeline=2, receiving=False)})
    with pytest.raises(guard.Refusal, match="db1 was stopped: db3 is on a newer timeline"):
        guard.watch(host)
    assert halted and host.fence_reason() is None
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT, "db3": peer(timeline=2)})
    with pytest.raises(guard.Refusal, match="db3 has taken its place"):
        guard.watch(host)
    assert host.fence_reason()


def test_a_primary_that_does_not_answer_is_stopped_all_the_same(host, monkeypatch):
    """Its connections may be all that is taken, and visitors hold them."""
    halted = []
    monkeypatch.setattr(host, "own", lambda: own(recovery=None, cluster="in production"))
    monkeypatch.setattr(host, "halt", lambda: halted.append(True))
    monkeypatch.setattr(host, "peers", lambda: {"db2": peer(timeline=2, recovery=False)})
    with pytest.raises(guard.Refusal, match="db1 was stopped: db2 has taken its place"):
        guard.watch(host)
    assert halted and host.fence_reason()


def test_two_that_are_down_do_not_wait_for_each_other(host, stopped):
    """Neither of them runs yet: only one that takes connections is waited for."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert guard.listens(*nobody.getsockname()) is False
        nobody.listen()
        assert guard.listens(*nobody.getsockname()) is True, "however slow: nobody here ever says a word"
    stopped({"db2": SILENT})
    guard.may_start(host)


@pytest.mark.parametrize("said", ["", "7|1|0/0|", "7|1|0/0|\nnull", "7|1|0/0|\n{}", "no\n{}", '7|1|0/0|\n{"timeline": null, "recovery": true}'])
def test_an_answer_that_is_none_is_no_answer(host, monkeypatch, said):
    monkeypatch.setattr(host, "ask", lambda *_anything, **_more: said)
    monkeypatch.setattr(guard, "listens", lambda *_anything: True)
    host.remote = {"port": 1}
    answer = host.peer("192.0.2.2")
    assert guard.doubtful({"db2": answer}) == ["db2"]
    assert answer["error"]


def test_a_standby_is_on_the_timeline_that_it_replays_whatever_its_control_file_says(host, monkeypatch):
    monkeypatch.setattr(host, "ask", lambda *_anything, **_more: '7|2|0/0|\n{"system": "7", "timeline": 1, "recovery": true, "receiving": false}')
    host.remote = {"port": 1}
    assert host.peer("192.0.2.2")["timeline"] == 2


# --- Files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fenced", "standby.signal", "start-put-off"])
def test_what_somebody_laid_in_its_way_is_not_written_through(host, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("root's\n")
    victim.chmod(0o644)
    for trap in (host.data / f".{name}.new", host.data / name):
        trap.symlink_to(victim)
        host.write(name, "x")
        assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("root's\n", 0o644)
        host.remove(name)
        assert victim.exists()


def test_a_fence_that_nobody_ever_writes_to_is_not_waited_for(host):
    os.mkfifo(host.data / "fenced")
    assert host.fence_reason() == "the reason is not readable"
    host.remove("fenced")
    for text in ("null", "[]", "{}", "7"):
        (host.data / "fenced").write_text(text)
        assert host.fence_reason() == "the reason is not readable"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to leave")
def test_root_touches_the_data_as_its_account_alone(configuration, monkeypatch, capfd):
    """That account may lead root's hand elsewhere in its own folders: there root has no more rights than the account."""
    account = next(entry for entry in pwd.getpwall() if entry.pw_uid)
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        file, roots, data = (pathlib.Path(place) / name for name in ("guard.json", "etc", "data"))
        roots.mkdir()
        data.symlink_to(roots)
        file.write_text(json.dumps(configuration | {"data": str(data)}))
        monkeypatch.setattr(postgresql_server, "ACCOUNT", account.pw_name)
        monkeypatch.setattr(guard, "CONFIGURATION", file)

        def fence():
            """Call it in a process of its own, which does not come back to root."""
            child = os.fork()
            if not child:
                os._exit(guard.main(["fence", "because"]))
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        assert fence() == 1
        assert f"postgresql-guard: The data of db1 cannot be fenced ({data}/fenced: Permission denied): switch" in capfd.readouterr().err
        assert list(roots.iterdir()) == []
        os.chown(roots, account.pw_uid, account.pw_gid)
        assert fence() == 0
        assert {(path.name, path.stat().st_uid) for path in roots.iterdir()} == {("fenced", account.pw_uid), ("standby.signal", account.pw_uid)}


# --- Disks that take nothing more ----------------------------------------------------------------


def fill(disk):
    """Leave no block."""
    with open(disk / "uploads", "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def use_up(disk):
    """Leave no number for another file."""
    with contextlib.suppress(OSError):
        for number in range(100000):
            (disk / str(number)).touch()


def protect(disk):
    """As the kernel does after an error of the disk."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


DISKS = pytest.mark.parametrize(
    ("spoil", "trouble"), [(fill, ""), (use_up, "No space left on device"), (protect, "Read-only file system")], ids=["full", "no inode", "read-only"]
)


@pytest.fixture
def spoiled(host, disk, monkeypatch):
    """Return a function that leaves no room for this host's data, which lies on a disk of its own."""
    host.data = disk / "data"
    host.data.mkdir()

    def run(spoil, *files):
        for name in files:
            (host.data / name).write_text('["db2"]')
        spoil(disk)

    return run


@pytest.mark.parametrize(
    ("spoil", "files", "left", "trouble"),
    [
        (fill, [], ["fenced", "standby.signal"], ""),
        (fill, ["start-put-off"], ["fenced", "standby.signal"], ""),
        (fill, [".fenced.new", ".standby.signal.new"], ["fenced", "standby.signal"], ""),
        (use_up, [], [], "the fence (DATA/fenced: No space left on device)"),
        # Each file that goes leaves its number to another.
        (use_up, ["start-put-off"], ["fenced"], "the fence (DATA/standby.signal: No space left on device)"),
        (use_up, ["start-put-off", ".standby.signal.new"], ["fenced", "standby.signal"], ""),
        (protect, [], [], "the fence (DATA/fenced: Read-only file system)"),
        (
            protect, ["start-put-off"], ["start-put-off"],
            "whom its start waits for (DATA/start-put-off: Read-only file system) and the fence (DATA/fenced: Read-only file system)",
        ),
    ],
)  # fmt: skip
def test_a_primary_whose_time_is_over_is_stopped_whatever_its_disk_takes(host, spoiled, monkeypatch, spoil, files, left, trouble):
    halted = []
    monkeypatch.setattr(host, "own", lambda: own(running=not halted, fenced=host.fence_reason()))
    monkeypatch.setattr(host, "halt", lambda: halted.append(True))
    monkeypatch.setattr(host, "peers", lambda: {"db2": peer(timeline=2, recovery=False)})
    spoiled(spoil, *files)
    with pytest.raises(guard.Refusal) as refusal:
        guard.watch(host)
    assert halted
    told = f" Its disk does not take {trouble.replace('DATA', str(host.data))}." if trouble else ""
    assert str(refusal.value) == f"The server of db1 was stopped: db2 has taken its place (timeline 2, here 1).{told}"
    assert (sorted(os.listdir(host.data)), bool(host.fence_reason())) == (left, "fenced" in left)
    with contextlib.suppress(guard.Refusal):
        assert guard.watch(host) == 0, "it is not started again"
    monkeypatch.setattr(guard, "uptime", lambda: 90000.0)
    with pytest.raises(guard.Refusal, match="does not start: (db2 has taken its place|it is fenced)"):
        guard.may_start(host)


def test_it_is_fenced_though_it_cannot_be_stopped(host, monkeypatch):
    """Its processes may wait for a disk that is gone."""
    monkeypatch.setattr(host, "own", own)
    monkeypatch.setattr(host, "peers", lambda: {"db2": peer(timeline=2, recovery=False)})
    monkeypatch.setattr(host, "run", lambda *command, **_options: (_ for _ in ()).throw(subprocess.TimeoutExpired(command, 90)))
    monkeypatch.setattr(host, "processes", lambda: [7])
    with pytest.raises(guard.Refusal, match="db1 does not stop: db2 has taken its place"):
        guard.watch(host)
    assert host.fence_reason()


@DISKS
def test_a_failover_fences_the_dead_primary_or_says_what_to_do_instead(host, spoiled, capsys, spoil, trouble):
    spoiled(spoil)
    if trouble:
        with pytest.raises(guard.Refusal, match=f"db1 cannot be fenced .*{trouble}.: switch that host off, and name it in switchover_dead"):
            guard.fence(host, "db2 was made the primary")
        return
    guard.fence(host, "db2 was made the primary")
    guard.fence(host, "db2 was made the primary")
    assert capsys.readouterr().out == '{"changed": true}\n{"changed": false}\n'
    assert host.fence_reason() and (host.data / "standby.signal").exists()


@DISKS
def test_whoever_cannot_become_a_standby_goes_on_as_the_primary(host, spoiled, monkeypatch, capsys, spoil, trouble):
    called = []
    monkeypatch.setattr(host, "own", lambda: own(running=not called, recovery=None if called else False, cluster="shut down", position=7))
    monkeypatch.setattr(host, "systemctl", lambda verb: called.append(verb) or True)
    monkeypatch.setattr(host, "ask", lambda *_words, **_more: "")
    spoiled(spoil)
    if trouble:
        with pytest.raises(guard.Refusal, match=f"db1 cannot be made a standby .*{trouble}.: it was started again") as refusal:
            guard.demote(host)
        assert (refusal.value.status, called) == (guard.NOT_BEGUN, ["stop", "start"])
        return
    guard.demote(host)
    assert (json.loads(capsys.readouterr().out)["changed"], called, os.listdir(host.data)) == (True, ["stop"], ["standby.signal"])


# --- One that runs and does not answer ------------------------------------------------------------

HUNG = own(recovery=None, cluster="in production", error="no answer in time")


@pytest.mark.parametrize("before", [[], [own()]], ids=["from the beginning", "since it was told to stop"])
def test_whoever_runs_and_does_not_answer_is_not_made_a_standby(host, monkeypatch, before):
    """It may take writes all the while, and would be neither at its next start."""
    looks, called = iter(before), []
    monkeypatch.setattr(host, "own", lambda: next(looks, HUNG))
    monkeypatch.setattr(host, "systemctl", lambda verb: called.append(verb) or True)
    monkeypatch.setattr(host, "ask", lambda *_words, **_more: "")
    sentence = "db1 did not stop" if before else r"db1 runs and does not say what it is \(no answer in time\): nothing was done"
    with pytest.raises(guard.Refusal, match=sentence) as refusal:
        guard.demote(host)
    assert (refusal.value.status, called, os.listdir(host.data)) == (guard.NOT_BEGUN, ["stop"] * len(before), [])


@pytest.mark.parametrize("mute", ["at first", "while it replays", "at last"])
def test_whoever_does_not_answer_is_not_promoted_and_the_former_primary_may_go_on(host, monkeypatch, mute):
    standby, asked = own(recovery=True, standby=True), []
    looks = iter({"at first": [], "while it replays": [standby, standby], "at last": [standby]}[mute])

    def ask(_target, statement, **_options):
        asked.append(statement)
        if mute == "while it replays":
            raise ConnectionError("no answer in time")
        return "0"

    monkeypatch.setattr(host, "own", lambda: next(looks, HUNG | {"standby": True}))
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT})
    monkeypatch.setattr(host, "ask", ask)
    with pytest.raises(guard.Refusal, match="db1 is not promoted: it ") as refusal:
        guard.promote(host)
    assert refusal.value.status == guard.NOT_BEGUN and not [statement for statement in asked if "pg_promote" in statement]


def test_a_primary_that_answers_no_more_before_it_is_stopped_is_left_alone_in_a_sentence(host, monkeypatch):
    called = []
    monkeypatch.setattr(host, "own", own)
    monkeypatch.setattr(host, "systemctl", lambda verb: called.append(verb) or True)
    monkeypatch.setattr(host, "ask", lambda *_words, **_more: (_ for _ in ()).throw(ConnectionError("no answer in time")))
    with pytest.raises(guard.Refusal, match=r"db1 does not write down what it holds \(no answer in time\): nothing was done") as refusal:
        guard.demote(host)
    assert (refusal.value.status, called, os.listdir(host.data)) == (guard.NOT_BEGUN, [], [])


@pytest.mark.parametrize("last", [own(timeline=2), own(recovery=True, standby=True)], ids=["it is", "it is not"])
def test_whether_somebody_was_promoted_is_seen_also_where_the_answer_was_lost(host, monkeypatch, capsys, last):
    standby = own(recovery=True, standby=True)
    looks = iter([standby, standby])

    def ask(_target, statement, **_options):
        if "pg_promote" in statement:
            raise ConnectionError("server closed the connection unexpectedly")
        return "0"

    monkeypatch.setattr(host, "own", lambda: next(looks, last))
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT})
    monkeypatch.setattr(host, "ask", ask)
    if last["recovery"]:
        with pytest.raises(guard.Refusal, match="db1 was told to become the primary and has not yet") as refusal:
            guard.promote(host)
        assert refusal.value.status == 1, "nobody else may go on"
    else:
        guard.promote(host)
        assert json.loads(capsys.readouterr().out)["timeline"] == 2


def test_whoever_was_promoted_meanwhile_lets_nobody_else_go_on(host, monkeypatch):
    """Who is no standby has replayed nothing."""
    monkeypatch.setattr(host, "own", lambda: own(recovery=True, standby=True))
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT})
    monkeypatch.setattr(host, "ask", lambda *_words, **_more: "")
    with pytest.raises(guard.Refusal, match="db1 is no standby any more: somebody else has promoted it") as refusal:
        guard.promote(host, "7")
    assert refusal.value.status == 1


@pytest.mark.parametrize("words", [[], ["rest"], ["fence"], ["state", "please"], ["promote", "1", "2"]])
def test_words_that_it_does_not_know_are_answered_with_those_that_it_does(capsys, words):
    assert guard.main(words) == 2
    assert capsys.readouterr().err.startswith("Keeps two primaries from existing")


def test_a_position_that_is_no_number_is_refused_before_anybody_is_asked(host):
    with pytest.raises(guard.Refusal, match="^0/3000060 is no position: give it as a number of bytes, as `demote` does") as refusal:
        guard.promote(host, "0/3000060")
    assert refusal.value.status == guard.NOT_BEGUN


def test_nothing_is_given_up_while_somebody_runs_who_may_be_the_primary(host, stopped, archive):
    archive(2)
    stopped({"db2": STARTING})
    with pytest.raises(guard.Refusal, match="A server runs on db2 and does not say what it is: nothing is given up"):
        guard.accept_lost_rows(host)
    assert host.accepted() == 0


# --- The witness, and the operator's word ------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[global]\nrepo1-host=192.0.2.9\n\n[main]\npg1-path=/x\n", "main"),
        ("[global]\nrepo1-path=/var/lib/pgbackrest\n[main]\npg1-path=/x\n", None),  # its own, which knows what it knows itself
        ("[global]\nrepo2-host=192.0.2.9\n[shop_db]\n", "shop_db"),
        ("", None),
    ],
)
def test_the_archive_of_a_backup_host_is_a_witness(text, name):
    assert guard.witness(text) == name


@pytest.fixture
def archive(host, monkeypatch, tmp_path):
    """Return a function that says which histories the archive holds, or with what pgBackRest ends for all."""
    file = tmp_path / "pgbackrest.conf"
    file.write_text("[global]\nrepo1-host=192.0.2.9\n[main]\n")
    monkeypatch.setattr(guard, "ARCHIVE", file)

    def holds(*timelines, status=None):
        def run(*command, **_options):
            asked = int(command[-2].removesuffix(".history"), 16)
            return types.SimpleNamespace(returncode=status if status is not None else 0 if asked in timelines else 1)

        monkeypatch.setattr(host, "run", run)

    return holds


def test_an_archive_that_holds_whatever_it_is_asked_for_is_not_asked_without_end(host, archive, in_time):
    """As of a backup host that somebody has taken over: no server would start, and no switchover would end."""
    archive(status=0)
    assert host.archived(3) == 3 + guard.MOST_LATER


def test_which_timeline_the_archive_holds(host, archive, monkeypatch):
    archive()
    assert host.archived(1) == 1
    archive(2, 3, 10)
    assert (host.archived(1), host.archived(2), host.archived(9)) == (3, 3, 10)
    archive(status=103)
    assert host.archived(1) is None
    archive(2)
    with monkeypatch.context() as patch:
        patch.setattr(guard, "SCRATCH", "/nonexistent")
        assert host.archived(1) is None, "no room is no answer"
    guard.ARCHIVE.unlink()
    assert host.archived(1) is None


def test_when_all_others_are_gone_the_archive_keeps_a_stale_primary_down(host, stopped, archive):
    stopped({"db2": SILENT})
    archive(2)
    with pytest.raises(guard.Refusal, match="the archive of the backups holds a newer timeline"):
        guard.may_start(host)
    assert host.fence_reason() is None, "nothing is given up"
    archive()
    guard.may_start(host)
    archive(status=103)
    guard.may_start(host)


def test_the_operators_word_gives_up_what_is_named_and_no_more(host, stopped, archive, monkeypatch, capsys):
    monkeypatch.setattr(host, "own", lambda: own(running=False, recovery=None, fenced=host.fence_reason(), accepted=host.accepted()))
    stopped({"db2": SILENT})
    archive()
    with pytest.raises(guard.Refusal, match="there is nothing to give up"):
        guard.accept_lost_rows(host)
    archive(2)
    guard.accept_lost_rows(host)
    assert "What was written on the timelines 2 to 2 is given up" in capsys.readouterr().out
    guard.may_start(host)
    archive(2, 3)
    with pytest.raises(guard.Refusal, match=r"newer timeline \(3, here 1\)"):
        guard.may_start(host)
    stopped({"db2": peer(timeline=3, recovery=False)})
    with pytest.raises(guard.Refusal, match="db2 has taken the place of db1 and runs"):
        guard.accept_lost_rows(host)
    stopped({"db2": SILENT})
    host.fence("because")
    with pytest.raises(guard.Refusal, match="is fenced: because"):
        guard.accept_lost_rows(host)


def test_nobody_is_promoted_whom_the_archive_knows_to_be_behind(host, archive, monkeypatch):
    monkeypatch.setattr(host, "own", lambda: own(recovery=True, standby=True))
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT})
    monkeypatch.setattr(host, "ask", lambda *_words, **_more: "0")
    archive(2)
    with pytest.raises(guard.Refusal, match="is not promoted: the archive of the backups holds a newer timeline") as refusal:
        guard.promote(host)
    assert refusal.value.status == guard.NOT_BEGUN


def test_what_it_knows_is_json(host, capsys, monkeypatch):
    monkeypatch.setattr(host, "peers", lambda: {"db2": SILENT})
    guard.state(host)
    known = json.loads(capsys.readouterr().out)
    assert known["exists"] is False and known["running"] is False and known["peers"]["db2"]["alive"] is False


def test_what_the_others_say_is_json(host, capsys, monkeypatch):
    monkeypatch.setattr(host, "peers", lambda: {"db2": peer(recovery=False)})
    guard.COMMANDS["peers"](host)
    assert json.loads(capsys.readouterr().out)["db2"]["recovery"] is False
