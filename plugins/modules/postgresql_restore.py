#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_restore
short_description: Bring a moment of a PostgreSQL cluster back
description:
  - Restores beside the running cluster, or in its place, what M(selfhost.django.postgresql_restore_plan) has planned, or a dump into a database.
  - A run that was killed has changed nothing yet, or has left a journal by which the same step finishes it.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.restore]
options:
  step:
    description:
      - What is done. V(beside) restores into a second cluster, V(remove) takes away what was restored beside, as a cluster or a database.
      - V(prepare) restores next to the cluster while it runs on, V(swap) puts that in its place, V(complete) forgets what an interrupted run would need.
      - V(locate) finds a dump, V(room) refuses it where there is no room for it on its way or for the database that becomes of it, V(dump) restores
        it into a database of its own, V(rename) puts that one in the place of the former.
    type: str
    required: true
    choices: [beside, remove, prepare, swap, complete, locate, room, dump, rename]
  order:
    description: What is restored, as the plan says it in C(order).
    type: dict
    default: {}
attributes:
  check_mode: {support: full, description: "Says what would be done."}
  diff_mode: {support: full, description: "Says what is done in a line, since what changes is no text."}
"""

EXAMPLES = r"""
- name: Restore beside the running cluster
  selfhost.django.postgresql_restore:
    step: beside
    server: {version: "17", cluster: main, stanza: main, port: 5432, beside_port: 5433}
    order: "{{ plan.order }}"
"""

RETURN = r"""
result:
  description: What came of the step; of V(beside) the backup (C(set)) and what was C(reached), of V(swap) and V(rename) what C(serves) now and where the
    former is C(kept), of V(dump) the C(database), of V(locate) the C(path) of the dump and its C(bytes).
  type: dict
  returned: success, but in check mode
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_restore import QUESTIONS, SERVER, STEPS, Failure, apart

# What a step comes to, in words.
SENTENCES = {
    "beside": "%s runs beside the cluster",
    "remove": "nothing stands beside the cluster",
    "prepare": "%s lies next to the cluster",
    "swap": "%s is in the place of the cluster",
    "complete": "nothing is left of a restore that was interrupted",
    "dump": "%s is a database of its own",
    "rename": "%s is in the place of the database",
}


def sentence(step, order):
    """Return what a step comes to."""
    made = f", made ready at {order['since']}," if "since" in order else ""
    return SENTENCES[step].replace("%s", str(order.get("words", "what was restored")) + made)


def main():
    """Do it, or say what would be done."""
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": [*STEPS, *QUESTIONS]},
            "server": SERVER,
            "order": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    step, order = module.params["step"], module.params["order"]
    changed = {"changed": True, "diff": {"after": sentence(step, order) + "\n", "before": ""}} if step in STEPS else {"changed": False}
    if module.check_mode and step in STEPS:
        module.exit_json(**changed)
    try:
        module.exit_json(result=apart(step, module.params["server"] | order), **changed)
    except Failure as failure:
        module.fail_json(msg=str(failure))


if __name__ == "__main__":
    main()
