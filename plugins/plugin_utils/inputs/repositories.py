# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What is wrong with a list of repositories for backups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

NAME = "postgresql_backup_repositories"
PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")
HOST = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,}={0,3}( .*)?")
NEEDED = {
    "path": ["path"],
    "s3": ["path", "bucket", "endpoint", "region", "key", "secret"],
    "sftp": ["path", "host", "user", "private_key", "host_keys"],
}
# The last two are of an account that can only read a store, for database hosts.
MORE = {"path": [], "s3": ["port", "uri_style", "ca", "reader_key", "reader_secret"], "sftp": ["port"]}
FREE = ["type", "passphrase", "retention_days"]
# Of several lines.
PEM = {"ca": "CERTIFICATE", "private_key": "PRIVATE KEY"}
# pgBackRest 2.45 knows as many repositories as it has numbers for.
MOST = 256


def wrong_repositories(rows):
    """Return one sentence about the first thing that is wrong, without any secret; an empty one where nothing is."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows or not all(isinstance(row, Mapping) for row in rows) or len(rows) > MOST:
        return f"{NAME} has to be a list of at least one repository, each a mapping with type and path."
    for number, row in enumerate(rows, 1):
        if wrong := _wrong(row):
            return f"{NAME}: number {number} {wrong}."
    places = [tuple(str(row.get(name, "")) for name in ("type", "endpoint", "bucket", "host", "user", "path")) for row in rows]
    if len(set(places)) < len(places):
        return f"{NAME} names the same place twice."
    return ""


def _wrong(row):
    kind = row.get("type")
    if kind not in NEEDED:
        return f"is of type '{kind}': known are path, s3 and sftp"
    known = NEEDED[kind] + FREE + MORE[kind]
    if strangers := sorted(set(row) - set(known)):
        return f"has {', '.join(strangers)}: a repository of type {kind} has {', '.join(known)}"
    if missing := [name for name in NEEDED[kind] if not str(row.get(name) or "").strip()]:
        return f"lacks {', '.join(missing)}"
    if not PATH.fullmatch(str(row["path"])):
        return f"has the path '{row['path']}': give an absolute one without spaces and without a slash at its end"
    if broken := [name for name in known if name not in PEM and re.search(r"[\r\n]", str(row.get(name, "")))]:
        return f"has {', '.join(broken)} of more than one line"
    return _wrong_place(row) or _wrong_secrets(row)


def _wrong_place(row):
    for name in ("endpoint", "host"):
        if name in row and not HOST.fullmatch(str(row[name])):
            return f"has the {name} '{row[name]}': give a name or an address alone, such as s3.example.org; the port is a key of its own"
    for name in ("bucket", "user"):
        if name in row and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", str(row[name])):
            return f"has the {name} '{row[name]}': give letters, digits, dots, underscores and hyphens"
    if "port" in row and not (re.fullmatch(r"[1-9][0-9]{0,4}", str(row["port"])) and int(row["port"]) < 65536):
        return f"has the port '{row['port']}': give a number from 1 to 65535"
    if row.get("uri_style", "host") not in ("host", "path"):
        return f"has the uri_style '{row['uri_style']}': known are host and path"
    keys = row.get("host_keys", [])
    if not isinstance(keys, Sequence) or isinstance(keys, str) or not all(HOST_KEY.fullmatch(str(key).strip()) for key in keys):
        return "has host_keys that are none: give a list of the server's public keys, such as ['ssh-ed25519 AAAA...'], as its keeper tells them"
    return ""


def _wrong_secrets(row):
    for name, what in PEM.items():
        text = str(row.get(name) or "").strip()
        if text and not re.fullmatch(rf"(?s)-----BEGIN ([A-Z]+ )?{what}-----.*-----END ([A-Z]+ )?{what}-----", text):
            return f"has a {name} that is none: give it as PEM, from its line BEGIN to its line END"
    if bool(row.get("reader_key")) != bool(row.get("reader_secret")):
        return "has one of reader_key and reader_secret: give both"
    passphrase = str(row.get("passphrase") or "")
    if passphrase and (len(passphrase) < 16 or passphrase != passphrase.strip()):
        return "has a passphrase of less than 16 characters, or one that begins or ends with a space"
    if "retention_days" in row and not re.fullmatch(r"[1-9][0-9]{0,3}", str(row["retention_days"])):
        return f"has the retention_days '{row['retention_days']}': give a whole number from 1 to 9999"
    return ""
