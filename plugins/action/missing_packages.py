# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Tells which packages of several roles a host lacks; its documentation is that of the module of this name."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import read
from ansible_collections.selfhost.django.plugins.test.host import installed


def missing(site, roles, facts):
    """Return the packages that a host's roles name and that it lacks, each once; roles are names by group, facts are those of the host."""
    groups = [group for group in roles if group == "all" or site.is_in(group)]
    wanted = [name for group in groups for role in roles[group] for name in site[f"__{role}_packages"]]
    return [name for name in dict.fromkeys(wanted) if not installed(name, facts)]


class ActionModule(Deciding):
    """The task `missing_packages`."""

    SPEC = {"roles": {"type": "dict", "required": True}}

    def decide(self, given, task_vars):
        """Return the names of the packages."""
        host = task_vars["inventory_hostname"]
        (site,) = read([host], task_vars["hostvars"], self._templar, self._loader, {"ansible_check_mode": task_vars["ansible_check_mode"]})
        return {"packages": missing(site, given["roles"], task_vars.get("ansible_facts", {}))}
