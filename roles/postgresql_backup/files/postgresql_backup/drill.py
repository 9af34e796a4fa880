"""Prove that the newest backup restores: into a throw-away cluster, which is checked, compared with what the backup noted, and removed.

The work is done by the unit postgresql-drill.service, whose sandbox keeps production out of reach: its data and its socket are
not there, everything but the drill's own directory is read-only, and the network is a private one.
"""

import configparser
import contextlib
import datetime
import json
import os
import re
import shutil
import time

from . import child, commands, core, manifest, media, offsite, paths, room, status

UNIT = "postgresql-drill.service"
USER = "postgres"
# What makes an account of a store, for pgBackRest and for restic.
READER = {"": "AWS_ACCESS_KEY_ID", "-secret": "AWS_SECRET_ACCESS_KEY"}
# What a restored database of this size needs beside it while the log is replayed.
SPARE_BYTES = 256 * 1024 * 1024


# --- Judgement --------------------------------------------------------------------------------


def differences(expected, found, late=0, after=None):
    """Return how the rows of a database's tables differ from the manifest's, one sentence each.

    `late` transactions ended between the manifest's snapshot and its restore point: they are in the restore and not in the counts. How many
    rows there were just after the point tells what they did (`after`): a restore lies between the two, but for a row of each of them, since
    rows may have come and gone.
    """
    after = after if late and after else {}
    sentences = []
    for table, rows in sorted(expected.items()):
        counts = rows, after.get(table, rows)
        if table not in found:
            # One that they dropped is no loss.
            if not after or table in after:
                sentences.append(f"{table} is missing")
        elif not min(counts) - late <= found[table] <= max(counts) + late:
            sentences.append(f"{table} has {found[table]} rows instead of {rows}" + (f" to {counts[1]}" if counts[1] != rows else ""))
    sentences += [f"{table} is not in the manifest" for table in sorted(set(found) - set(expected) - set(after))]
    return sentences


def complaints_of(noted, found, late):
    """Return how a restored database (`manifest.content`) differs from the manifest's, one sentence each. A table that could not be counted then need not be
    counted now, but it has to be there; one that could then has to be now, unless its rows are hidden."""
    then, now = noted.get("uncounted", {}), found["uncounted"]
    sentences = [f"{table} cannot be read: {now[table]}" for table in sorted(set(now) - set(then)) if not now[table].endswith(manifest.HIDDEN)]
    sentences += [f"{table} is missing" for table in sorted(set(then) - set(now) - set(found["tables"]))]
    expected = {table: rows for table, rows in noted["tables"].items() if table not in now}
    sentences += differences(expected, {table: rows for table, rows in found["tables"].items() if table not in then}, late, noted.get("after"))
    missing = lost(noted["migrations"], found["migrations"])
    return sentences + ([f"the migrations {', '.join(missing)} are missing"] if missing else [])


def lost(expected, found):
    """Return the migrations that the manifest names and the restored database lacks."""
    return sorted(set(expected or []) - set(found or []))


def planned(listing, mark="[ X]"):
    """Return the migrations that Django's `showmigrations --plan` lists, of which `[ ]` marks those that are not applied."""
    return re.findall(rf"^\[{mark}\]\s+(\w+\.\w+)", listing, re.MULTILINE)


def newer(release, backup):
    """Whether a release was made after the backup, so that its migrations may be missing from it: times in ISO 8601."""
    return bool(release) and moment(release) > moment(backup)


def moment(text):
    return datetime.datetime.fromisoformat(re.sub(r"(\+00:00)?Z$", "+00:00", text))


def newest(information, repository):
    """Return the newest backup of a repository without an error, of pgBackRest's `info`."""
    for row in information.get("repo", []):
        if row["key"] == repository and row["status"]["code"] == core.UNREADABLE:
            raise core.Failure(" ".join(row["status"]["message"].split())[:300])
    usable = [row for row in information["backup"] if not row.get("error") and row["database"]["repo-key"] == repository]
    if not usable:
        raise core.Failure("there is no backup to restore")
    return max(usable, key=lambda row: row["timestamp"]["stop"])


