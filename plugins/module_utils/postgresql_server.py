# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What a PostgreSQL server is: primary or standby, on which timeline, whether it streams. Whoever wants to know is answered here.

Runs in modules, and beside the guard on each host of a replicated database: nothing here needs more than Python. A server that runs is
asked. What does not run, or does not answer, is read from its data directory, as the account whose directory it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pwd
import subprocess
import time

ACCOUNT = "postgres"
SOCKETS = "/var/run/postgresql"
# For a session of the superuser's in a database of somebody else's, who says by ALTER DATABASE what it begins with: it has its own rights, all the time that
# it takes, and does not wait for standbys, which may be away.
OWN = (
    "-c role=none -c client_encoding=UTF8 -c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0"
    " -c synchronous_commit=local"
)
# The same for one that asks: of functions that have the same name it finds the server's.
SESSION = "-c search_path=pg_catalog " + OWN
# Between two looks of one that waits, in seconds.
PAUSE = 0.5

# In words of SQL, for whoever asks more in the same breath.
RECOVERY = "pg_is_in_recovery()"
SYSTEM = "(SELECT system_identifier::text FROM pg_control_system())"
STREAMING = "EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
# What a standby needs as much of as its primary has, and how pg_controldata calls it.
LIMITS = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
# What they are where nothing is said, in every version.
DEFAULTS = {"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "max_prepared_transactions": 0, "max_locks_per_transaction": 64}
# Every role may ask it, and those without further rights see less of the others' connections.
QUESTION = f"""
SELECT json_build_object(
  'recovery', {RECOVERY},
  'system', {SYSTEM},
  -- The control file of a server that was promoted a moment ago still names the former timeline.
  'timeline', CASE WHEN {RECOVERY}
    THEN (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) FROM pg_control_checkpoint() c, pg_control_recovery() r)
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
  'received', (SELECT received_tli FROM pg_stat_wal_receiver),
  'receiving', EXISTS (SELECT FROM pg_stat_wal_receiver),
  'streaming', {STREAMING},
  'upstream', (SELECT sender_host FROM pg_stat_wal_receiver),
  'standbys', (SELECT coalesce(json_agg(application_name), '[]') FROM pg_stat_replication WHERE state = 'streaming'),
  'limits', (SELECT json_object_agg(name, setting::int) FROM pg_settings WHERE name IN ({', '.join(f"'{name}'" for name in LIMITS)})),
  'position', (CASE WHEN {RECOVERY}
    THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END - '0/0')::bigint,
  'replayed', (pg_last_wal_replay_lsn() - '0/0')::bigint)
"""


class Unreadable(Exception):
    """One sentence on a data directory that does not say what it is."""


# --- Reading: nothing here asks or touches anything --------------------------------------------


def answer(said):
    """Return what a server says of itself, from its answers to IDENTIFY_SYSTEM, which may be missing, and to the question.

    ConnectionError for an answer that is none: it may still be the primary.
    """
    try:
        *identified, told = said.strip().split("\n")
        told = json.loads(told)
        timelines = [int(told["timeline"]), *(int(line.split("|")[1]) for line in identified)]
        if not isinstance(told["recovery"], bool):
            raise TypeError("neither a primary nor a standby")
        return told | {"timeline": max(timelines)}
    except (ValueError, LookupError, TypeError) as error:
        raise ConnectionError(f"an answer that is none: {' '.join(said.split())[:200]}") from error


def rows(text):
    """Return the rows of pg_controldata's output, by name."""
    return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in text.splitlines()) if colon}


def control(text):
    """Return what matters of pg_controldata's output, for a server that does not run."""
    found = rows(text)
    high, low = found["Latest checkpoint location"].split("/")
    return {
        "system": found["Database system identifier"],
        "cluster": found["Database cluster state"],
        "timeline": max(int(found["Latest checkpoint's TimeLineID"]), int(found["Min recovery ending loc's timeline"])),
        # One byte into the last record that is known of: whoever is past that has it.
        "position": (int(high, 16) << 32) + int(low, 16) + 1,
    }


