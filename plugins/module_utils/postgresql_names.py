# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Names that are made of others. PostgreSQL cuts what is longer than it takes, and only remarks on it."""

from __future__ import annotations

import hashlib

# NAMEDATALEN - 1 (PostgreSQL manual, "Identifiers and Key Words").
MOST_BYTES = 63
# Of the digest that tells a shortened name from others that begin alike.
DIGITS = 8


def derived(name, suffix):
    """Return a name with something behind it. What would be too long is shortened before that, and has a digest there."""
    whole = name + suffix
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    tail = f"_{hashlib.sha256(name.encode()).hexdigest()[:DIGITS]}{suffix}"
    return name.encode()[: MOST_BYTES - len(tail.encode())].decode(errors="ignore") + tail
