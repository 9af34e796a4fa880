# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Directories of what outlives a release."""

from __future__ import annotations

import posixpath

DOCUMENTATION = r"""
name: shared_directories
short_description: Directories that shared storage needs for the paths that outlive a release
version_added: 0.1.0
author: selfhost.django contributors
description:
  - Every directory on the way to each path, outer ones first, each once, in the form that M(selfhost.django.directories) takes.
  - What is there already is left as it is.
positional: _input
options:
  _input:
    description: Paths, relative to the shared storage; they may be inside one another.
    type: list
    elements: str
    required: true
  root:
    description: Directory of the shared storage.
    type: str
    required: true
  owner:
    description: Account that the directories belong to.
    type: str
    required: true
  group:
    description: Group that they belong to.
    type: str
    required: true
"""

EXAMPLES = r"""
# /srv/shop/shared/data, /srv/shop/shared/data/media
directories: "{{ ['data/media', 'data'] | selfhost.django.shared_directories(root='/srv/shop/shared', owner='shop', group='shop') }}"
"""

RETURN = r"""
_value:
  description: Entries of C(path), C(owner), C(group), C(mode) and C(keep).
  type: list
  elements: dict
"""


def shared_directories(paths, root, owner, group):
    """Return the directories on the way to each path, outer ones first."""
    found = set()
    for path in map(posixpath.normpath, paths):
        while path not in ("", ".", "/"):
            found.add(path)
            path = posixpath.dirname(path)
    # By parts: `a-b` stands before `a/b` otherwise, and an outer one has to come first.
    ordered = sorted(found, key=lambda path: path.split("/"))
    return [{"path": f"{root}/{path}", "owner": owner, "group": group, "mode": "0755", "keep": True} for path in ordered]


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {"shared_directories": shared_directories}
