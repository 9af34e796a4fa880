# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Messages that wait to be sent, a file for each of them and each way.

The folder is the sender's account's. Whoever looks writes into it as root, and so by a descriptor of the folder, and follows no link.
"""

from __future__ import annotations

import contextlib
import json
import os
import time

from site_status.paths import open_directory, read_file, write_file

# Of each way. The oldest ones go when there are more, and the next one says how many.
MOST_WAITING = 200
# More than a message ever has.
MOST_BYTES = 1 << 20
FAILURES = "failures"


class Spool:
    """The folder."""

    def __init__(self, path):
        self.folder = open_directory(path)

    def waiting(self, way):
        """Return the names of a way's messages, the oldest first."""
        return sorted(name for name in os.listdir(self.folder) if name.endswith(f".{way}.json") and not name.startswith("."))

    def read(self, name):
        """Return a message; None for what is none."""
        found = read_file(self.folder, name, MOST_BYTES)
        try:
            content = json.loads(found[0]) if found else None
        except ValueError:
            return None
        return content if isinstance(content, dict) else None

    def write(self, name, content):
        """Write a file, as its owner's whose the folder is."""
        owner = os.fstat(self.folder)
        write_file(self.folder, name, json.dumps(content).encode(), owner.st_uid, owner.st_gid, 0o600)

    def note(self, failures):
        """Write what keeps ways from being gone, by way, as the account whose the folder is, which may give files to nobody."""
        scratch = f".{FAILURES}"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.folder)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(failures, file)
        os.rename(scratch, FAILURES, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def remove(self, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.folder)

    def put(self, message, ways):
        """Add a message for each way; return the names."""
        stamp, names = f"{time.time_ns():020d}", []
        for way in ways:
            names.append(f"{stamp}.{way}.json")
            self.write(names[-1], message)
            self.make_room(way)
        return names

    def make_room(self, way):
        """Remove the oldest messages where there are too many; the oldest one left says how many were before it."""
        waiting = self.waiting(way)
        gone, left = waiting[:-MOST_WAITING], waiting[-MOST_WAITING:]
        if not gone:
            return
        lost = sum(1 + (self.read(name) or {}).get("lost", 0) for name in gone)
        first = self.read(left[0]) or {}
        self.write(left[0], first | {"lost": first.get("lost", 0) + lost})
        for name in gone:
            self.remove(name)

    def failures(self):
        """Return what was noted: by way, a sentence and since when."""
        return self.read(FAILURES) or {}
