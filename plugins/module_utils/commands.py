# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Commands that a module runs on a host."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import subprocess
import time

# Of each stream, what is kept: more than anybody reads, and less than a host misses.
MOST_BYTES = 4 << 20
# What is told to end gets these to clear up.
GRACE_SECONDS = 5


class Failed(Exception):
    """A command that failed; its `details` are what a module fails with: `msg`, `cmd`, `rc`, `stdout` and `stderr`."""

    def __init__(self, words, code, stdout="", stderr=""):
        super().__init__("%s failed with code %s." % (words[0], code))
        self.details = {"msg": str(self), "cmd": list(words), "rc": code, "stdout": stdout, "stderr": stderr}


def end(leader):
    """End a child that leads a group of processes, with all that is in it. It has still to be waited for."""
    until = time.monotonic() + GRACE_SECONDS
    os.killpg(leader, signal.SIGTERM)
    while not os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(leader, signal.SIGKILL)


def talk(process, data, until):
    """Give a process its input, and yield (stream, piece) of what it prints until it prints no more; TimeoutError past a moment of time.monotonic()."""
    with selectors.DefaultSelector() as waiting:
        for stream in (process.stdout, process.stderr):
            waiting.register(stream, selectors.EVENT_READ)
        if process.stdin:
            waiting.register(process.stdin, selectors.EVENT_WRITE)
        while waiting.get_map():
            ready = waiting.select(None if until is None else max(0, until - time.monotonic()))
            if until is not None and time.monotonic() >= until:
                raise TimeoutError
            for key, _events in ready:
                piece = b""
                if key.fileobj is not process.stdin:
                    piece = os.read(key.fd, 1 << 16)
                    yield key.fileobj, piece
                elif data:
                    with contextlib.suppress(BrokenPipeError):
                        piece = data[: os.write(key.fd, data[: select.PIPE_BUF])]
                    data = data[len(piece) :]
                if not piece:
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()


def run(words, data=None, seconds=None, **options):
    """Run a command, and return what came of it, as subprocess.run does with texts; of each stream its last bytes, however much it is.

    One that takes longer than `seconds` is ended with all that it has started, and subprocess.TimeoutExpired raised.
    """
    until = None if seconds is None else time.monotonic() + seconds
    pipes = {"stdin": subprocess.DEVNULL if data is None else subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0}
    # What is to be ended as a whole is a group of its own.
    options = options | ({} if seconds is None else {"start_new_session": True})
    with subprocess.Popen(words, **pipes, **options) as process:
        kept = {process.stdout: bytearray(), process.stderr: bytearray()}
        try:
            for stream, piece in talk(process, None if data is None else memoryview(data.encode(errors="replace")), until):
                kept[stream] += piece
                del kept[stream][: -MOST_BYTES if len(kept[stream]) > 2 * MOST_BYTES else 0]
            process.wait(None if until is None else max(0, until - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            end(process.pid)
            raise subprocess.TimeoutExpired(words, seconds, *map(text, kept.values())) from None
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, *map(text, kept.values()))


def text(kept):
    """Return the last bytes of a stream as a text, with its lines as Python has them."""
    return kept[-MOST_BYTES:].decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def ask(*words, data=None, **options):
    """Return what a command prints; data is text for its standard input, options are those of run and of subprocess.Popen. Raise Failed."""
    try:
        done = run(words, data, **options)
    except OSError as error:
        raise Failed(words, error.errno, stderr="%s: %s" % (words[0], error.strerror)) from error
    except subprocess.TimeoutExpired as error:
        # The words are those of a command in a unit of its own (run.j2).
        stopped = "%s\nIt was stopped after %d seconds (django_step_timeout_seconds).\n" % (error.stderr.rstrip(), error.timeout)
        raise Failed(words, -signal.SIGTERM, error.output, stopped.lstrip()) from error
    if done.returncode:
        raise Failed(words, done.returncode, done.stdout, done.stderr)
    return done.stdout
