#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: missing_packages
short_description: Tell which packages of several roles a host lacks
description:
  - Reads the lists of packages of the collection's roles, C(__<role>_packages), so that all can be installed in one transaction.
  - Runs on the controller alone, and knows what M(selfhost.django.host_facts) has seen. Where that has not looked, all are missing.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  roles:
    description: Names of roles, by the group whose hosts have them; V(all) is every host.
    type: dict
    required: true
attributes:
  action: {support: full, description: "Runs on the controller."}
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Ask which packages are missing
  selfhost.django.missing_packages:
    roles: {web: [django, uwsgi, nginx]}
  register: missing
"""

RETURN = r"""
packages:
  description: The packages, each once, in the order of the roles.
  returned: always
  type: list
  elements: str
"""
