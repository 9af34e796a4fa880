#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_upgrade_look
short_description: Look what a host has of PostgreSQL's versions
description:
  - Tells which clusters there are, what their server says, what has become of an upgrade, and whether there is another version to be had.
  - The filter P(selfhost.django.postgresql_upgrade_plan#filter) says what is to be done about it.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  version:
    description: Version that the inventory wants.
    type: str
    required: true
  name:
    description: Name of the cluster.
    type: str
    default: main
  port:
    description: Port of the server.
    type: int
    default: 5432
attributes:
  check_mode: {support: full, description: "Only reads."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Look what there is
  selfhost.django.postgresql_upgrade_look:
    version: "17"
"""

RETURN = r"""
host:
  description: What the host says.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_upgrade import Wrong, look


def main():
    """Look, and tell."""
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True}, "name": {"type": "str", "default": "main"}, "port": {"type": "int", "default": 5432}
        }, supports_check_mode=True
    )  # fmt: skip
    try:
        module.exit_json(changed=False, host=look(**module.params))
    except Wrong as wrong:
        module.fail_json(msg="The clusters cannot be looked at: %s" % wrong)


if __name__ == "__main__":
    main()
