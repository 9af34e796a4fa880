"""A plain copy of a folder that another account may write to; of links to the same files where the disk is the same.

Root works here, so no name is followed: every directory and file is reached from the descriptor of the one above, and a link stays one.
What is neither directory, file nor link holds nothing that could be copied; opening it could take for ever.
"""

import contextlib
import errno
import math
import os
import stat

from .paths import DEEPEST, DIRECTORY, look, remove

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
TEMPORARY = ".being-copied"
# What a folder takes, or a link.
BLOCK = 4096
# Why a file cannot be linked: another disk, one without links, too many of them, a rule of the kernel's.
UNLINKABLE = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
# What is met with where a name that was looked at has gone since, or has become something else.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)


class Mirror:
    """Copies from one open folder into another, which nobody else can reach; counts, and notes what it had to leave out.

    `work` is a folder of the same disk, where a file is made before it gets its name; `make_room` is asked for the bytes that a copy takes, be it of a
    folder or a link, of which there may be as many as the disk has names for; `allow` whether all files may be as large as they claim to be.
    """

    def __init__(self, work, delete, make_room=lambda size: None, allow=lambda size: None):
        self.work, self.delete, self.make_room, self.allow = work, delete, make_room, allow
        self.size, self.left_out = 0, []

    def copy(self, source, target, path=""):
        """Copy what is in a folder; with `delete`, remove what is not there any more."""
        if path.count("/") > DEEPEST:
            self.left_out.append(path)
            return
        names = os.listdir(source)
        for name in names:
            found = look(name, source)
            try:
                if found and stat.S_ISDIR(found.st_mode):
                    self.folder(name, found, source, target, path)
                elif found and stat.S_ISLNK(found.st_mode):
                    self.link(name, source, target)
                elif found and stat.S_ISREG(found.st_mode):
                    self.file(name, found, source, target)
                elif found:
                    remove(name, target)
            except OSError as error:
                if error.errno not in GONE:
                    raise
        if self.delete:
            for name in set(os.listdir(target)) - set(names):
                remove(name, target)

    def folder(self, name, found, source, target, path):
        with opened(name, source) as inner:
            there = look(name, target)
            if there and not stat.S_ISDIR(there.st_mode):
                remove(name, target)
                there = None
            if not there:
                self.make_room(BLOCK)
                os.mkdir(name, 0o700, dir_fd=target)
            with opened(name, target) as outer:
                self.copy(inner, outer, f"{path}/{name}")
                os.fchmod(outer, stat.S_IMODE(found.st_mode))
                os.utime(outer, ns=(found.st_atime_ns, found.st_mtime_ns))

    def link(self, name, source, target):
        text, there = os.readlink(name, dir_fd=source), look(name, target)
        if there and stat.S_ISLNK(there.st_mode) and os.readlink(name, dir_fd=target) == text:
            return
        self.make_room(BLOCK)
        remove(name, target)
        os.symlink(text, name, dir_fd=target)

    def file(self, name, found, source, target):
        there = look(name, target)
        self.size += found.st_size
        self.allow(self.size)
        if there and is_same(found, there):
            return
        remove(TEMPORARY, self.work)
        try:
            os.link(name, TEMPORARY, src_dir_fd=source, dst_dir_fd=self.work, follow_symlinks=False)
        except OSError as error:
            if error.errno not in UNLINKABLE:
                raise
            self.content(name, source)
        if stat.S_ISREG(look(TEMPORARY, self.work).st_mode):
            if there and stat.S_ISDIR(there.st_mode):
                remove(name, target)
            os.rename(TEMPORARY, name, src_dir_fd=self.work, dst_dir_fd=target)
        # What has become something else meanwhile; and of two names of one file, rename(2) leaves both.
        remove(TEMPORARY, self.work)

    def content(self, name, source):
        handle = os.open(name, FILE, dir_fd=source)
        with open(handle, "rb", buffering=0) as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.ELOOP, "it has become something else")
            self.make_room(found.st_blocks * 512)
            copied = os.open(TEMPORARY, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=self.work)
            with open(copied, "wb") as copy:
                for start, end in extents(handle, found.st_size):
                    file.seek(start)
                    copy.seek(start)
                    while start < end and (piece := file.read(min(1 << 20, end - start))):
                        copy.write(piece)
                        start += len(piece)
                copy.truncate(found.st_size)
                copy.flush()
                os.fchown(copied, found.st_uid, found.st_gid)
                os.fchmod(copied, stat.S_IMODE(found.st_mode))
                for attribute in os.listxattr(handle):
                    if attribute.startswith("user."):
                        os.setxattr(copied, attribute, os.getxattr(handle, attribute))
                os.utime(copied, ns=(found.st_atime_ns, found.st_mtime_ns))


@contextlib.contextmanager
def opened(name, folder):
    """Have a folder open that is in an open one."""
    handle = os.open(name, DIRECTORY, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


def count(folder, most=math.inf, depth=0):
    """Return how many files an open folder holds, and what is below it; counted up to `most`."""
    found = 0
    for name in os.listdir(folder):
        if found >= most:
            break
        there = look(name, folder)
        if there and stat.S_ISREG(there.st_mode):
            found += 1
        elif there and stat.S_ISDIR(there.st_mode) and depth < DEEPEST:
            try:
                with opened(name, folder) as inner:
                    found += count(inner, most - found, depth + 1)
            except OSError as error:
                # What others may not read is handed over by none of them, and counted by nobody who is not root.
                if error.errno not in (*GONE, errno.EACCES):
                    raise
    return found


def is_same(found, there):
    """Whether a file was copied already: it is the same one, or one that looks alike."""
    if (found.st_dev, found.st_ino) == (there.st_dev, there.st_ino):
        return True
    return stat.S_ISREG(there.st_mode) and all(
        getattr(found, name) == getattr(there, name) for name in ("st_mode", "st_size", "st_mtime_ns", "st_uid", "st_gid")
    )


def extents(handle, size):
    """Yield where a file has content: what it only claims to hold would fill a disk."""
    start = 0
    while start < size:
        try:
            start = os.lseek(handle, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, end
        start = end
