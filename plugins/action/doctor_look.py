# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Asks a host what it is; its documentation is that of the module of this name."""

from __future__ import annotations

import pathlib

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

# Of the shell alone: a bare host may have no Python.
PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "plugin_utils/doctor_look.sh"


class ActionModule(ActionBase):
    """The task `doctor_look`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the host printed, or why it did not."""
        super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        try:
            done = self._low_level_execute_command(PROGRAM.read_text(encoding="utf-8"), sudoable=False)
        except AnsibleConnectionFailure as failure:
            return {"changed": False, "said": "", "why": str(failure)}
        said = done["stdout"] if "user=" in done["stdout"] else ""
        return {"changed": False, "said": said, "why": "" if said else f"{done['stdout']} {done['stderr']}".strip()}
