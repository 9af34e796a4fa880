#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_upgrade_look
short_description: Look whether a host can become the next Debian
description:
  - Tells which Debian a host is, whether its packages are whole, where they come from, how much room there is, and what apt would do, by package
    lists of the next Debian that are fetched into a folder of their own and thrown away. Changes nothing.
  - The filter P(selfhost.django.debian_upgrade_refusals#filter) says what speaks against it.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  named:
    description: Files of other people's package sources that go along.
    type: list
    elements: path
    default: []
attributes:
  check_mode: {support: full, description: "Only reads."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Look whether it can be upgraded
  selfhost.django.debian_upgrade_look:
    named: [/etc/apt/sources.list.d/monitoring.sources]
"""

RETURN = r"""
host:
  description: What the host says.
  type: dict
  returned: always
  contains:
    number: {description: Number of its Debian., type: str, returned: always}
    name: {description: Code name of its Debian., type: str, returned: always}
    mark: {description: "What an upgrade that has begun goes on with; empty where none has.", type: str, returned: always}
    room_mb: {description: Free MB by the place of each file system., type: dict, returned: always}
    held: {description: Packages that are not to be upgraded., type: list, elements: str, returned: always}
    broken: {description: What dpkg and apt say of packages that are not whole., type: list, elements: str, returned: always}
    is_busy: {description: Whether another program is installing something., type: bool, returned: always}
    has_kernel: {description: "Whether it has a kernel of its own, as a container has not.", type: bool, returned: always}
    strange: {description: "What is fetched from elsewhere than Debian, by file.", type: dict, returned: always}
    simulation: {description: "What apt would do: C(error), C(download_mb), C(added_mb), C(removed).", type: dict, returned: where it is to be upgraded}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils import debian


def main():
    """Look, and tell."""
    module = AnsibleModule(argument_spec={"named": {"type": "list", "elements": "path", "default": []}}, supports_check_mode=True)
    module.exit_json(changed=False, host=debian.look(module.params["named"]))


if __name__ == "__main__":
    main()
