# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""The documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: check_inputs
short_description: Refuse bad input, all of it in one answer
version_added: 0.2.0
author: selfhost.django contributors (@selfhost)
description:
  - Checks what the inventory, the command line and the roles' defaults say of all hosts of the play, on the controller and without a connection.
  - Fails with one sentence for each mistake, which names the variable and what would be right, and no secret. A variable that nothing reads, since
    its name is misspelt, is a mistake, and so is a word of --limit that matches no host.
options:
  inventory:
    description: Whether the variables of the inventory are checked.
    type: bool
    default: true
  wishes:
    description: Playbooks whose words on the command line are checked.
    type: list
    elements: str
    default: []
    choices: [backup, maintenance, reboot, restore, restore_media, status, switchover, upgrade_debian, upgrade_postgresql]
attributes:
  check_mode: {support: full, description: "It changes nothing."}
  diff_mode: {support: none, description: "It changes nothing."}
"""

EXAMPLES = r"""
- name: Refuse bad input before any host is touched
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Check all inputs
      selfhost.django.check_inputs:
      run_once: true
"""

RETURN = r"""
digests:
  description:
    - Of each web host what it is to be set up with, as digests of inputs by name. C(web) are those that its own roles read, C(site) those that the
      rest of the site reads and the inventory says something of. Nothing is told of secrets.
  type: dict
  returned: when O(inventory) is true
"""
