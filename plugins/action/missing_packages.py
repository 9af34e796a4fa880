# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Tells which packages of several roles a host lacks; its documentation is that of the module of this name."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import read
from ansible_collections.selfhost.django.plugins.test.host import installed


def missing(site, roles, facts):
    """Return the packages that a host's roles name and that it lacks, each once; roles are names by group, facts are those of the host."""
    wanted = [name for group, names in roles.items() if site.is_in(group) for role in names for name in site[f"__{role}_packages"]]
    return [name for name in dict.fromkeys(wanted) if not installed(name, facts)]


class ActionModule(ActionBase):
    """The task `missing_packages`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Return the names of the packages."""
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec={"roles": {"type": "dict", "required": True}})
        host = task_vars["inventory_hostname"]
        (site,) = read([host], task_vars["hostvars"], self._templar, self._loader, {"ansible_check_mode": task_vars["ansible_check_mode"]})
        return {"changed": False, "packages": missing(site, given["roles"], task_vars.get("ansible_facts", {}))}
