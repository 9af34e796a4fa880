# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Words of --limit that choose nothing: a host that was to be left out by a misspelt name would take part."""

from __future__ import annotations

import difflib
import fnmatch
import re

from ansible.inventory.manager import split_host_pattern

from .hosts import GROUPS


def limits(limit, names):
    """Say which words of a --limit match nothing; limit is its text, or None, and names are the hosts and groups of the inventory."""
    known = sorted({*names, *GROUPS})
    for word in split_host_pattern(limit or ""):
        name = re.sub(r"\[-?\d+([:-]\d*)?\]$", "", word.lstrip("!&"))
        # A file was written by somebody who knew the hosts.
        if not word.startswith("@") and not _matching(name, known):
            near = difflib.get_close_matches(name, known, n=1) or known
            yield f"--limit names {name}, which is no host and no group of the inventory: give one that is, such as {near[0]}."


def _matching(name, known):
    pattern = re.compile(name[1:] if name.startswith("~") else fnmatch.translate(name))
    return [one for one in [*known, "localhost", "127.0.0.1", "::1"] if pattern.match(one)]
