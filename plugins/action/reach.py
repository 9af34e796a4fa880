# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Asks a site from the controller, as a visitor does; its documentation is that of the module of this name."""

from __future__ import annotations

import time

from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.doctor import is_public
from ansible_collections.selfhost.django.plugins.plugin_utils.reach import unreached, visit

SPEC = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "name": {"type": "str", "required": True},
    "port": {"type": "int", "default": 443},
    "path": {"type": "str", "default": "/"},
    "timeout_seconds": {"type": "int", "default": 10},
}
ATTEMPTS = 2


class ActionModule(Deciding):
    """The task `reach`."""

    SPEC = SPEC

    def decide(self, given, task_vars):
        """Return nothing but that nothing has changed; raise where nobody answers."""
        hostvars = task_vars["hostvars"]
        places = [str(hostvars[host].get("ansible_host") or host) for host in given["hosts"]]
        # Behind a CDN, or where hosts are entered by another way than visitors come, the name leads there.
        places += [given["name"]] if is_public(given["name"]) else []
        for attempt in range(ATTEMPTS):
            time.sleep(attempt)
            why = unreached(places, lambda place: visit(place, given["port"], given["name"], given["path"], given["timeout_seconds"]))
            if not why:
                return {}
        raise AnsibleActionFail(
            f"The release answers on its hosts, and this machine does not get there: {why}. Open the ports 80 and 443 to visitors in the provider's "
            "packet filter and in firewall_policy, or say django_visited_from_controller: false where this machine is not meant to get there."
        )
