# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Links from a release to what outlives it, put there as root over folders of other accounts, of which no link is followed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import shutil
import stat

from .disks import flush
from .paths import DEEPEST, DIRECTORY, UnsafePath, look, open_directory, outermost, remove


def make(above, name):
    """Make a directory that belongs to whom the one above it belongs, and return a descriptor of it."""
    parent = os.fstat(above)
    os.mkdir(name, 0o700, dir_fd=above)
    descriptor = os.open(name, DIRECTORY, dir_fd=above)
    os.fchown(descriptor, parent.st_uid, parent.st_gid)
    os.fchmod(descriptor, 0o755 | parent.st_mode & stat.S_ISGID)
    return descriptor


def own_parent(code, path):
    """Return a descriptor of the directory in which a path of the release lies, made where it is missing; no link leads to it."""
    descriptor, seen = os.open(code, DIRECTORY), []
    try:
        for name in [part for part in posixpath.dirname(path).split("/") if part]:
            seen.append(name)
            try:
                following = make(descriptor, name) if look(name, descriptor) is None else os.open(name, DIRECTORY, dir_fd=descriptor)
            except OSError:
                raise UnsafePath(f"{path} outlives the release, and {'/'.join(seen)} of the revision is no folder: give the path that it leads to.") from None
            os.close(descriptor)
            descriptor = following
        return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def scratch(name):
    """Return what a file is called until it is whole; whatever the name, it is not too long."""
    return ".selfhost-" + hashlib.sha256(os.fsencode(name)).hexdigest()


def copy(name, source, target):
    """Copy a file from one open folder into another, where it belongs to whom that folder belongs, and is not called by its name yet."""
    here = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    # Of a run that was killed.
    remove(scratch(name), target)
    there = os.open(scratch(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
    with open(here, "rb") as original, open(there, "wb") as made:
        was, folder = os.fstat(here), os.fstat(target)
        shutil.copyfileobj(original, made)
        os.fchown(there, folder.st_uid, folder.st_gid)
        os.fchmod(there, was.st_mode & 0o777)
        made.flush()
        os.utime(there, ns=(was.st_atime_ns, was.st_mtime_ns))


def entitle(name, _source, target):
    """Let a file that was copied have its name. One that was there, and was removed since, was not, and stays removed."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(scratch(name), name, src_dir_fd=target, dst_dir_fd=target)


def bring(source, target):
    """Copy what an open folder has and another lacks; what has its name there is whole, whoever is killed, and whenever the power fails."""
    if complete(source, target, copy):
        flush(target)
        complete(source, target, entitle)


def complete(source, target, act, path=""):
    """Call act with the name of each file that an open folder lacks, and both folders; return how many these are. Folders and links it gets at once,
    links as links, and none is followed. path is the folder's below what is copied."""
    if path.count("/") > DEEPEST:
        raise UnsafePath(f"What outlives the release has more than {DEEPEST} folders one in another, which nobody copies: {path[1:60]}…")
    folder, count = os.fstat(target), 0
    for name in sorted(os.listdir(source)):
        found, there = look(name, source), look(name, target)
        # What has gone meanwhile is neither folder, link nor file.
        here = found.st_mode if found else 0
        if stat.S_ISDIR(here) and (there is None or stat.S_ISDIR(there.st_mode)):
            inner = [os.open(name, DIRECTORY, dir_fd=source), make(target, name) if there is None else os.open(name, DIRECTORY, dir_fd=target)]
            try:
                count += complete(*inner, act, f"{path}/{name}")
            finally:
                for descriptor in inner:
                    os.close(descriptor)
        elif there is None and stat.S_ISLNK(here):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, folder.st_uid, folder.st_gid, dir_fd=target, follow_symlinks=False)
        elif there is None and stat.S_ISREG(here):
            act(name, source, target)
            count += 1
    return count


def link(code, path, target):
    """Let a path of the release be a link to a directory; return whether it was none before."""
    parent, name = own_parent(code, path), posixpath.basename(path)
    try:
        try:
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None and stat.S_ISLNK(mode):
            if os.readlink(name, dir_fd=parent) == target:
                return False
            os.unlink(name, dir_fd=parent)
        elif mode is not None and stat.S_ISDIR(mode):
            ends = os.open(name, DIRECTORY, dir_fd=parent), open_directory(target)
            try:
                bring(*ends)
            finally:
                for descriptor in ends:
                    os.close(descriptor)
            remove(name, parent)
        elif mode is not None:
            raise UnsafePath(f"{path} outlives the release, and is a file in the revision: give the folder that such files lie in.")
        os.symlink(target, name, dir_fd=parent)
        return True
    finally:
        os.close(parent)


def link_all(code, folder, shared, paths):
    """Let paths of a release be links into shared storage; return those that were none before.

    code is the directory of its code, folder that of manage.py inside it, shared has the paths' directories already. The paths are planned as a
    set: one inside another is reached through that one's link. What the revision brings there becomes the first content of the shared folder, what
    is there already stays, and nothing is removed but the release's own copy. UnsafePath and OSError say in a sentence what is in the way.
    """
    return [path for path in outermost(paths) if link(code, posixpath.join(folder, path), posixpath.join(shared, path))]
