# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Where the repositories of backups are, and which folders go into them."""

from __future__ import annotations

import posixpath


def postgresql_backup_repository_paths(rows):
    """Return where on this host each repository is, in their order; an empty word for one that is elsewhere."""
    return [row["path"] if row["type"] == "path" else "" for row in rows]


def postgresql_backup_trees(media, shared, paths):
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
    """Registers the filter."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "postgresql_backup_trees": postgresql_backup_trees,
            "postgresql_backup_repository_paths": postgresql_backup_repository_paths,
        }
