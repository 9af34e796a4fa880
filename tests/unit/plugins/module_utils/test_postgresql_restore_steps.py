"""A restore in place survives its own death at every step: the next run finishes it, and the name is never without a cluster."""

import contextlib
import json
import os
import pathlib
import pwd
import subprocess
import types

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import postgresql_restore as module

SPECIFICATION = {"version": "17", "cluster": "main", "stanza": "main", "port": 5432, "beside_port": 5433, "words": "a moment"}


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done, no handler of the program's own catches it."""


@pytest.fixture
def restore(tmp_path, monkeypatch):
    """Return a prepared restore whose every outward step is counted, and dies before the step that is named."""

    class Steps:
        done, deadly, servers = 0, None, []

    def step(function):
        def counted(*arguments, **options):
            # What would be seen from outside at any time.
            assert (tmp_path / "main" / "PG_VERSION").exists(), "there is no cluster under its name"
            if Steps.done == Steps.deadly:
                raise Killed
            Steps.done += 1
            return function(*arguments, **options)

        return counted

    def systemctl(*command, **_options):
        if command[0] == "patronictl":
            Steps.servers.append(("forget", (tmp_path / "main" / "whose").read_text()))
        elif command[1] in ("start", "stop"):
            Steps.servers.append((command[1], (tmp_path / "main" / "whose").read_text()))
        return subprocess.CompletedProcess(command, 0, "", "")

    def write(path, text, mode=0o600):
        pathlib.Path(path).write_text(text)

    def make():
        restore = module.Restore(SPECIFICATION)
        restore.base, restore.main, restore.new = tmp_path, tmp_path / "main", tmp_path / "main.restoring"
        restore.journal = tmp_path / "main.restore.json"
        return restore

    monkeypatch.setattr(module, "run", step(systemctl))
    monkeypatch.setattr(module, "write", step(write))
    monkeypatch.setattr(module, "exchange", step(module.exchange))
    monkeypatch.setattr(module.os, "rename", step(module.os.rename))
    monkeypatch.setattr(module.shutil, "rmtree", step(module.shutil.rmtree))
    monkeypatch.setattr(module.Restore, "make", lambda self, directory: None)
    monkeypatch.setattr(module.Restore, "wait", lambda self, port: None)
    for name, whose in (("main", "former"), ("main.restoring", "restored")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "PG_VERSION").write_text("17")
        (tmp_path / name / "whose").write_text(whose)
    (tmp_path / "main.restore.json").write_text(json.dumps({"words": "a moment", "phase": "prepared", "stamp": "S"}))
    return make, Steps


@pytest.fixture(params=["", "/etc/patroni/17-main.yml"], ids=["plain", "Patroni"])
def managed(request, monkeypatch):
    """Restore with and without Patroni."""
    monkeypatch.setitem(SPECIFICATION, "patroni", request.param)
    return bool(request.param)


def whose(path):
    return (path / "whose").read_text()


def finished(tmp_path):
    assert whose(tmp_path / "main") == "restored"
    assert whose(tmp_path / "main.before-S") == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main", "main.before-S", "main.restore.json"]
    assert sorted(path.name for path in (tmp_path / "main").iterdir()) == ["PG_VERSION", "whose"]


@pytest.mark.parametrize("deadly", range(12))
def test_the_next_run_finishes_it(restore, managed, tmp_path, deadly):
    make, steps = restore
    (tmp_path / "main" / "patroni.dynamic.json").write_text("of today")
    steps.deadly = deadly
    with contextlib.suppress(Killed):
        make().swap()
    steps.deadly = None
    make().swap()
    assert steps.servers[-1] == ("start", "restored")
    # What the voters know of the former server would keep this one from leading.
    assert not managed or steps.servers[-2] == ("forget", "restored")
    assert not managed or (tmp_path / "main" / "patroni.dynamic.json").read_text() == "of today"
    (tmp_path / "main" / "patroni.dynamic.json").unlink(missing_ok=True)
    finished(tmp_path)
    make().complete()
    assert not (tmp_path / "main.restore.json").exists()


