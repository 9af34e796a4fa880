# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""The environment of an application as a file."""

from __future__ import annotations

import re

DOCUMENTATION = r"""
name: environment_file
short_description: Variables as a file that systemd and sh both read
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Each variable stands on a line of its own, its value in double quotes. There a backslash takes the next of C(" \ $ `) literally, for sh (POSIX,
    "Double-Quotes") and for systemd (systemd.exec(5), "EnvironmentFile=") alike.
options:
  _input:
    description: Values by name; one that is no text is written as text, and none as an empty one.
    type: dict
    required: true
"""

EXAMPLES = r"""
content: "{{ {'DEBUG': false, 'SECRET_KEY': secret_key} | selfhost.django.environment_file }}"
"""

RETURN = r"""
_value:
  description: The content of the file.
  type: str
"""

SPECIAL = re.compile(r'(["\\$`])')


def environment_file(variables):
    """Return the content of the file; documented above."""
    return "".join('%s="%s"\n' % (name, SPECIAL.sub(r"\\\1", "" if value is None else str(value))) for name, value in variables.items())


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"environment_file": environment_file}
