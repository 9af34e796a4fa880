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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.directories import apply
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath


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
