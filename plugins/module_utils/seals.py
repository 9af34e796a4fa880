# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What an account has built becomes root's, so that nobody changes it any more; reached by descriptors, and no link is followed."""

from __future__ import annotations

import glob
import os
import stat

from .disks import flush
from .paths import DEEPEST, DIRECTORY, UnsafePath, account, is_inside, look, open_directory, write_file

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Of a release's own checkout.
OBJECTS = "/.git/objects"


def sealed_mode(mode):
    """Return the permissions of a sealed file or folder: its group reads it, and runs what its owner could run."""
    runs = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
    return 0o750 if runs else 0o640


def seal_one(descriptor, owner, group):
    """Give an open file or folder to root where it is the account's; return whether it was."""
    information = os.fstat(descriptor)
    if information.st_uid != owner:
        return False
    os.fchown(descriptor, 0, group)
    os.fchmod(descriptor, sealed_mode(information.st_mode))
    return True


def seal(folder, owner, group, path=""):
    """Seal an open folder with all that is in it, from the inside outwards; return how many entries were the account's.

    path is the folder's below what is sealed; UnsafePath is raised for one that lies too deep.
    """
    if path.count("/") > DEEPEST:
        raise UnsafePath(f"What was built has more than {DEEPEST} folders one in another, which nobody seals: {path[1:60]}…")
    count = 0
    for name in os.listdir(folder):
        found = look(name, folder)
        is_folder = bool(found) and stat.S_ISDIR(found.st_mode)
        # Links and pipes hold nothing, nor does what has gone. What has another name among git's objects is the mirror's, too.
        if not is_folder and (not found or not stat.S_ISREG(found.st_mode) or (found.st_nlink > 1 and is_inside(path, OBJECTS))):
            continue
        descriptor = os.open(name, DIRECTORY if is_folder else FILE, dir_fd=folder)
        try:
            count += seal(descriptor, owner, group, f"{path}/{name}") if is_folder else seal_one(descriptor, owner, group)
        finally:
            os.close(descriptor)
    return count + seal_one(folder, owner, group)


def seal_all(patterns, owner, group, mark=None):
    """Seal the folders at absolute paths, which may be patterns, in order; return how many entries were the account's.

    owner is the account that built them, group reads them from now on; mark is the name of an empty file that each folder gets when all that is
    in it is sealed, and on the disk. UnsafePath, ValueError and OSError say in a sentence why one cannot be.
    """
    count = 0
    uid, gid = account(owner, group)
    # Of links nothing is sealed: uv names an interpreter by one, too.
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern) if not os.path.islink(path)):
        folder = open_directory(path)
        try:
            count += seal(folder, uid, gid)
            if mark:
                flush(folder)
                write_file(folder, mark, b"", 0, gid, 0o640)
        finally:
            os.close(folder)
    return count
