# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Directives of a unit, for a command that systemd runs."""

from __future__ import annotations

import shlex

DOCUMENTATION = r"""
name: unit_properties
short_description: Options of systemd-run for the directives of a unit
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Every directive is an option C(--property), quoted for a shell. Comments and empty lines are left out.
positional: _input
options:
  _input:
    description: Lines as they stand in the section C([Service]) of a unit.
    type: str
    required: true
  without:
    description: Directives that the host's systemd does not know, and would refuse on its command line.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
# --property=PrivateTmp=true '--property=SystemCallFilter=~@privileged @resources'
options: "{{ app_unit_sandbox | selfhost.django.unit_properties }}"
"""

RETURN = r"""
_value:
  description: The options, with blanks between them.
  type: str
"""


def unit_properties(text, without=()):
    """Return the options for the directives of a text but those that the host does not know."""
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(shlex.quote(f"--property={line}") for line in lines if line and line[0] not in "#;" and line.partition("=")[0] not in without)


class FilterModule:
    """Filters of this file."""

    def filters(self):
        return {"unit_properties": unit_properties}