def limits(text):
    """Return, from pg_controldata's output, what the primary of this standby ran with as far as it has been replayed."""
    found = rows(text)
    return {name: int(found[row]) for name, row in LIMITS.items() if row in found}


def is_lowered(text, settings):
    """Return whether a standby has replayed that its primary runs with no more than these settings, by its pg_controldata."""
    found = limits(text)
    return all(name in found and found[name] <= wanted for name, wanted in limits_of(settings).items())


def limits_of(settings):
    """Return the limits that a server with these settings runs with."""
    return {name: int(settings.get(name, default)) for name, default in DEFAULTS.items()}


def histories(names):
    """Return the timelines whose history is among the names of files: whoever fetched one knows that somebody was promoted."""
    return [int(name[:8], 16) for name in names if len(name) == 16 and name.endswith(".history")]


def follows(known):
    """Return whether the data is a standby's: by its server's word, or, where that says nothing, by its files."""
    return known["standby"] if known["recovery"] is None else known["recovery"]


def heard(known, names):
    """Return the newest timeline that is known of here: of one who follows, it may be newer than what its own data is on.

    It speaks against another server's being the primary, and never for one's own.
    """
    timeline = known.get("timeline") or 0
    return max([timeline, known.get("received") or 0, *histories(names)]) if follows(known) else timeline


NOTHING = {
    "exists": False, "running": False, "primary": False, "fenced": False, "streaming": False, "standbys": [], "upstream": None,
    "timeline": 0, "heard": 0, "system": "", "limits": {},
}  # fmt: skip


def view(known):
    """Return what a role goes by, from what is known of a host's server."""
    if not known["exists"]:
        return dict(NOTHING)
    answers = known["recovery"] is not None
    told = {name: known[name] for name in NOTHING if known.get(name) is not None}
    # What is to come to its end by itself, a restore, is no standby of anybody.
    primary = not (known["recovery"] if answers else known["signal"])
    return NOTHING | told | {"exists": True, "running": answers, "primary": primary, "fenced": known["fenced"] is not None}


def is_reached(state, seen):
    """Return whether what was waited for is seen: any state, one that serves, or a standby that streams."""
    streaming = seen["running"] and not seen["primary"] and seen["streaming"]
    return {"any": True, "serving": streaming or seen["running"] and seen["primary"], "streaming": streaming}[state]


# --- This host's server ------------------------------------------------------------------------


@contextlib.contextmanager
def as_account(name=None):
    """Leave root's rights for a while: in its own folders an account could lead root's hand elsewhere."""
    if os.geteuid() != 0:
        yield
        return
    account, groups = pwd.getpwnam(name or ACCOUNT), os.getgroups()
    try:
        become(account)
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def become(account):
    """Have an account's rights and no others, but for the way back."""
    os.initgroups(account.pw_name, account.pw_gid)
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)


