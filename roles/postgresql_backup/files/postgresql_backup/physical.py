"""Physical backups and the archive of the write-ahead log, by pgBackRest."""

import os
import re
import tempfile
import time

from . import core, gaps, manifest, room, status

SEGMENT = re.compile(r"[0-9A-F]{24}")
# What pgBackRest says where a server is not the one whose backups are there.
ANOTHER = "do not match the database"
PGBACKREST = "/etc/pgbackrest/pgbackrest.conf"


def backups(settings, repository):
    """Return the backups of a repository, oldest first, as pgBackRest's `info` has them."""
    return [row for row in core.information(settings, f"--repo={repository}")["backup"] if row["database"]["repo-key"] == repository]


def newest(settings, repository):
    """Return the newest backup of a repository, as pgBackRest's `info` has it."""
    found = backups(settings, repository)
    if not found:
        raise core.Failure(f"repository {repository} holds no backup")
    return found[-1]


def source(settings):
    """Return the option that has pgBackRest copy from a standby where one answers."""
    return ["--backup-standby"] if any(core.in_recovery(connection) for connection in settings.get("hosts", {}).values()) else []


def spares_a_good_one(found, days, now):
    """Whether the backups that stay when all past their time go hold a sound one: of the full backups that are older than the days the newest
    stays, with all since. A backup that copied a damaged page is not sound, nor is one that rests on it."""
    whole = [row for row in found if row["type"] == "full"]
    older = [row for row in whole if row["timestamp"]["stop"] <= now - days * 86400]
    begin = older[-1]["timestamp"]["stop"] if older else 0
    sound = {row["label"] for row in found if not row.get("error")}
    return any(
        row["label"] in sound and row["label"][:16] in sound and (not row.get("prior") or row["prior"] in sound)
        for row in found if row["timestamp"]["stop"] >= begin
    )  # fmt: skip


# As long as pgBackRest counts.
FOR_EVER = 9999999


def expire(settings, repository, check=True, is_made=False):
    """Have what is past its time go, and what an interrupted backup left; the latter alone where only damaged backups would stay, or where the clock may
    have leapt until one was made."""
    found, now = backups(settings, repository), time.time()
    leapt = is_made and core.has_leapt([row["timestamp"]["stop"] for row in found], now)
    spares = not leapt and spares_a_good_one(found, settings.retention_days[repository - 1], now)
    kept = [] if spares else [f"--repo{repository}-retention-full={FOR_EVER}"]
    core.pgbackrest(settings, f"--repo={repository}", *kept, "expire", check=check)


def make_room(settings, kind, repository, path, keep):
    """Refuse a backup that would not fit a directory of this host; what is past its time goes first, unless all is to be kept."""
    found = backups(settings, repository)
    ((database, position),) = core.ask(
        settings.connection, "SELECT (SELECT sum(pg_database_size(oid)) FROM pg_database)::bigint, (pg_current_wal_lsn() - '0/0')::bigint"
    )
    needed = room.backup(kind, found, database) + room.log(found, position, time.time())
    room.ask(settings, path, f"a {kind} backup, with the log until the next,", needed, None if keep else lambda: expire(settings, repository))


def backup(settings, arguments):
    kind, keep = arguments.command, arguments.no_expire
    refuse_elsewhere(settings)
    with core.lock(settings, "physical", f"a {kind} backup"):
        if core.is_standby(settings):
            core.say("this server is a standby: the primary makes the backups", arguments.quiet)
            return
        with status.record(settings, kind) as record:
            made, failures, away, untold = [], [], unanswering(settings), ""
            for repository in settings.repositories:
                path = settings.repository_paths[repository - 1]
                try:
                    if repository in away:
                        raise core.Failure(away[repository], core.AWAY)
                    if path:
                        make_room(settings, kind, repository, path, keep)
                    # What is past its time goes when there is a newer one that is good.
                    core.pgbackrest(settings, f"--repo={repository}", f"--type={kind}", "--no-expire-auto", *source(settings), "backup",
                                    watch=room.watch(settings, path))  # fmt: skip
                    made.append((repository, sound(newest(settings, repository))))
                    status.keep(settings, repository, {"backup": made[-1][1]["timestamp"]["stop"]})
                    if not keep:
                        expire(settings, repository, is_made=True)
                except core.Failure as failure:
                    failures.append((repository, failure))
                    if failure.code == core.FULL and not keep:
                        # Takes away what was begun, too.
                        expire(settings, repository, check=False)
            for repository, row in made:
                core.say(describe(row, repository if len(settings.repositories) > 1 else None), arguments.quiet)
            if made:
                row = made[0][1]
                record |= {"size": row["info"]["size"], "label": row["label"], "added_bytes": row["info"]["repository"]["delta"]}
                record |= {"seconds": row["timestamp"]["stop"] - row["timestamp"]["start"]}
                untold = manifest.take(settings, [(repository, row["label"]) for repository, row in made], away)
            if failures:
                repository, failure = failures[0]
                where = f"repository {repository}: " if len(settings.repositories) > 1 else ""
                # One may have gone away meanwhile.
                are_away = {number for number, _failure in failures} <= set(unanswering(settings))
                raise core.Failure(where + str(failure), core.AWAY if made and are_away else failure.code, failure.words)
            # The log up to the manifest's moment is archived then.
            prove(settings)
            if untold:
                raise core.Failure(untold)


def sound(row):
    """Return a backup; one whose checksums say that the server's pages are damaged is a failure, though pgBackRest keeps it."""
    if row.get("error"):
        raise core.Failure(
            f"the backup {row['label']} copied damaged pages of the server (pgbackrest --set={row['label']} info names their files): older backups stay, "
            "whatever their age; restore what is damaged from one of them"
        )
    return row


