# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Refuses hosts that belong to somebody else; its documentation is that of the module of this name."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import read
from ansible_collections.selfhost.django.plugins.plugin_utils.neighbours import refusal, wanted_of


class ActionModule(Deciding):
    """The task `check_neighbours`."""

    def decide(self, given, task_vars):
        """Return nothing but that nothing has changed; raise with why a host is not this site's."""
        hostvars = task_vars["hostvars"]
        # One that cannot be reached has told nothing, and is no reason.
        looks = {host: hostvars[host].get("ansible_facts", {}).get("selfhost", {}).get("neighbours") for host in task_vars["ansible_play_hosts"]}
        seen = [host for host, look in looks.items() if look]
        of_play = {name: task_vars[name] for name in ("ansible_check_mode", "ansible_play_hosts", "ansible_play_hosts_all")}
        sites = read(seen, hostvars, self._templar, self._loader, of_play)
        said = list(filter(None, (refusal(site.host, looks[site.host], wanted_of(site)) for site in sites)))
        if said:
            raise AnsibleActionFail("\n".join(said))
        return {}
