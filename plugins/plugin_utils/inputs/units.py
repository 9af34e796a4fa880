# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what runs beside the web server: processes and timers, each a unit."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping

from .accounts import UNITS
from .values import ONE_LINE, is_calendar_event, is_list, is_whole, listed, matches, misread, text_of

# systemd.unit(5): a unit is named after the entry.
UNIT = r"[a-z][a-z0-9_-]{0,30}"
KEYS = {
    "app_processes": (["name", "command"], ["hosts", "stop_seconds"]),
    "app_timers": (["name", "command", "schedule"], ["hosts", "timeout_seconds", "persistent"]),
}
# What a shell takes as it is.
QUOTED = r"""\\.|'[^']*'|"(\\.|[^"\\])*\""""

# What a shell does itself, so that no program of the name can take its place (dash(1), "Builtins").
WORD_OF_SHELL = r"(\.|cd|eval|exec|export|set|source|ulimit|umask|unset|if|for|while|until|case)\s.*"


def units(site):
    """Say what is wrong with them."""
    entries = []
    for variable, (required, optional) in KEYS.items():
        rows = site[variable]
        if not is_list(rows):
            yield f"{variable} has to be a list of mappings with {listed(required)} and, where wanted, {listed(optional)}."
            continue
        for row in rows:
            if not isinstance(row, Mapping) or set(required) - set(row) or set(row) - set(required + optional):
                yield f"{variable} holds {text_of(row)}: give each entry {listed(required)} and, where wanted, {listed(optional)}."
            else:
                entries.append((variable, row))
    for variable, row in entries:
        yield from _unit(variable, row, str(site["app_service"]))
    names = Counter(str(row["name"]) for _variable, row in entries)
    if twice := sorted(unit for unit, times in names.items() if times > 1):
        yield f"""app_processes and app_timers name two '{"', '".join(twice)}': give each a name of its own, since a unit is named after it."""


def _unit(variable, row, service):
    name = row["name"]
    if not matches(UNIT, name):
        yield (
            f"{variable} names one '{name}': give at most 31 lower-case letters, digits, hyphens and underscores that begin with a letter, "
            "since a unit is named after it."
        )
        return
    if f"{service}-{name}" in UNITS:
        yield f"{variable} names one '{name}', and {service}-{name} is another's unit: give it another name, such as {name}_1."
    yield from _command(variable, name, row["command"])
    if row.get("hosts", "all") not in ("all", "one"):
        yield f"hosts of {name} in {variable} is '{row['hosts']}': give all, or one for the first web host."
    for key in ("stop_seconds", "timeout_seconds"):
        if not is_whole(row.get(key, 1), 1):
            yield f"{key} of {name} in {variable} is '{row[key]}': give a whole number of at least 1."
    if variable == "app_timers":
        yield from _schedule(name, row["schedule"])


def _command(variable, name, command):
    if wrong := misread(command, "give one command on one line"):
        yield f"The command of {name} in {variable} is {wrong}."
    elif not command.strip() or not matches(ONE_LINE, command):
        yield f"The command of {name} in {variable} is '{command.strip()}': give one command on one line."
    elif wrong := _of_several(command):
        yield f"The command of {name} in {variable} is '{command}': {wrong}."
    elif variable == "app_processes" and matches(WORD_OF_SHELL, command.strip()):
        yield f"The command of {name} in {variable} is '{command}', which begins with a word of the shell: begin with the program, or give sh -c '…'."


def _of_several(command):
    """Return what is wrong with a command that takes the place of its shell, so that what follows it never runs; empty where nothing does."""
    plain = re.sub(QUOTED, "x", command)
    if "'" in plain or '"' in plain:
        return "close its quotes"
    # What leads output elsewhere joins no commands.
    several = re.search(r";|&|\|\|", re.sub(r"[<>]&[0-9-]|&>", " ", plain))
    return "only the first of several would run; give one command, or sh -c '…' with all of them" if several else ""


def _schedule(name, schedule):
    """What systemd makes of it is asked on the host, before anything is released."""
    give = "give what systemd.time(7) calls a calendar event, daily or *-*-* 03:30:00, say"
    # YAML makes a number of 3:30; a day without quotes is that day.
    if not isinstance(schedule, datetime.date) and (wrong := misread(schedule, give)):
        yield f"schedule of {name} in app_timers is {wrong}."
    elif not is_calendar_event(str(schedule)):
        yield f"schedule of {name} in app_timers is '{schedule}': {give}."
