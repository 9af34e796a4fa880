#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: process_watch
short_description: See that processes stay up
description:
  - Looks at units a while after they were started, and fails where one has gone or came back, with the last that it said.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  units:
    description: Units that were just started.
    type: list
    elements: str
    required: true
  seconds:
    description: How long they are watched.
    type: int
    required: true
  lock:
    description: Lock of the release that started them, whose holder is alive meanwhile.
    type: path
attributes:
  check_mode: {support: full, description: "Only looks, and not at all in check mode, where nothing was started."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: See that the worker stays up
  selfhost.django.process_watch:
    units: [shop-worker.service]
    seconds: 10
"""

RETURN = r"""
fallen:
  description: Units that did not stay up.
  type: list
  elements: str
  returned: failure
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.locks import alive

SHOWN = ["systemctl", "show", "--property=Id,ActiveState,NRestarts"]
# Enough for a traceback.
LINES = 20


def fallen(shown):
    """Return the units that have gone or came back, of what `systemctl show` says of several."""
    units = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.strip().split("\n\n")]
    return [unit["Id"] for unit in units if unit.get("ActiveState") != "active" or unit.get("NRestarts", "0") != "0"]


def main():
    """Wait, look, and tell."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "required": True},
            "seconds": {"type": "int", "required": True},
            "lock": {"type": "path"},
        },
        supports_check_mode=True,
    )
    units = module.params["units"]
    if not units or module.check_mode:
        module.exit_json(changed=False)
    with alive(module.params["lock"]):
        time.sleep(module.params["seconds"])
    names = fallen(module.run_command([*SHOWN, *units], check_rc=True)[1])
    if names:
        journal = ["journalctl", "--output", "cat", "--lines", str(LINES), "--no-pager"]
        said = "".join(module.run_command([*journal, "_SYSTEMD_UNIT=%s" % name])[1] for name in names)
        sentence = "These do not stay up on the new release: %s." % " ".join(names)
        module.fail_json(msg=sentence, stderr=said + sentence, fallen=names)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
