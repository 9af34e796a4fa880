# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Where uploads must not lie."""

from __future__ import annotations

import posixpath

from ansible_collections.selfhost.django.plugins.module_utils.paths import is_inside

DOCUMENTATION = r"""
name: place_of_releases
short_description: The directory that releases make and clear, in which uploads would lie
version_added: 0.1.0
author: selfhost.django contributors
description:
  - Says which directory of the application's tree an absolute path is in, where releases and what belongs to them are made and removed.
    Folders in shared storage are none of them; shared storage itself is root's.
positional: _input, root, store
options:
  _input:
    description: Absolute path of the uploads.
    type: str
    required: true
  root:
    description: Directory under which everything of the application lives.
    type: str
    required: true
  store:
    description: Directory from which the web server serves static files.
    type: str
    required: true
"""

EXAMPLES = r"""
# /srv/shop/releases
place: "{{ '/srv/shop/releases/media' | selfhost.django.place_of_releases('/srv/shop', '/srv/shop/static') }}"
"""

RETURN = r"""
_value:
  description: The directory; empty where the path is in none of them.
  type: str
"""

# What releases make and clear, beside the store of static files.
OWN = ("current", "home", "releases", "repository.git", "venvs")


def place_of_releases(path, root, store):
    """Return the directory that is no place for uploads in which a path lies, or which it is; an empty string for none."""
    path = posixpath.normpath(path)
    if is_inside(path, store) or is_inside(store, path):
        return posixpath.normpath(store)
    if is_inside(root, path) or path == f"{root}/shared":
        return path
    return next((f"{root}/{name}" for name in OWN if is_inside(path, f"{root}/{name}")), "")


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {"place_of_releases": place_of_releases}
