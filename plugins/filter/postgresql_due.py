# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a PostgreSQL server lacks of the roles and databases that are declared."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgresql_due
short_description: What a PostgreSQL server lacks of the declared roles and databases
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Compares what M(selfhost.django.postgresql_state) has found with what is declared, so that tasks act on the difference alone.
  - What is in doubt is due - the task that acts compares once more. What is not declared is nobody's concern here.
positional: _input, databases, roles
options:
  _input:
    description: What the module has found.
    type: dict
    required: true
  databases:
    description: Declared databases, rows of C(name), C(owner), C(extensions).
    type: list
    elements: dict
    required: true
  roles:
    description:
      - Declared roles, rows of C(name), C(databases), C(attributes), C(member_of), C(connection_limit), C(settings).
      - Whether a password is the right one has been found already.
    type: list
    elements: dict
    required: true
  preloaded:
    description: Libraries that the server loads at its start.
    type: list
    elements: str
    default: []
  executors:
    description: By role, the functions of C(pg_catalog) that it may execute.
    type: dict
    default: {}
  dry:
    description: Whether nothing is really made, so that what belongs into a role or a database that is not there cannot be tried.
    type: bool
    default: false
"""

EXAMPLES = r"""
due: "{{ found | selfhost.django.postgresql_due(databases, roles) }}"
"""

RETURN = r"""
_value:
  description:
    - C(roles) and C(databases) are names of those to make or to change.
    - C(memberships) are rows of C(role) and C(member_of), C(extensions) of C(database) and C(name).
    - C(privileges) are statements of SQL, for any database - they close databases that are open to everybody, open them to roles that name them, let
      roles execute functions, and say what sessions of the superuser begin with.
  type: dict
"""

WANTED_PRIVILEGES = {"CONNECT", "TEMPORARY"}
STATISTICS = "pg_stat_statements"
# Whose rights a backup has rows counted with, in a temporary function (manifest.py of the role postgresql_backup).
READER = "pg_read_all_data"
SUPERUSER = "postgres"
# What sessions of the superuser begin with, since whoever owns a database may say otherwise of it by ALTER DATABASE: that they end after a millisecond, say,
# or find a function of the owner's in the place of the server's. By setting: the version that knows it, and its value.
BEGUN_WITH = {
    "default_transaction_read_only": (0, "off"), "search_path": (0, '"$user", public'), "statement_timeout": (0, "0"), "transaction_timeout": (17, "0"),
}  # fmt: skip


def _quoted(name):
    """Return a name as an identifier of SQL."""
    return '"%s"' % name.replace('"', '""')


def _privileges(closed, grants, read, functions):
    """Yield the statements that close databases to everybody, open them to roles, let rows be counted by who reads alone, and roles execute functions."""
    wanted = ", ".join(sorted(WANTED_PRIVILEGES))
    for name in closed:
        yield "REVOKE %s ON DATABASE %s FROM PUBLIC" % (wanted, _quoted(name))
    for row in grants:
        yield "GRANT %s ON DATABASE %s TO %s" % (wanted, _quoted(row["database"]), _quoted(row["role"]))
    for name in read:
        yield "GRANT TEMPORARY ON DATABASE %s TO %s" % (_quoted(name), _quoted(READER))
    for name, role in functions:
        yield "GRANT EXECUTE ON FUNCTION pg_catalog.%s TO %s" % (name, _quoted(role))


def _beginnings(found):
    """Yield the statements by which sessions of the superuser begin with what is ours; what somebody has set for it stays."""
    known = {text.split("=", 1)[0] for text in found["roles"].get(SUPERUSER, {}).get("settings", [])}
    for name, (version, value) in BEGUN_WITH.items():
        if name not in known and found["server"]["version"] >= version * 10000:
            yield "ALTER ROLE %s SET %s TO %s" % (_quoted(SUPERUSER), name, value)


def _differs(role, found):
    """Return whether a role is not as it is declared."""
    settings = dict(text.split("=", 1) for text in found.get("settings", []))
    return not (
        found.get("password_is_right")
        and set(found["attributes"]) == {"LOGIN", *role.get("attributes", [])}
        and found["connection_limit"] == int(role.get("connection_limit", -1))
        and settings == {name: str(value) for name, value in role.get("settings", {}).items()}
    )


def _may(found, database, role):
    """Return the wanted privileges that a role, empty for everybody, has on a database."""
    return WANTED_PRIVILEGES & {privilege for name, privilege in found["databases"].get(database, {}).get("privileges", []) if name == role}


def postgresql_due(found, databases, roles, preloaded=(), executors=None, dry=False):
    known_roles, known_databases = found["roles"], found["databases"]
    extensions = [{"database": "postgres", "name": STATISTICS}] if STATISTICS in preloaded else []
    extensions += [{"database": row["name"], "name": name} for row in databases for name in row.get("extensions", [])]
    memberships = [{"role": row["name"], "member_of": row["member_of"]} for row in roles if "member_of" in row]
    grants = [{"database": name, "role": row["name"]} for row in roles for name in row.get("databases", [])]

    def exists(database=None, role=None):
        return not dry or (database is None or database in known_databases) and (role is None or role in known_roles)

    closed = [
        row["name"] for row in databases
        if (row["name"] not in known_databases or _may(found, row["name"], "")) and exists(database=row["name"])
    ]
    opened = [row for row in grants if _may(found, **row) != WANTED_PRIVILEGES and exists(**row)]
    read = dict.fromkeys(name for row in roles if READER in row.get("member_of", []) for name in row.get("databases", []))
    read = [name for name in read if "TEMPORARY" not in _may(found, name, READER) and exists(database=name)]
    functions = [
        (name, role) for role, names in (executors or {}).items() for name in names
        if role not in found["functions"].get(name, []) and exists(role=role)
    ]
    return {
        "roles": [row["name"] for row in roles if row["name"] not in known_roles or _differs(row, known_roles[row["name"]])],
        "memberships": [
            row for row in memberships
            if all(exists(role=name) for name in [row["role"], *row["member_of"]])
            and set(known_roles.get(row["role"], {}).get("member_of", [])) != set(row["member_of"])
        ],
        "databases": [
            row["name"] for row in databases
            if [known_databases.get(row["name"], {}).get(what) for what in ("owner", "encoding")] != [row["owner"], "UTF8"]
        ],
        "privileges": [*_privileges(closed, opened, read, functions), *_beginnings(found)],
        "extensions": [
            row for row in extensions
            if row["name"] not in known_databases.get(row["database"], {}).get("extensions", []) and exists(database=row["database"])
        ],
    }  # fmt: skip


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"postgresql_due": postgresql_due}
