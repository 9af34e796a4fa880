#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_standby
short_description: Copy a PostgreSQL primary to be its standby
description:
  - Copies into a directory beside the data, which it replaces when it is whole. What an interrupted run leaves is never started.
  - The primary is asked first how much it holds. Where there is no room for that nothing is begun, and where the copy fails nothing of it stays.
  - The server runs until the copy is whole. It is stopped then and not started again. Where something fails it is what it was, and runs where it ran.
  - What is replaced is kept beside it, under a name with the time; with it goes what an interrupted restore in place has left of that data.
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
    description: Replication slot that keeps the log on the primary while it is copied. The server that still runs uses its own.
    type: str
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
  state:
    description:
      - V(copied) copies the primary. V(set_aside) does all but that, for Patroni to copy it - where there is room data that is to be replaced is moved.
    type: str
    choices: [copied, set_aside]
    default: copied
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
    slot: standby_db2_copy_
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
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_restore import OF_RESTORES
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import Server

# What every role may ask of the database that it is connected to: the size of all that lie where that one does.
HELD = "SELECT pg_tablespace_size('pg_default')"
# Free MB that are to stay beside the copy.
RESERVE_MB = 500


class Failed(Exception):
    """A command failed, or there is no room; the message says how."""


class Unit:
    """The server, as systemd has it."""

    def __init__(self, module):
        self.module = module

    def systemctl(self, verb):
        """Return whether systemd did it, and what it said."""
        code, said, wrong = self.module.run_command(["systemctl", verb, self.module.params["unit"]])
        return code == 0, said.strip() or wrong.strip()

    def runs(self):
        return self.systemctl("is-active")[1] in ("active", "activating", "reloading")

    def stop(self):
        done, said = self.systemctl("stop")
        if not done:
            raise Failed("the server does not stop: %s" % said)

    def start(self):
        return self.systemctl("start")[0]


def is_due(data, given):
    """Return whether there is anything to do: no data, a copy that was not finished, or a wish."""
    if given["state"] == "set_aside":
        return given["rebuild"] and os.path.lexists(data)
    return given["rebuild"] or not os.path.lexists(os.path.join(data, "PG_VERSION")) or os.path.lexists(data + ".new")


def act(server, *command):
    """Do something as postgres; return what it prints."""
    done = server.run(*command, timeout=None)
    if done.returncode:
        raise Failed("%s failed: %s" % (os.path.basename(command[0]), " | ".join(done.stderr.strip().splitlines()[-6:])))
    return done.stdout


def ask_for_room(server, primary):
    """Refuse what would fill the disk, on which the server that is there may still write."""
    held = int(act(server, f"{server.programs}/psql", "-XAtqw", "-d", f"{primary} dbname=postgres", "-c", HELD)) >> 20
    space = os.statvfs(server.data.parent)
    free = space.f_bavail * space.f_frsize >> 20
    if held + RESERVE_MB > free:
        raise Failed("a copy takes %d MB beside what is there, %d are to stay free, and %d are free in %s" % (held, RESERVE_MB, free, server.data.parent))


def set_aside(server, unit, new=""):
    """Stop the server, move its data aside and what is new in its place; return where the data lies now. Leave all as it was where that fails."""
    data, kept, moved = str(server.data), time.strftime(f"{server.data}.before-%Y%m%dT%H%M%S"), []
    # A restore of what goes is finished by nobody any more.
    moves = [(data + ending, kept + ending) for ending in (*OF_RESTORES, "") if os.path.lexists(data + ending)]
    unit.stop()
    try:
        for source, target in [*moves, (new, data)] if new else moves:
            act(server, "mv", "-T", source, target)
            moved.append((source, target))
    except Failed:
        for source, target in reversed(moved):
            act(server, "mv", "-T", target, source)
        raise
    os.sync()
    return kept if (data, kept) in moved else ""


def copy(server, given, unit):
    """Put a copy of the primary in the place of the data; return where that lies now. The server runs on until the copy is whole."""
    new = f"{server.data}.new"
    act(server, "rm", "-rf", new)
    ask_for_room(server, given["primary"])
    try:
        act(server, "mkdir", "-m", "0700", new)
        act(
            server, f"{server.programs}/pg_basebackup", "--pgdata", new, "--checkpoint", "fast", "--no-password", "--wal-method", "stream",
            "--slot", given["slot"], "--dbname", given["primary"],
        )  # fmt: skip
        act(server, "touch", f"{new}/standby.signal")
        os.sync()
        return set_aside(server, unit, new)
    except Failed:
        act(server, "rm", "-rf", new)
        raise


def make_way(server, given, unit):
    """Set the data aside for somebody else's copy, where there is room for that."""
    ask_for_room(server, given["primary"])
    return set_aside(server, unit) if is_due(str(server.data), given) else ""


def perform(server, given, unit):
    """Do what is asked for; return where the former data lies. Where that fails the server is to run if it ran."""
    ran = unit.runs()
    try:
        return {"copied": copy, "set_aside": make_way}[given["state"]](server, given, unit)
    except Failed as error:
        if ran and not unit.start():
            raise Failed("%s; and its server does not start again, its journal says why" % error) from error
        raise


def main():
    """Copy it, and tell."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "version": text, "name": text, "primary": text, "slot": {"type": "str"}, "unit": text,
            "lock": {"type": "path", "required": True},
            "rebuild": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["copied", "set_aside"], "default": "copied"},
        },
        required_if=[("state", "copied", ["slot"])],
        supports_check_mode=True,
    )  # fmt: skip
    given = module.params
    server = Server.of(given["version"], given["name"], 0)
    data = str(server.data)
    if module.check_mode:
        module.exit_json(changed=is_due(data, given), kept="")
    with open(given["lock"], "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_changed = is_due(data, given)
        # Data that is there and stays needs no more room.
        if not is_changed and os.path.lexists(data):
            module.exit_json(changed=False, kept="")
        try:
            kept = perform(server, given, Unit(module))
        except Failed as error:
            there = ", and what was there is as it was" if os.path.lexists(data) else ""
            module.fail_json(msg="The primary was not copied%s: %s." % (there, error))
    module.exit_json(changed=is_changed, kept=kept)


if __name__ == "__main__":
    main()
