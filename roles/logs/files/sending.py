# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Sends what a host logs to the one that keeps it: its journal, and lines of files that are in no journal.

What was sent and kept is written down, so that all else is sent later, after a reboot too. Where the other host is away nothing waits for it.
"""

from __future__ import annotations

import argparse
import errno
import glob
import json
import os
import pathlib
import socket
import ssl
import stat
import subprocess
import sys
import time

SECONDS = 10
TIMEOUT_SECONDS = 60
# Of a batch, of an entry, of one of its fields, and of a line of a file. What is longer is no line that somebody reads.
BATCH, ENTRY, FIELD, LINE = 1 << 20, 1 << 20, 1 << 18, 1 << 14
# Of a file so many batches are sent at a time, so that the journal and other files have their turn.
MOST_BATCHES = 64
# What is in no journal, by what its lines are called. Deploys are written where the application's name says.
FILES = {"nginx": "/var/log/nginx/*.log", "postgresql": "/var/log/postgresql/*.log"}
# How far back a host begins that has sent nothing yet.
BEGINNING = "--since=-1day"


# --- What there is --------------------------------------------------------------------------------


def entries(stream):
    """Yield the entries of a journal in its export format (systemd.io/JOURNAL_EXPORT_FORMATS), as bytes; what is too long of them is left out.

    Whoever may log decides how long an entry is.
    """
    entry, size = [], 0
    while line := stream.readline(FIELD):
        field = [line]
        if line == b"\n":
            if entry:
                yield b"".join([*entry, line])
            entry, size = [], 0
            continue
        if not line.endswith(b"\n"):
            skip_line(stream)
            continue
        if b"=" not in line:
            field.append(stream.read(8))
            length = int.from_bytes(field[1], "little") + 1
            if length > FIELD:
                skip(stream, length)
                continue
            field.append(stream.read(length))
        size += sum(map(len, field))
        if size <= ENTRY:
            entry += field


def skip_line(stream):
    while (piece := stream.readline(FIELD)) and not piece.endswith(b"\n"):
        pass


def skip(stream, length):
    while length > 0 and (piece := stream.read(min(length, FIELD))):
        length -= len(piece)


def cursor(entry):
    """Return where in the journal an entry is; None for one that does not say so."""
    name = b"__CURSOR="
    return next((line[len(name) :].decode() for line in entry.split(b"\n") if line.startswith(name)), None)


def batches(found):
    """Yield entries in lists, of about BATCH bytes each."""
    batch, size = [], 0
    for entry in found:
        batch.append(entry)
        size += len(entry)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def unread(path, known):
    """Return what of a file was not sent yet: paths, each with where to begin.

    known is the file's number and how much of it was sent, or None. A file that was moved to PATH.1, as logrotate does, or copied there and
    emptied, is read to its end before the new one.
    """
    now, before = looked_at(path), looked_at(f"{path}.1")
    if known is None or now is None:
        return [(path, 0)] if now else []
    number, sent = known
    if now[0] == number and now[1] >= sent:
        return [(path, sent)]
    was_moved, was_emptied = before and before[0] == number, now[0] == number
    rest = [(f"{path}.1", sent)] if before and (was_moved or was_emptied) and before[1] > sent else []
    return [*rest, (path, 0)]


def looked_at(path):
    """Return the number and size of a file; None where there is none, or what is no file."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return (found.st_ino, found.st_size) if os.path.isfile(path) and not os.path.islink(path) else None


