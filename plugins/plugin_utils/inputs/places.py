# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Which directories a part of a site must not have for itself."""

from __future__ import annotations

import posixpath

from ansible_collections.selfhost.django.plugins.module_utils.paths import is_inside

# What releases make and clear, beside the store of static files.
OWN = ("build", "current", "home", "python", "releases", "repository.git", "venvs")
# Nothing in them is a site's: they are the system's (file-hierarchy(7)), or are cleared at boot or by time (tmpfiles.d(5)).
SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr",
    "/var/cache", "/var/lock", "/var/run", "/var/spool", "/var/tmp", "/var/lib/postgresql",
)  # fmt: skip
# Those in which everybody has a place of one's own.
SHARED = ("/home", "/media", "/mnt", "/opt", "/srv", "/var/lib", "/var/log")


def place_of_system(path):
    """Return the directory of the system in which a path lies, or which it is or holds; an empty string for none."""
    path = posixpath.normpath(path)
    held = next((path for place in (*SYSTEM, *SHARED) if is_inside(place, path)), "")
    return held or next((place for place in SYSTEM if is_inside(path, place)), "")


def place_of_releases(path, root, store=""):
    """Return the directory that releases make and clear in which a path lies, or which it is or holds; an empty string for none.

    root is the application's directory; store is that of the static files, where it matters.
    """
    path = posixpath.normpath(path)
    if store and (is_inside(path, store) or is_inside(store, path)):
        return posixpath.normpath(store)
    if is_inside(root, path) or path == f"{root}/shared":
        return path
    return next((f"{root}/{name}" for name in OWN if is_inside(path, f"{root}/{name}")), "")


def meetings(places):
    """Yield each two (name, path) of a list whose paths are one, or one inside the other."""
    for number, (name, path) in enumerate(places):
        for other, there in places[:number]:
            if is_inside(path, there) or is_inside(there, path):
                yield (name, path), (other, there)


def whose_place(path, root, store=""):
    """Return in words whose place a path is, which has to be the application's own; an empty string where it is."""
    if place := place_of_releases(path, root, store):
        return f"{place} is where releases come and go"
    if place := place_of_system(path):
        return f"{place} is the system's"
    return ""
