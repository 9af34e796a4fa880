#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: reserved_blocks
short_description: Let a group use what an ext4 file system holds back for root
description:
  - An ext2, ext3 or ext4 file system holds a part of itself back, 5 percent by default, which root alone can use (C(tune2fs(8)), C(-m) and C(-g)).
    Here a group may use it, too, so that its accounts still write where others have filled the disk.
  - How much is held back is left as it is, and so is a group that somebody else has named.
  - Where there is nothing of that kind (another file system, a container's root, nothing held back), it does nothing and says why.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  path:
    description: Directory on the file system. Where it is missing, the one above it counts.
    type: path
    required: true
  group:
    description: Name of the group.
    type: str
    required: true
attributes:
  check_mode: {support: full, description: "Says what it would do and does nothing."}
  diff_mode: {support: none, description: "It is a number of a group."}
"""

EXAMPLES = r"""
- name: Leave the server room on a full disk
  selfhost.django.reserved_blocks:
    path: /var/lib/postgresql
    group: postgres
"""

RETURN = r"""
commands:
  description: Commands that ran, or are to run, each a list of words.
  type: list
  elements: list
  returned: always
reason:
  description: Why there is nothing to do; empty where there is.
  type: str
  returned: always
"""

import grp
import json
import os
import re
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask

KINDS = ("ext2", "ext3", "ext4")


def nearest(path):
    """Return the path, or the nearest one above it that is there."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def held_back(text):
    """Return how many blocks are held back and for which group, by the number; text is what `tune2fs -l` prints."""
    fields = dict(re.findall(r"(?m)^(Reserved block count|Reserved blocks gid): +(\d+)", text))
    return int(fields["Reserved block count"]), int(fields["Reserved blocks gid"])


def due(device, point, gid, blocks, owner):
    """Return the commands, and why there are none. The last one is what a run that was killed between them is known by."""
    if not blocks:
        return [], "nothing is held back on %s" % device
    if owner == gid:
        return [], "it is the group's"
    if owner:
        return [], "it is the group's with the number %d" % owner
    return [["mount", "-o", "remount,resgid=%s" % gid, point], ["tune2fs", "-g", str(gid), device]], ""


def plan(path, group):
    """Look, and return what is due and why nothing is."""
    seen = json.loads(ask("findmnt", "--json", "--nofsroot", "--output", "SOURCE,TARGET,FSTYPE", "--target", nearest(path)))["filesystems"][0]
    device = seen["source"]
    if seen["fstype"] not in KINDS:
        return [], "the file system is %s" % seen["fstype"]
    if not os.path.exists(device):
        return [], "%s is not this host's own" % device
    if not shutil.which("tune2fs"):
        return [], "e2fsprogs is not installed"
    # A dry run on a bare host names a group that is to come.
    gid = next((entry.gr_gid for entry in grp.getgrall() if entry.gr_name == group), group)
    return due(device, seen["target"], gid, *held_back(ask("tune2fs", "-l", device, env=os.environ | {"LC_ALL": "C"})))


def main():
    """Look, and do what is due."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "group": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    try:
        commands, reason = plan(module.params["path"], module.params["group"])
        for words in [] if module.check_mode else commands:
            ask(*words)
    except Failed as error:
        module.fail_json(**error.details)
    module.exit_json(changed=bool(commands), commands=commands, reason=reason)


if __name__ == "__main__":
    main()
