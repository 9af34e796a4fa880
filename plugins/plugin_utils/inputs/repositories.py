# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What is wrong with a list of repositories for backups."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping, Sequence

NAME = "postgresql_backup_repositories"
PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
HOST_KEY = re.compile(r"(?P<kind>ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) (?P<key>[A-Za-z0-9+/]{40,}={0,3})( .*)?")
# What ssh-keyscan prints, and a file of known hosts holds.
KNOWN_HOST = re.compile(r"(@\S+ )?\S+ (ssh|ecdsa|sk)-\S+ \S+.*")
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
OPENSSH = b"openssh-key-v1\0"
# What a row may lack, and what to give then.
HINTS = {"region": " (us-east-1 where the store has none)", "host_keys": " (the server's public keys, as its keeper tells them)"}
# pgBackRest 2.45 knows as many repositories as it has numbers for.
MOST = 256


def wrong_repositories(rows, passphrase=""):
    """Return one sentence about the first thing that is wrong, without any secret; an empty one where nothing is.

    `passphrase` is the site's, which a row without one of its own has.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows or not all(isinstance(row, Mapping) for row in rows) or len(rows) > MOST:
        return f"{NAME} has to be a list of at least one repository, each a mapping with type and path."
    for number, row in enumerate(rows, 1):
        if wrong := _wrong(row):
            return f"{NAME}: number {number} {wrong}."
        if row["type"] != "path" and not passphrase and "passphrase" not in row:
            return (
                f"{NAME}: number {number} is at somebody else's and would not be encrypted: put a random postgresql_backup_passphrase into the vault, or give "
                "the row passphrase: '' where whoever reads it there may read everything."
            )
    return _wrong_neighbours(rows)


def _wrong_neighbours(rows):
    """What is below another place would be taken for a part of it, and go with it."""
    places = [(tuple(str(row.get(name, "")).lower() for name in ("type", "endpoint", "bucket", "host", "user")), f"{row['path']}/") for row in rows]
    if len(set(places)) < len(places):
        return f"{NAME} names the same place twice."
    for number, (server, path) in enumerate(places, 1):
        for other, (same, above) in enumerate(places, 1):
            # Of directories of the host all are compared, with those of other variables.
            if server == same and number != other and path.startswith(above) and server[0] != "path":
                return f"{NAME}: number {number} is inside of number {other}: give each a folder of its own."
    return ""


def _wrong(row):
    kind = row.get("type")
    if not isinstance(kind, str) or kind not in NEEDED:
        return f"is of type '{kind}': known are path, s3 and sftp"
    known = NEEDED[kind] + FREE + MORE[kind]
    if strangers := sorted(str(name) for name in row if name not in known):
        return f"has {', '.join(strangers)}: a repository of type {kind} has {', '.join(known)}"
    if odd := [name for name, value in row.items() if name != "host_keys" and not isinstance(value, (str, int, float, type(None)))]:
        return f"has {', '.join(odd)} that is no text: give one"
    if "passphrase" in row and row["passphrase"] is None:
        return "has a passphrase that is left open: give one, or '' for none"
    if missing := [name for name in NEEDED[kind] if not str(row.get(name) or "").strip()]:
        return f"lacks {', '.join(name + HINTS.get(name, '') for name in missing)}"
    if not PATH.fullmatch(str(row["path"])):
        return f"has the path '{row['path']}': give an absolute one without spaces and without a slash at its end"
    lines = {name: str(row.get(name, "")) for name in known if name not in PEM}
    if broken := [name for name, text in lines.items() if re.search(r"[\r\n]", text)]:
        return f"has {', '.join(broken)} of more than one line"
    if broken := [name for name, text in lines.items() if text != text.strip() and name != "passphrase"]:
        return f"has {', '.join(broken)} that begins or ends with a space"
    return _wrong_place(row) or _wrong_store(row) or _wrong_host_keys(row.get("host_keys", [])) or _wrong_secrets(row)


def _address(text):
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None


def _wrong_place(row):
    for name in ("endpoint", "host"):
        if name in row and not (HOST.fullmatch(str(row[name])) or _address(row[name])):
            return f"has the {name} '{row[name]}': give a name or an address alone, such as s3.example.org; the port is a key of its own"
    if "user" in row and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", str(row["user"])):
        return f"has the user '{row['user']}': give letters, digits, dots, underscores and hyphens"
    if "bucket" in row and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", str(row["bucket"])):
        return f"has the bucket '{row['bucket']}': give letters, digits, dots, underscores and hyphens; a folder in the bucket is the path"
    if "port" in row and not (re.fullmatch(r"[1-9][0-9]{0,4}", str(row["port"])) and int(row["port"]) < 65536):
        return f"has the port '{row['port']}': give a number from 1 to 65535"
    return ""


def _wrong_store(row):
    style = row.get("uri_style", "host")
    if style not in ("host", "path"):
        return f"has the uri_style '{style}': known are host and path"
    if row["type"] == "s3" and style == "host" and _address(row["endpoint"]):
        return f"has the address '{row['endpoint']}' as its endpoint, which no bucket's name can stand in front of: give uri_style: path"
    if row["type"] == "s3" and style == "host" and "." in str(row["bucket"]):
        return f"has the bucket '{row['bucket']}', and no certificate of a store is good for a name with another dot: give uri_style: path"
    return ""


def _wrong_host_keys(keys):
    give = "give a list of the server's public keys, such as ['ssh-ed25519 AAAA...'], as its keeper tells them"
    if not isinstance(keys, Sequence) or isinstance(keys, str):
        return f"has host_keys that are no list: {give}"
    for key in (str(key).strip() for key in keys):
        found = HOST_KEY.fullmatch(key)
        if not found and KNOWN_HOST.fullmatch(key):
            return "has host_keys with the name of a host before the key, as in known_hosts: give each from its kind on, such as 'ssh-ed25519 AAAA...'"
        if not found:
            return f"has host_keys that are none: {give}"
        if _words(_decoded(found["key"]))[:1] != [found["kind"].encode()]:
            return f"has a key of {found['kind']} among host_keys that is not whole: {give}"
    return ""


def _words(content):
    """Return the words of a key, each with its length before it (RFC 4253, 6.6); none where it is not whole."""
    words = []
    while len(content) >= 4:
        size = 4 + int.from_bytes(content[:4], "big")
        if size > len(content):
            return []
        words.append(content[4:size])
        content = content[size:]
    return [] if content else words


def _decoded(text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _wrong_secrets(row):
    for name, what in PEM.items():
        text = str(row.get(name) or "").strip()
        if text and not re.fullmatch(rf"(?s)-----BEGIN ([A-Z]+ )?{what}-----.*-----END ([A-Z]+ )?{what}-----", text):
            return f"has a {name} that is none: give it as PEM, from its line BEGIN to its line END"
        if text and not re.match(r"[^\n]*-----\s*\n", text):
            return f"has a {name} whose lines have become one: give it as a block, in YAML after |"
    if wrong := _wrong_key(str(row.get("private_key") or "")):
        return wrong
    if row.get("reader_key") and row["reader_key"] == row["key"]:
        return "has the key itself as its reader_key: give that of an account that can only read, or none"
    if bool(row.get("reader_key")) != bool(row.get("reader_secret")):
        return "has one of reader_key and reader_secret: give both"
    passphrase = str(row.get("passphrase") or "")
    if passphrase and (len(passphrase) < 16 or passphrase != passphrase.strip()):
        return "has a passphrase of less than 16 characters, or one that begins or ends with a space"
    if "retention_days" in row and not re.fullmatch(r"[1-9][0-9]{0,3}", str(row["retention_days"])):
        return f"has the retention_days '{row['retention_days']}': give a whole number from 1 to 9999"
    return ""


def _wrong_key(text):
    """Nobody is there who could type a passphrase, and half a key is told by no program in a sentence."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if any("ENCRYPTED" in line for line in lines):
        wanted = True
    elif lines and "OPENSSH" in lines[0]:
        content = _decoded("".join(lines[1:-1]))
        if not content.startswith(OPENSSH):
            return "has a private_key that is not whole: give all of its lines"
        size = int.from_bytes(content[len(OPENSSH) : len(OPENSSH) + 4], "big")
        wanted = content[len(OPENSSH) + 4 : len(OPENSSH) + 4 + size] != b"none"
    else:
        return ""
    return "has a private_key with a passphrase, which nobody could type: give one without (ssh-keygen -p -N '' -f KEY)" if wanted else ""
