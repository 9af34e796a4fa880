# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Options that the modules which ask the voters share."""

from __future__ import annotations


class ModuleDocFragment:
    """How voters let somebody in."""

    DOCUMENTATION = r"""
options:
  certificates:
    description: Directory with C(ca.crt), C(host.crt) and C(host.key).
    type: path
    required: true
  root_password:
    description: Password of C(root).
    type: str
    required: true
"""
