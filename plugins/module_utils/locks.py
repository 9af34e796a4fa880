# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""The lock that a release holds on a host, from its first step to its last.

It is a file of root's with two lines: who holds it, in words, and a token that this holder alone knows. Its holder is alive while one
of its commands runs, which has a shared lock on the file (flock(2)), or begins, which touches it. Where neither was seen for a while
the holder was killed, and another one may take it. Whoever has lost it learns that by the token, and changes nothing any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time


LOST = "Another release has taken the lock meanwhile: this one stops, and undoes nothing that is not its own."


class Held(Exception):
    """Who else holds the lock, in words."""


def read(descriptor):
    """Return (holder, token) of an open lock; empty texts where nobody holds it."""
    holder, _newline, token = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").partition("\n")
    return holder, token.strip()


def write(descriptor, text):
    """Let an open lock have a text."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def is_in_use(descriptor):
    """Whether a command of the holder runs; else the lock is ours for a moment (an exclusive flock)."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


@contextlib.contextmanager
def opened(path):
    """Give a descriptor of the lock, which is made where it is missing."""
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def take(path, holder, idle_seconds, breaks=False, sleep=time.sleep):
    """Take the lock and return the token; raise Held with the holder's words where somebody else is alive.

    path is the file, holder is one line on who takes it, idle_seconds is how long the other one may show no sign of life, breaks takes it
    from whoever has it.
    """
    token = secrets.token_hex(8)
    with opened(path) as descriptor:
        seen = os.fstat(descriptor).st_mtime_ns
        for second in range(idle_seconds + 1):
            in_use, (other, _token) = is_in_use(descriptor), read(descriptor)
            if breaks or not (other or in_use):
                break
            if other and (in_use or os.fstat(descriptor).st_mtime_ns != seen):
                raise Held(other)
            if second < idle_seconds:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                sleep(1)
        write(descriptor, "%s\n%s\n" % (holder.replace("\n", " "), token))
    return token


def keep(path, token):
    """Show that its holder is alive; return whether it is still the one with this token."""
    if not token:
        return False
    with opened(path) as descriptor:
        if read(descriptor)[1] != token:
            return False
        os.utime(descriptor)
        return True


def release(path, token):
    """Let go of the lock where it is still this token's; return whether it was."""
    with opened(path) as descriptor:
        if not token or read(descriptor)[1] != token:
            return False
        write(descriptor, "")
        return True


@contextlib.contextmanager
def alive(path):
    """Be a command of the holder for a while, on a path that may be empty."""
    if not path:
        yield
        return
    with opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.utime(descriptor)
        yield