def describe(row, repository=None):
    seconds = row["timestamp"]["stop"] - row["timestamp"]["start"]
    where = f" {repository}" if repository else ""
    return (
        f"{row['type']} backup {row['label']}: database {core.human(row['info']['size'])}, "
        f"added to the repository{where} {core.human(row['info']['repository']['delta'])}, {seconds} s"
    )


def refuse_elsewhere(settings):
    if settings.role == "database":
        raise core.Failure(f"the backups of this host are made by {', '.join(settings.backup_hosts)}")


def check(settings, arguments):
    """Prove that the archive works, on the server that archives."""
    refuse_elsewhere(settings)
    if core.is_standby(settings):
        core.say("this server is a standby: the primary archives", arguments.quiet)
        return
    core.say(f"the archive works up to {prove(settings)}", arguments.quiet)


def prove(settings):
    """Have the server close a piece of log, wait until every repository holds it, and enter that it does; return the piece's name."""
    with status.record(settings, "archive") as record:
        try:
            if away := archived(settings):
                raise core.Failure(away, core.AWAY)
        except core.Failure as failure:
            if ANOTHER not in failure.words + str(failure):
                raise
            raise core.Failure(
                "the repository holds the history of another server than the one that runs. If that is to come back: restore.yml with restore_in_place "
                f"(README of the role postgresql_restore, \"A lost machine\"); if not, keep backups in another directory. ({failure})",
                failure.code, failure.words,
            ) from None  # fmt: skip
        information = core.information(settings)
        archives = information["archive"]
        record["label"] = archives[-1]["max"] if archives else None
        if trouble := gaps.trouble(settings, information):
            raise core.Failure(trouble, core.FULL)
    return record["label"]


def archived(settings):
    """Have the server close a piece of log, and wait until all repositories hold it that somebody answers for; return what is wrong with the others, or
    an empty word. They are not waited for, which takes minutes."""
    away = unanswering(settings)
    if not away:
        try:
            core.pgbackrest(settings, "check")
            return ""
        except core.Failure:
            away = unanswering(settings)
            if not away:
                raise
    with open(PGBACKREST, encoding="utf-8") as file, tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as some:
        some.write(core.part(file.read(), set(settings.repositories) - set(away)))
        some.flush()
        core.pgbackrest(settings, f"--config={some.name}", "check")
    told = "; ".join(f"repository {number}: {words}" for number, words in sorted(away.items()))
    return f"{told} (the log is in the other repositories, and goes there when it answers again)"


def unanswering(settings):
    """Return, by number of repository, what is wrong with those elsewhere that nobody answers for; nothing where there are no others."""
    from . import offsite

    away = {number: words for number, words in offsite.away().items() if number in settings.repositories}
    return away if set(settings.repositories) - set(away) else {}


# --- The log ----------------------------------------------------------------------------------

def archive(settings, arguments):
    """What the server calls with each piece of its log. On a disk that is nearly full it gives the piece up, and loudly: with its log the
    server would fill the disk, and end."""
    # pgBackRest wants to be called where the server is.
    path = os.path.join(settings.data, arguments.file)
    name = os.path.basename(path)
    free = room.free(settings.data)
    if not SEGMENT.fullmatch(name) or not room.is_too_little_for_the_log(free, room.reserve(settings)):
        os.execvp("pgbackrest", ["pgbackrest", f"--stanza={settings.name}", "archive-push", path])
    message = f"the disk has only {core.human(free)} free: the log {name} is given up, and no moment after it can be gone back to before the next backup"
    core.complain(core.Failure(message, core.FULL))
    gaps.note(settings, name, "it was given up because the server's disk was nearly full")
    status.write(settings, "archive", "failed", message=message)


def attempt(settings, arguments):
    """Find out whether a configuration opens the repositories that are there."""
    # A database host may be set up before the host that keeps its backups: there, that pgBackRest understands the file has to do.
    elsewhere = settings.role == "database"
    patience = ["--io-timeout=1", "--protocol-timeout=2"] if elsewhere else []
    from . import offsite

    unread = [row for row in core.information(settings, f"--config={arguments.file}", *patience)["repo"] if row["status"]["code"] == core.UNREADABLE]
    # Who is away now is no reason to leave the others as they are.
    away = offsite.away() if unread and not elsewhere else {}
    for row in unread:
        if row["key"] not in away and not elsewhere:
            raise core.Failure(
                f"repository {row['key']} cannot be opened with this configuration. Is postgresql_backup_passphrase the one it was made with? "
                f"The former configuration stays. ({' '.join(row['status']['message'].split())[:300]})"
            )


def quiet(parser):
    parser.add_argument("--quiet", action="store_true", help="nothing on standard output")


def options(parser):
    quiet(parser)
    parser.add_argument("--no-expire", action="store_true", help="keep what is past its time as well")


COMMANDS = {
    "full": core.Command(backup, "make a full backup", options, walled=True),
    "diff": core.Command(backup, "make a backup of what changed since the last full one", options, walled=True),
    "incr": core.Command(backup, "make a backup of what changed since the last one", options, walled=True),
    "archive": core.Command(archive, "take a piece of the server's log; the server does", lambda parser: parser.add_argument("file")),
    "check": core.Command(check, "prove that the archive works", quiet, walled=True),
    "try": core.Command(attempt, "whether a configuration opens the repository that is there", lambda parser: parser.add_argument("file"), user=None),
}
