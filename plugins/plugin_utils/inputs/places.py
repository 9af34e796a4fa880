# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Where uploads must not lie."""

from __future__ import annotations

import posixpath

from ansible_collections.selfhost.django.plugins.module_utils.paths import is_inside

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
