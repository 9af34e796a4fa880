#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: directories
short_description: Make directories and say whose they are, where other accounts may put links
description:
  - Makes directories, those above them included, and sets owner, group and mode, as M(ansible.builtin.file) does.
  - No link is followed that another account than root could have made, nor anything changed behind one. Each directory is opened from the
    one above it, and what was opened is changed. So it may be used below folders to which another account writes.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  directories:
    description: The directories, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path. Directories above it that are missing are made with owner root and mode 0755.
        type: path
        required: true
      owner:
        description: Account that it belongs to.
        type: str
        default: root
      group:
        description: Group that it belongs to.
        type: str
        default: root
      mode:
        description: Permissions, as an octal number.
        type: str
        required: true
      keep:
        description: Whether one that is there already is left as it is.
        type: bool
        default: false
      owner_of_children:
        description: Account to which the directories directly in it belong. Without it they are left alone. Links among them are.
        type: str
attributes:
  check_mode:
    support: full
    description: Says what it would do and does nothing.
  diff_mode:
    support: full
    description: Says what changes of which directory.
  platform:
    support: full
    description: The platforms it runs on.
    platforms: posix
"""

EXAMPLES = r"""
- name: Create the directories of the uploads
  selfhost.django.directories:
    directories:
      - {path: /srv/shop/shared, mode: "0711"}
      - {path: /srv/shop/shared/media, owner: shop, group: www-data, mode: "2750"}
"""

RETURN = r"""
paths:
  description: Directories that were made or changed.
  type: list
  elements: str
  returned: always
"""

import os
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.paths import DIRECTORY, UnsafePath, account, open_directory


def words(uid, gid, mode):
    return {"owner": uid, "group": gid, "mode": f"{mode:04o}"}


def settle(descriptor, wanted, check):
    """Give an open directory owner, group and mode; return both states where they differ."""
    information = os.fstat(descriptor)
    is_state = (information.st_uid, information.st_gid, stat.S_IMODE(information.st_mode))
    if is_state == wanted:
        return None
    if not check:
        # A change of the owner takes special bits away.
        os.fchown(descriptor, *wanted[:2])
        os.fchmod(descriptor, wanted[2])
    return words(*is_state), words(*wanted)


def make(above, name):
    os.mkdir(name, 0o755, dir_fd=above)
    descriptor = os.open(name, DIRECTORY, dir_fd=above)
    # Whatever the umask is.
    os.fchmod(descriptor, 0o755)
    os.close(descriptor)


def children(descriptor, path, owner, check):
    """Let the directories directly in an open one belong to an account; yield each that did not."""
    for name in sorted(os.listdir(descriptor)):
        try:
            child = os.open(name, DIRECTORY, dir_fd=descriptor)
        except OSError:
            # A link, or no directory.
            continue
        try:
            information = os.fstat(child)
            change = settle(child, (owner, information.st_gid, stat.S_IMODE(information.st_mode)), check)
        finally:
            os.close(child)
        if change:
            yield f"{path}/{name}", change


def apply(directories, check=False):
    """Yield (path, (before, after)) of each directory that differs from what is wanted; `before` is None where there is none."""
    for entry in directories:
        try:
            uid, gid = account(entry.get("owner") or "root", entry.get("group") or "root")
        except ValueError:
            # A dry run on a bare host: what comes before would have made it.
            if not check:
                raise
            yield entry["path"], (None, entry)
            continue
        wanted = (uid, gid, int(entry["mode"], 8))
        try:
            descriptor = open_directory(entry["path"], None)
        except FileNotFoundError:
            if not check:
                descriptor = open_directory(entry["path"], make)
                settle(descriptor, wanted, check)
                os.close(descriptor)
            yield entry["path"], (None, words(*wanted))
            continue
        try:
            if not entry.get("keep") and (change := settle(descriptor, wanted, check)):
                yield entry["path"], change
            if entry.get("owner_of_children"):
                yield from children(descriptor, entry["path"], account(entry["owner_of_children"], "root")[0], check)
        finally:
            os.close(descriptor)


def main():
    module = AnsibleModule(
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "mode": {"type": "str", "required": True},
                    "keep": {"type": "bool", "default": False},
                    "owner_of_children": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        changes = list(apply(module.params["directories"], module.check_mode))
    except (UnsafePath, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    diff = [
        {"before_header": path, "after_header": path, "before": before or {}, "after": after} for path, (before, after) in changes
    ]  # fmt: skip
    module.exit_json(changed=bool(changes), paths=[path for path, _change in changes], diff=diff)


if __name__ == "__main__":
    main()
