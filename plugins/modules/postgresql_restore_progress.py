#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_restore_progress
short_description: Tell how far a restore of PostgreSQL in place has come
description:
  - Decides from what the hosts have registered whether what is restored may take its place, and whether it has. A host that has said nothing, since it
    cannot be reached or its play was not run, is one that still runs.
  - Runs on the controller alone. In check mode it tells the same.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  host:
    description: Host that is restored.
    type: str
    required: true
  web_hosts:
    description: Hosts on which the application has to be stopped.
    type: list
    elements: str
    required: true
  stood_down:
    description: Hosts on which Patroni has to be stopped.
    type: list
    elements: str
    required: true
  registers:
    description: Names under which the hosts have registered what they did.
    type: dict
    required: true
    suboptions:
      stopped:
        description: That of the command that stopped the application.
        type: str
        required: true
      stood_down:
        description: That of the task that stopped Patroni.
        type: str
        required: true
      swapped:
        description: That of M(selfhost.django.postgresql_restore) which put in its place what is restored.
        type: str
        required: true
attributes:
  action: {support: full, description: "Runs on the controller."}
  check_mode: {support: full, description: "Only tells, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: See how far it has come
  selfhost.django.postgresql_restore_progress:
    host: db1
    web_hosts: [web1, web2]
    stood_down: [db2]
    registers: {stopped: stopped, stood_down: stood_down, swapped: swapped}
  register: progress
"""

RETURN = r"""
is_stopped:
  description: Whether the application is stopped on all web hosts.
  type: bool
  returned: success
refusal:
  description: Why what is restored must not take its place; empty where it may.
  type: str
  returned: success
is_done:
  description: Whether it has.
  type: bool
  returned: success
"""
