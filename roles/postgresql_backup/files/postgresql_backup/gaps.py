"""Log that the archive lacks: known of where it was given up or lost, and seen in the archive itself. No moment after it can be gone back to
before the next backup, so it is told until there is one."""

import contextlib
import fcntl
import json
import os
import re
import time

from . import core

FILE = "gap.json"
SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?![.0-9A-Z])")


# --- What is known of -------------------------------------------------------------------------


def read(settings):
    try:
        with open(settings.path(FILE), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def alone(settings):
    """Keep others from noting or forgetting a gap for as long as this runs, by the folder that all of them may read."""
    folder = os.open(settings.path(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def note(settings, log, reason):
    """Note that the log is missing from a piece on; of several that is the first one, and the time is the last one's. What cannot be noted, on a full disk,
    is seen in the archive, and keeps nobody from giving up what fills that disk."""
    try:
        with alone(settings):
            first = read(settings) or {"log": log, "reason": reason}
            core.write(settings.path(FILE), json.dumps(first | {"time": time.time()}) + "\n")
    except OSError as error:
        core.complain(core.Failure(f"the gap from {log} on cannot be noted: {error.strerror}", core.FULL))


def forget(settings, gap):
    """Forget a gap, or None, unless another one was noted since it was read."""
    with alone(settings):
        if read(settings) == gap:
            core.remove(settings.path(FILE))


def still_open(gap, backups, repositories, now):
    """Return a gap for as long as some repository holds no backup that began after it. One that began while the clock was ahead may have begun before."""
    if not gap:
        return None
    known = [(row["database"]["repo-key"], row["timestamp"]["start"]) for row in backups if row["timestamp"]["start"] <= now + core.AHEAD]
    newest = {number: max((start for repository, start in known if repository == number), default=0) for number in repositories}
    return gap if min(newest.values(), default=0) <= gap["time"] else None


# --- What is seen -----------------------------------------------------------------------------


def pieces(names, bytes_each):
    """Return the pieces of log among the names of an archive's files, (timeline, number) of each."""
    found = (SEGMENT.match(name) for name in names)
    return {(int(piece[1], 16), int(piece[2], 16) * (2**32 // bytes_each) + int(piece[3], 16)) for piece in found if piece}


def name(timeline, number, bytes_each):
    """Return the name of a piece."""
    return f"{timeline:08X}{number // (2**32 // bytes_each):08X}{number % (2**32 // bytes_each):08X}"


def hole(names, start, bytes_each):
    """Return the name of the first piece from `start` on that is not among the names, or None; what is newer than all of them is to come.

    Each timeline goes on where it left the one before, with a piece of the same number. What is on the former timeline from there on is no
    part of the history.
    """
    ((first, number),) = pieces([start], bytes_each)
    held = {piece for piece in pieces(names, bytes_each) if piece >= (first, number)}
    begins = {timeline: min(number for other, number in held if other == timeline) for timeline, _number in held} | {first: number}
    last = max((number for timeline, number in held if timeline == max(begins)), default=number - 1)
    for wanted in range(min(begins.values()), last + 1):
        timeline = max((timeline for timeline, begin in begins.items() if begin <= wanted), default=first)
        if (timeline, wanted) not in held:
            return name(timeline, wanted, bytes_each)
    return None


def archived(settings, repository, identifier, start, bytes_each):
    """Return the names of an archive's files from the folder of a piece on."""

    def listing(*path):
        return core.pgbackrest(settings, f"--repo={repository}", "repo-ls", "/".join(("archive", settings.name, identifier, *path)), log="off").stdout.split()

    # A folder has the name of what its pieces have in common: their timeline, and the first part of their number.
    folders = [folder for folder in listing() if re.fullmatch("[0-9A-F]{16}", folder) and (folder[8:] >= start[8:16] or folder[:8] > start[:8])]
    return [file for folder in folders for file in listing(folder)]


def seen(settings, information):
    """Return the name of the first piece that a repository lacks since its newest backup, and the repository's number; or None."""
    for repository in settings.repositories:
        backups = [row for row in information["backup"] if row["database"]["repo-key"] == repository]
        if not backups:
            continue
        newest = max(backups, key=lambda row: row["timestamp"]["stop"])
        start = newest["archive"]["start"]
        ((bytes_each,),) = core.ask(settings.connection, "SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'")
        for identifier in [row["id"] for row in information["archive"] if row["database"] == newest["database"]]:
            if missing := hole(archived(settings, repository, identifier, start, bytes_each), start, bytes_each):
                return missing, repository
    return None


# --- What is told -----------------------------------------------------------------------------


def trouble(settings, information):
    """Return what is to be told of the log that is missing; an empty word where it is whole. A gap that was closed is forgotten."""
    noted, now = read(settings), time.time()
    if noted and noted["time"] > now + core.AHEAD:
        # The clock was ahead: what is known is that it came before now.
        note(settings, noted["log"], noted.get("reason", ""))
        noted = read(settings)
    if gap := still_open(noted, information["backup"], settings.repositories, now):
        log, reason = gap["log"], gap.get("reason", "")
    elif found := seen(settings, information):
        log, reason = found[0], "the archive does not hold it" if len(settings.repositories) == 1 else f"repository {found[1]} does not hold it"
    else:
        forget(settings, noted)
        return ""
    return (
        f"the log from {log} on is missing{f' ({reason})' if reason else ''}: no moment since can be gone back to before the next backup. "
        "Mend the cause, then: postgresql-backup full"
    )
