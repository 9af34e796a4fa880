# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What was written and is not taken over yet by who reads it. It stands on the host, since the run that wrote it may fail before, or be killed."""

from __future__ import annotations

import json
import os

from .paths import open_directory, read_file, remove, write_file

FOLDER = "/var/lib/selfhost/owed"


def _make(above, name):
    os.mkdir(name, 0o755, dir_fd=above)


def owed(reader, folder=FOLDER):
    """Return the paths that a reader, a word, has not taken over."""
    try:
        directory = open_directory(folder)
    except FileNotFoundError:
        return []
    try:
        found = read_file(directory, reader)
    finally:
        os.close(directory)
    try:
        return [str(path) for path in json.loads(found[0])] if found else []
    except (TypeError, ValueError):
        # It was not written here, and says that there was something.
        return []


def owe(reader, path, folder=FOLDER):
    """Write down, before it is written, that a reader has a path to take over."""
    paths = owed(reader, folder)
    if path in paths:
        return
    directory = open_directory(folder, _make)
    try:
        write_file(directory, reader, json.dumps([*paths, path]).encode(), os.geteuid(), os.getegid(), 0o600)
    finally:
        os.close(directory)


def settle(reader, folder=FOLDER):
    """Forget what a reader has taken over."""
    try:
        directory = open_directory(folder)
    except FileNotFoundError:
        return
    try:
        remove(reader, directory)
    finally:
        os.close(directory)
