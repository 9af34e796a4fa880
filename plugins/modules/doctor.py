#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Tell all that stands in the way of a site
description:
  - Judges the inputs, as M(selfhost.django.check_inputs) does, what the hosts of the play told of themselves, and what this machine sees of the
    names of the site and of the application's repository.
    Fails with a sentence for each thing that stands in the way.
  - Runs on the controller alone. In check mode it tells the same.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  looks:
    description: Names under which the hosts have registered what M(selfhost.django.doctor_look) returned.
    type: list
    elements: str
    required: true
  memory_mb:
    description: Megabytes of memory that a host has to have.
    type: int
    required: true
  disk_mb:
    description: Megabytes that have to be free where packages, releases and databases will lie.
    type: int
    required: true
attributes:
  action: {support: full, description: "Runs on the controller."}
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Judge all that was seen
  selfhost.django.doctor:
    looks: [asked]
    memory_mb: 900
    disk_mb: 2000
  run_once: true
"""

RETURN = r"""
notes:
  description: Sentences on what may be meant, and may be a mistake.
  type: list
  elements: str
  returned: success
"""
