"""Physical backups and the archive of the write-ahead log, by pgBackRest."""

from . import core, manifest, status

UNREADABLE = 99


def newest(settings, repository):
    """Return the newest backup of a repository, as pgBackRest's `info` has it."""
    backups = [row for row in core.information(settings, f"--repo={repository}")["backup"] if row["database"]["repo-key"] == repository]
    if not backups:
        raise core.Failure(f"repository {repository} holds no backup")
    return backups[-1]


def source(settings):
    """Return the option that has pgBackRest copy from a standby where one answers."""
    for connection in settings.get("hosts", {}).values():
        try:
            if core.ask(connection, "SELECT pg_is_in_recovery()")[0][0]:
                return ["--backup-standby"]
        except core.Failure:
            continue
    return []


def backup(settings, arguments):
    kind = arguments.command
    refuse_elsewhere(settings)
    with core.lock(settings, "physical", f"a {kind} backup"):
        if core.is_standby(settings):
            core.say("this server is a standby: the primary makes the backups", arguments.quiet)
            return
        with status.record(settings, kind) as record:
            made, failures = [], []
            for repository in settings.repositories:
                try:
                    core.pgbackrest(settings, f"--repo={repository}", f"--type={kind}", *source(settings), "backup")
                    made.append((repository, newest(settings, repository)))
                except core.Failure as failure:
                    failures.append((repository, failure))
            for repository, row in made:
                core.say(describe(row, repository if len(settings.repositories) > 1 else None), arguments.quiet)
            if made:
                row = made[0][1]
                record |= {"size": row["info"]["size"], "label": row["label"], "added_bytes": row["info"]["repository"]["delta"]}
                record |= {"seconds": row["timestamp"]["stop"] - row["timestamp"]["start"]}
                manifest.take(settings, [(repository, row["label"]) for repository, row in made])
            if failures:
                repository, failure = failures[0]
                where = f"repository {repository}: " if len(settings.repositories) > 1 else ""
                raise core.Failure(where + str(failure), failure.code)


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
    """Have the server close a piece of log and wait until every repository holds it."""
    refuse_elsewhere(settings)
    if core.is_standby(settings):
        core.say("this server is a standby: the primary archives", arguments.quiet)
        return
    with status.record(settings, "archive") as record:
        core.pgbackrest(settings, "check")
        archives = core.information(settings)["archive"]
        record["label"] = archives[-1]["max"] if archives else None
    core.say(f"the archive works up to {record['label']}", arguments.quiet)


def attempt(settings, arguments):
    """Find out whether a configuration opens the repositories that are there."""
    # A database host may be set up before the host that keeps its backups: there, that pgBackRest understands the file has to do.
    elsewhere = settings.role == "database"
    patience = ["--io-timeout=1", "--protocol-timeout=2"] if elsewhere else []
    for row in core.information(settings, f"--config={arguments.file}", *patience)["repo"]:
        if row["status"]["code"] == UNREADABLE and not elsewhere:
            raise core.Failure(
                "the repository cannot be opened with this configuration. Is postgresql_backup_passphrase the one it was made with? "
                "The former configuration stays."
            )


def quiet(parser):
    parser.add_argument("--quiet", action="store_true", help="nothing on standard output")


COMMANDS = {
    "full": core.Command(backup, "make a full backup", quiet, walled=True),
    "diff": core.Command(backup, "make a backup of what changed since the last full one", quiet, walled=True),
    "incr": core.Command(backup, "make a backup of what changed since the last one", quiet, walled=True),
    "check": core.Command(check, "prove that the archive works", quiet, walled=True),
    "try": core.Command(attempt, "whether a configuration opens the repository that is there", lambda parser: parser.add_argument("file"), user=None),
}
