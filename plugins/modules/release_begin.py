#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_begin
short_description: Keep other releases out, and look what serves with the lock in hand
description:
  - Takes the lock of a host, as M(selfhost.django.release_lock) describes it, and then looks as M(selfhost.django.release_look) does, since somebody else
    may have shipped something meanwhile.
  - Fails with the words of whoever else has the lock.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.application, selfhost.django.application.units, selfhost.django.application.release]
options:
  lock:
    description: The lock, a file of root's.
    type: path
    required: true
  holder:
    description: Who takes it, in words.
    type: str
    required: true
  idle_seconds:
    description: Seconds that another one may show no sign of life.
    type: int
    default: 60
  break_lock:
    description: Whether to take it from whoever has it.
    type: bool
    default: false
attributes:
  check_mode: {support: none, description: "Nothing is begun in check mode."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Keep other releases out
  selfhost.django.release_begin:
    root: /srv/shop
    service: shop
    mark: X-Application=shop
    lock: /run/selfhost/shop/release.lock
    holder: Ann ships main
  register: begun
"""

RETURN = r"""
token:
  description: What this holder alone knows.
  type: str
  returned: success
current:
  description: This and what follows is told as by M(selfhost.django.release_look).
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.locks import Held, take
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, RELEASE, UNITS, look, records


def main():
    """Take the lock, look, and tell."""
    module = AnsibleModule(
        argument_spec=APPLICATION
        | UNITS
        | RELEASE
        | {
            "lock": {"type": "path", "required": True},
            "holder": {"type": "str", "required": True},
            "idle_seconds": {"type": "int", "default": 60},
            "break_lock": {"type": "bool", "default": False},
        },
    )
    lock, holder, idle_seconds, breaks = (module.params.pop(name) for name in ("lock", "holder", "idle_seconds", "break_lock"))
    try:
        token = take(lock, holder, idle_seconds, breaks)
        module.exit_json(changed=True, token=token, **look(**module.params), records=records(module.params["root"]))
    except Held as other:
        module.fail_json(msg="Another release holds the lock: %s. If nobody ships any more, -e deploy_break_lock=true takes it." % other, step="lock")
    except OSError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
