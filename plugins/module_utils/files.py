# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Files that root has to have: each is compared, and written from one moment to the next, in a folder that no other account could have exchanged."""

from __future__ import annotations

import base64
import os
import secrets
import shlex
import stat
import tempfile

from .directories import apply
from .paths import UnsafePath, account, look, open_directory, read_file, remove, write_file

HIDDEN = "(secret)\n"


def wanted(entry):
    """Return what a file has to be: content, owner, group and mode; where an account is not there, the error instead of numbers."""
    content, mode = base64.b64decode(entry["content"]), int(entry["mode"], 8)
    try:
        return content, *account(entry["owner"], entry["group"]), mode
    except ValueError as error:
        return content, str(error), None, mode


def parent_of(path, check):
    """Return a descriptor of the directory that a file belongs into, which is made where it is missing; None where a dry run does not."""
    try:
        return open_directory(os.path.dirname(path), None if check else lambda above, name: os.mkdir(name, 0o755, dir_fd=above))
    except FileNotFoundError:
        return None


def validated(entry, content, run):
    """Have a command try what is about to be written; UnsafePath with what it says where it refuses."""
    if not entry.get("validate"):
        return
    # In a directory of root's alone, whatever account the file is for; some programs go by its name.
    with tempfile.TemporaryDirectory(prefix="selfhost-validate-", dir="/run") as directory:
        trial = os.path.join(directory, os.path.basename(entry["dest"]))
        with open(trial, "wb") as file:
            os.fchmod(file.fileno(), int(entry["mode"], 8))
            file.write(content)
        code, out, err = run(shlex.split(entry["validate"].replace("%s", trial)))
    if code:
        raise UnsafePath("%s is refused by `%s`: %s" % (entry["dest"], entry["validate"], (err.strip() or out.strip() or "code %d" % code)))


def difference(entry, found, content, mode):
    """Return the difference that Ansible shows of a file."""
    path = entry["dest"]
    old = found[0] if found else b""
    row = {"before_header": path, "after_header": path}
    if found and old == content:
        return row | {"before": "%s:%s %04o\n" % found[1:], "after": "%s:%s %04o\n" % (entry["owner"], entry["group"], mode)}
    if entry.get("secret"):
        return row | {"before": HIDDEN if found else "", "after": "" if content is None else HIDDEN.replace("secret", "another secret")}
    return row | {"before": old.decode(errors="replace"), "after": (content or b"").decode(errors="replace")}


def made(entry, check):
    """Let a directory be what it has to be; return the difference, or None where it is so already."""
    changes = list(apply([entry | {"path": entry["dest"]}], check))
    if not changes:
        return None
    words = [" ".join("%s %s" % pair for pair in (state or {}).items() if pair[0] in ("owner", "group", "mode")) for state in changes[0][1]]
    return {"before_header": entry["dest"], "after_header": entry["dest"], "before": words[0] + "\n" if words[0] else "", "after": words[1] + "\n"}


def nobody(_path):
    """Nobody is told of a file that is about to be another one."""


def removed(entry, check, tell=nobody):
    """Let there be no file; return the difference, or None where there is none."""
    parent, name = parent_of(entry["dest"], True), os.path.basename(entry["dest"])
    there = look(name, parent) if parent is not None else None
    if there is None:
        return None
    if stat.S_ISDIR(there.st_mode):
        raise UnsafePath("%s is a directory: move it away" % entry["dest"])
    found = read_file(parent, name)
    if not check:
        tell(entry["dest"])
        remove(name, parent)
    return difference(entry, found or (b"", "", "", 0), None, 0)


def linked(entry, check, tell=nobody):
    """Let a link lead where it has to; return the difference, or None where it does so already."""
    target, name = base64.b64decode(entry["content"]).decode(), os.path.basename(entry["dest"])
    parent = parent_of(entry["dest"], check)
    there = look(name, parent) if parent is not None else None
    before = os.readlink(name, dir_fd=parent) if there and stat.S_ISLNK(there.st_mode) else None
    if before == target:
        return None
    if there and stat.S_ISDIR(there.st_mode):
        raise UnsafePath("%s is a directory: move it away" % entry["dest"])
    if not check:
        tell(entry["dest"])
        scratch = ".%s.%s" % (name, secrets.token_hex(8))
        os.symlink(target, scratch, dir_fd=parent)
        os.rename(scratch, name, src_dir_fd=parent, dst_dir_fd=parent)
    return {"before_header": entry["dest"], "after_header": entry["dest"], "before": "-> %s\n" % before if before else "", "after": "-> %s\n" % target}


def place(entry, check, run, tell=None):
    """Let a file be what it has to be; return its difference, or None where it is so already. tell is called with its path before it is changed."""
    tell = tell or nobody
    if entry["state"] == "directory":
        return made(entry, check)
    if entry["state"] == "link":
        return linked(entry, check, tell)
    if entry["state"] == "absent":
        return removed(entry, check, tell)
    content, uid, gid, mode = wanted(entry)
    parent = parent_of(entry["dest"], check or entry["state"] == "kept")
    name = os.path.basename(entry["dest"])
    found = read_file(parent, name) if parent is not None else None
    if entry["state"] == "kept":
        if not found:
            return None
        content = found[0]
    if found == (content, uid, gid, mode):
        return None
    if not check:
        if gid is None:
            raise UnsafePath("%s: %s" % (entry["dest"], uid))
        there = look(name, parent)
        if there and stat.S_ISDIR(there.st_mode):
            raise UnsafePath("%s is a directory: move it away" % entry["dest"])
        validated(entry, content, run)
        tell(entry["dest"])
        write_file(parent, name, content, uid, gid, mode)
    return difference(entry, found, content, mode)
