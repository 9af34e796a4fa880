# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whose uploads a host copies, which folders go with them, and what that needs."""

from __future__ import annotations

import posixpath

from ansible_collections.selfhost.django.plugins.module_utils.hosts import host_in_url


def media_backup_sources(hosts, own, role, addresses):
    """Return the web hosts whose uploads a host copies, with their addresses; its own need none."""
    if role == "database":
        return {}
    return {host: "" if host == own else host_in_url(addresses[host]) for host in hosts if role == "backup" or host == own}


def media_backup_packages(role, sources):
    """Return the packages that copies of uploads need, as each kind of host has them."""
    return ["restic", "rsync", "openssl"] + (["stunnel4"] if role == "backup" else []) if sources else []


def media_backup_trees(media, shared, paths):
    """Return the folders that outlive a release, each once and with all that is in it: rows of path and name below `shared`.

    The folder of the uploads has no name, so that copies of other versions have it in the same place. A folder inside another one goes with it.
    """
    trees = {posixpath.normpath(media): ""} if media else {}
    for path in paths:
        full = posixpath.normpath(posixpath.join(shared, str(path)))
        trees.setdefault(full, posixpath.relpath(full, shared))
    return [
        {"path": path, "name": name}
        for path, name in trees.items()
        if not any(path != other and path.startswith(f"{other}/") for other in trees)
    ]


class FilterModule:
    """Registers the filters."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "media_backup_packages": media_backup_packages,
            "media_backup_sources": media_backup_sources,
            "media_backup_trees": media_backup_trees,
        }
