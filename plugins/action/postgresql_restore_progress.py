# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Tells how far a restore in place has come; its documentation is that of the module of this name."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.selfhost.django.plugins.action.postgresql_restore_plan import HOSTS, told
from ansible_collections.selfhost.django.plugins.plugin_utils.postgresql_restore import hindrance, is_done, serving, standing

NAME = {"type": "str", "required": True}
SPEC = {
    "host": NAME,
    "web_hosts": HOSTS | {"required": True},
    "stood_down": HOSTS | {"required": True},
    "registers": {"type": "dict", "required": True, "options": {"stopped": NAME, "stood_down": NAME, "swapped": NAME}},
}


class ActionModule(ActionBase):
    """The task `postgresql_restore_progress`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Return what the hosts have said."""
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=SPEC)
        names, hostvars = given["registers"], task_vars["hostvars"]
        running = serving(given["web_hosts"], told(names["stopped"], given["web_hosts"], hostvars))
        left = standing(given["stood_down"], told(names["stood_down"], given["stood_down"], hostvars))
        return {
            "changed": False,
            "is_stopped": not running,
            "refusal": hindrance(running, left),
            "is_done": is_done(told(names["swapped"], [given["host"]], hostvars)[given["host"]]),
        }
