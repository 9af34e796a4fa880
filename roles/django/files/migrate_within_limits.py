"""Run a project's own `migrate`, with limits on what it asks of PostgreSQL.

Run with the interpreter, environment and folder of a release (or on standard input):

    python migrate_within_limits.py LOCK_SECONDS STATEMENT_SECONDS

A statement waits LOCK_SECONDS for a lock at most, and takes STATEMENT_SECONDS at most (PostgreSQL manual, "lock_timeout" and
"statement_timeout"). Exits as `python manage.py migrate --noinput --no-color` does, which it runs.

The limits are set in each session that Django opens, on whichever of the databases, since poolers refuse options of the startup packet.
Behind a pooler a session may be somebody else's in the next moment: there they are set for each transaction alone, and what runs outside of
one (an index that is built CONCURRENTLY) has none. Databases of other kinds have none either.
"""

import functools
import os
import runpy
import sys

# libpq's PQTRANS_IDLE: the next statement begins a transaction.
IDLE = 0


def main(lock_seconds, statement_seconds):
    """Migrate; the arguments are whole numbers of seconds, as text."""
    # Before the settings are loaded: Django's own modules that they import later find it in place.
    from django.db.backends.signals import connection_created

    limits = {"lock_timeout": int(lock_seconds), "statement_timeout": int(statement_seconds)}
    connection_created.connect(functools.partial(limit, limits), weak=False)
    # As for a program that is given by its path.
    sys.path[0] = os.getcwd()
    sys.argv = ["manage.py", "migrate", "--noinput", "--no-color"]
    runpy.run_path("manage.py", run_name="__main__")


def limit(limits, connection, **_others):
    """Limit a connection that Django has just opened; limits are seconds by the name of a setting."""
    if connection.vendor != "postgresql":
        return
    if is_pooled(connection.connection):
        wrappers = connection.execute_wrappers
        # It stays with Django's connection, which may be opened again.
        if not any(isinstance(wrapper, OfTransactions) for wrapper in wrappers):
            wrappers.append(OfTransactions(limits))
    else:
        ask(connection.connection, limits, "SESSION")


def is_pooled(driver):
    """Whether a pooler answers instead of the server: it makes up the process that it names."""
    with driver.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0] != driver.info.backend_pid


def ask(driver, limits, scope):
    """Set the limits, for a SESSION or LOCAL to the transaction."""
    with driver.cursor() as cursor:
        for name, seconds in limits.items():
            cursor.execute(f"SET {scope} {name} = '{seconds}s'")


class OfTransactions:
    """Sets the limits first in each transaction (a wrapper of Django's, "execute_wrapper")."""

    def __init__(self, limits):
        self.limits = limits

    def __call__(self, execute, sql, params, many, context):
        driver = context["connection"].connection
        if not driver.autocommit and driver.info.transaction_status == IDLE:
            ask(driver, self.limits, "LOCAL")
        return execute(sql, params, many, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
