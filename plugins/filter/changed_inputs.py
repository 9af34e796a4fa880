# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Which inputs have changed since a host was set up with them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: changed_inputs
short_description: Inputs that have changed since a host was set up with them
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Compares the inputs as they are with those that the roles of a host noted when they ran.
options:
  _input:
    description: Digests of the inputs as they are, by name, as M(selfhost.django.check_inputs) returns them.
    type: dict
    required: true
  applied:
    description: The same of those that the host was set up with, as M(selfhost.django.release_look) returns them; empty where that is not known.
    type: dict
    required: true
"""

EXAMPLES = r"""
changed: "{{ checked.digests['web1'].web | selfhost.django.changed_inputs(looked.applied.web) }}"
"""

RETURN = r"""
_value:
  description: Their names, those of inputs that derive from others included.
  type: list
  elements: str
"""


def changed_inputs(now, applied):
    """Return the names of inputs that are new, gone, or of another digest; documented above."""
    return sorted(name for name in {*now, *applied} if now.get(name) != applied.get(name))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"changed_inputs": changed_inputs}
