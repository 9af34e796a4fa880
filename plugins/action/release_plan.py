# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Plans a release; its documentation is that of the module of this name."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.release_plan import Refusal, plan

SPEC = {
    "looks": {"type": "list", "elements": "str", "required": True},
    "order": {"type": "list", "elements": "str", "required": True},
    "steps": {"type": "list", "elements": "str", "required": True},
    "hooks": {"type": "dict", "default": {}},
    "serial": {"type": "str", "default": "1"},
    "first": {"type": "str", "required": True},
    "is_rollback": {"type": "bool", "default": False},
    "wanted": {"type": "str", "default": ""},
    "is_static_shared": {"type": "bool", "default": False},
    "is_built": {"type": "bool", "default": True},
}


def look_of(variables, names):
    """Return what is known of a host: what it registered under the names, the last of which is the newest."""
    return {key: value for name in names for key, value in found(variables.get(name)).items()}


def found(result):
    """Return what a look has told; nothing of a task that was skipped, or never reached."""
    return result if result and "current" in result else {}


class ActionModule(Deciding):
    """The task `release_plan`."""

    SPEC = SPEC

    def decide(self, given, task_vars):
        """Return the plan of this host, and what all have in common; raise with why there is none."""
        names, hostvars = given.pop("looks"), task_vars["hostvars"]
        looks = {host: look_of(hostvars[host], names) for host in task_vars["ansible_play_hosts"]}
        try:
            planned = plan(looks, task_vars["ansible_play_hosts_all"], limit=task_vars.get("ansible_limit", "all"), **given)
        except Refusal as refusal:
            raise AnsibleActionFail(str(refusal)) from None
        mine = planned.pop("hosts")[task_vars["inventory_hostname"]]
        return {**planned, "mine": mine}
