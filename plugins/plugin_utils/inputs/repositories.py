# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What is wrong with a list of repositories for backups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

NAME = "postgresql_backup_repositories"
PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")
NEEDED = {"path": ["path"], "s3": ["path", "bucket", "endpoint", "region", "key", "secret"]}
FREE = ["type", "passphrase", "retention_days"]
# Of an account that can only read a store, for database hosts.
READER = ["reader_key", "reader_secret"]
# pgBackRest 2.45 knows as many repositories as it has numbers for.
MOST = 256


def wrong_repositories(rows):
    """Return one sentence about the first thing that is wrong, without any secret; an empty one where nothing is."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows or not all(isinstance(row, Mapping) for row in rows) or len(rows) > MOST:
        return f"{NAME} has to be a list of at least one repository, each a mapping with type and path."
    for number, row in enumerate(rows, 1):
        if wrong := _wrong(row):
            return f"{NAME}: number {number} {wrong}."
    places = [(row["type"], str(row.get("endpoint", "")), str(row.get("bucket", "")), str(row["path"])) for row in rows]
    if len(set(places)) < len(places):
        return f"{NAME} names the same place twice."
    return ""


def _wrong(row):
    kind = row.get("type")
    if kind not in NEEDED:
        return f"is of type '{kind}': known are path and s3"
    known = NEEDED[kind] + FREE + (["uri_style", *READER] if kind == "s3" else [])
    if strangers := sorted(set(row) - set(known)):
        return f"has {', '.join(strangers)}: a repository of type {kind} has {', '.join(known)}"
    if missing := [name for name in NEEDED[kind] if not str(row.get(name) or "").strip()]:
        return f"lacks {', '.join(missing)}"
    if not PATH.fullmatch(str(row["path"])):
        return f"has the path '{row['path']}': give an absolute one without spaces and without a slash at its end"
    if broken := [name for name in known if re.search(r"[\r\n]", str(row.get(name, "")))]:
        return f"has {', '.join(broken)} of more than one line"
    if row.get("uri_style", "host") not in ("host", "path"):
        return f"has the uri_style '{row['uri_style']}': known are host and path"
    if bool(row.get("reader_key")) != bool(row.get("reader_secret")):
        return "has one of reader_key and reader_secret: give both"
    passphrase = str(row.get("passphrase") or "")
    if passphrase and (len(passphrase) < 16 or passphrase != passphrase.strip()):
        return "has a passphrase of less than 16 characters, or one that begins or ends with a space"
    if "retention_days" in row and not re.fullmatch(r"[1-9][0-9]{0,3}", str(row["retention_days"])):
        return f"has the retention_days '{row['retention_days']}': give a whole number from 1 to 9999"
    return ""
