#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_standby
short_description: Copy a PostgreSQL primary to be its standby
description:
  - Copies into a directory beside the data, which it replaces when it is whole. What an interrupted run leaves is never started.
  - What it replaces is kept beside it, under a name with the time. The server is stopped and not started again.
  - Runs as root. In the folders of C(postgres) it is C(postgres) who acts.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  version:
    description: Major version of the server.
    type: str
    required: true
  name:
    description: Name of its cluster.
    type: str
    required: true
  primary:
    description: How the primary is reached, as libpq reads it. The password stands in C(~postgres/.pgpass).
    type: str
    required: true
  slot:
    description: Replication slot that keeps the log on the primary.
    type: str
    required: true
  unit:
    description: Unit of the server.
    type: str
    required: true
  lock:
    description: File that is locked meanwhile, so that a run keeps away from its predecessor, whose copy may outlive a lost connection.
    type: path
    required: true
  rebuild:
    description: Whether data that is there is replaced, too.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: "Tells whether it would copy."}
  diff_mode: {support: none, description: "The data is the primary's."}
"""

EXAMPLES = r"""
- name: Copy the primary
  selfhost.django.postgresql_standby:
    version: "17"
    name: main
    primary: host=192.0.2.1 user=replication sslmode=verify-full
    slot: standby_db2
    unit: postgresql@17-main
    lock: /run/selfhost-postgresql-cluster.lock
"""

RETURN = r"""
kept:
  description: Where the former data lies; empty where there was none, or nothing was done.
  returned: always
  type: str
"""

import fcntl
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import Server


class Failed(Exception):
    """A command failed; the message says how."""


def is_due(data, rebuild):
    """Return whether there is anything to do: no data, a copy that was not finished, or a wish."""
    return rebuild or not os.path.lexists(os.path.join(data, "PG_VERSION")) or os.path.lexists(data + ".new")


def copy(server, given, stop):
    """Put a copy of the primary in the place of the data; return where that lies now."""
    data, new = str(server.data), f"{server.data}.new"

    def act(*command):
        done = server.run(*command, timeout=None)
        if done.returncode:
            raise Failed("%s failed: %s" % (os.path.basename(command[0]), " | ".join(done.stderr.strip().splitlines()[-6:])))

    act("rm", "-rf", new)
    act("mkdir", "-m", "0700", new)
    stop()
    act(
        f"{server.programs}/pg_basebackup", "--pgdata", new, "--checkpoint", "fast", "--no-password", "--wal-method", "stream",
        "--slot", given["slot"], "--dbname", given["primary"],
    )  # fmt: skip
    act("touch", f"{new}/standby.signal")
    os.sync()
    kept = time.strftime(f"{data}.before-%Y%m%dT%H%M%S") if os.path.lexists(data) else ""
    if kept:
        act("mv", "-T", data, kept)
    act("mv", "-T", new, data)
    os.sync()
    return kept


def main():
    """Copy it, and tell."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "version": text, "name": text, "primary": text, "slot": text, "unit": text,
            "lock": {"type": "path", "required": True},
            "rebuild": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )  # fmt: skip
    given = module.params
    server = Server.of(given["version"], given["name"], 0)
    if module.check_mode:
        module.exit_json(changed=is_due(str(server.data), given["rebuild"]), kept="")
    with open(given["lock"], "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_due(str(server.data), given["rebuild"]):
            module.exit_json(changed=False, kept="")
        try:
            kept = copy(server, given, lambda: module.run_command(["systemctl", "stop", given["unit"]], check_rc=True))
        except Failed as error:
            module.fail_json(msg="The primary was not copied: %s" % error)
    module.exit_json(changed=True, kept=kept)


if __name__ == "__main__":
    main()
