# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Units of the processes and timers of an application, and which of them run something else than they have to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: process_units
short_description: Units that the processes and timers of an application are on a host
version_added: 0.2.0
author: selfhost.django contributors
description:
  - A process is a service on all hosts, a timer a timer and its service on the first one, unless C(hosts) says otherwise.
options:
  _input:
    description: The processes, as in O(selfhost.django.app#role:app_processes).
    type: list
    elements: dict
    required: true
  timers:
    description: The timers, as in O(selfhost.django.app#role:app_timers).
    type: list
    elements: dict
    required: true
  service:
    description: What the names of all units begin with.
    type: str
    required: true
  is_first:
    description: Whether this is the host of what runs on one host only.
    type: bool
    required: true
"""

EXAMPLES = r"""
units: "{{ app_processes | selfhost.django.process_units(timers=app_timers, service='shop', is_first=true) }}"
"""

RETURN = r"""
_value:
  description:
    - Units, each with C(unit), its name; C(kind), C(process) or C(timer); C(type), C(service) or C(timer); C(file), as M(selfhost.django.files) takes it.
  type: list
  elements: dict
"""

# What each is made of, and where it runs unless it says so.
KINDS = {"process": (["service"], "all"), "timer": (["service", "timer"], "one")}


def _unit(name, kind, suffix, entry):
    file = {"template": f"{kind}.{suffix}.j2", "dest": f"/etc/systemd/system/{name}", "vars": {"__django_entry": entry}}
    return {"unit": name, "kind": kind, "type": suffix, "file": file}


def process_units(processes, timers, service, is_first):
    """Return the units of this host: dicts of `unit`, `kind`, `type` and `file`."""
    return [
        _unit(f"{service}-{entry['name']}.{suffix}", kind, suffix, entry)
        for kind, entries in (("process", processes), ("timer", timers))
        for entry in entries
        if is_first or entry.get("hosts", KINDS[kind][1]) == "all"
        for suffix in KINDS[kind][0]
    ]


def stale_units(units, seen, changed_files=()):
    """Return the names of processes that do not run the current release from the files that are in place now.

    units are those of process_units; seen says what was seen of each before its file was written (see the module release_look);
    changed_files are the paths that were written since.
    """
    changed = {path.rpartition("/")[2] for path in changed_files}

    def is_current(name):
        return name not in changed and all(seen.get(name, {}).get(word) for word in ("active", "read", "current"))

    return [row["unit"] for row in units if row["kind"] == "process" and not is_current(row["unit"])]


def unstarted_units(units, seen):
    """Return those of the units that are not started with the application, or at their times, yet."""

    def is_started(row):
        state = seen.get(row["unit"], {})
        return state.get("enabled") and (row["type"] == "service" or state.get("active"))

    return [row for row in units if (row["kind"], row["type"]) != ("timer", "service") and not is_started(row)]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"process_units": process_units, "stale_units": stale_units, "unstarted_units": unstarted_units}
