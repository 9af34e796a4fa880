"""A dump of each database as SQL knows it, for the day a physical copy is of no use: another version, one table, damage in a page."""

import calendar
import os
import re
import shutil
import time
import urllib.parse

from . import core, physical, room, status

STAMP = "%Y%m%dT%H%M%SZ"
FINISHED = re.compile(r"\d{8}T\d{6}Z")


def dump(settings, arguments):
    """Dump every database and what they have in common into a directory of its own, which gets its name when all of it is there."""
    physical.refuse_elsewhere(settings)
    with core.lock(settings, "logical", "a logical backup"):
        if core.is_standby(settings):
            core.say("this server is a standby: the primary makes the backups", arguments.quiet)
            return
        with status.record(settings, "logical") as record:
            os.umask(0o077)
            path = settings.dumps["path"]
            remove(path, unfinished(os.listdir(path)))
            started = time.time()
            finished = sorted(name for name in os.listdir(path) if FINISHED.fullmatch(name))
            ((databases,),) = core.ask(settings.connection, "SELECT sum(pg_database_size(oid))::bigint FROM pg_database")
            room.ask(settings, path, "a dump", room.dump(size_of(os.path.join(path, finished[-1])) if finished else 0, databases),
                     lambda: remove(path, expired(os.listdir(path), settings.dumps["keep_days"], started)))  # fmt: skip
            label = time.strftime(STAMP, time.gmtime(started))
            partial = os.path.join(path, f"{label}.partial")
            os.mkdir(partial)
            try:
                fill(settings, partial)
            except BaseException:
                remove(path, [f"{label}.partial"])
                raise
            os.rename(partial, os.path.join(path, label))
            core.run("sync", "--file-system", path)
            remove(path, expired(os.listdir(path), settings.dumps["keep_days"], started))
            size = size_of(os.path.join(path, label))
            record |= {"label": label, "size": size, "databases": core.databases(settings)}
        core.say(f"logical backup {label}: {len(record['databases'])} databases, {core.human(size)}, {time.time() - started:.0f} s", arguments.quiet)


def fill(settings, path):
    for name in core.databases(settings):
        write(settings, os.path.join(path, file_of(name)), "pg_dump", "--format=custom", "--lock-wait-timeout=600s",
              f"--dbname={core.libpq(settings.connection, dbname=name, options='-c role=none')}")  # fmt: skip
    # Without passwords: they come from the site's own configuration.
    write(settings, os.path.join(path, "globals.sql"), "pg_dumpall", "--globals-only", "--no-role-passwords",
          f"--dbname={core.libpq(settings.connection, dbname='postgres')}")  # fmt: skip


def size_of(path):
    return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))


def write(settings, path, program, *arguments):
    """Write what a program makes, and have the file readable as what it is."""
    core.run(settings.program(program), "--no-password", f"--file={path}", *arguments, pass_fds=tuple(core.HELD), watch=room.watch(settings, path))
    if program == "pg_dump":
        core.run(settings.program("pg_restore"), "--list", path, stdout=core.DEVNULL)


def file_of(database):
    return urllib.parse.quote(database, safe=" ") + ".dump"


def moment_of(dump):
    """Return when a dump was made, by its name, in seconds since 1970; 0 for a name that only looks like a time."""
    try:
        return calendar.timegm(time.strptime(dump, STAMP))
    except ValueError:
        return 0


def unfinished(names):
    """Return the directories that an interrupted run left."""
    return [name for name in names if name.endswith(".partial") and FINISHED.fullmatch(name.removesuffix(".partial"))]


def expired(names, days, now):
    """Return the dumps that are no longer kept: all before the last one that is older than the days that can be gone back."""
    if core.has_leapt([moment_of(name) for name in names if FINISHED.fullmatch(name)], now):
        return []
    border = time.strftime(STAMP, time.gmtime(now - days * 86400))
    return sorted(name for name in names if FINISHED.fullmatch(name) and name < border)[:-1]


def remove(path, names):
    for name in names:
        shutil.rmtree(os.path.join(path, name))


COMMANDS = {"logical": core.Command(dump, "dump every database", physical.quiet, walled=True)}
