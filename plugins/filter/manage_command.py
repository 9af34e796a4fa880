# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Commands of manage.py, as a shell runs them."""

from __future__ import annotations

import re

DOCUMENTATION = r"""
name: manage_command
short_description: Command of manage.py, as a shell runs it
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Lets commands of manage.py be written as all others are, or without C(python manage.py).
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


def manage_command(text):
    """Return a command that begins with `python manage.py`, whether the text names it or not."""
    text = text.strip()
    named = NAMED.match(text)
    return f"python manage.py {text[named.end() :] if named else text}"


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"manage_command": manage_command}
