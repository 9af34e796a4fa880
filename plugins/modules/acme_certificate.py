#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_certificate
short_description: Have the visitors' certificate asked for where that is due
description:
  - Asks the program of role C(acme) whether a certificate is to be asked for, starts its unit if so, and waits for the end.
  - What stands in the way is a warning, and no failure. The site is served with what it has, and the timer tries again.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  program:
    description: Path of the program.
    type: path
    required: true
attributes:
  check_mode: {support: full, description: "Says whether one is due that nothing is known to stand in the way of, and asks nobody."}
  diff_mode: {support: none, description: "A certificate is no text to compare."}
"""

EXAMPLES = r"""
- name: Ask for it now where that is due
  selfhost.django.acme_certificate:
    program: /usr/local/sbin/selfhost-acme
"""

RETURN = r"""
reason:
  description: Why one is due; empty where none is.
  returned: always
  type: str
sentence:
  description: What stands in the way; empty where nothing does.
  returned: always
  type: str
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

UNITS = ("selfhost-acme.service", "selfhost-acme-install.service")


def unit_to_start(seen):
    """Return the unit that does what is to be done, by what the program tells; empty where nothing is."""
    return UNITS[0] if seen["reason"] else UNITS[1] if seen["to_install"] else ""


def main():
    """Have it asked for, and tell what came of it."""
    module = AnsibleModule(argument_spec={"program": {"type": "path", "required": True}}, supports_check_mode=True)
    program = module.params["program"]
    if module.check_mode and not os.path.exists(program):
        # It is still to come, and what it asks for, too.
        module.exit_json(changed=True, reason="there is none yet", sentence="")

    def look():
        return json.loads(module.run_command([program, "look"], check_rc=True)[1])

    before = look()
    unit = unit_to_start(before)
    if module.check_mode or not unit:
        module.exit_json(changed=bool(unit) and not before["sentence"], reason=before["reason"], sentence=before["sentence"])
    code, _out, err = module.run_command(["systemctl", "start", unit])
    if code:
        module.fail_json(msg="%s failed; journalctl -u %s -u %s tells why. %s" % (unit, *UNITS, err.strip()))
    after = look()
    if after["sentence"]:
        module.warn(after["sentence"])
    module.exit_json(changed=after["until"] != before["until"] or before["to_install"], reason=before["reason"], sentence=after["sentence"])


if __name__ == "__main__":
    main()