def configuration(text, stanza, lock_path, places=()):
    """Return a configuration of pgBackRest that knows the repositories and nothing of the servers in production. Where a store has an account
    that can only read, it is that one's: so the drill proves that hosts can be restored by it."""
    given = configparser.RawConfigParser(strict=False)
    given.optionxform = str
    given.read_string(text)
    options = {}
    for section in ("global", stanza):
        if given.has_section(section):
            options |= {name: value for name, value in given.items(section) if re.match(r"repo\d*-", name)}
    kept = {name: value for name, value in options.items() if not re.match(r"repo\d*-(retention|bundle|block)", name)}
    for row in places:
        if row.get("reader"):
            kept |= {f"repo{row['number']}-s3-key{suffix}": row["reader"][name] for suffix, name in READER.items()}
    kept |= {"lock-path": lock_path, "log-level-file": "off"}
    # A restore clears its spool, which is not to be the server's.
    return "[global]\n" + "".join(f"{name}={value}\n" for name, value in kept.items()) + f"[global:restore]\nspool-path={lock_path}\n"


# --- The throw-away cluster ---------------------------------------------------------------------


def own(settings, *parts):
    return os.path.join(settings["drill"]["path"], "throw-away", *parts)


def clear(settings):
    """Remove the cluster, whatever state it is in; no link is followed. Its processes are the unit's, which systemd ends with it."""
    if os.path.exists(own(settings, "data", "postmaster.pid")):
        core.run(settings.program("pg_ctl"), "-D", own(settings, "data"), "-m", "immediate", "-t", 60, "stop", user=USER, check=False)
    shutil.rmtree(own(settings), ignore_errors=True)
    if os.path.exists(own(settings)):
        shutil.rmtree(own(settings))


def prepare(settings):
    os.mkdir(own(settings), 0o750)
    core.write(own(settings, "running"), f"{time.time()}\n")
    for name in ("data", "socket", "tablespaces", "lock"):
        os.mkdir(own(settings, name), 0o700)
    with open("/etc/pgbackrest/pgbackrest.conf", encoding="utf-8") as file:
        text = configuration(file.read(), settings.name, own(settings, "lock"), offsite.places())
    core.write(own(settings, "pgbackrest.conf"), text, 0o600)


def pgbackrest(settings, *arguments, **options):
    """Run pgBackRest with the drill's configuration, which leads to no server."""
    return core.pgbackrest(settings, f"--config={own(settings, 'pgbackrest.conf')}", *arguments, user=USER, **options)


def restore(settings, row, noted):
    there = room.free(own(settings))
    if there < row["info"]["size"] + max(SPARE_BYTES, room.reserve(settings)):
        raise core.Failure(
            f"{own(settings)} has room for {core.human(there)}, the backup of {core.human(row['info']['size'])} does not fit: free some, or set "
            "postgresql_backup_drill_path to a directory on another volume"
        )
    pgbackrest(
        settings, f"--repo={row['database']['repo-key']}", f"--set={row['label']}", f"--pg1-path={own(settings, 'data')}",
        f"--tablespace-map-all={own(settings, 'tablespaces')}", f"--process-max={settings['drill']['processes']}",
        "--archive-mode=off", "--type=name", f"--target={noted['point']}", f"--target-timeline={noted['timeline']}", "--target-action=promote",
        "restore",
    )  # fmt: skip


def configure(settings):
    core.write(own(settings, "data", "pg_hba.conf"), "local all postgres peer map=drill\nhost all all 127.0.0.1/32 scram-sha-256\n", 0o644)
    core.write(own(settings, "data", "pg_ident.conf"), "drill root postgres\ndrill postgres postgres\n", 0o644)
    core.write(own(settings, "data", "postgresql.conf"), "", 0o644)


