#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_state
short_description: Ask a PostgreSQL server what it has not taken over yet, and which roles and databases it has
description:
  - One question tells what a role asks a server for on every run; it changes nothing.
  - The filter P(selfhost.django.postgresql_due#filter) compares the answer with what is wanted.
  - Passwords are compared with what the server stores of them (RFC 5802, RFC 7677); neither is returned.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.server]
options:
  configuration:
    description: Directory of the server's configuration.
    type: path
    required: true
  certificate:
    description: File that holds the server's certificate, which is read when the configuration is.
    type: path
    default: ''
  passwords:
    description: Passwords that roles are to have, by the roles' names.
    type: dict
    default: {}
  databases:
    description: Databases whose extensions are asked for.
    type: list
    elements: str
    default: []
  functions:
    description: Functions of C(pg_catalog), with the types of their arguments, for which is asked who may execute them.
    type: list
    elements: str
    default: []
  unit:
    description: Unit of the server. One that neither runs nor is being started is not waited for. The end of its start is, where the server has
      something to take over.
    type: str
    default: ''
  patience_seconds:
    description: How long the server may take until it answers.
    type: int
    default: 0
attributes:
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Ask the server
  become: true
  become_user: postgres
  selfhost.django.postgresql_state:
    configuration: /etc/postgresql/17/main
    databases: [shop]
"""

RETURN = r"""
server:
  description:
    - C(stale) is whether files of its configuration are newer than what it runs with, C(loaded) the time of that in seconds.
    - C(pending) names settings that wait for a restart, C(errors) is what it complains about, C(checksums) whether pages have them, C(version) its
      version as a number, 170002 of 17.2.
  returned: always
  type: dict
roles:
  description: Roles by name, each with C(attributes), C(connection_limit), C(settings), C(member_of), and C(password_is_right) where one was given.
  returned: always
  type: dict
databases:
  description: Databases by name, each with C(owner), C(encoding), C(privileges) (pairs of a role, empty for everybody, and a privilege), C(extensions).
  returned: always
  type: dict
functions:
  description: By function, the roles that may execute it.
  returned: always
  type: dict
"""

import base64
import contextlib
import hashlib
import hmac
import re
import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import SESSION

try:
    import psycopg2
except ImportError:
    psycopg2 = None

# Between two questions, in seconds.
PAUSE = 0.2
# A file's time is in whole seconds; the directories tell of removed files.
SERVER = r"""
WITH files AS (
  SELECT %(configuration)s::text AS path
  UNION SELECT %(configuration)s || '/conf.d'
  UNION SELECT current_setting('ssl_cert_file') WHERE current_setting('ssl_cert_file') = %(certificate)s
  UNION SELECT %(configuration)s || '/' || name FROM pg_ls_dir(%(configuration)s) AS name WHERE name LIKE '%%.conf'
  -- Patroni writes one that includes the former, and reloads in the same second.
  AND NOT (name = 'postgresql.conf' AND EXISTS (SELECT FROM pg_ls_dir(%(configuration)s) AS other WHERE other = 'postgresql.base.conf'))
  UNION SELECT %(configuration)s || '/conf.d/' || name FROM pg_ls_dir(%(configuration)s || '/conf.d') AS name WHERE name LIKE '%%.conf'
)
SELECT json_build_object(
  'stale', (SELECT max((pg_stat_file(path)).modification) + interval '1 second' > pg_conf_load_time() FROM files),
  'loaded', extract(epoch FROM pg_conf_load_time()),
  'pending', ARRAY(SELECT name FROM pg_settings WHERE pending_restart ORDER BY name),
  -- What only waits for a restart is listed as an error too.
  'errors', ARRAY(SELECT concat_ws(' ', sourcefile, 'line ' || sourceline, name, error) FROM pg_file_settings
                  WHERE error <> 'setting could not be applied' AND error NOT LIKE '%%cannot be changed without restarting the server')
  || ARRAY(SELECT %(configuration)s || '/pg_hba.conf line ' || line_number || ': ' || error FROM pg_hba_file_rules WHERE error IS NOT NULL)
  || ARRAY(SELECT %(configuration)s || '/postgresql.conf does not include conf.d'
           WHERE NOT EXISTS (SELECT FROM pg_file_settings WHERE sourcefile = %(configuration)s || '/conf.d/10-server.conf')),
  'checksums', current_setting('data_checksums') = 'on',
  'version', current_setting('server_version_num')::int)
"""
ROLES = """
SELECT rolname, rolpassword, json_build_object(
  'attributes', ARRAY(SELECT word FROM (VALUES
    ('LOGIN', rolcanlogin), ('SUPERUSER', rolsuper), ('CREATEDB', rolcreatedb), ('CREATEROLE', rolcreaterole), ('REPLICATION', rolreplication),
    ('BYPASSRLS', rolbypassrls)) AS attributes (word, held) WHERE held),
  'connection_limit', rolconnlimit,
  -- Those of all databases; the ones of a single database are somebody else's.
  'settings', ARRAY(SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = pg_authid.oid AND setdatabase = 0),
  'member_of', ARRAY(SELECT DISTINCT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = pg_authid.oid))