@pytest.mark.parametrize("deadly", [None, *range(16)])
def test_what_does_not_start_is_put_back(restore, managed, tmp_path, monkeypatch, deadly):
    """Even when putting it back is interrupted: the next run then tries again, and puts it back."""
    make, steps = restore

    def wait(self, _port):
        if whose(tmp_path / "main") == "restored":
            raise module.Failure("the server on port 5432 does not answer.")

    monkeypatch.setattr(module.Restore, "wait", wait)
    steps.deadly = deadly
    try:
        make().swap()
    except Killed:
        steps.deadly = None
        if (tmp_path / "main.restore.json").exists():
            with pytest.raises(module.Failure):
                make().swap()
        make().forget()
    except module.Failure as failure:
        assert str(failure) == "the server on port 5432 does not answer. The cluster is as it was before."
    assert whose(tmp_path / "main") == "former"
    assert [path.name for path in tmp_path.iterdir()] == ["main"]
    assert steps.servers[-1] == ("start", "former")
    assert not managed or steps.servers[-2] == ("forget", "former")


def test_the_voters_forget_nothing_while_somebody_has_the_lease(restore, managed, monkeypatch):
    """A server that was killed holds it for some seconds yet."""
    make, _steps = restore
    if not managed:
        return
    answers = [1, 1, 0]
    monkeypatch.setattr(module, "run", lambda *_command, **options: subprocess.CompletedProcess([], answers.pop(0), "", "Aborted!"))
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: None)
    make().forget_servers()
    assert answers == []
    monkeypatch.setattr(module, "LEASE_SECONDS", -1)
    answers.append(1)
    with pytest.raises(module.Failure, match="the voters do not forget the servers: Aborted!"):
        make().forget_servers()


def test_voters_that_do_not_answer_leave_the_server_as_it_was(restore, managed, tmp_path, monkeypatch):
    make, steps = restore
    if not managed:
        return

    def silent(self):
        raise module.Failure("the voters do not forget the servers:")

    monkeypatch.setattr(module.Restore, "forget_servers", silent)
    with pytest.raises(module.Failure, match="the voters do not forget the servers: The cluster is as it was before."):
        make().swap()
    assert whose(tmp_path / "main") == "former"
    assert steps.servers[-1] == ("start", "former")


def test_another_wish_is_not_mixed_with_an_unfinished_one(restore, tmp_path):
    make, steps = restore
    steps.deadly = 4
    with pytest.raises(Killed):
        make().swap()
    steps.deadly = None
    other = make()
    other.asked = SPECIFICATION | {"words": "another moment"}
    with pytest.raises(module.Failure, match="a restore in place to a moment is not finished"):
        other.prepare()


NEWEST = SPECIFICATION | {"complete_log": True}
FORMER = "20260104T031500Z"


@pytest.fixture
def left(restore, tmp_path, monkeypatch):
    """Return a function that asks for the same as a run that was killed long ago in a phase; it returns what came of it."""
    make, _steps = restore

    def run(phase, asked, exchanged=False, serves=True, fits=True):
        (tmp_path / "main.restore.json").write_text(json.dumps({"words": "a moment", "phase": phase, "stamp": FORMER, "kept": f"main.before-{FORMER}"}))
        (tmp_path / ("main" if exchanged and phase == "swapping" else "main.restoring") / f"restored-{FORMER}").write_text("")
        if exchanged:
            (tmp_path / "main" / "whose").write_text("restored then")
            (tmp_path / "main.restoring").rename(tmp_path / (f"main.before-{FORMER}" if phase == "swapped" else "main.restoring"))

        def recover(self, directory, archiving):
            (directory / "whose").write_text("restored now")
            return {"set": "s", "reached": {}}

        monkeypatch.setattr(module.Restore, "recover", recover)
        monkeypatch.setattr(module.Restore, "flush", lambda self: True)
        monkeypatch.setattr(module.Restore, "copy", lambda self: None)
        monkeypatch.setattr(module.Restore, "make", lambda self, directory: directory.mkdir(exist_ok=True))
        monkeypatch.setattr(module.Restore, "fits", lambda self: fits)
        monkeypatch.setattr(module, "leads", lambda _port, *_rest: True if serves else None)
        one = make()
        one.asked = asked
        seen = one.seen(module.read(one.journal))
        if not asked.get("complete_log"):
            one.prepare()
        said = one.swap()
        return module.goes_on(seen, "a moment", bool(asked.get("complete_log")), serves), said["serves"], whose(tmp_path / "main")

    return run


