# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Options that the modules which ask a Patroni share."""

from __future__ import annotations


class ModuleDocFragment:
    """How a server's Patroni is reached."""

    DOCUMENTATION = r"""
options:
  address:
    description: Address of Patroni's API.
    type: str
    required: true
  port:
    description: Port of Patroni's API.
    type: int
    default: 8008
  certificates:
    description: Directory with C(ca.crt), C(host.crt) and C(host.key).
    type: path
    required: true
  password:
    description: Password of the user C(patroni), without which it changes nothing.
    type: str
    required: true
"""
