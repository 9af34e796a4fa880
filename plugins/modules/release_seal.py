#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_seal
short_description: Let nobody change what an account has built
description:
  - Gives all that an account owns below some folders to root and to a group that reads it. What others own there is left alone.
  - Folders and files are reached by descriptors, and no link is followed. Links stay whose they are, so that root does not trust them either.
  - Git's objects stay the account's, of whose mirror they are a part.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  paths:
    description: Folders, in folders of root's; their names may be patterns (C(*)).
    type: list
    elements: path
    required: true
  owner:
    description: Account that built them.
    type: str
    required: true
  group:
    description: Group that reads them from now on.
    type: str
    required: true
  mark:
    description: File in each folder that says that it is complete, made last.
    type: str
attributes:
  check_mode: {support: none, description: "There is no release in a dry run."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Let nobody change what was built
  selfhost.django.release_seal:
    paths: [/srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/code]
    owner: shop-build
    group: shop
"""

RETURN = r"""
sealed:
  description: How many files and folders were given to root.
  type: int
  returned: always
"""

import glob
import os
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.paths import DIRECTORY, UnsafePath, account, look, open_directory, write_file

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def sealed_mode(mode):
    """Return the permissions of a sealed file or folder: its group reads it, and runs what its owner could run."""
    runs = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
    return 0o750 if runs else 0o640


def seal_one(descriptor, owner, group):
    """Give an open file or folder to root where it is the account's; return whether it was."""
    information = os.fstat(descriptor)
    if information.st_uid != owner:
        return False
    os.fchown(descriptor, 0, group)
    os.fchmod(descriptor, sealed_mode(information.st_mode))
    return True


def seal(folder, owner, group):
    """Seal an open folder with all that is in it, from the inside outwards; return how many entries were the account's."""
    count, names = 0, set(os.listdir(folder))
    if {"HEAD", "refs"} <= names:
        names.discard("objects")
    for name in names:
        mode = look(name, folder).st_mode
        # Links and pipes hold nothing.
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            continue
        descriptor = os.open(name, DIRECTORY if stat.S_ISDIR(mode) else FILE, dir_fd=folder)
        try:
            count += seal(descriptor, owner, group) if stat.S_ISDIR(mode) else seal_one(descriptor, owner, group)
        finally:
            os.close(descriptor)
    return count + seal_one(folder, owner, group)


def main():
    """Seal the folders, and mark them."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "mark": {"type": "str"},
        },
    )
    count = 0
    try:
        owner, group = account(module.params["owner"], module.params["group"])
        for path in sorted(path for pattern in module.params["paths"] for path in glob.glob(pattern)):
            folder = open_directory(path)
            try:
                count += seal(folder, owner, group)
                if module.params["mark"]:
                    write_file(folder, module.params["mark"], b"", 0, group, 0o640)
            finally:
                os.close(folder)
    except (UnsafePath, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(count), sealed=count)


if __name__ == "__main__":
    main()