class Server:
    """The server of a data directory, which may not run."""

    def __init__(self, data, programs, local):
        self.data = pathlib.Path(data)
        self.programs = programs
        self.local = local

    # Where Debian has them.
    @classmethod
    def of(cls, version, name, port, socket=SOCKETS, seconds=10):
        local = {"host": socket, "port": port, "dbname": "postgres", "user": "postgres", "connect_timeout": seconds}
        return cls(f"/var/lib/postgresql/{version}/{name}", f"/usr/lib/postgresql/{version}/bin", local)

    def run(self, *command, timeout=30, **options):
        """Run as postgres, with no way back to root."""
        if os.getuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            options |= {"user": account.pw_uid, "group": account.pw_gid}
            # Root's own groups would stay; who is postgres for a while has them no more.
            options |= {"extra_groups": os.getgrouplist(ACCOUNT, account.pw_gid)} if os.geteuid() == 0 else {}
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/var/lib/postgresql", "LC_ALL": "C"}
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True} | options
        return subprocess.run(command, env=environment, cwd="/", timeout=timeout, check=False, **options)

    def ask(self, target, *statements, timeout=10):
        """Return the answer of a server; ConnectionError where there is none."""
        dsn = " ".join(f"{name}='{value}'" for name, value in target.items())
        words = [word for statement in statements for word in ("-c", statement)]
        try:
            result = self.run(f"{self.programs}/psql", "-XAtqwd", dsn, "-v", "ON_ERROR_STOP=1", *words, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ConnectionError("no answer in time") from error
        if result.returncode != 0:
            raise ConnectionError(" ".join(result.stderr.split()))
        return result.stdout.strip()

    def question(self, target):
        """Return what a server says of itself; ConnectionError where it does not.

        As a sender of the log would be asked: that has a place of its own when all connections are taken, and it alone tells
        which timeline a standby replays, long before its control file does.
        """
        return answer(self.ask(target | {"replication": "database"}, "IDENTIFY_SYSTEM", QUESTION))

    def says(self):
        """Return what this host's server says of itself; ConnectionError where it does not."""
        try:
            return self.question(self.local)
        except ConnectionError as error:
            # A single server may have been told to send its log to nobody.
            if "max_wal_senders" not in str(error):
                raise
            return answer(self.ask(self.local, QUESTION))

    def processes(self):
        """Return the processes of this data directory, also those that outlive a killed postmaster."""
        found = []
        data = str(self.data.resolve())
        for entry in pathlib.Path("/proc").glob("[0-9]*/cwd"):
            try:
                if os.readlink(entry) == data:
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found

    def controldata(self):
        """Return the control file in words."""
        result = self.run(f"{self.programs}/pg_controldata", "-D", str(self.data))
        if result.returncode != 0:
            raise Unreadable(" ".join(result.stderr.split()))
        return result.stdout

    def read(self, name):
        """Return what a file of the data directory says as JSON; whatever else lies there is not waited for."""
        with open(self.data / name, encoding="utf-8", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            return json.loads(file.read(65536))

    def fence_reason(self):
        """Return why this data is never to run again, or None."""
        try:
            return str(self.read("fenced")["reason"])
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, OSError):
            # Whatever is in it, somebody meant it.
            return "the reason is not readable"

    def own(self):
        """Return what there is to know of this host's server without asking the others."""
        signals = [name for name in ("standby.signal", "recovery.signal") if (self.data / name).exists()]
        known = {
            "exists": (self.data / "PG_VERSION").exists(),
            "running": bool(self.processes()),
            "standby": bool(signals),
            "signal": "standby.signal" in signals,
            "fenced": self.fence_reason(),
            "recovery": None,
            "receiving": False,
            "replayed": None,
            "cluster": None,
        }
        if known["running"]:
            try:
                known |= self.says()
            except ConnectionError as error:
                known["error"] = str(error)
        # What is fenced, or was never made, has nothing to say.
        if known["recovery"] is None and known["exists"] and not known["fenced"]:
            known |= control(self.controldata())
        return known | {"heard": heard(known, self.fetched())}

    def fetched(self):
        """Return the names of the log's files. A standby fetches the history of a timeline before anything of it is in the control file."""
        try:
            return os.listdir(self.data / "pg_wal")
        except OSError:
            return []

    def look(self):
        """Return what a role goes by. What was not made to its end is nothing yet."""
        begun = self.data.parent.with_name(f"{self.data.parent.name}-{self.data.name}.unfinished")
        try:
            with as_account():
                seen = dict(NOTHING) if begun.exists() else view(self.own())
                return seen | {"unfinished": os.path.lexists(f"{self.data}.new")}
        except KeyError:
            # No package has made the account yet.
            return NOTHING | {"unfinished": False}

    def wait(self, state, seconds, settings=None, clock=time.monotonic, pause=time.sleep):
        """Return the look as soon as a state is reached or some time is over, and whether it is reached."""
        end = clock() + seconds
        while True:
            seen = self.look()
            reached = is_lowered(self.controldata(), settings or {}) if state == "lowered" else is_reached(state, seen)
            if reached or clock() >= end:
                return seen, reached
            pause(PAUSE)
