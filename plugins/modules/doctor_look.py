#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor_look
short_description: Ask a host what it is, and tell why it does not answer
description:
  - Asks by a program of the shell, so that a host without Python answers, too. One that nobody gets into does not fail the task, but tells why.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options: {}
attributes:
  action: {support: full, description: "Runs on the controller, and a program of the shell on the host."}
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Ask the host
  selfhost.django.doctor_look:
  register: asked
"""

RETURN = r"""
said:
  description: What the host told of itself, in lines of C(NAME=VALUE); empty where it told nothing.
  type: str
  returned: always
why:
  description: Why it told nothing, as ssh or the shell said it.
  type: str
  returned: always
"""
