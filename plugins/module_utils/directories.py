# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Directories with their owners, below folders that another account may write to."""

from __future__ import annotations

import os
import stat

from .paths import DIRECTORY, account, open_directory, remove


def words(uid, gid, mode):
    return {"owner": uid, "group": gid, "mode": f"{mode:04o}"}


def settle(descriptor, wanted, check):
    """Give an open directory owner, group and mode; return both states where they differ."""
    information = os.fstat(descriptor)
    is_state = (information.st_uid, information.st_gid, stat.S_IMODE(information.st_mode))
    if is_state == wanted:
        return None
    if not check:
        # A change of the owner takes special bits away.
        os.fchown(descriptor, *wanted[:2])
        os.fchmod(descriptor, wanted[2])
    return words(*is_state), words(*wanted)


def make(above, name):
    os.mkdir(name, 0o755, dir_fd=above)
    descriptor = os.open(name, DIRECTORY, dir_fd=above)
    # Whatever the umask is.
    os.fchmod(descriptor, 0o755)
    os.close(descriptor)


def children(descriptor, path, owner, check):
    """Let the directories directly in an open one belong to an account; yield each that did not."""
    for name in sorted(os.listdir(descriptor)):
        try:
            child = os.open(name, DIRECTORY, dir_fd=descriptor)
        except OSError:
            # A link, or no directory.
            continue
        try:
            information = os.fstat(child)
            change = settle(child, (owner, information.st_gid, stat.S_IMODE(information.st_mode)), check)
        finally:
            os.close(child)
        if change:
            yield f"{path}/{name}", change


def apply(directories, check=False):
    """Yield (path, (before, after)) of each directory that differs from what is wanted; `before` is None where there is none."""
    for entry in directories:
        try:
            uid, gid = account(entry.get("owner") or "root", entry.get("group") or "root")
        except ValueError:
            # A dry run on a bare host: what comes before would have made it.
            if not check:
                raise
            yield entry["path"], (None, entry)
            continue
        wanted = (uid, gid, int(entry["mode"], 8))
        try:
            descriptor = open_directory(entry["path"], None)
        except FileNotFoundError:
            if not check:
                descriptor = open_directory(entry["path"], make)
                settle(descriptor, wanted, check)
                os.close(descriptor)
            yield entry["path"], (None, words(*wanted))
            continue
        try:
            if not entry.get("keep") and (change := settle(descriptor, wanted, check)):
                yield entry["path"], change
            if entry.get("owner_of_children"):
                yield from children(descriptor, entry["path"], account(entry["owner_of_children"], "root")[0], check)
        finally:
            os.close(descriptor)


def clear(path):
    """Remove whatever is at an absolute path, in a folder that is there; no link is followed."""
    folder = open_directory(os.path.dirname(path))
    try:
        remove(os.path.basename(path), folder)
    finally:
        os.close(folder)
