# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Counts what a playbook costs: tasks, modules that ran on hosts, seconds of each role."""

from __future__ import annotations

import collections
import json
import os
import time

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: tally
type: aggregate
short_description: Writes what a playbook cost into the file that TALLY names
description:
  - Of the playbook it writes C(ok), C(changed) (of the host with most), C(modules) and C(roles) (seconds by role).
"""

execute_module = ActionBase._execute_module


def counted(action, *arguments, **options):
    """Run a module, and note that it ran on a host; workers are forks of the process that loads this."""
    if action._connection.transport != "local" and (path := os.environ.get("TALLY")):
        # One line in one write: workers do not mix theirs.
        with open(f"{path}.modules", "ab", buffering=0) as file:
            file.write(f"{role_of(action._task)}\n".encode())
    return execute_module(action, *arguments, **options)


ActionBase._execute_module = counted


def role_of(task):
    return task._role.get_name().rpartition(".")[2] if task._role else ""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "tally"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.roles, self.since, self.role = collections.Counter(), time.monotonic(), ""

    def turn(self, role):
        """What was since the last turn was a role's; nobody's is what no role did."""
        now = time.monotonic()
        if self.role:
            self.roles[self.role] += now - self.since
        self.since, self.role = now, role

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.turn(role_of(task))

    def v2_playbook_on_handler_task_start(self, task):
        self.turn(role_of(task))

    def v2_playbook_on_stats(self, stats):
        self.turn("")
        path = os.environ["TALLY"]
        modules = 0
        if os.path.exists(f"{path}.modules"):
            with open(f"{path}.modules", encoding="utf-8") as file:
                modules = len(file.readlines())
        summary = {name: max(getattr(stats, name).values(), default=0) for name in ("ok", "changed")}
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**summary, "modules": modules, "roles": dict(self.roles)}, file)
