#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: reach
short_description: Ask a site from the controller, through the network
description:
  - Asks for a page over TLS at the address of each host, and by the site's name where that is one of the Internet's, and fails with a sentence
    where none of them answers. Any answer will do, since what a page has to say is asked by M(selfhost.django.health_check), and the certificate may
    be self-signed.
  - Runs on the controller alone.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  hosts:
    description: Names of the hosts that visitors reach, in the inventory.
    type: list
    elements: str
    required: true
  name:
    description: Name of the site, as visitors ask for it.
    type: str
    required: true
  port:
    description: Port that visitors reach.
    type: int
    default: 443
  path:
    description: Path that is asked for.
    type: str
    default: /
  timeout_seconds:
    description: Seconds that an answer may take.
    type: int
    default: 10
attributes:
  action: {support: full, description: "Runs on the controller."}
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Ask from this machine as a visitor does
  selfhost.django.reach:
    hosts: [lb1]
    name: www.example.org
"""

RETURN = r""" # """
