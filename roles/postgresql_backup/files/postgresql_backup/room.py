"""Whether what is about to be made fits its disk. Some of it always stays free: on the server's own disk a full one stops the server."""

import os

from . import core

# A differential backup holds all that changed since the last full one, so it grows from night to night.
GROWTH = 2
# What a dump is larger than the last one.
DUMP_GROWTH = 1.25
DAY = 86400


# --- What it takes ----------------------------------------------------------------------------


def ratio(backups):
    """Return what is left of a byte of the databases in the repository, by its last full backup; all of it where there is none."""
    for row in reversed(backups):
        if row["type"] == "full" and row["info"]["size"]:
            return min(1.0, row["info"]["repository"]["delta"] / row["info"]["size"])
    return 1.0


def backup(kind, backups, database):
    """Return how many bytes a backup adds to a repository that holds these, oldest first, with databases of so many bytes now."""
    whole = int(database * ratio(backups))
    full = next((row["label"] for row in reversed(backups) if row["type"] == "full"), None)
    since = [row for row in backups if full and row["label"].startswith(f"{full}_")]
    if kind == "full" or not since:
        # What changed since the full backup is not known yet; it is not more than all.
        return whole
    grown = max(0, database - since[-1]["info"]["size"]) * ratio(backups)
    return min(whole, int(GROWTH * max(row["info"]["repository"]["delta"] for row in since) + grown))


def log(backups, position, now):
    """Return how many bytes of log the archive is to get until the next backup: as many as since the last one, or of that a day's share."""
    if not backups or not (backups[-1].get("lsn") or {}).get("stop"):
        return 0
    high, _slash, low = backups[-1]["lsn"]["stop"].partition("/")
    share = min(1.0, DAY / max(1, now - backups[-1]["timestamp"]["stop"]))
    return int(max(0, position - (int(high, 16) << 32) - int(low, 16)) * ratio(backups) * share)


def dump(last, database):
    """Return how many bytes a dump takes after one of so many bytes; the first one not more than the databases."""
    return int(last * DUMP_GROWTH) if last else database


def missing(needed, free, reserve):
    """Return how many bytes are lacking so that the reserve stays free; none where it fits."""
    return max(0, needed + reserve - free)


def is_too_little_for_the_log(free, reserve):
    """Whether the server's disk is so full that the log in its archive would be the end of the server: half of the reserve is used up."""
    return free < reserve // 2


# --- What there is ----------------------------------------------------------------------------


def free(path):
    """Return the bytes that are free where a directory is, or is to be."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


def reserve(settings):
    return settings["reserve_mb"] * 1024**2


def ask(settings, path, what, needed, expire=None):
    """Refuse what would not fit. What is past its time goes first, where there is a way."""
    if missing(needed, free(path), reserve(settings)) and expire:
        expire()
    if missing(needed, free(path), reserve(settings)):
        raise core.Failure(
            f"{what} takes about {core.human(needed)}, but {path} has {core.human(free(path))} free, of which {core.human(reserve(settings))} "
            "(postgresql_backup_reserve_mb) stay free: make room, or keep backups on a volume of their own",
            core.FULL,
        )


def watch(settings, *paths):
    """Return a function that says what is wrong as soon as half of the reserve is used up: what was expected was too little."""

    def trouble():
        for path in paths:
            if path and is_too_little_for_the_log(free(path), reserve(settings)):
                return (
                    f"stopped, since {path} has only {core.human(free(path))} free, less than half of postgresql_backup_reserve_mb: make room, or keep "
                    "backups on a volume of their own"
                )
        return ""

    return trouble
