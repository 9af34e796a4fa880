# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What says that something is whole is written when all of it is on the disk.

A file system writes names at once and what is in the files later: after a power cut files are empty that nobody waited for, while a mark that
came after them is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import stat

from .directories import clear
from .paths import open_directory, write_file
from .releases import note

# Changes with each start of the host.
BOOT = "/proc/sys/kernel/random/boot_id"
# Stands in an application's directory while something is built.
PENDING = "build-pending"


def flush(descriptor):
    """Wait until all is on the disk that was written to the file system of an open file or folder (syncfs(2), which has no name in Python)."""
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def flush_all(*paths):
    """Wait for the file systems of folders at absolute paths: each once, and not for one that is not there."""
    seen = set()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            descriptor = open_directory(path)
            try:
                device = os.fstat(descriptor).st_dev
                if device not in seen:
                    flush(descriptor)
                    seen.add(device)
            finally:
                os.close(descriptor)


def derived(root):
    """Return what builds have left for the next ones: caches, tools, and interpreters that were never sealed. What links to one of these may be in use."""
    pythons = (entry for entry in glob.glob(os.path.join(glob.escape(root), "python", "*")))
    unsealed = [path for path in pythons if stat.S_ISDIR(os.lstat(path).st_mode) and os.lstat(path).st_uid]
    return [path for name in (".cache", "*.venv", "*.venv.new") for path in glob.glob(os.path.join(glob.escape(root), "build", name))] + unsealed


@contextlib.contextmanager
def building(root):
    """Let a build do its work for the application in a directory, which may be empty; what it has written is on the disk then, also where it fails.

    Where the host went down meanwhile, files may be empty in what it left for the next one, and no installer looks: that is cleared before.
    """
    if not root:
        yield
        return
    with open(BOOT, encoding="ascii") as file:
        boot = file.read().strip()
    mark = os.path.join(root, PENDING)
    if note(mark)[0] not in ("", boot):
        for path in derived(root):
            clear(path)
    folder = open_directory(root)
    try:
        write_file(folder, PENDING, boot.encode(), 0, 0, 0o600)
    finally:
        os.close(folder)
    try:
        yield
    finally:
        flush_all(root, *(os.path.join(root, name) for name in ("build", "python", "venvs")))
        os.unlink(mark)
