#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_heartbeat
short_description: Show that a release goes on, and tell whether it still has the lock
description:
  - A holder of the lock is alive while one of its commands runs or begins. One that shows no sign of life for a while was killed, and another may take
    its place; whoever has lost the lock learns it here, and changes nothing any more.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  root:
    description: Directory of the application; which release serves is told, too.
    type: str
    required: true
  lock:
    description: The lock that M(selfhost.django.release_begin) has taken.
    type: path
    required: true
  token:
    description: What this said when it was taken; empty where it never was.
    type: str
    required: true
  required:
    description: Whether to fail where somebody else has the lock by now.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: "There is no release in a dry run, so nobody has the lock."}
  diff_mode: {support: none, description: "Changes nothing but a time."}
"""

EXAMPLES = r"""
- name: Show that this release goes on
  selfhost.django.release_heartbeat:
    root: /srv/shop
    lock: /run/selfhost/shop/release.lock
    token: "{{ begun.token }}"
"""

RETURN = r"""
held:
  description: Whether the lock is still the one of O(token).
  type: bool
  returned: success
serving:
  description: Release that serves; empty where none does.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.locks import LOST, keep
from ansible_collections.selfhost.django.plugins.module_utils.releases import current_of


def main():
    """Show it, and tell."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True},
            "lock": {"type": "path", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
            "required": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        held = not module.check_mode and keep(module.params["lock"], module.params["token"])
    except OSError as error:
        module.fail_json(msg=str(error))
    if module.params["required"] and not held:
        module.fail_json(msg=LOST)
    module.exit_json(changed=False, held=held, serving=current_of(module.params["root"]))


if __name__ == "__main__":
    main()
