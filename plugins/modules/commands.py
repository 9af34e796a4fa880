#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: commands
short_description: Run several commands in one round trip, one after the other
description:
  - For commands that belong together and change something, as those that have services take over what was written for them. None is run after one
    that fails.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  commands:
    description: Commands, each a list of words. No shell reads them.
    type: list
    elements: list
    required: true
  reader:
    description: The word of M(selfhost.django.files) for whose files they have taken over, once all have run; these are told as changed until then.
    type: str
attributes:
  check_mode: {support: full, description: "Says that there are commands to be run."}
  diff_mode: {support: none, description: "What a command changes is not known."}
"""

EXAMPLES = r"""
- name: Load the configuration of nginx
  selfhost.django.commands:
    reader: nginx
    commands:
      - [nginx, -t, -q]
      - [systemctl, reload, nginx.service]
"""

RETURN = r"""
commands:
  description: The commands.
  returned: success
  type: list
  elements: list
cmd:
  description: The command that failed; likewise C(rc), C(stdout) and C(stderr).
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask
from ansible_collections.selfhost.django.plugins.module_utils.owed import settle


def main():
    """Run them."""
    module = AnsibleModule(
        argument_spec={"commands": {"type": "list", "elements": "list", "required": True}, "reader": {"type": "str"}}, supports_check_mode=True
    )
    commands = [[str(word) for word in words] for words in module.params["commands"]]
    try:
        for words in [] if module.check_mode else commands:
            ask(*words)
        if module.params["reader"] and not module.check_mode:
            settle(module.params["reader"])
    except Failed as error:
        module.fail_json(**error.details)
    module.exit_json(changed=bool(commands), commands=commands)


if __name__ == "__main__":
    main()
