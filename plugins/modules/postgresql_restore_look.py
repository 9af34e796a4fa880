#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_restore_look
short_description: Look what a restore of PostgreSQL finds on a host
description:
  - Tells whether the server runs, what the repository holds, how much room there is, and what an interrupted restore has left.
  - M(selfhost.django.postgresql_restore_plan) says what is to be done about it, M(selfhost.django.postgresql_restore) does it.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.restore]
attributes:
  check_mode: {support: full, description: "Only reads."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Look at clusters, repository and space
  selfhost.django.postgresql_restore_look:
    server: {version: "17", cluster: main, stanza: main, port: 5432, beside_port: 5433}
  register: look
"""

RETURN = r"""
seen:
  description:
    - C(running), C(primary), C(paused) and C(voters) are about the server, C(journal) and C(beside) about restores, C(kept) names former clusters.
    - C(information) and C(histories) are what the repository says, C(trouble) why it says nothing; C(free_bytes) is what a restore may take, and
      C(beside_bytes) what it may take beside that where it takes the place of what stands beside.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_restore import SERVER, Failure, apart


def main():
    """Look, and tell."""
    module = AnsibleModule(argument_spec={"server": SERVER}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, seen=apart("look", module.params["server"]))
    except Failure as failure:
        module.fail_json(msg=str(failure))


if __name__ == "__main__":
    main()
