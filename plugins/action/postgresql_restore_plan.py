# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Plans a restore; its documentation is that of the module of this name."""

from __future__ import annotations

import time

from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.postgresql_restore import Refusal, plan

TEXT = {"type": "str", "default": ""}
WISHES = {name: TEXT for name in ("time", "point", "label", "timeline", "dump", "database", "confirmation")} | {
    "repository": {"type": "int", "default": 0},
    "removed": {"type": "bool", "default": False},
    "headroom_mb": {"type": "int", "default": 0},
}
HOSTS = {"type": "list", "elements": "str"}
SPEC = WISHES | {
    "looks": {"type": "str", "required": True},
    "hosts": HOSTS | {"required": True},
    "backup_hosts": HOSTS | {"default": []},
    "version": {"type": "str", "required": True},
    "managed": {"type": "bool", "default": False},
}


def told(name, hosts, hostvars):
    """Return by its host what each has registered under a name."""
    return {host: hostvars[host].get(name) or {} for host in hosts}


class ActionModule(Deciding):
    """The task `postgresql_restore_plan`."""

    SPEC = SPEC

    def decide(self, given, task_vars):
        """Return what is to be done; raise with why nothing is."""
        said = told(given.pop("looks"), given["hosts"], task_vars["hostvars"])
        looks = {host: result["seen"] for host, result in said.items() if "seen" in result}
        wishes = {name: given.pop(name) for name in WISHES}
        try:
            return plan(looks, wishes=wishes, now=time.time(), **given)
        except Refusal as refusal:
            raise AnsibleActionFail(str(refusal)) from None
