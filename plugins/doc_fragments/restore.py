# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Options that the modules of a restore share."""

from __future__ import annotations


class ModuleDocFragment:
    """Which cluster it is about."""

    DOCUMENTATION = r"""
options:
  server:
    description: The cluster, and the one that is restored beside it.
    type: dict
    required: true
    suboptions:
      version:
        description: Version of the server.
        type: str
        required: true
      cluster:
        description: Name of the cluster.
        type: str
        required: true
      stanza:
        description: Name of its backups in the repository.
        type: str
        required: true
      port:
        description: Port of the server.
        type: int
        required: true
      beside_port:
        description: Port of the cluster that is restored beside it.
        type: int
        required: true
      processes:
        description: How many processes fetch and load at once.
        type: int
        default: 1
      patroni:
        description: What Patroni reads, where it runs the server; empty where it does not.
        type: str
        default: ""
"""
