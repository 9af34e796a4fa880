"""Receives the write-ahead log from whichever server is the primary, and hands it to the repositories.

The database hosts send nothing by themselves and reach nothing here: pg_receivewal fetches the log over streaming replication, with a
slot of its own so that the primary keeps what has not been fetched yet, and pgBackRest archives every piece that is complete: for each
repository by itself, so that none waits for one that is away.
"""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time

from . import core, gaps, room, status

SEGMENT = re.compile(r"[0-9A-F]{24}")
HISTORY = re.compile(r"[0-9A-F]{8}\.history")
# The log goes on elsewhere: the server has thrown the next piece away, or has come back from an earlier moment.
LOST = re.compile(r"has already been removed|not in this server's history|can no longer (get changes|access)|has been invalidated")
# A peer that vanished is given up after about half a minute.
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30000}
# Seconds between looks at finished pieces, attempts after a failure, and visits to the standbys and to the repository.
LOOK, RETRY, VISIT = 1, 5, 30


def due(names, handed):
    """Return what is complete and not handed over yet, oldest first; a timeline's history comes before its log."""
    return sorted((name for name in names if (SEGMENT.fullmatch(name) or HISTORY.fullmatch(name)) and name not in handed),
                  key=lambda name: (name[:8], SEGMENT.fullmatch(name) is not None, name))  # fmt: skip


def superfluous(names, handed):
    """Return what can go: all that was handed over but the newest piece, from which pg_receivewal knows where it was, and what is left of
    a piece that a newer timeline has replaced."""
    segments = sorted(name for name in names if SEGMENT.fullmatch(name))
    newest = segments[-1] if segments else ""
    past = [name for name in names if name.endswith(".partial") and newest and name[:8] < newest[:8] and name[8:24] <= newest[8:24]]
    return [name for name in segments[:-1] if name in handed] + past


def given_up(waiting, sizes, limit, is_tight):
    """Return what is given up of what waits for a repository elsewhere, oldest first: what is more than the limit, and all where the disk is full."""
    segments, total = [name for name in waiting if SEGMENT.fullmatch(name)], 0
    for number, name in enumerate(reversed(segments)):
        total += sizes[name]
        if is_tight or total > limit:
            return segments[: len(segments) - number]
    return []


class Repository(threading.Thread):
    """Has one repository get what was received, in order and by a configuration that knows no other."""

    def __init__(self, settings, number, folder):
        super().__init__(daemon=True)
        self.settings, self.number = settings, number
        self.path = os.path.join(settings.receive["path"], "log")
        self.is_elsewhere = not settings["repository_paths"][number - 1]
        self.handed = set()
        self.trouble = ""
        self.configuration = os.path.join(folder, f"repository-{number}.conf")
        with open(settings.receive["configuration"], encoding="utf-8") as file:
            core.write(self.configuration, core.part(file.read(), [number]), 0o600)

    def waiting(self):
        return due(os.listdir(self.path), self.handed)

    def step(self):
        self.handed &= set(os.listdir(self.path))
        for name in self.waiting():
            try:
                core.pgbackrest(self.settings, f"--config={self.configuration}", "archive-push", os.path.join(self.path, name))
            except core.Failure as failure:
                where = f"repository {self.number}: " if len(self.settings.repositories) > 1 else ""
                self.trouble = where + str(failure)
                return
            self.handed.add(name)
        self.trouble = ""

    def run(self):
        while True:
            self.step()
            time.sleep(RETRY if self.trouble else LOOK)

    def give_up(self):
        """A repository elsewhere must not have the disk fill up, on which the log for the others comes in. One that takes it slowly, as after a host
        was off for long, has all of the disk."""
        is_tight = room.is_too_little_for_the_log(room.free(self.path), room.reserve(self.settings))
        if not self.is_elsewhere or not (self.trouble or is_tight):
            return
        waiting = self.waiting()
        sizes = {name: os.path.getsize(os.path.join(self.path, name)) for name in waiting}
        for name in given_up(waiting, sizes, self.settings.receive["limit_mb"] * 1024**2, is_tight):
            gaps.note(self.settings, name, f"it was given up for repository {self.number}, which did not take it")
            self.handed.add(name)


