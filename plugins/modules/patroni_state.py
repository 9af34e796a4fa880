#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_state
short_description: Bring a server under Patroni into a state
description:
  - Waits until the server leads or follows, restarts it for settings that wait for that, writes down with the voters what all servers have in
    common, or makes another server the primary.
  - Patroni does it, and refuses what would lose rows.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.patroni]
options:
  name:
    description: Name of the member.
    type: str
    required: true
  state:
    description:
      - V(leading) waits until it is the primary.
      - V(following) waits until it is the primary or streams from it; a copy of the primary's data may take as long as it takes.
      - V(configured) writes O(settings) down where they differ, with the voters.
      - V(restarted) restarts the server if a setting waits for that.
      - V(switched) makes O(candidate) the primary.
      - V(yielded) makes some other server the primary, if this one is.
    type: str
    required: true
    choices: [leading, following, configured, restarted, switched, yielded]
  settings:
    description: Patroni's dynamic configuration.
    type: dict
    default: {}
  candidate:
    description: Name of the new primary.
    type: str
    default: ""
  max_lag_mb:
    description: Log that it may lack at the beginning, in MB.
    type: float
    default: 16
  force:
    description: Whether V(restarted) restarts the server in any case.
    type: bool
    default: false
  seconds:
    description: How long is waited.
    type: int
    default: 120
attributes:
  check_mode: {support: full, description: "Says what it would do. Waits for nothing."}
  diff_mode: {support: full, description: "Shows what the voters keep, before and after."}
"""

EXAMPLES = r"""
- name: Make db2 the primary
  selfhost.django.patroni_state:
    address: 192.0.2.21
    certificates: /etc/selfhost
    password: "{{ vault_postgresql_failover_password }}"
    name: db1
    state: switched
    candidate: db2
"""

RETURN = r"""
leader:
  description: Name of the primary.
  returned: always
  type: str
seconds:
  description: How long the switchover took.
  returned: with V(switched) and V(yielded)
  type: float
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.patroni import (
    ARGUMENTS, SECONDS, Patroni, Refused, Silent, difference, follows, leader_of, until,
)  # fmt: skip


class Wrong(Exception):
    """It cannot be done; the message is a sentence."""


class Member:
    """One server, and what is asked of it."""

    def __init__(self, params, dry):
        self.params, self.dry, self.patroni, self.name = params, dry, Patroni(params), params["name"]

    def leading(self):
        """Wait until it leads."""
        if not until(lambda: leader_of(self.patroni.cluster()) == self.name, self.params["seconds"]):
            raise Wrong("%s does not become the primary. What Patroni says of that is in the journal of its unit." % self.name)
        return {}

    def following(self):
        """Wait until it leads or streams, as long as it copies."""

        def there():
            row = self.patroni.cluster().get(self.name, {"role": "", "state": ""})
            return leader_of({self.name: row}) or follows(row)

        while not until(there, self.params["seconds"]):
            if self.patroni.ask("patroni").get("state") != "creating replica":
                raise Wrong("%s does not stream from the primary. What Patroni says of that is in the journal of its unit." % self.name)
        return {}

    def configured(self):
        """Write down what differs."""
        current = self.patroni.ask("config")
        patch = difference(current, self.params["settings"])
        if not patch:
            return {}
        if not self.dry:
            wanted = self.patroni.ask("config", "PATCH", patch)
            # Until every server has looked once.
            time.sleep(wanted["loop_wait"] + 1)
        return {"changed": True, "diff": {"before": {name: current.get(name) for name in patch}, "after": patch}}

    def restarted(self):
        """Restart the server if something waits for it."""
        if not self.params["force"] and not self.patroni.ask("patroni").get("pending_restart"):
            return {}
        if not self.dry:
            self.patroni.ask("restart", "POST", {} if self.params["force"] else {"restart_pending": True}, SECONDS)
            if not until(lambda: self.patroni.ask("patroni").get("state") == "running", self.params["seconds"]):
                raise Wrong("The server of %s does not come back from its restart." % self.name)
        return {"changed": True}

    def switched(self):
        """Make the candidate the primary."""
        return self.turn(self.params["candidate"])

    def yielded(self):
        """Make somebody else the primary."""
        if leader_of(self.patroni.cluster()) != self.name:
            return {}
        return self.turn("")

    def turn(self, candidate):
        members = self.patroni.cluster()
        leader = leader_of(members)
        if leader and leader == candidate:
            return {}
        if not leader:
            raise Wrong("There is no primary just now: the voters choose one by themselves.")
        ready = [name for name, row in members.items() if follows(row) and (not candidate or name == candidate)]
        if not ready:
            raise Wrong("%s does not stream from %s." % (candidate or "No standby", leader))
        lag = min(members[name].get("lag") or 0 for name in ready) / 1048576
        if lag > self.params["max_lag_mb"]:
            raise Wrong("%s lags %.1f MB behind %s, more than %g MB: wait, or raise the limit." % (candidate or "Every standby", lag, leader, self.params["max_lag_mb"]))
        if self.dry:
            return {"changed": True}
        started = time.monotonic()
        self.patroni.ask("switchover", "POST", {"leader": leader} | ({"candidate": candidate} if candidate else {}), SECONDS)
        new = until(lambda: [name for name in [leader_of(self.patroni.cluster())] if name and name != leader], self.params["seconds"], 0.2)
        if not new:
            raise Wrong("No other server became the primary.")
        took = time.monotonic() - started
        former = until(lambda: follows(self.patroni.cluster().get(leader, {"role": "", "state": ""})), self.params["seconds"])
        if not former:
            raise Wrong("%s is the primary, but %s does not follow it." % (new[0], leader))
        return {"changed": True, "seconds": round(took, 1), "former": leader}


def main():
    """Do what is asked for."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS | {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["leading", "following", "configured", "restarted", "switched", "yielded"]},
            "settings": {"type": "dict", "default": {}}, "candidate": {"type": "str", "default": ""},
            "max_lag_mb": {"type": "float", "default": 16}, "force": {"type": "bool", "default": False}, "seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )  # fmt: skip
    state = module.params["state"]
    try:
        member = Member(module.params, module.check_mode)
        done = {} if module.check_mode and state in ("leading", "following") else getattr(member, state)()
        module.exit_json(**({"changed": False} | done), leader=leader_of(member.patroni.cluster()))
    except (Refused, Silent, Wrong) as error:
        if module.check_mode and isinstance(error, Silent):
            # It is still to come.
            module.exit_json(changed=False, leader="")
        module.fail_json(msg=str(error) if isinstance(error, Wrong) else "Patroni of %s: %s" % (module.params["name"], error))
    except OSError as error:
        module.fail_json(msg="The certificates in %s cannot be read: %s" % (module.params["certificates"], error))


if __name__ == "__main__":
    main()
