#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_backup_look
short_description: Look what the backups of PostgreSQL have on a host
description:
  - Tells in one look what the repository holds, what the server runs with, and whether the services began before their files changed.
  - The filter C(selfhost.django.postgresql_backup_plan) says what is to be done about it.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  configuration:
    description:
      - Configuration of pgBackRest. Where it is missing, as in a dry run on a bare host, neither repository nor server is asked.
    type: path
  stanza:
    description: Name of the backups in the repository; without it no repository is asked.
    type: str
  socket:
    description: Directory of the server's socket.
    type: path
    default: /var/run/postgresql
  port:
    description: Port of the server; without it no server is asked.
    type: int
  elsewhere:
    description: Numbers of the repositories at somebody else's; of those that cannot be read now nothing is told.
    type: list
    elements: int
    default: []
  units:
    description: Units of systemd, by name, each with the files and directories that it reads when it is started.
    type: dict
    default: {}
attributes:
  check_mode: {support: full, description: "Only reads; units that a dry run has not made are left out."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Look what repository, server and services have
  selfhost.django.postgresql_backup_look:
    configuration: /etc/pgbackrest/pgbackrest.conf
    stanza: main
    port: 5432
    units:
      postgresql-receive.service: [/etc/systemd/system/postgresql-receive.service, /etc/pgbackrest]
"""

RETURN = r"""
repository:
  description: What pgBackRest's C(info) tells of the stanza; null where it was not asked.
  returned: always
  type: dict
server:
  description: What the server tells; null where it was not asked.
  returned: always
  type: dict
  contains:
    standby: {description: Whether it follows another one., type: bool, returned: always}
    system: {description: "Number that its cluster was given when it was made and that its copies have, too.", type: str, returned: always}
    settings: {description: What it archives with., type: dict, returned: always}
units:
  description:
    - Each unit with C(active), C(enabled), C(stale) (systemd has not read its file as it is now) and C(outdated) (it began before its files changed).
  returned: always
  type: dict
"""

import datetime
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import RECOVERY, SYSTEM

QUERY = (
    f"SELECT json_build_object('standby', {RECOVERY}, 'system', {SYSTEM}, 'settings', "
    "(SELECT json_object_agg(name, setting) FROM pg_settings WHERE name LIKE 'archive%'))"
)
# pgBackRest's own number for a repository that is there and cannot be read, as with another passphrase.
UNREADABLE = 99


def trouble(information):
    """Return what is wrong with repositories that are there and cannot be read, as pgBackRest says it; empty where nothing is."""
    rows = [row for row in information["repo"] if row["status"]["code"] == UNREADABLE]
    return "; ".join("repository %s: %s" % (row["key"], " ".join(row["status"]["message"].split())) for row in rows)


def without(information, elsewhere):
    """Return what is told without the repositories elsewhere that cannot be read now: they are no reason to do or to leave anything."""
    known = [row for row in information["repo"] if row["status"]["code"] != UNREADABLE or row["key"] not in elsewhere]
    return dict(information, repo=known)


def began(words):
    """Return when a unit was started, in seconds since 1970, from systemd's words for it (us+utc); 0 for never."""
    # The day of the week comes first, in whatever language.
    moment = words.partition(" ")[2]
    try:
        return datetime.datetime.strptime(moment, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=datetime.timezone.utc).timestamp()
    except ValueError:
        return 0


def changed(paths):
    """Return when one of the files, or what is in one of the directories, was changed last, in seconds since 1970; 0 where there is none."""
    below = [os.path.join(place, name) for path in paths for place, folders, files in os.walk(path) for name in folders + files]
    return max((os.lstat(path).st_mtime for path in [*paths, *below] if os.path.lexists(path)), default=0)


def units(listing, files, dry=False):
    """Return the units that `systemctl show` tells of, blocks of NAME=VALUE with an empty line between them."""
    found = {}
    for block in listing.split("\n\n"):
        row = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if row.get("Id") and not (dry and row.get("LoadState") == "not-found"):
            found[row["Id"]] = {
                "active": row.get("ActiveState") == "active",
                "enabled": row.get("UnitFileState") == "enabled",
                "stale": row.get("NeedDaemonReload") == "yes",
                "outdated": changed(files[row["Id"]]) > began(row.get("ActiveEnterTimestamp", "")),
            }
    return found


def main():
    """Look, and tell."""
    module = AnsibleModule(
        argument_spec={
            "configuration": {"type": "path"},
            "stanza": {"type": "str"},
            "elsewhere": {"type": "list", "elements": "int", "default": []},
            "socket": {"type": "path", "default": "/var/run/postgresql"},
            "port": {"type": "int"},
            "units": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    given = module.params

    def ask(what, command, user=None):
        """Return what a command prints; the module ends with its words where it fails."""
        command = ["runuser", "-u", user, "--", *command] if user else command
        code, out, err = module.run_command(command, cwd="/", environ_update={"LC_ALL": "C"})
        if code:
            module.fail_json(msg="%s cannot be asked: %s" % (what, err.strip() or out.strip() or "code %d" % code))
        return out

    repository = server = None
    if given["configuration"] and os.path.exists(given["configuration"]):
        if given["stanza"]:
            words = ["--stanza=" + given["stanza"], "--log-level-console=off", "--log-level-stderr=error", "--output=json", "info"]
            (repository,) = json.loads(ask("The repository of backups", ["pgbackrest", *words], "postgres"), strict=False)
            repository = without(repository, given["elsewhere"])
            if wrong := trouble(repository):
                module.fail_json(msg="The backups that are there cannot be read: %s" % wrong)
        if given["port"]:
            words = ["--host", given["socket"], "--port", str(given["port"]), "--dbname", "postgres", "--command", QUERY]
            server = json.loads(ask("The server", ["psql", "--no-psqlrc", "--no-password", "--tuples-only", "--no-align", *words], "postgres"))
    known = {}
    if given["units"]:
        properties = "--property=Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload,ActiveEnterTimestamp"
        shown = ask("systemd", ["systemctl", "show", "--timestamp=us+utc", properties, "--", *given["units"]])
        known = units(shown, given["units"], module.check_mode)
    module.exit_json(changed=False, repository=repository, server=server, units=known)


if __name__ == "__main__":
    main()
