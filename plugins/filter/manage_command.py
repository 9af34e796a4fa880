# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Commands of an application, as a shell and the lines of units have them."""

from __future__ import annotations

import re

DOCUMENTATION = r"""
name: manage_command
short_description: Command of manage.py, as a shell runs it
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Lets commands of manage.py be written as all others are, or without C(python manage.py). Variables may stand before it, as everywhere in a shell.
options:
  _input:
    description: The command.
    type: str
    required: true
"""

EXAMPLES = r"""
command: "{{ 'clearsessions' | selfhost.django.manage_command }}"
"""

RETURN = r"""
_value:
  description: The command, with C(python manage.py) before it.
  type: str
"""

NAMED = re.compile(r"(?:(?:\S*/)?python[0-9.]*\s+)?(?:\./)?manage\.py\s+")
# NAME=value before a command (POSIX, "Simple Commands"), with what is quoted or runs another command as a part of the value.
ASSIGNED = re.compile(r"""(?:[A-Za-z_]\w*=(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|\$\([^()]*\)|`[^`]*`|[^\s'"\\`(])*\s+)*""")
# Of these a backslash takes away what they mean to systemd in double quotes (systemd.service(5), "Command Lines").
SPECIAL = re.compile(r'([\\"])')


def manage_command(text):
    """Return a command that begins with `python manage.py`, whether the text names it or not, behind variables of its own."""
    text = text.strip()
    variables = ASSIGNED.match(text)[0]
    text = text.removeprefix(variables)
    named = NAMED.match(text)
    return f"{variables}python manage.py {text[named.end() :] if named else text}"


def unit_command(text):
    """Return a command as it stands in double quotes of a unit, for a shell whose place it takes."""
    # No program has the name of a variable.
    word = "exec env" if re.match(r"[A-Za-z_]\w*=", text.strip()) else "exec"
    return SPECIAL.sub(r"\\\1", f"{word} {text}").replace("%", "%%").replace("$", "$$")


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"manage_command": manage_command, "unit_command": unit_command}