def start(settings):
    """Start the cluster and wait until it has replayed the log up to the restore point.

    Settings are given as options, which nothing in the restored files outranks. It is no standby for readers (`hot_standby`), so
    it need not be as large as the server it comes from, and since it is thrown away it does not wait for the disk (`fsync`).
    """
    child.call(USER, configure, settings)
    control = core.run(settings.program("pg_controldata"), own(settings, "data"), user=USER, env=os.environ | {"LC_ALL": "C"}).stdout
    prepared = re.search(r"max_prepared_xacts setting:\s+(\d+)", control)
    values = {
        "listen_addresses": "127.0.0.1", "port": settings["drill"]["port"], "unix_socket_directories": own(settings, "socket"),
        "hba_file": own(settings, "data", "pg_hba.conf"), "ident_file": own(settings, "data", "pg_ident.conf"),
        "shared_buffers": f"{settings['drill']['memory_mb']}MB", "maintenance_work_mem": f"{settings['drill']['memory_mb']}MB", "huge_pages": "off",
        "max_connections": 20, "max_prepared_transactions": prepared[1] if prepared else 0, "max_wal_senders": 0, "max_worker_processes": 8,
        "hot_standby": "off", "archive_mode": "off", "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
        "synchronous_standby_names": "", "primary_conninfo": "", "primary_slot_name": "", "autovacuum": "off", "ssl": "off",
        "shared_preload_libraries": "", "session_preload_libraries": "", "local_preload_libraries": "", "logging_collector": "off",
        "log_destination": "stderr", "jit": "off",
    }  # fmt: skip
    options = " ".join(f"-c {name}='{value}'" for name, value in values.items())
    done = core.run(
        settings.program("pg_ctl"), "-D", own(settings, "data"), "-l", own(settings, "server.log"), "-o", options, "-W", "start",
        user=USER, check=False,
    )  # fmt: skip
    # How long it takes is for the unit's time limit to judge.
    while done.returncode == 0 and not is_open(settings):
        time.sleep(0.5)
        done = core.run(settings.program("pg_ctl"), "-D", own(settings, "data"), "status", user=USER, check=False)
    if done.returncode:
        raise core.Failure(f"the restored cluster did not start: {why(settings)}")


def is_open(settings):
    return core.in_recovery(connection(settings)) is False


def why(settings):
    """Return what the restored cluster's log complains of: what the archive said first, and the server last."""
    log = child.call(USER, paths.read_text, own(settings, "server.log"), last=True)
    lines = re.findall(r"P\d\d +ERROR: .*", log)[:1] + re.findall(r"(?:FATAL|PANIC): .*", log)[-1:]
    return "; ".join(lines) or "its log says nothing"


def connection(settings):
    return {"host": own(settings, "socket"), "port": settings["drill"]["port"], "user": "postgres"}


# --- What is looked at ------------------------------------------------------------------------


def compare(settings, noted):
    """Compare every database with the manifest; return how many rows there were, and how many tables the manifest could not count."""
    rows, unknown, complaints = 0, 0, []
    names = {row[0] for row in core.ask(connection(settings), "SELECT datname FROM pg_database")}
    complaints += [f"database {database} is missing" for database in sorted(noted["databases"]) if database not in names]
    there, late = {database: expected for database, expected in sorted(noted["databases"].items()) if database in names}, {}
    # Before this program itself makes a transaction.
    for database, expected in there.items():
        with core.connect(connection(settings), database) as cursor:
            late[database] = len(committed(cursor, expected["snapshot"]))
    for database, expected in there.items():
        with core.connect(connection(settings), database) as cursor:
            manifest.begin(manifest.prepare(cursor))
            found = manifest.content(cursor)
        rows, unknown = rows + sum(found["tables"].values()), unknown + len(expected.get("uncounted", {}))
        complaints += [f"{database}: {sentence}" for sentence in complaints_of(expected, found, late[database])]
    if complaints:
        more = f" (and {len(complaints) - 5} more)" if len(complaints) > 5 else ""
        raise core.Failure(f"the restored data differ from the manifest: {'; '.join(complaints[:5])}{more}")
    return rows, unknown