FINISHED = (
    "a moment, as it was made ready at 2026-01-04 03:15:00+00: the restore in place that was interrupted is finished, and nothing newer was restored. "
    "To restore again, run it again"
)


@pytest.mark.parametrize("asked", [SPECIFICATION, NEWEST], ids=["a moment", "the newest state"])
@pytest.mark.parametrize("phase", ["swapping", "swapped"])
def test_what_has_its_place_already_is_finished_and_told_as_what_it_is(left, asked, phase):
    """However long ago that was: nobody is to take it for a restore of today."""
    assert left(phase, asked, exchanged=True) == (True, FINISHED, "restored then")


@pytest.mark.parametrize("serves", [True, False])
def test_what_serves_in_its_place_already_is_not_stopped_to_be_finished(left, restore, tmp_path, serves):
    """As after a boot: it may have taken rows, which are lost where it is stopped, does not start, and is put back."""
    _make, steps = restore
    left("swapping", SPECIFICATION, exchanged=True, serves=serves)
    assert steps.servers == ([] if serves else [("stop", "restored then"), ("start", "restored then")])
    assert whose(tmp_path / f"main.before-{FORMER}") == "restored"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main", f"main.before-{FORMER}", "main.restore.json"]


@pytest.mark.parametrize(
    ("phase", "asked", "serves", "fits", "goes_on", "served"),
    [
        pytest.param("swapping", NEWEST, True, True, False, "restored now", id="it serves since, so there is something newer"),
        pytest.param("swapping", NEWEST, False, True, True, "restored", id="it was stopped for that"),
        pytest.param("swapping", NEWEST, False, False, False, "restored now", id="another history has begun"),
        pytest.param("prepared", NEWEST, True, True, False, "restored now", id="the newest of then"),
        pytest.param("prepared", SPECIFICATION, True, True, True, "restored", id="a moment is what it was"),
        pytest.param("prepared", SPECIFICATION, True, False, False, "restored now", id="a moment, and another history has begun"),
        pytest.param("swapping", SPECIFICATION, True, True, True, "restored", id="a moment, half of the way"),
        pytest.param("preparing", SPECIFICATION, True, True, False, "restored now", id="never ready"),
    ],
)
def test_what_was_only_made_ready_then_is_taken_where_it_is_what_is_asked_for(left, phase, asked, serves, fits, goes_on, served):
    said = left(phase, asked, serves=serves, fits=fits)
    assert (said[0], said[2]) == (goes_on, served)
    assert said[1] == (FINISHED if goes_on and phase == "swapping" else "a moment")


def test_what_fits_is_of_a_later_timeline(restore, monkeypatch):
    make, _steps = restore
    timelines = {"main": 3, "main.restoring": 4}
    monkeypatch.setattr(module.Restore, "control", lambda self, directory: directory.name)
    monkeypatch.setattr(module.postgresql_server, "control", lambda text: {"timeline": timelines[text]})
    assert make().fits()
    # Another server was promoted meanwhile, and took the same number.
    timelines["main"] = 4
    assert not make().fits()
    del timelines["main.restoring"]
    assert not make().fits()


