"""What the databases held at a named moment: rows of every table, applied migrations. A restore is compared with it."""

import contextlib
import json
import os
import time

from . import core

# Transactions that commit between the snapshots and the restore point would be in a restore and not in the counts: another
# moment is tried then, this often.
ATTEMPTS = 30


def restore_point(cursor, prefix="backup"):
    """Name the present moment in the write-ahead log; return the name and where it is."""
    name = f"{prefix}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"
    cursor.execute("SELECT pg_create_restore_point(%s)::text", (name,))
    return name, cursor.fetchone()[0]


def unseen(first, later):
    """Return the transactions that may have committed between two snapshots, in PostgreSQL's text form `xmin:xmax:list`."""
    low, high, running = parse(first)
    _low, end, _running = parse(later)
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
# read and do nothing else, in a function of that account's: from there, and not from SET ROLE, no way leads back.
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
    cursor.execute("SELECT to_regprocedure('pg_temp.reads(text)') IS NOT NULL")
    if cursor.fetchone()[0]:
        cursor.execute("SELECT pg_temp.reads(%s)", (query,))
    else:
        cursor.execute(query)
    return [row[0] for row in cursor.fetchall()]


def tables(cursor):
    """Return the rows of every table as the session's snapshot has them; what row security hides from a reader is not counted."""
    cursor.execute(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE relkind = 'r' AND relpersistence = 'p' AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg_toast%' "
        "ORDER BY 1"
    )
    counts = {}
    for (name,) in cursor.fetchall():
        counts[name] = int(read_rows(cursor, f"SELECT count(*)::text FROM ONLY {name}")[0])
    return counts


def migrations(cursor):
    """Return Django's applied migrations; None where the database is no Django's."""
    cursor.execute("SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('public.django_migrations') AND relkind = 'r')")
    if not cursor.fetchone()[0]:
        return None
    return read_rows(cursor, "SELECT DISTINCT app || '.' || name FROM public.django_migrations ORDER BY 1")


def take(settings, backups):
    """Write the manifest of backups that were just made: rows of (repository, label). The server has closed the piece of log with its moment."""
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
        content = {
            "point": point, "lsn": lsn, "timeline": timeline, "system": system, "exact": exact,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "databases": {
                name: {"snapshot": snapshots[name], "tables": tables(cursor), "migrations": migrations(cursor)}
                | ({"after": tables(after[name])} if name in after else {})
                for name, cursor in before.items()
            },
        }  # fmt: skip
    for repository, label in backups:
        core.write(path(settings, label), json.dumps({"label": label, "repository": repository} | content, indent=1, sort_keys=True) + "\n")
    forget(settings)


def path(settings, label):
    return settings.path("manifests", f"{label}.json")


def read(settings, label):
    """Return the manifest of a backup."""
    try:
        with open(path(settings, label), encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        raise core.Failure(f"backup {label} has no manifest in {settings.path('manifests')}") from None


def forget(settings):
    """Remove the manifests of backups that have expired. Of a repository that cannot be read now it is not known which have."""
    information = core.information(settings)
    kept = {row["label"] for row in information["backup"]}
    unread = {row["key"] for row in information.get("repo", []) if row["status"]["code"] == core.UNREADABLE}
    for name in os.listdir(settings.path("manifests")):
        label = name.removesuffix(".json")
        if name.endswith(".json") and label not in kept and not (unread and read(settings, label).get("repository") in unread):
            os.unlink(settings.path("manifests", name))
