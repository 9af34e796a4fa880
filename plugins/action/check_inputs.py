# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Refuses bad input on the controller, all of it in one answer; its documentation is that of the module of this name."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs import INVENTORY, WISHES, mistakes
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.applied import digests
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.limits import limits
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import ROLES, definitions, read, secrets

OF_THE_PLAY = ("ansible_check_mode", "ansible_play_batch", "ansible_play_hosts", "ansible_play_hosts_all")


class ActionModule(Deciding):
    """The task `check_inputs`."""

    SPEC = {
        "inventory": {"type": "bool", "default": True},
        "wishes": {"type": "list", "elements": "str", "default": [], "choices": sorted(WISHES)},
    }

    def decide(self, given, task_vars):
        """Return what web hosts are set up with, by host; raise with what is wrong."""
        names = [*(INVENTORY if given["inventory"] else ()), *given["wishes"]]
        sites = read(task_vars["ansible_play_hosts_all"], task_vars["hostvars"], self._templar, self._loader, {name: task_vars[name] for name in OF_THE_PLAY})
        found = list(limits(task_vars.get("ansible_limit"), [*task_vars["hostvars"], *task_vars["groups"]]))
        found += [sentence for site in sites for sentence in mistakes(site, names)]
        if found:
            raise AnsibleActionFail("\n".join(dict.fromkeys(found)))
        if not given["inventory"]:
            return {}
        texts, unsaid = definitions(self._loader), secrets()
        return {"digests": {site.host: digests(site, texts, unsaid, ROLES) for site in sites if site.is_in("web")}}