# --- Whose folders these are ---------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="works for another account")
def test_root_writes_nothing_where_postgres_may_put_a_link_in_the_way(tmp_path, monkeypatch):
    """As postgres would become root: by a link where the program is about to write."""
    account, folder, precious = pwd.getpwnam("nobody"), tmp_path / "folder", tmp_path / "precious"
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o001 == 0 and path.stat().st_uid == 0:
            path.chmod(path.stat().st_mode | 0o011)
    precious.write_text("precious")
    precious.chmod(0o600)
    folder.mkdir()
    os.chown(folder, account.pw_uid, account.pw_gid)
    (folder / ".note.new").symlink_to(precious)
    monkeypatch.setattr(module, "USER", "nobody")
    monkeypatch.setattr(module, "LOCK", str(tmp_path / "lock"), raising=False)
    monkeypatch.setattr(module.Restore, "complete", lambda self: module.write(folder / "note", "of the attacker's") or {})
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            module.perform("complete", SPECIFICATION)
        os._exit(0)
    os.waitpid(child, 0)
    assert precious.read_text() == "precious"
    assert precious.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="works for another account")
def test_only_what_root_alone_may_do_is_roots(monkeypatch):
    """Programs get postgres' rights for good, systemctl gets root's back."""
    monkeypatch.setattr(module, "USER", "nobody")
    show = ["sh", "-c", "grep -E '^(Uid|Groups):' /proc/self/status | cut -f 2-"]
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            module.act_as_postgres()
            os.write(writer, json.dumps([module.run(*show, user="nobody").stdout, module.run(*show, user="root").stdout]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        dropped, kept = json.load(pipe)
    os.waitpid(child, 0)
    number = pwd.getpwnam("nobody").pw_uid
    assert dropped.splitlines()[0].split() == [str(number)] * 4
    assert kept.splitlines() == ["0\t0\t0\t0", "0 "]


def test_a_server_of_another_history_has_no_log_that_a_restore_waits_for(restore, monkeypatch):
    """As on a new host, where the repository of a lost one was put."""
    make, _steps = restore
    answers = {"SELECT pg_is_in_recovery()": "f", "SELECT system_identifier FROM pg_control_system()": "222"}
    monkeypatch.setattr(module, "sql", lambda statement, *_rest, **_options: answers[statement])
    known = [{"db": [{"system-id": 111}]}]

    class Done:
        returncode = 0

        @property
        def stdout(self):
            return json.dumps(known)

    monkeypatch.setattr(module.Restore, "pgbackrest", lambda self, *_arguments, **_options: Done())
    assert make().flush()
    known[0]["db"].append({"system-id": 222})
    # Its log is waited for.
    with pytest.raises(KeyError):
        make().flush()


def test_each_repository_is_asked_for_by_itself(restore, monkeypatch, tmp_path):
    """Asked for all, pgBackRest takes the second for not encrypted where another host opens both."""
    make, _steps = restore
    (tmp_path / "pgbackrest.conf").write_text("[global]\nrepo1-host=db\nrepo1-host-type=tls\nrepo3-host=db\n\n[main]\npg1-path=/data\n")
    monkeypatch.setattr(module, "CONFIGURATION", str(tmp_path / "pgbackrest.conf"))
    asked = []

    def pgbackrest(_self, *arguments, **_options):
        asked.append(arguments[0])
        rows = [{"repo": [{"key": arguments[0], "status": {"code": 0}}], "backup": [arguments[0]], "db": []}]
        return types.SimpleNamespace(returncode=0, stdout=json.dumps(rows), stderr="")

    monkeypatch.setattr(module.Restore, "pgbackrest", pgbackrest)
    information, unanswered = make().information()
    assert asked == information["backup"] == ["--repo=1", "--repo=3"] and information["archive"] == [] and unanswered == ""
    # Of which there is none yet.
    monkeypatch.setattr(module, "CONFIGURATION", str(tmp_path / "none"))
    assert module.repositories(module.CONFIGURATION) == [[]]


def test_the_archive_of_the_server_that_serves_is_the_one_that_is_waited_for():
    """Before an upgrade the timelines may have gone further than since."""
    rows = [(2, "000000010000000000000021"), (1, "000000030000000000000019"), (3, None)]
    information = {"archive": [{"database": {"id": number, "repo-key": 1}, "max": newest} for number, newest in rows[:2]]}
    assert module.Restore.newest(information) == ["000000010000000000000021"]
    assert module.Restore.newest({"archive": [{"database": {"id": 3, "repo-key": 1}, "max": None}, *information["archive"]]}) == [""]
    assert module.Restore.newest({}) == []


def test_what_a_restore_waits_for_has_to_be_where_it_is_taken_from():
    information = {"archive": [{"database": {"id": 1, "repo-key": number}, "max": f"00000001000000000000000{number}"} for number in (1, 2)]}
    assert module.Restore.newest(information, 1) == ["000000010000000000000001"]


def test_what_was_restored_beside_is_found_whatever_version_it_is_of(tmp_path, monkeypatch):
    restore = module.Restore(SPECIFICATION)
    restore.base = tmp_path / "17"
    for version in ("15", "17"):
        (tmp_path / version).mkdir()
    assert [one.version for one in restore.every_version()] == ["17", "15"]


LISTING = """;
; Archive created at 2026-11-30 08:15:19 UTC
;     dbname: shop

8; 2615 16387 SCHEMA - ext shop
2; 3079 16388 EXTENSION - hstore$
3510; 0 0 COMMENT - EXTENSION hstore$
7; 2615 2200 SCHEMA - public pg_database_owner
3520; 0 0 ACL - SCHEMA public pg_database_owner
322; 1255 16606 FUNCTION public evil(text) shop
3512; 0 0 COMMENT public TABLE EXTENSION shop
3502; 0 16598 TABLE DATA public t shop
""".replace("$", " ")


def test_what_a_dump_calls_while_it_is_restored_has_the_rights_of_the_owner():
    superusers, owners = module.entries(LISTING, "shop")
    assert [line.split(";")[0] for line in superusers] == ["8", "2", "3510", "7"]
    assert [line.split(";")[0] for line in owners] == ["3520", "322", "3512", "3502"]


@pytest.mark.parametrize(
    ("owner", "more"),
    [("postgres", ""), ("shop", "219; 1259 16608 TABLE public m reports\n"), ("shop", "9; 3466 1 EVENT TRIGGER - e postgres\n")],
)
def test_what_the_owner_could_not_give_away_is_restored_by_a_superuser(owner, more):
    superusers, owners = module.entries(LISTING + more, owner)
    assert len(superusers) == 8 + bool(more) and owners == []


# --- Dumps ----------------------------------------------------------------------------------------


class Databases(dict):
    """Stands for a server's databases, by name what is in each. A name is cut as PostgreSQL cuts it."""

    def __init__(self, *names):
        super().__init__({name: f"of {name}" for name in names})
        self.comments, self.closed = {}, set()

    def say(self, statement, _port, *_rest, **_options):
        if statement == "SELECT datname FROM pg_database":
            return "\n".join(self)
        if "SELECT datname" in statement:
            assert statement.endswith(module.MADE_HERE)
            ours = {name for name in self if name in self.comments and name.endswith(("_restored", "_restoring"))}
            return "\n".join(ours | {name for name in self if name in self.closed and name.endswith("_restoring")})
        for part in statement.removeprefix("BEGIN; ").removesuffix("; COMMIT").split("; "):
            self.do(part.split('"')[0].strip(), *[name.encode()[:63].decode() for name in part.split('"')[1::2]], part)
        return "0"

    def do(self, kind, *words):
        name, statement = words[0], words[-1]
        if kind == "CREATE DATABASE":
            assert name not in self
            self[name] = "nothing"
            self.closed |= {name} if "ALLOW_CONNECTIONS false" in statement else set()
        elif kind == "COMMENT ON DATABASE":
            self.comments.pop(name, None) if statement.endswith("NULL") else self.comments.update({name: statement})
        elif kind == "ALTER DATABASE" and "RENAME" in statement:
            if words[1] in self or name not in self:
                raise module.Failure(f"{words[1]} is there already, or {name} is not")
            self[words[1]] = self.pop(name)
            self.comments |= {words[1]: self.comments.pop(name)} if name in self.comments else {}
        elif kind == "ALTER DATABASE":
            self.closed.discard(name)
        elif kind.startswith("DROP DATABASE") and name in self:
            del self[name]
            self.comments.pop(name, None)


@pytest.fixture
def dumped(tmp_path, monkeypatch):
    """Return a function that restores a dump into databases, beside one of them or in its place; it returns what the steps said."""
    (tmp_path / "a.dump").write_text("")

    def run(databases, name, in_place, fails=False):
        def fill(self, database, owner, source):
            if fails:
                raise module.Failure("it does not fit")
            databases[database] = "restored"

        restore = module.Restore(SPECIFICATION | {"database": name, "file": str(tmp_path / "a.dump"), "in_place": in_place, "headroom_mb": 1})
        restore.base = tmp_path
        monkeypatch.setattr(module, "sql", databases.say)
        monkeypatch.setattr(module.Restore, "fill", fill)
        monkeypatch.setattr(module, "leads", lambda port: True)
        return restore.dump(), restore.rename() if in_place else restore.remove()

    return run


@pytest.mark.parametrize("length", [4, 39, 40, 41, 45, 53, 54, 60, 63])
def test_a_dump_is_restored_whatever_the_length_of_the_name(dumped, monkeypatch, length):
    name, days = "s" * length, iter(("20260104t031500z", "20260104t163000z"))
    databases = Databases(name)
    said, _removed = dumped(databases, name, False)
    assert list(databases) == [name] and len(said["database"].encode()) <= 63 and said["database"].endswith("_restored")
    # Twice on one day.
    monkeypatch.setattr(module.time, "strftime", lambda *_words: next(days))
    kept = [dumped(databases, name, True)[1]["kept"].removeprefix("the database ") for _time in range(2)]
    assert databases == {name: "restored", kept[0]: f"of {name}", kept[1]: "restored"} and databases.comments == {}
    with pytest.raises(module.Failure, match="^it does not fit$"):
        dumped(databases, name, True, fails=True)
    assert set(databases) == {name, *kept}


@pytest.mark.parametrize(("name", "in_place"), [("shop_restoring", False), ("shop_restoring", True), ("shop_restored", False)])
def test_a_database_that_no_restore_made_is_left_alone(dumped, name, in_place):
    databases = Databases("shop", name)
    with pytest.raises(module.Failure, match=f"^the database {name} is there, and no restore made it: give it another name first$"):
        dumped(databases, "shop", in_place)
    assert databases == {"shop": "of shop", name: f"of {name}"}


@pytest.mark.parametrize("is_noted", [False, True])
def test_what_a_restore_that_was_killed_has_begun_is_begun_anew(dumped, monkeypatch, is_noted):
    databases = Databases("shop", "shop_restoring")
    databases.closed |= {"shop_restoring"} - ({"shop_restoring"} if is_noted else set())
    databases.comments |= {"shop_restoring": "restored from"} if is_noted else {}
    # What it took is free again.
    free = {True: types.SimpleNamespace(f_bavail=0, f_frsize=1), False: os.statvfs("/")}
    monkeypatch.setattr(module.os, "statvfs", lambda _path: free["shop_restoring" in databases])
    dumped(databases, "shop", True)
    assert databases["shop"] == "restored" and len(databases) == 2


MB = 1024**2
# How large the database is, the dump, and what a run that was killed has left of it; then what is free for databases and for dumps, and what is said.
ROOMS = [
    pytest.param(0, 10, 0, 41, 11, "", id="just fits"),
    pytest.param(0, 10, 0, 40, 11, "the restored database takes about 40 MB and 1 MB are to stay free (postgresql_restore_headroom_mb), but only 40 MB are",
                 id="not as a database"),
    pytest.param(80, 10, 0, 80, 11, "the restored database takes about 80 MB and 1 MB", id="not as large as it is"),
    pytest.param(80, 10, 50, 31, 11, "", id="what was left goes first"),
    pytest.param(0, 10, 0, 99, 10, "the dump takes 10 MB on its way and 1 MB are to stay free (postgresql_restore_headroom_mb), but only 10 MB are in {}",
                 id="not on its way"),
    pytest.param(0, 10, 0, 51, None, "", id="both on one disk"),
    pytest.param(0, 10, 0, 50, None, "the restored database takes about 40 MB, the dump 10 MB until then, and 1 MB are to stay free", id="not both"),
]  # fmt: skip


@pytest.mark.parametrize(("size", "dump", "left", "base_free", "spool_free", "said"), ROOMS)
def test_room_is_asked_for_before_a_dump_is_on_its_way(tmp_path, monkeypatch, size, dump, left, base_free, spool_free, said):
    base, spool = tmp_path / "base", tmp_path / "spool"
    free = {str(base): base_free, str(spool): base_free if spool_free is None else spool_free}
    monkeypatch.setattr(module.os, "statvfs", lambda path: types.SimpleNamespace(f_bavail=free[str(path)], f_frsize=MB))
    monkeypatch.setattr(module.os, "stat", lambda path: types.SimpleNamespace(st_dev=str(path) if spool_free is not None else "one"))
    databases = Databases(*["shop"] * bool(size), *["shop_restoring"] * bool(left))
    databases.comments |= {"shop_restoring": "restored from"} if left else {}
    sizes = {"SELECT pg_database_size('shop')": size * MB, "SELECT pg_database_size('shop_restoring')": left * MB}
    monkeypatch.setattr(module, "sql", lambda statement, *rest, **more: str(sizes.get(statement, "")) or databases.say(statement, *rest, **more))
    restore = module.Restore(SPECIFICATION | {"database": "shop", "bytes": dump * MB, "spool": str(spool), "headroom_mb": 1})
    restore.base = base
    if not said:
        assert restore.room() == {}
        return
    with pytest.raises(module.Failure) as failed:
        restore.room()
    assert str(failed.value).startswith(said.format(spool))


@pytest.mark.parametrize(("free", "fits"), [(11, True), (10, False)])
def test_who_only_hands_a_dump_over_has_no_database_to_ask_room_for(monkeypatch, free, fits):
    monkeypatch.setattr(module.os, "statvfs", lambda path: types.SimpleNamespace(f_bavail=free, f_frsize=MB))
    asked = module.Restore(SPECIFICATION | {"bytes": 10 * MB, "spool": "/var/lib", "headroom_mb": 1})
    if fits:
        assert asked.room() == {}
    else:
        with pytest.raises(module.Failure, match="^the dump takes 10 MB on its way"):
            asked.room()


# --- A process of its own -------------------------------------------------------------------------


def test_a_step_is_done_in_a_process_of_its_own_which_is_told_by_its_name(monkeypatch):
    def perform(step, specification):
        os.chdir("/")
        os.environ["OF_THE_STEP"] = "x"
        return {"step": step, "asked": specification, "pid": os.getpid(), "name": pathlib.Path("/proc/self/comm").read_text().strip()}

    monkeypatch.setattr(module, "perform", perform)
    said = module.apart("swap", SPECIFICATION)
    assert (said["step"], said["asked"], said["name"]) == ("swap", SPECIFICATION, "restore-swap")
    assert said["pid"] != os.getpid() and "OF_THE_STEP" not in os.environ


def failing(_step, _specification):
    raise module.Failure("it cannot be reached")


def breaking(_step, _specification):
    raise ValueError("something else")


def dying(_step, _specification):
    os.kill(os.getpid(), 9)


@pytest.mark.parametrize(
    ("perform", "said"), [(failing, "^it cannot be reached$"), (breaking, "ValueError: something else"), (dying, "^the restore was killed$")]
)
def test_what_goes_wrong_there_is_heard_here(monkeypatch, perform, said):
    monkeypatch.setattr(module, "perform", perform)
    with pytest.raises(module.Failure, match=said):
        module.apart("swap", SPECIFICATION)


def test_nothing_that_the_caller_has_open_is_open_there(monkeypatch):
    """As the connection, which would be kept by it."""
    monkeypatch.setattr(module, "perform", lambda _step, _specification: sorted(int(path.name) for path in pathlib.Path("/proc/self/fd").iterdir()))
    with open("/dev/null", "rb"):
        # Its three, the answer's, and that of the folder that is read.
        assert module.apart("look", SPECIFICATION) == [0, 1, 2, 3, 4]
