"""What the databases held at a named moment: rows of every table, applied migrations. A restore is compared with it."""

import contextlib
import json
import os
import threading
import time

from . import core, paths

# Transactions that commit between the snapshots and the restore point would be in a restore and not in the counts: another
# moment is tried then, this often.
ATTEMPTS = 30
# The rows of a database's tables are counted for as long as this at most: VACUUM removes nothing meanwhile, and a table's functions may have no end.
COUNTING_SECONDS = 3600
# More transactions than ever begin between two snapshots that are taken one after the other.
MOST_TRANSACTIONS = 1_000_000
# Of what is said of a table this much is kept.
MOST_LETTERS = 200
# More than one of many thousands of tables takes. Root reads it as well, and it is postgres'.
MOST_BYTES = 32 << 20


def restore_point(cursor, prefix="backup"):
    """Name the present moment in the write-ahead log; return the name and where it is."""
    name = f"{prefix}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"
    cursor.execute("SELECT pg_create_restore_point(%s)::text", (name,))
    return name, cursor.fetchone()[0]


def unseen(first, later):
    """Return the transactions that may have committed between two snapshots, in PostgreSQL's text form `xmin:xmax:list`."""
    low, high, running = parse(first)
    _low, end, _running = parse(later)
    if end - high > MOST_TRANSACTIONS:
        raise core.Failure(f"{end - high} transactions lie between the snapshots {high} and {end}, of which the later one was taken at once")
    return running | set(range(high, end)) if low < end else set()


def parse(snapshot):
    low, high, running = snapshot.split(":")
    return int(low), int(high), {int(number) for number in running.split(",") if number}


def moment(settings, sessions, control):
    """Take a snapshot in every session and name the moment after them; return it, and whether nothing came between."""
    for attempt in range(ATTEMPTS):
        snapshots = {}
        for name, cursor in sessions.items():
            snapshots[name] = begin(cursor)
        point, lsn = restore_point(control)
        control.execute("SELECT pg_current_snapshot()::text")
        later = control.fetchone()[0]
        exact = not any(unseen(snapshot, later) for snapshot in snapshots.values())
        if exact:
            break
        time.sleep(0.05 * (attempt % 5))
    return point, lsn, snapshots, exact


def begin(cursor):
    """Have a session see the present from here on, and nothing later; return what that is."""
    cursor.execute("ROLLBACK")
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    cursor.execute("SELECT pg_current_snapshot()::text")
    return cursor.fetchone()[0]


# To ask for the rows of a table has functions of its owner's run, of an index say, and by them whoever asks would be theirs. So it is asked for by who may
# read and do nothing else, in a function of that account's: from there, and not from SET ROLE, no way leads back. What is called there may change the settings
# of the session, by which names are found: each question is taken back, with all that came of it, and what is called outside of it has its schema's name.
READS = """
CREATE FUNCTION pg_temp.reads(query text) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
  AS 'BEGIN RETURN QUERY EXECUTE query; END';
ALTER FUNCTION pg_temp.reads(text) OWNER TO pg_read_all_data
"""


def prepare(cursor):
    """Have a session count and read by lesser rights than its own; before its transaction, in which nothing is written. Where the server has not been told
    that it may, by the role postgresql, it goes by its own."""
    cursor.execute(
        "SELECT rolsuper OR has_database_privilege('pg_read_all_data', current_database(), 'TEMPORARY') AND pg_has_role('pg_read_all_data', 'MEMBER') "
        "FROM pg_roles WHERE rolname = session_user"
    )
    if cursor.fetchone()[0]:
        cursor.execute(READS)
    return cursor


def read_rows(cursor, query):
    """Return the texts that a query yields on tables of somebody else's."""
    cursor.execute("SELECT pg_catalog.to_regprocedure('pg_temp.reads(text)')")
    if cursor.fetchone()[0]:
        cursor.execute("SELECT pg_temp.reads(%s)", (query,))
    else:
        cursor.execute(query)
    return [row[0] for row in cursor.fetchall()]


def attempt(cursor, query):
    """Return the texts that a query yields, and an empty word; or None, and why it could not be asked. The session and its snapshot are as before, if it
    lives."""
    import psycopg2

    try:
        cursor.execute("SAVEPOINT attempt")
        rows = read_rows(cursor, query)
        cursor.execute("ROLLBACK TO SAVEPOINT attempt")
        return rows, ""
    except psycopg2.Error as error:
        # The words may be a function's of the application's.
        words = (str(error).splitlines() or ["no words"])[0][:MOST_LETTERS]
        reason = f"ended after {COUNTING_SECONDS} s" if cursor.connection.closed else f"{words} ({error.pgcode})"
        with contextlib.suppress(psycopg2.Error):
            cursor.execute("ROLLBACK TO SAVEPOINT attempt")
        return None, reason


