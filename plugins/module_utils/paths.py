# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Folders and files below folders that another account may write to, reached by descriptors and never by names alone.

Whoever may write to a folder may put a link in the place of anything in it, at any moment. So each folder on the way is opened
from the one above it (openat(2)), without following a link, and what is done is done to what was opened.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import json
import os
import posixpath
import pwd
import secrets
import stat
import subprocess

# A link is an error, and so is whatever is no directory.
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# As many links as the kernel follows itself (path_resolution(7)).
MOST_LINKS = 40
# Folders one in another that are gone through: each takes a descriptor or two, of which a process has a thousand. Nobody's own lie as deep.
DEEPEST = 200


class UnsafePath(Exception):
    """One sentence on a path that root must not use."""


def outermost(paths):
    """Return the paths that are inside no other one, each once, in order; relative paths, as an inventory gives them."""
    clean = sorted({posixpath.normpath(path) for path in paths})
    return [path for path in clean if not any(is_inside(path, other) for other in clean if other != path)]


def is_inside(path, folder):
    """Whether a path is the folder or below it; both absolute, or both relative to the same place."""
    path, folder = posixpath.normpath(path), posixpath.normpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_private(information):
    """Whether nobody but root may change what is in the folder."""
    return information.st_uid == 0 and not information.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def open_directory(path, make=None):
    """Return a descriptor of the directory at an absolute path.

    A link is followed where root made it, in a folder to which nobody else may write, and so on up to the root of all: an
    operator may have moved a folder to another disk. `make` is called with (descriptor of the folder above, name) for each
    directory that is missing; without it FileNotFoundError is raised. UnsafePath is raised for any other link.
    """
    parts = [part for part in path.split("/") if part]
    descriptor, trusted, links = os.open("/", DIRECTORY), True, 0
    seen = ""
    try:
        while parts:
            name = parts.pop(0)
            trusted = trusted and is_private(os.fstat(descriptor))
            try:
                following = os.open(name, DIRECTORY, dir_fd=descriptor)
            except FileNotFoundError:
                if not make:
                    raise
                make(descriptor, name)
                following = os.open(name, DIRECTORY, dir_fd=descriptor)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                information = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not stat.S_ISLNK(information.st_mode):
                    raise UnsafePath(f"{seen}/{name} is no directory: move it away, or give another path.") from error
                target = os.readlink(name, dir_fd=descriptor)
                links += 1
                if not trusted or information.st_uid != 0 or links > MOST_LINKS:
                    raise UnsafePath(
                        f"{seen}/{name} is a link to {target}, where another account may put links: root does not follow it. "
                        "Put a folder in its place, or give the path that it leads to."
                    ) from error
                parts = [part for part in target.split("/") if part] + parts
                if target.startswith("/"):
                    os.close(descriptor)
                    descriptor, seen = os.open("/", DIRECTORY), ""
                continue
            os.close(descriptor)
            descriptor, seen = following, f"{seen}/{name}"
        return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def look(name, directory):
    """Return what stands under a name in an open directory; None where there is nothing."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def remove(name, directory):
    """Remove a file, a link, or a folder with all that is in it, from an open directory; no link is followed.

    By rm(1), which goes as deep as somebody has made folders, where Python runs out of descriptors or of its stack.
    """
    found = look(name, directory)
    if found and stat.S_ISDIR(found.st_mode):
        words = ["rm", "--recursive", "--force", "--", f"./{name}"]
        done = subprocess.run(words, cwd=f"/proc/self/fd/{directory}", stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise OSError(f"{name} cannot be removed: {(done.stderr.splitlines() or ['rm says nothing.'])[-1]}")
    elif found:
        os.unlink(name, dir_fd=directory)


def below(path):
    """Yield what is known of all that is below a folder and is none itself, as os.lstat has it; no link is followed.

    What has gone meanwhile is left out. It is no call within a call, as os.walk is up to Python 3.11: somebody may have put a thousand folders one in
    another.
    """
    waiting = [path]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        yield entry.stat(follow_symlinks=False)


def walk(path):
    """Yield what os.fwalk does of the folder at an absolute path: where a folder lies from there, its folders, its other entries, its descriptor.

    No link is followed. UnsafePath is raised as by `open_directory`, and where more folders lie one in another than anybody's.
    """
    folder = open_directory(path)
    try:
        for row in os.fwalk(".", dir_fd=folder):
            if row[0].count("/") > DEEPEST:
                raise UnsafePath(f"{path} has more than {DEEPEST} folders one in another, which nobody goes through: {row[0][2:60]}…")
            yield row
    finally:
        os.close(folder)


def account(owner, group):
    """Return the numbers of an account and a group, by names or numbers; ValueError with a sentence for one that is not there."""
    numbers = []
    for kind, name, find in (("user", owner, pwd.getpwnam), ("group", group, grp.getgrnam)):
        try:
            numbers.append(int(name) if str(name).isdigit() else find(str(name))[2])
        except KeyError:
            raise ValueError(f"There is no {kind} {name} on this host.") from None
    return tuple(numbers)


# Nothing that we write is longer, by far; what somebody has put in its place may be.
MOST_BYTES = 16 << 20


def read_file(directory, name, most=MOST_BYTES, last=False):
    """Return content, owner, group and mode of a plain file in an open directory; None where there is none. A link is none.

    Of a file that is longer than `most` bytes, the beginning, or with `last` the end: whoever may write there may have made it endless.
    """
    try:
        # Not blocked by a pipe that nobody writes to.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    information = os.fstat(descriptor)
    if not stat.S_ISREG(information.st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        file.seek(max(0, information.st_size - most) if last else 0)
        return file.read(most), information.st_uid, information.st_gid, stat.S_IMODE(information.st_mode)


def read_text(path, most=MOST_BYTES, last=False):
    """Return the text of the file at a path, as read_file reads it; nothing where there is none, or it cannot be read."""
    try:
        found = read_file(None, path, most, last)
    except (OSError, ValueError):
        # ValueError: no file can have such a name.
        found = None
    return found[0].decode("utf-8", "replace") if found else ""


def read_mapping(path, most=MOST_BYTES):
    """Return the mapping that the file at a path holds as JSON, as read_text reads it; None where it holds none."""
    try:
        content = json.loads(read_text(path, most))
    except (RecursionError, ValueError):
        # RecursionError: lists in lists, without end.
        return None
    return content if isinstance(content, dict) else None


def write_file(directory, name, content, uid, gid, mode):
    """Let a name in an open directory be a file with this content, owner, group and mode, from one moment to the next, and on the disk."""
    scratch = f".{name}.{secrets.token_hex(8)}"
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        os.rename(scratch, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(scratch, dir_fd=directory)
        raise
    os.fsync(directory)
