"""Whether what is about to be made fits its disk. Some of it always stays free: on the server's own disk a full one stops the server."""

import os

from . import core, paths

# A differential backup holds all that changed since the last full one, so it grows from night to night.
GROWTH = 2
# What a dump is larger than the last one.
DUMP_GROWTH = 1.25
DAY = 86400
# Of the files that a file system can hold, this part stays free.
FILES_KEPT = 20


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


def growth(total, taken, share):
    """Return how many bytes may still come to what may take a share of a volume; negative where it takes more already."""
    return int(total * share) - taken


def is_out_of_files(files, free_files):
    """Whether a file system that counts its files has next to none left: nothing could be made there, however many bytes are free."""
    return 0 < files and free_files < files // FILES_KEPT


# --- What there is ----------------------------------------------------------------------------


def free(path):
    """Return the bytes that are free where a directory is, or is to be."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


def reserve(settings):
    return settings["reserve_mb"] * 1024**2


def files_trouble(path):
    while not os.path.exists(path):
        path = os.path.dirname(path)
    space = os.statvfs(path)
    return f"{path} can hold only {space.f_favail} more files" if is_out_of_files(space.f_files, space.f_favail) else ""


def ask(settings, path, what, needed, expire=None):
    """Refuse what would not fit. What is past its time goes first, where there is a way."""
    if missing(needed, free(path), reserve(settings)) and expire:
        expire()
    if wrong := files_trouble(path):
        raise core.Failure(f"{what} is not made, since {wrong}: make room, or keep backups on a volume of their own", core.FULL)
    if missing(needed, free(path), reserve(settings)):
        raise core.Failure(
            f"{what} takes about {core.human(needed)}, but {path} has {core.human(free(path))} free, of which {core.human(reserve(settings))} "
            "(postgresql_backup_reserve_mb) stay free: make room, or keep backups on a volume of their own",
            core.FULL,
        )


def watch(settings, *paths, least=0):
    """Return a function that says what is wrong as soon as half of the reserve is used up, or less than `least` bytes are free: what was
    expected was too little."""

    def trouble():
        for path in filter(None, paths):
            if is_too_little_for_the_log(free(path), reserve(settings)):
                return (
                    f"stopped, since {path} has only {core.human(free(path))} free, less than half of postgresql_backup_reserve_mb: make room, or keep "
                    "backups on a volume of their own"
                )
            if free(path) < least:
                return f"stopped, since {path} has only {core.human(free(path))} free: what else is kept there has to have {core.human(least)}"
            if wrong := files_trouble(path):
                return f"stopped, since {wrong}: make room, or keep backups on a volume of their own"
        return ""

    return trouble


# --- A share of a volume ----------------------------------------------------------------------


class Share:
    """What a folder may take of its volume, so that nobody who fills it takes the rest away from what else is kept there.

    `others` are folders that may be on the same volume; where none is, all of it may be taken.
    """

    def __init__(self, settings, path, share, others):
        space = os.statvfs(path)
        self.settings, self.path = settings, path
        total, device = space.f_blocks * space.f_frsize, os.stat(path).st_dev
        self.share = share if any(os.path.exists(other) and os.stat(other).st_dev == device for other in others) else 1.0
        self.most = int(total * self.share)
        self.least = max(0, free(path) - growth(total, taken(path), self.share))

    def ask(self, what, size):
        """Refuse what claims to be larger than the share, as a file with nothing in it may: whoever reads or restores it has to believe it."""
        if size > self.most:
            raise core.Failure(
                f"{what} holds files of {core.human(size)}, and {self.path} may take {core.human(self.most)} (media_backup_share is "
                f"{self.share:g}): remove what does not belong there, or keep the copies of uploads on a volume of their own", core.FULL
            )  # fmt: skip

    def watch(self):
        return watch(self.settings, self.path, least=self.least)


def taken(path):
    """Return the bytes that a folder takes by itself: a file that has a name elsewhere, too, would not go with it."""
    return sum(row.st_blocks * 512 for row in paths.below(path) if row.st_nlink == 1)
