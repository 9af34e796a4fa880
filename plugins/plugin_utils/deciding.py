# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What the actions have in common that decide on the controller and touch no host."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class Deciding(ActionBase):
    """An action that says what it takes in `SPEC`, and decides by `decide`."""

    TRANSFERS_FILES = False
    SPEC = {}
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Return what was decided (dict), and that nothing has changed."""
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=self.SPEC)
        return {"changed": False, **self.decide(given, task_vars)}

    def decide(self, given, task_vars):
        """Return what comes of the given options and of what is known of the hosts (dict); raise AnsibleActionFail with why nothing does."""
        raise NotImplementedError