def names(cursor):
    """Return the names of all tables, in order."""
    cursor.execute(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE relkind = 'r' AND relpersistence = 'p' AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg_toast%' "
        "ORDER BY 1"
    )
    return [name for (name,) in cursor.fetchall()]


def count(cursor, tables):
    """Return the rows of tables as the session's snapshot has them, by table; and why others could not be counted, by table."""
    counts, uncounted = {}, {}
    for name in tables:
        rows, reason = attempt(cursor, f"SELECT count(*)::text FROM ONLY {name}")
        if reason:
            uncounted[name] = reason
        else:
            counts[name] = int(rows[0])
    return counts, uncounted


def content(cursor):
    """Return what a database holds as a session has it: tables, those that could not be counted, and Django's applied migrations, None where it is no Django's
    or they cannot be read."""
    tables = names(cursor)
    is_django = "public.django_migrations" in tables
    applied = attempt(cursor, "SELECT DISTINCT app || '.' || name FROM public.django_migrations ORDER BY 1")[0] if is_django else None
    counts, uncounted = count(cursor, tables)
    return {"migrations": applied, "tables": counts, "uncounted": uncounted}


@contextlib.contextmanager
def bounded(settings, cursor, seconds=COUNTING_SECONDS):
    """End a session that is at work when this time is over: a function of the application's may pay no heed to a mere request to stop."""

    def end(process=cursor.connection.info.backend_pid):
        with contextlib.suppress(core.Failure):
            core.ask(settings.connection, "SELECT pg_terminate_backend(%s)", (process,))

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# PostgreSQL's code for what is not permitted: row security keeps some rows from all but the table's owner, and nothing is wrong with that.
HIDDEN = "(42501)"


def untold(databases):
    """Return one sentence on tables of a manifest's databases that could not be counted; an empty word where it is only that rows are hidden."""
    found = [
        f"{database}: {table} ({reason})" for database, row in sorted(databases.items()) for table, reason in sorted(row.get("uncounted", {}).items())
        if not reason.endswith(HIDDEN)
    ]  # fmt: skip
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"the backup is made, but the rows of {found[0]}{more} could not be counted, so that no drill compares them" if found else ""


def take(settings, backups, away=()):
    """Write the manifest of backups that were just made: rows of (repository, label). The server has closed the piece of log with its moment. Return what is
    to be told of tables that could not be counted, an empty word for nothing. Of repositories that are away nothing is asked."""
    with contextlib.ExitStack() as stack:

        def sessions():
            return {name: prepare(stack.enter_context(core.connect(settings.connection, name))) for name in core.databases(settings)}

        control, before = stack.enter_context(core.connect(settings.connection)), sessions()
        point, lsn, snapshots, exact = moment(settings, before, control)
        # Sessions that see what has come between, too: what there was at the point lies between the two counts.
        after = {} if exact else sessions()
        for cursor in after.values():
            begin(cursor)
        control.execute("SELECT timeline_id, (SELECT system_identifier::text FROM pg_control_system()) FROM pg_control_checkpoint()")
        timeline, system = control.fetchone()
        control.execute("SELECT pg_switch_wal()")
        noted = {
            "point": point, "lsn": lsn, "timeline": timeline, "system": system, "exact": exact, "databases": {},
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }  # fmt: skip
        for name, cursor in before.items():
            with bounded(settings, cursor):
                noted["databases"][name] = {"snapshot": snapshots[name]} | content(cursor)
        for name, cursor in after.items():
            with bounded(settings, cursor):
                noted["databases"][name]["after"] = count(cursor, names(cursor))[0]
    for repository, label in backups:
        core.write(path(settings, label), json.dumps({"label": label, "repository": repository} | noted, indent=1, sort_keys=True) + "\n")
    forget(settings, away)
    return untold(noted["databases"])


def path(settings, label):
    return settings.path("manifests", f"{label}.json")


def read(settings, label):
    """Return the manifest of a backup."""
    found = paths.read_mapping(path(settings, label), MOST_BYTES)
    if found is None:
        raise core.Failure(f"backup {label} has no manifest in {settings.path('manifests')}")
    return found


def forget(settings, away=()):
    """Remove the manifests of backups that have expired. Of a repository that cannot be read now, or is known to be away, it is not known which have."""
    kept, unread = set(), set(away)
    for repository in set(settings.repositories) - unread:
        information = core.information(settings, f"--repo={repository}")
        kept |= {row["label"] for row in information["backup"]}
        unread |= {row["key"] for row in information.get("repo", []) if row["status"]["code"] == core.UNREADABLE}
    for name in os.listdir(settings.path("manifests")):
        label = name.removesuffix(".json")
        if name.endswith(".json") and label not in kept and not (unread and read(settings, label).get("repository") in unread):
            os.unlink(settings.path("manifests", name))
