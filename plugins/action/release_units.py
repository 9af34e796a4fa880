# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Renders the units of processes and timers on the controller and hands them to the module of this name, all in one round trip."""

from __future__ import annotations

import json

from ansible_collections.selfhost.django.plugins.action import files
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, UNIT_FOLDER, UNITS

# What each is made of, and where it runs unless it says so.
KINDS = {"process": (["service"], "all"), "timer": (["service", "timer"], "one")}
HANDED_ON = APPLICATION | UNITS | {"watch_seconds": {"type": "int", "required": True}, "lock": {"type": "str"}}
ENTRIES = {"type": "list", "elements": "dict", "required": True}
SPEC = HANDED_ON | {"processes": ENTRIES, "timers": ENTRIES, "is_first": {"type": "bool", "required": True}}
FILE = {name: option.get("default") for name, option in files.ENTRY.items()}


def units(processes, timers, service, is_first):
    """Return the units of a host: dicts of `unit`, its name, `kind`, `process` or `timer`, `template`, and `entry`, that of the inventory."""
    return [
        {"unit": f"{service}-{entry['name']}.{suffix}", "kind": kind, "template": f"{kind}.{suffix}.j2", "entry": entry}
        for kind, entries in (("process", processes), ("timer", timers))
        for entry in entries
        if is_first or entry.get("hosts", KINDS[kind][1]) == "all"
        for suffix in KINDS[kind][0]
    ]


class ActionModule(files.ActionModule):
    """The task `release_units`."""

    def _handed_over(self, task_vars):
        """Return the module's arguments."""
        _result, given = self.validate_argument_spec(argument_spec=SPEC)
        wanted = units(given["processes"], given["timers"], given["service"], given["is_first"])
        payload = [{"unit": row["unit"], "kind": row["kind"], "file": self._file(row, task_vars)} for row in wanted]
        return {name: given[name] for name in HANDED_ON} | {"payload": json.dumps(payload)}

    def _file(self, row, task_vars):
        """Return the file of a unit, with its content."""
        file = {"template": row["template"], "dest": f"{UNIT_FOLDER}/{row['unit']}", "vars": {"__django_entry": row["entry"]}}
        (entry,) = self._entries(FILE | file, task_vars)
        return entry
