#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: check_neighbours
short_description: Refuse hosts that already belong to somebody else
description:
  - Says of all hosts of the play at once why a site must not be set up there, in a sentence each; nothing where it may. What M(selfhost.django.host_facts) has
    seen of other applications, PostgreSQL clusters, balancers and backups decides. A host that nobody has looked at is no reason.
  - Runs on the controller alone.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options: {}
attributes:
  action: {support: full, description: "Runs on the controller."}
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Refuse hosts that belong to somebody else
  selfhost.django.check_neighbours:
  run_once: true
"""

RETURN = r""" # """