FROM pg_authid
"""
DATABASES = """
SELECT datname, datallowconn, json_build_object(
  'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
  'privileges', (SELECT json_agg(json_build_array(CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee)::text END, privilege_type))
                 FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))))
FROM pg_database
"""
EXTENSIONS = "SELECT extname FROM pg_extension"
FUNCTIONS = """
SELECT name, ARRAY(SELECT pg_get_userbyid(grantee)::text FROM pg_proc, aclexplode(proacl)
                   WHERE pg_proc.oid = to_regprocedure('pg_catalog.' || name) AND grantee <> 0)
FROM unnest(%(functions)s::text[]) AS name
"""


def is_password_of(stored, password):
    """Return whether a role that stores this verifier logs in with the password.

    False as well where only the server can tell: it prepares some characters first (RFC 4013), and may store another kind.
    """
    parts = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):[A-Za-z0-9+/=]+", stored or "")
    if not parts:
        return False
    rounds, salt, key = int(parts[1]), base64.b64decode(parts[2]), base64.b64decode(parts[3])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    return hmac.compare_digest(hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest(), key)


@contextlib.contextmanager
def database_of(params, name):
    """Give a function that returns the rows of a question to a database of the server."""
    connection = psycopg2.connect(host=params["socket"], port=params["port"], user="postgres", dbname=name, options=SESSION)
    try:
        connection.set_session(readonly=True)
        with connection.cursor() as cursor:

            def rows(query):
                cursor.execute(query, params)
                return cursor.fetchall()

            yield rows
    finally:
        connection.close()


def extensions(params, name):
    with database_of(params, name) as rows:
        return [row[0] for row in rows(EXTENSIONS)]


def ask(params):
    """Return what the server says."""
    roles, databases = {}, {}
    with database_of(params, "postgres") as rows:
        ((server,),) = rows(SERVER)
        for name, stored, role in rows(ROLES):
            password = params["passwords"].get(name)
            roles[name] = role if password is None else role | {"password_is_right": is_password_of(stored, str(password))}
        for name, is_open, database in rows(DATABASES):
            databases[name] = database | {"extensions": extensions(params, name) if is_open and name in params["databases"] else []}
        return {"server": server, "roles": roles, "databases": databases, "functions": dict(rows(FUNCTIONS))}


def properties(shown):
    """Return what `systemctl show` tells, as a dict."""
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def is_coming(shown):
    """Return whether a unit runs or is being started, from what `systemctl show` tells of ActiveState and Job."""
    row = properties(shown)
    return row.get("ActiveState") in ("active", "activating", "reloading") or row.get("Job", "0") not in ("", "0")


def is_starting(shown):
    """Return whether a unit is still being started, from what `systemctl show` tells of ActiveState and Job. A server may answer by then."""
    row = properties(shown)
    return row.get("ActiveState") == "activating" or row.get("Job", "0") not in ("", "0")


def answered(question, patience, hopeless, clock=time.monotonic, pause=time.sleep, early=lambda answer: False):
    """Return what a question returns as soon as the server answers; its error where it does not in time (seconds), or will not.

    An early answer, one that nobody could act upon yet, is asked for again as long as there is time.
    """
    end = clock() + patience
    while True:
        try:
            answer = question()
            if clock() >= end or not early(answer):
                return answer
        except psycopg2.OperationalError:
            if clock() >= end or hopeless():
                raise
        pause(PAUSE)


def main():
    """Ask, and tell."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "default": "/var/run/postgresql"},
            "port": {"type": "int", "default": 5432},
            "configuration": {"type": "path", "required": True},
            "certificate": {"type": "path", "default": ""},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "databases": {"type": "list", "elements": "str", "default": []},
            "functions": {"type": "list", "elements": "str", "default": []},
            "unit": {"type": "str", "default": ""},
            "patience_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))

    unit = module.params["unit"]

    def shown():
        return module.run_command(["systemctl", "show", "--property=ActiveState,Job", "--", unit])[1]

    def hopeless():
        return bool(unit) and not is_coming(shown())

    def early(answer):
        # A reload that systemd is asked for now would be lost in the start: it merges the two.
        return bool(unit) and answer["server"]["stale"] and is_starting(shown())

    try:
        module.exit_json(changed=False, **answered(lambda: ask(module.params), module.params["patience_seconds"], hopeless, early=early))
    except psycopg2.Error as error:
        module.fail_json(msg="The server does not answer: %s" % str(error).strip())


if __name__ == "__main__":
    main()
