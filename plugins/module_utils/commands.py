# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Commands that a module runs on a host."""

from __future__ import annotations

import contextlib
import io
import os
import select
import selectors
import signal
import subprocess
import time

# Of each stream, what is kept: more than anybody reads, and less than a host misses.
MOST_BYTES = 4 << 20
# More than anything prints that is read as a whole.
MOST_HELD = 32 << 20
# What is told to end gets these to clear up.
GRACE_SECONDS = 5
# One of which all is read has more to clear up: files that it has begun.
ENDING_SECONDS = 10


class Failed(Exception):
    """A command that failed; its `details` are what a module fails with: `msg`, `cmd`, `rc`, `stdout` and `stderr`."""

    def __init__(self, words, code, stdout="", stderr=""):
        super().__init__("%s failed with code %s." % (words[0], code))
        self.details = {"msg": str(self), "cmd": list(words), "rc": code, "stdout": stdout, "stderr": stderr}


def end(leader):
    """End a child that leads a group of processes, with all that is in it. It has still to be waited for."""
    until = time.monotonic() + GRACE_SECONDS
    os.killpg(leader, signal.SIGTERM)
    while not is_over(leader) and time.monotonic() < until:
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


class Ended(Exception):
    """A command that was ended from here; the message says what it did, as `took longer than 5 s`."""


def hold(words, seconds=None, watch=lambda: "", most=MOST_HELD, **options):
    """Run a command of which a part tells nothing, and return what came of it, as subprocess.run does with texts; options are those of subprocess.Popen.

    Raise Ended. Somebody else may have a part in what it prints, and would print without end: of its complaints the first `most` bytes are held, and one that
    prints more than that is ended. So is one that takes longer, with all that it has started, or of which `watch`, asked every second, has something to say.
    """
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": bool(seconds)} | options
    with subprocess.Popen(words, **options) as process, selectors.DefaultSelector() as pipes:
        printed = {pipe: bytearray() for pipe in (process.stdout, process.stderr) if pipe}
        for pipe in printed:
            pipes.register(pipe, selectors.EVENT_READ)
        try:
            why = follow(process, pipes, printed, most, watched(seconds, watch), os.killpg if options["start_new_session"] else os.kill)
        except BaseException:
            process.kill()
            raise
    if why:
        raise Ended(why)
    texts = [io.TextIOWrapper(io.BytesIO(printed[pipe]), errors="replace").read() if pipe else None for pipe in (process.stdout, process.stderr)]
    return subprocess.CompletedProcess(process.args, process.returncode, *texts)


def watched(seconds, watch):
    """Return a function that says what is wrong with a command: what watch says, or that it takes longer."""
    until = time.monotonic() + seconds if seconds else float("inf")
    return lambda: "took longer than %d s" % seconds if time.monotonic() > until else watch()


def follow(process, pipes, printed, most, watch, tell):
    """Hold what a process prints until it has ended, and return what it was ended for, if anything; what it prints then is let go.

    It has still to be waited for. `tell` is os.kill, or os.killpg where it leads a group.
    """
    why, look, until = "", time.monotonic() + 1, None
    # What it has started may go on, and print; it itself may have closed what it would print to.
    while not (until and time.monotonic() > until) and not ((until or not pipes.get_map()) and is_over(process.pid)):
        # One that prints no more is about to end, mostly.
        for key, _events in pipes.select(1 if pipes.get_map() else 0.01):
            piece = os.read(key.fd, 1 << 16)
            if not piece:
                pipes.unregister(key.fileobj)
            elif not why:
                left = most - len(printed[key.fileobj])
                printed[key.fileobj] += piece[:left]
                if len(piece) > left and key.fileobj is process.stdout:
                    why = "printed more than %d MB" % (most >> 20)
        if not why and time.monotonic() > look:
            why, look = watch(), time.monotonic() + 1
        if why and not until:
            tell(process.pid, signal.SIGTERM)
            until = time.monotonic() + ENDING_SECONDS
    if why:
        tell(process.pid, signal.SIGKILL)
    return why


def is_over(child):
    """Return whether a child has ended; it has still to be waited for, so that its number is nobody else's."""
    return bool(os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT))


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
