# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Who takes over files that have changed."""

from __future__ import annotations

import re

DOCUMENTATION = r"""
name: readers_of
short_description: Commands that have files taken over
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Of rows that say which command has which files taken over, the commands of those that one of the changed files is of, in the order of the rows.
positional: _input, rows
options:
  _input:
    description: Paths of the files that have changed.
    type: list
    elements: str
    required: true
  rows:
    description: Rows of C(files), a regular expression, and C(command), a list of words.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
commands: "{{ written.changed_files | selfhost.django.readers_of([{'files': '^/etc/sysctl.d/', 'command': ['sysctl', '--system']}]) }}"
"""

RETURN = r"""
_value:
  description: The commands.
  type: list
  elements: list
"""


def readers_of(paths, rows):
    """Return the commands of the rows whose pattern is found in one of the paths."""
    return [row["command"] for row in rows if any(re.search(row["files"], path) for path in paths)]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return it by name."""
        return {"readers_of": readers_of}
