#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_lock
short_description: Keep other releases out while one is made
description:
  - Takes a lock on a host, shows that its holder is alive, or lets go of it.
  - A holder is alive while one of its commands runs or begins. One that shows no sign of life for a while was killed, and another may take its place.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  path:
    description: File of the lock, in a folder of root's.
    type: path
    required: true
  state:
    description:
      - V(taken) takes it, or fails with the words of whoever has it.
      - V(kept) shows that the holder with O(token) is alive, and tells whether it still has it.
      - V(released) lets go of it where O(token) still has it.
    type: str
    choices: [taken, kept, released]
    default: taken
  holder:
    description: One line on who takes it and what for.
    type: str
    default: ""
  token:
    description: What RV(token) said when it was taken.
    type: str
    default: ""
  idle_seconds:
    description: How long the other holder may show no sign of life.
    type: int
    default: 60
  break_lock:
    description: Whether to take it from whoever has it.
    type: bool
    default: false
attributes:
  check_mode: {support: none, description: "There is no release in a dry run."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Keep other releases out
  selfhost.django.release_lock:
    path: /run/selfhost/shop/release.lock
    holder: Ann ships main
  register: lock

- name: Let other releases in
  selfhost.django.release_lock:
    path: /run/selfhost/shop/release.lock
    state: released
    token: "{{ lock.token }}"
"""

RETURN = r"""
token:
  description: What its holder is known by.
  type: str
  returned: when taken
held:
  description: Whether the lock is, or was until now, the one of O(token).
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.locks import Held, keep, release, take


def main():
    """Take, keep or release it."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["taken", "kept", "released"], "default": "taken"},
            "holder": {"type": "str", "default": ""},
            "token": {"type": "str", "default": "", "no_log": False},
            "idle_seconds": {"type": "int", "default": 60},
            "break_lock": {"type": "bool", "default": False},
        },
    )
    path, state, holder, token, idle_seconds, breaks = map(module.params.get, ("path", "state", "holder", "token", "idle_seconds", "break_lock"))
    try:
        if state == "taken":
            module.exit_json(changed=True, held=True, token=take(path, holder, idle_seconds, breaks))
        held = (keep if state == "kept" else release)(path, token)
        module.exit_json(changed=held and state == "released", held=held)
    except Held as other:
        module.fail_json(msg="Another release holds the lock: %s. If nobody ships any more, -e deploy_break_lock=true takes it." % other)
    except OSError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
