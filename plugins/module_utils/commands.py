# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Commands that a module runs on a host."""

from __future__ import annotations

import subprocess


class Failed(Exception):
    """A command that failed; its `details` are what a module fails with: `msg`, `cmd`, `rc`, `stdout` and `stderr`."""

    def __init__(self, words, code, stdout="", stderr=""):
        super().__init__("%s failed with code %s." % (words[0], code))
        self.details = {"msg": str(self), "cmd": list(words), "rc": code, "stdout": stdout, "stderr": stderr}


def ask(*words, data=None, **options):
    """Return what a command prints; data is text for its standard input, options are those of subprocess.run. Raise Failed."""
    given = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, **given, **options)
    except OSError as error:
        raise Failed(words, error.errno, stderr="%s: %s" % (words[0], error.strerror)) from error
    if done.returncode:
        raise Failed(words, done.returncode, done.stdout, done.stderr)
    return done.stdout
