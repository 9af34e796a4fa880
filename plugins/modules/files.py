#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Write several files of a role, with their directories, in one round trip
description:
  - Renders templates and reads files on the controller, as M(ansible.builtin.template) and M(ansible.builtin.copy) do, and has the host compare and
    write all of them at once. A task of one file costs as much as one of twenty.
  - Each file is written beside its place, tried by O(files[].validate), and renamed. No link is followed that another account than root could have
    made; a link in the place of a file is replaced.
  - The action plugin of the same name does what happens on the controller.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  files:
    description:
      - The files, in order. Exactly one of O(files[].template), O(files[].src) and O(files[].content) says what is in each.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description:
          - Absolute path; directories on the way that are missing are made, as root's, with the permissions 0755.
          - One that ends in a slash is the directory, and the file keeps its name.
        type: str
        required: true
      state:
        description:
          - V(directory) is one with this owner, group and mode; what is in it stays.
          - V(link) is a link that leads to O(files[].src), on the host.
          - V(kept) is a file of somebody else's that keeps its content, and gets this owner, group and mode where it is there.
          - V(absent) is a file or a link that is not to be there. A directory is never removed.
        type: str
        choices: [file, directory, link, kept, absent]
        default: file
      template:
        description: Template in the role's C(templates).
        type: str
      vars:
        description: Variables that this template alone reads.
        type: dict
        default: {}
      src:
        description: File in the role's C(files), or a glob of them; of a link, where it leads.
        type: str
      content:
        description: Text.
        type: str
      owner:
        description: Account whose file it is.
        type: str
        default: root
      group:
        description: Group whose file it is.
        type: str
        default: root
      mode:
        description: Permissions, as four octal digits in quotes; by default V(0644), and V(0755) of a directory.
        type: str
      validate:
        description: Command that has to succeed before the file is put in its place; C(%s) is the file.
        type: str
      secret:
        description: Whether no difference of it is shown.
        type: bool
        default: false
  payload:
    description: The files as the action plugin hands them to the host.
    type: str
attributes:
  check_mode: {support: full, description: "Says what it would do, on a host without the accounts and directories too; nothing is validated."}
  diff_mode: {support: full, description: "Shows each file that differs."}
"""

EXAMPLES = r"""
- name: Install the command and its unit
  selfhost.django.files:
    files:
      - {src: selfhost-guard, dest: /usr/local/sbin/, mode: "0755"}
      - {template: selfhost-guard.service.j2, dest: /etc/systemd/system/selfhost-guard.service}
  notify: Reload systemd

- name: Have a place of its own for the site, and no other site
  selfhost.django.files:
    files:
      - {dest: /etc/nginx/selfhost, state: directory}
      - {dest: /etc/nginx/sites-enabled/default, state: absent}
"""

RETURN = r"""
changed_files:
  description: Paths of the files that were written, or would be in check mode.
  returned: always
  type: list
  elements: str
"""

import base64
import json
import os
import secrets
import shlex
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhost.django.plugins.module_utils.directories import apply
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath, account, look, open_directory, read_file, remove, write_file

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


def removed(entry, check):
    """Let there be no file; return the difference, or None where there is none."""
    parent, name = parent_of(entry["dest"], True), os.path.basename(entry["dest"])
    there = look(name, parent) if parent is not None else None
    if there is None:
        return None
    if stat.S_ISDIR(there.st_mode):
        raise UnsafePath("%s is a directory: move it away" % entry["dest"])
    found = read_file(parent, name)
    if not check:
        remove(name, parent)
    return difference(entry, found or (b"", "", "", 0), None, 0)


def linked(entry, check):
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
        scratch = ".%s.%s" % (name, secrets.token_hex(8))
        os.symlink(target, scratch, dir_fd=parent)
        os.rename(scratch, name, src_dir_fd=parent, dst_dir_fd=parent)
    return {"before_header": entry["dest"], "after_header": entry["dest"], "before": "-> %s\n" % before if before else "", "after": "-> %s\n" % target}


def place(entry, check, run):
    """Let a file be what it has to be; return its difference, or None where it is so already."""
    if entry["state"] == "directory":
        return made(entry, check)
    if entry["state"] == "link":
        return linked(entry, check)
    if entry["state"] == "absent":
        return removed(entry, check)
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
        write_file(parent, name, content, uid, gid, mode)
    return difference(entry, found, content, mode)


def main():
    """Write all files, or say which one cannot be written."""
    module = AnsibleModule(
        argument_spec={"payload": {"type": "str", "no_log": True}, "files": {"type": "list", "elements": "dict"}},
        supports_check_mode=True,
    )
    if not module.params["payload"]:
        module.fail_json(msg="The module files needs its action plugin: call it as selfhost.django.files.")
    changed, differences = [], []
    os.umask(0o022)
    try:
        for entry in json.loads(module.params["payload"]):
            row = place(entry, module.check_mode, module.run_command)
            if row:
                changed.append(entry["dest"])
                differences.append(row)
    except (OSError, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error), changed=bool(changed) and not module.check_mode, changed_files=changed)
    module.exit_json(changed=bool(changed), changed_files=changed, diff=differences)


if __name__ == "__main__":
    main()