def lines(path, begin):
    """Yield whole lines of a file, as lists of about BATCH bytes, each with the file's number and where it ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        # Since it was looked at it has gone, or become a link or a socket.
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return
    with open(descriptor, "rb") as file:
        number = os.fstat(descriptor).st_ino
        file.seek(begin)
        while piece := file.read(BATCH):
            # The last line may not be written to its end yet.
            whole = len(piece) if len(piece) == BATCH and b"\n" not in piece else piece.rfind(b"\n") + 1
            if not whole:
                return
            begin += whole
            file.seek(begin)
            yield [line for line in piece[:whole].split(b"\n") if line], (number, begin)


def entry_of(line, identifier, path, boot, host):
    """Return an entry of the journal for the line of a file."""
    fields = {
        "__REALTIME_TIMESTAMP": time.time_ns() // 1000, "__MONOTONIC_TIMESTAMP": time.monotonic_ns() // 1000, "_BOOT_ID": boot, "_HOSTNAME": host,
        "SYSLOG_IDENTIFIER": identifier,
        # An application can give its own lines any name that does not begin so.
        "_SELFHOST_LOG": identifier, "_SELFHOST_FILE": path,
    }  # fmt: skip
    return "".join(f"{name}={value}\n" for name, value in fields.items()).encode() + b"MESSAGE=" + line[:LINE] + b"\n\n"


# --- Sending --------------------------------------------------------------------------------------


class Keeper:
    """The host that keeps what is sent; it is asked when there is something."""

    def __init__(self, name, address, port, certificates):
        self.name, self.address, self.certificates, self.channel = name, (address, port), certificates, None

    def connect(self):
        context = ssl.create_default_context(cafile=f"{self.certificates}/ca.crt")
        context.load_cert_chain(f"{self.certificates}/host.crt", f"{self.certificates}/host.key")
        connection = socket.create_connection(self.address, timeout=TIMEOUT_SECONDS)
        self.channel = context.wrap_socket(connection, server_hostname=self.name)

    def send(self, batch):
        """Send entries, and return when they are kept."""
        if self.channel is None:
            self.connect()
        content = b"".join(batch)
        self.channel.sendall(b"%d\n" % len(content) + content)
        if self.channel.recv(16) != b"kept\n":
            raise OSError("it keeps nothing of this host")

    def close(self):
        if self.channel is not None:
            self.channel.close()
        self.channel = None


class Sender:
    """What a host sends, and how far it is; files are patterns by what their lines are called."""

    def __init__(self, keeper, state, files, journal=("journalctl", "--quiet", "--no-pager", "--output=export")):
        self.keeper, self.path, self.files, self.journal = keeper, state, files, journal
        self.sent = json.loads(state.read_text()) if state.exists() else {"cursor": None, "files": {}}
        self.boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        self.host = socket.gethostname()
        # What a file held before there was anybody to send it to is left where it is.
        if not state.exists():
            self.sent["files"] = {path: looked_at(path) for _name, path in self.paths()}
            self.note()

    def note(self):
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.sent))
        part.rename(self.path)

    def send_all(self):
        """Send what is new."""
        try:
            self.send_journal()
            for name, path in self.paths():
                self.send_file(name, path)
        finally:
            self.keeper.close()

    def send_journal(self):
        begin = f"--after-cursor={self.sent['cursor']}" if self.sent["cursor"] else BEGINNING
        with subprocess.Popen([*self.journal, begin], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            try:
                for batch in batches(entries(process.stdout)):
                    self.keeper.send(batch)
                    self.sent["cursor"] = cursor(batch[-1]) or self.sent["cursor"]
                    self.note()
                if process.wait():
                    raise OSError(f"the journal cannot be read (exit status {process.returncode})")
            finally:
                process.kill()

    def paths(self):
        """Return what the lines of each file are called, and its path."""
        return [(name, path) for name, pattern in self.files.items() for path in sorted(glob.glob(pattern)) if looked_at(path) and os.access(path, os.R_OK)]

    def send_file(self, name, path):
        for part, begin in unread(path, self.sent["files"].get(path)):
            for number, (batch, end) in enumerate(lines(part, begin), 1):
                # Short lines are much longer as entries.
                for some in batches(entry_of(line, name, path, self.boot, self.host) for line in batch):
                    self.keeper.send(some)
                self.sent["files"][path] = end
                self.note()
                if number == MOST_BATCHES:
                    return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True, metavar="HOST")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--certificates", required=True, metavar="DIRECTORY")
    parser.add_argument("--deploys", required=True, metavar="FILE")
    parser.add_argument("--reached", required=True, metavar="FILE", type=pathlib.Path)
    given = parser.parse_args()
    keeper = Keeper(given.to, given.address, given.port, given.certificates)
    sender = Sender(keeper, pathlib.Path(os.environ["STATE_DIRECTORY"]) / "sent.json", FILES | {"deploys": given.deploys})
    is_away = False
    while True:
        try:
            sender.send_all()
            # By its time the status page sees how long nothing was.
            given.reached.touch()
            if is_away:
                print(f"{given.to} keeps the log again.", file=sys.stderr)
            is_away = False
        except OSError as error:
            # Once: what is said of it every time would be sent, too.
            if not is_away:
                print(f"{given.to} does not get what is logged here: {error}. It is sent later.", file=sys.stderr)
            is_away = True
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
