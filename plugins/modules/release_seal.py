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
  - Git's objects that are links to those of the account's mirror stay its own. Folders that lie deeper than anybody's do are refused.
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath
from ansible_collections.selfhost.django.plugins.module_utils.seals import seal_all


def main():
    """Seal the folders, and tell."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
        },
    )
    given = module.params
    try:
        count = seal_all(given["paths"], given["owner"], given["group"])
    except (UnsafePath, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(count), sealed=count)


if __name__ == "__main__":
    main()
