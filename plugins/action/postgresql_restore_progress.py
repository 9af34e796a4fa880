# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Tells how far a restore in place has come; its documentation is that of the module of this name."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.action.postgresql_restore_plan import HOSTS, told
from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.postgresql_restore import hindrance, is_done, serving, standing

NAME = {"type": "str", "required": True}
SPEC = {
    "host": NAME,
    "web_hosts": HOSTS | {"required": True},
    "stood_down": HOSTS | {"required": True},
    "registers": {"type": "dict", "required": True, "options": {"stopped": NAME, "stood_down": NAME, "swapped": NAME}},
}


class ActionModule(Deciding):
    """The task `postgresql_restore_progress`."""

    SPEC = SPEC

    def decide(self, given, task_vars):
        """Return what the hosts have said."""
        names, hostvars = given["registers"], task_vars["hostvars"]
        running = serving(given["web_hosts"], told(names["stopped"], given["web_hosts"], hostvars))
        left = standing(given["stood_down"], told(names["stood_down"], given["stood_down"], hostvars))
        return {
            "is_stopped": not running,
            "refusal": hindrance(running, left),
            "is_done": is_done(told(names["swapped"], [given["host"]], hostvars)[given["host"]]),
        }