class Receiver:
    def __init__(self, settings, folder):
        self.settings = settings
        self.path = os.path.join(settings.receive["path"], "log")
        self.slot = settings.receive["slot"]
        self.repositories = [Repository(settings, number, folder) for number in settings.repositories]
        # What the status file says because of this program.
        self.trouble = None
        self.child = None
        self.words = None
        self.visited = self.settled = -VISIT

    # --- Servers --------------------------------------------------------------------------

    def make_slot(self, connection):
        core.ask(
            connection,
            "SELECT pg_create_physical_replication_slot(%s, true) WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s)",
            (self.slot, self.slot),
        )

    def copy_identity(self):
        """Copy what pgBackRest wants to know of the server whose log it archives: which one it is, and its version."""
        server = os.path.join(self.settings.receive["path"], "server")
        ((control,),) = core.ask(self.settings.connection, "SELECT pg_read_binary_file('global/pg_control')")
        with open(os.path.join(server, "global/pg_control.new"), "wb") as file:
            file.write(bytes(control))
        os.replace(file.name, os.path.join(server, "global/pg_control"))
        core.write(os.path.join(server, "PG_VERSION"), f"{self.settings.version}\n")

    def visit_standbys(self):
        """Have every standby keep what has not been received yet, so that nothing is missing once it is the primary."""
        self.visited = time.monotonic()
        try:
            rows = core.ask(self.settings.connection, "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = %s", (self.slot,))
        except core.Failure:
            return
        for connection in self.settings.hosts.values():
            try:
                if rows and rows[0][0] and core.in_recovery(connection):
                    self.make_slot(connection)
                    core.ask(
                        connection,
                        "SELECT pg_replication_slot_advance(slot_name, least(%s::pg_lsn, pg_last_wal_replay_lsn())) FROM pg_replication_slots "
                        "WHERE slot_name = %s AND NOT active AND restart_lsn < least(%s::pg_lsn, pg_last_wal_replay_lsn())",
                        (rows[0][0], self.slot, rows[0][0]),
                    )
            except core.Failure:
                continue

    # --- Receiving ------------------------------------------------------------------------

    def begin(self):
        self.copy_identity()
        self.make_slot(self.settings.connection)
        self.words = tempfile.TemporaryFile("w+")
        connection = core.libpq(KEEPALIVE | self.settings.connection | {"application_name": self.slot})
        self.child = subprocess.Popen(
            [self.settings.program("pg_receivewal"), "--no-loop", "--no-password", f"--directory={self.path}", f"--slot={self.slot}", f"--dbname={connection}"],
            stderr=self.words, stdout=self.words,
        )  # fmt: skip

    def ended(self):
        """Say why receiving ended; where the log cannot go on from here, let it begin anew."""
        self.words.seek(0)
        words = " ".join(self.words.read().split()) or f"pg_receivewal ended with {self.child.returncode}"
        self.words.close()
        self.child = None
        if LOST.search(words):
            if [one for one in self.repositories if one.waiting() and not (one.is_elsewhere and one.trouble)]:
                raise core.Failure(f"what was received before is still being archived, and then: {words}")
            segments = sorted(name for name in os.listdir(self.path) if SEGMENT.match(name))
            gaps.note(self.settings, segments[-1][:24] if segments else "an unknown piece", "the server has thrown it away")
            core.ask(self.settings.connection, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (self.slot,))
            for name in os.listdir(self.path):
                os.unlink(os.path.join(self.path, name))
            words = f"the archive has a gap that the next backup closes: {words}"
        raise core.Failure(words)

    def clear(self):
        for one in self.repositories:
            one.give_up()
        for name in superfluous(os.listdir(self.path), set.intersection(*(one.handed.copy() for one in self.repositories))):
            os.unlink(os.path.join(self.path, name))

    def step(self):
        if self.child is None:
            self.begin()
        if self.child.poll() is not None:
            self.ended()
        self.clear()
        if time.monotonic() > self.visited + VISIT:
            self.visit_standbys()

    def run(self):
        for one in self.repositories:
            one.start()
        # The unit begins anew where one of them has ended.
        while all(one.is_alive() for one in self.repositories):
            words = []
            try:
                self.step()
            except core.Failure as failure:
                words = [str(failure)]
                time.sleep(RETRY)
            if words := words + [one.trouble for one in self.repositories if one.trouble]:
                self.tell("; ".join(words))
            elif self.trouble and time.monotonic() > self.settled + VISIT and not any(one.waiting() for one in self.repositories):
                self.settle()
            time.sleep(LOOK)

    def settle(self):
        """The log comes again: that is the end of the trouble, unless some of it is missing."""
        self.settled = time.monotonic()
        try:
            self.tell(gaps.trouble(self.settings, core.information(self.settings)) or None)
        except core.Failure as failure:
            self.tell(str(failure))

    def tell(self, trouble):
        """Write down a trouble and its end, once each."""
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble:
            core.complain(core.Failure(trouble))
            status.write(self.settings, "archive", "failed", message=trouble)
        else:
            core.say("the log is received again")
            status.write(self.settings, "archive", "ok")

    def stop(self, *_):
        raise SystemExit(0)


def receive(settings, _arguments):
    with tempfile.TemporaryDirectory() as folder:
        receiver = Receiver(settings, folder)
        signal.signal(signal.SIGTERM, receiver.stop)
        try:
            with core.lock(settings, "receive", "the receiver of the log"):
                receiver.run()
        finally:
            if receiver.child:
                receiver.child.terminate()
                receiver.child.wait()


COMMANDS = {"receive": core.Command(receive, "receive the log without end; the unit postgresql-receive does")}
