#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_collations
short_description: Rebuild the indexes whose order the C library or ICU has changed
description:
  - Another version of the C library or of ICU may sort text in another way. An index that was made by the old way then finds some rows no more,
    and lets others in twice. PostgreSQL writes down by which version each collation was used, and warns.
  - Rebuilds what depends on a collation whose version is no longer the one that is written down, then writes the new one down.
  - Nobody may write meanwhile. On a standby there is nothing to do. A run that is killed is gone on with by the next one.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.server]
options:
  patience_seconds:
    description: How long is waited for a server that does not take connections yet.
    type: int
    default: 120
attributes:
  check_mode: {support: full, description: "Says what it would rebuild."}
  diff_mode: {support: none, description: "An index has no text."}
"""

EXAMPLES = r"""
- name: Rebuild what depends on the order of text
  selfhost.django.postgresql_collations:
    port: 5432
  become: true
  become_user: postgres
"""

RETURN = r"""
databases:
  description: By database in which something was due, the collations whose version had changed, and the indexes that were rebuilt.
  type: dict
  returned: always
"""

import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import OWN, RECOVERY, SESSION

try:
    import psycopg2
except ImportError:
    psycopg2 = None

# Not of those that are the same everywhere: C, POSIX and C.UTF-8 have no version.
# A standby's indexes are its primary's: there is nothing to rebuild.
DATABASES = f"""
SELECT datname, datallowconn, datcollversion, pg_database_collation_actual_version(oid) FROM pg_database
WHERE NOT {RECOVERY} ORDER BY datallowconn DESC, datname
"""
COLLATIONS = """
SELECT oid::bigint, format('%I.%I', collnamespace::regnamespace::text, collname) FROM pg_collation
WHERE collprovider IN ('c', 'i') AND collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
  AND collversion IS NOT NULL AND collversion IS DISTINCT FROM pg_collation_actual_version(oid) ORDER BY 2
"""
# Those of columns, and those that an expression, a condition or a range names. With the database's own everything may depend on it that is no
# plain column.
INDEXES = """
SELECT format('%%I.%%I', relnamespace::regnamespace::text, relname)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relkind = 'i' AND relpersistence <> 't' AND relnamespace <> 'pg_catalog'::regnamespace AND (
  indcollation::oid[] && %(stale)s::oid[]
  OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
             AND refclassid = 'pg_collation'::regclass AND refobjid = ANY (%(stale)s::oid[]))
  OR EXISTS (SELECT FROM pg_attribute JOIN pg_range ON rngtypid = atttypid WHERE attrelid = indexrelid AND rngcollation = ANY (%(stale)s::oid[]))
  OR %(own)s AND (indexprs IS NOT NULL OR indpred IS NOT NULL)) ORDER BY 1
"""
# The collation `default` of every database, which stands for the database's own.
DEFAULT = 100


def changed(recorded, actual):
    """Return whether a version that is written down is no longer the one that sorts; nothing is written down of what has none."""
    return recorded is not None and recorded != actual


def work(name, is_own, collations, indexes):
    """Return the statements that put a database right, in order: the versions last, by which the next run sees that the indexes are done."""
    statements = ["REINDEX INDEX %s" % index for index in indexes]
    statements += ["ALTER COLLATION %s REFRESH VERSION" % collation for collation in collations]
    return statements + (['ALTER DATABASE "%s" REFRESH COLLATION VERSION' % name.replace('"', '""')] if is_own else [])


class Server:
    """A server that is asked and told over its socket."""

    def __init__(self, params):
        self.words = {"host": params["socket"], "port": params["port"], "user": "postgres"}
        self.patience = params["patience_seconds"]

    def rows(self, database, *statements, options=SESSION, **values):
        """Run statements by themselves and return the rows of the last one."""
        connection = psycopg2.connect(dbname=database, options=options, **self.words)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def databases(self):
        """Return the databases as soon as the server answers."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return self.rows("postgres", DATABASES)
            except psycopg2.OperationalError:
                if time.monotonic() >= end:
                    raise
            time.sleep(0.5)

    def settle(self, dry):
        """Put every database right; return by name what was due."""
        done = {}
        for name, is_open, recorded, actual in self.databases():
            is_own = changed(recorded, actual)
            collations = self.rows(name, COLLATIONS) if is_open else []
            if not is_own and not collations:
                continue
            stale = [oid for oid, _collation in collations] + [DEFAULT] * is_own
            indexes = [index for (index,) in self.rows(name, INDEXES, stale=stale, own=is_own)] if is_open else []
            done[name] = {"collations": [collation for _oid, collation in collations] + ["its own"] * is_own, "indexes": indexes}
            if not dry:
                for statement in work(name, is_own, [collation for _oid, collation in collations], indexes):
                    # From a database that is always open: template0 has to be put right too, and is not.
                    # What an index calls is called as its owner, and finds what the owner has it find.
                    self.rows(name if is_open else "postgres", statement, options=OWN)
        return done


def main():
    """Rebuild, and tell."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "default": "/var/run/postgresql"},
            "port": {"type": "int", "default": 5432},
            "patience_seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    try:
        done = Server(module.params).settle(module.check_mode)
    except psycopg2.Error as error:
        module.fail_json(msg="What depends on the order of text was not rebuilt, so nothing may write yet: %s" % str(error).strip())
    module.exit_json(changed=bool(done), databases=done)


if __name__ == "__main__":
    main()
