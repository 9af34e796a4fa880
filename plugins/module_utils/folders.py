# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Folders that another account may write to: they are opened step by step, and no link of that account's is followed."""

from __future__ import annotations

import os
import stat

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_LINKS = 16


class Strange(Exception):
    """A folder is not what it should be; the message says why."""


def open_folder(path):
    """Return a descriptor of a directory. A link on the way is followed only where it is root's."""
    handle, parts, links = os.open("/", DIRECTORY), names(path), 0
    try:
        while parts:
            name = parts.pop(0)
            found = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if found.st_uid or links > MOST_LINKS:
                    raise Strange(f"{path} leads over the link {name}, which is not root's: it is not followed")
                target = os.readlink(name, dir_fd=handle)
                parts = names(target) + parts
                deeper = os.open("/" if target.startswith("/") else ".", DIRECTORY, dir_fd=handle)
            else:
                deeper = os.open(name, DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = deeper
    except BaseException:
        os.close(handle)
        raise
    return handle


def names(path):
    return [name for name in path.split("/") if name not in ("", ".")]


def look(name, folder):
    """Return what stands under a name in an open folder; nothing where there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