def committed(cursor, snapshot):
    """Return the transactions that the restored database has and a snapshot of the manifest had not."""
    cursor.execute("SELECT pg_current_snapshot()::text")
    late = sorted(manifest.unseen(snapshot, cursor.fetchone()[0]))
    cursor.execute("SELECT number FROM unnest(%s::text[]) AS number WHERE pg_xact_status(number::xid8) = 'committed'", ([str(number) for number in late],))
    return [row[0] for row in cursor.fetchall()]


def verify(settings):
    """Have every table and index of every database checked (PostgreSQL manual, "pg_amcheck")."""
    done = core.run(
        settings.program("pg_amcheck"), "--all", "--install-missing", "--heapallindexed", "--parent-check", "--no-password",
        f"--host={own(settings, 'socket')}", f"--port={settings['drill']['port']}", "--username=postgres", user=USER, check=False,
    )  # fmt: skip
    if done.returncode:
        raise core.Failure(f"pg_amcheck found damage: {core.sentence(done.stdout + done.stderr)}")


def manage(application, *words):
    """Have the current release run a command, and return what came of it; of what it prints, which may have no end, the last.

    As on every day: the drill's server stands where production's does, in a network of its own.
    """
    return commands.run(core.as_user(application["user"], [application["command"], "python", "manage.py", *words]))


def migrate(settings, noted):
    """Say whether the current release finds all of its migrations in the restored database."""
    application = settings["drill"]["application"]
    if not application:
        return "no application"
    release = paths.read_text(application["release"])
    if not release:
        return "no release yet"
    if application["command"]:
        done = manage(application, "migrate", "--check", "--no-input")
        if done.returncode == 0:
            return "migrate --check passed"
        listing = manage(application, "showmigrations", "--plan", "--no-color")
        missing = planned(listing.stdout, " ")
        if not missing:
            raise core.Failure(f"the current release cannot work with the restored database: {' '.join((done.stderr or listing.stderr).split())[-600:]}")
    else:
        listing = paths.read_text(application["migrations"])
        if not listing:
            return "the release has not said which migrations it knows"
        applied = noted["databases"].get(application["database"], {}).get("migrations") or []
        missing = [name for name in planned(listing) if name not in applied]
        if not missing:
            return "all migrations of the current release are applied"
    if newer(json.loads(release)["released_at"], noted["time"]):
        return f"the current release is newer than the backup and brings {len(missing)} migrations"
    raise core.Failure(f"the restored database lacks migrations of the current release: {', '.join(missing)}")


# --- The command ------------------------------------------------------------------------------


def inside(settings):
    """What the unit runs: a drill of each repository in turn. The directory is postgres', who alone writes there."""
    clear(settings)
    fields, failures, away = {}, [], offsite.away()
    with recorded(settings, fields):
        for repository in settings.repositories:
            try:
                # pgBackRest would ask for minutes.
                if repository in away:
                    raise core.Failure(away[repository], core.AWAY)
                one(settings, repository, fields)
            except core.Failure as failure:
                failures.append(f"repository {repository}: {failure}" if len(settings.repositories) > 1 else str(failure))
            clear(settings)
        failures += elsewhere(settings, fields)
        if failures:
            raise core.Failure("; ".join(failures))


def one(settings, repository, fields):
    """Restore the newest backup of a repository and look at it; note in `fields` what there was."""
    child.call(USER, prepare, settings)
    told = pgbackrest(settings, f"--repo={repository}", "--output=json", "info", log="off").stdout
    row = newest(json.loads(told, strict=False)[0], repository)
    noted = manifest.read(settings, row["label"])
    labels = [*fields.get("labels", []), row["label"]]
    fields |= {"label": row["label"], "labels": labels, "size": row["info"]["size"], "backup_age_seconds": int(time.time() - row["timestamp"]["stop"])}
    restore(settings, row, noted)
    start(settings)
    fields["rows"], fields["uncounted"] = compare(settings, noted)
    verify(settings)
    fields["migrations"] = migrate(settings, noted)


