# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Options that the modules which ask a PostgreSQL server share."""

from __future__ import annotations


class ModuleDocFragment:
    """How a server is reached."""

    DOCUMENTATION = r"""
options:
  socket:
    description: Directory of the server's socket, over which the account that runs the task logs in as C(postgres).
    type: path
    default: /var/run/postgresql
  port:
    description: Port of the server.
    type: int
    default: 5432
"""