def elsewhere(settings, fields):
    """Read back what other repositories hold of dumps and uploads; return what is wrong with it."""
    failures = []
    for row in offsite.places():
        child.call(USER, prepare, settings)
        try:
            fields["dumps"] = fields.get("dumps", 0) + child.call(USER, offsite.prove, settings, row, own(settings, "data"))
        except core.Failure as failure:
            failures.append(f"dumps and uploads in repository {row['number']}: {failure}")
        clear(settings)
    return failures


@contextlib.contextmanager
def recorded(settings, fields):
    """Enter the verdict into the status, as the user who keeps it."""
    started = time.monotonic()
    try:
        yield
    except BaseException as error:
        failure = error if isinstance(error, core.Failure) else core.Failure(f"{type(error).__name__}: {error}")
        enter(settings, "failed", fields | {"seconds": time.monotonic() - started, "message": str(failure)})
        raise failure from None
    finally:
        clear(settings)
    enter(settings, "ok", fields | {"seconds": time.monotonic() - started})


def enter(settings, verdict, fields):
    child.call(USER, status.write, settings, "drill", verdict, **fields)


def after(settings):
    """What the unit runs at its end, however it came: whoever was killed has neither told nor cleared away."""
    if child.call(USER, os.path.exists, own(settings, "running")):
        began = float(child.call(USER, paths.read_text, own(settings, "running")) or time.time())
        reason = os.environ.get("SERVICE_RESULT", "interrupted")
        enter(settings, "failed", {"seconds": time.time() - began, "message": f"the drill was ended from outside ({reason})"})
    clear(settings)


def drill(settings, arguments):
    if os.geteuid():
        raise core.Failure("run this as root", 77)
    if not settings.get("drill"):
        raise core.Failure(f"the backups of this host are restored by {', '.join(settings.get('backup_hosts', [])) or 'nobody'}")
    if arguments.inside:
        return inside(settings)
    if arguments.after:
        return after(settings)
    if child.call(USER, core.is_standby, settings):
        return core.say("this server is a standby: the primary holds the backups", arguments.quiet)
    if core.run("systemctl", "is-active", UNIT, check=False).stdout.strip() in ("active", "activating", "deactivating"):
        raise core.Failure("another one is at work: a drill", 75)
    if settings.get("media"):
        media.releases(settings)
    core.run("systemctl", "daemon-reload")
    core.run("systemctl", "reset-failed", UNIT, check=False)
    before = time.time()
    done = core.run("systemctl", "start", UNIT, check=False)
    row = status.read(settings)["kinds"].get("drill")
    if not row or row["finished"] < int(before):
        raise core.Failure(f"the drill did not begin: {core.sentence(done.stderr)}")
    if row["verdict"] != "ok":
        raise core.Failure(f"the drill failed: {row['message']}")
    detail = row["detail"]
    uncounted = f"{detail['uncounted']} tables not counted, " if detail["uncounted"] else ""
    return core.say(
        f"backup {' and '.join(detail['labels'])} restores: {core.human(row['size_bytes'])}, {detail['rows']} rows as noted, {detail['migrations']}, "
        f"{uncounted}{detail['backup_age_seconds'] // 3600} h old, {row['duration_seconds']:.0f} s",
        arguments.quiet,
    )


def options(parser):
    parser.add_argument("--quiet", action="store_true", help="nothing on standard output")
    parser.add_argument("--inside", action="store_true", help="what the unit runs")
    parser.add_argument("--after", action="store_true", help="what the unit runs at its end")


COMMANDS = {"drill": core.Command(drill, "restore the newest backup into a throw-away cluster and check it", options, user=None)}
