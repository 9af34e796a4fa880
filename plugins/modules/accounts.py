#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: accounts
short_description: Make accounts of services, with their groups, in one round trip
description:
  - What is missing is made as an account of the system, without a password; what differs is changed. Nothing is removed, and no home directory is
    made or moved.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  accounts:
    description: The accounts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the account.
        type: str
        required: true
      group:
        description: Its group, which is made where there is none.
        type: str
        required: true
      home:
        description: Its home directory.
        type: path
        required: true
      shell:
        description: Its shell.
        type: path
        default: /usr/sbin/nologin
attributes:
  check_mode: {support: full, description: "Says what it would run."}
  diff_mode: {support: none, description: "C(commands) says what changes."}
"""

EXAMPLES = r"""
- name: Make the account that serves
  selfhost.django.accounts:
    accounts:
      - {name: shop, group: shop, home: /srv/shop/home}
"""

RETURN = r"""
commands:
  description: Commands that ran, each a list of words.
  type: list
  elements: list
  returned: success
"""

import grp
import pwd

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask

OPTIONS = {"group": "-g", "home": "-d", "shell": "-s"}


def commands(accounts, users, groups):
    """Yield the commands that make accounts what they are to be; users are those that are there, by name, groups the names of those that are."""
    for group in dict.fromkeys(account["group"] for account in accounts):
        if group not in groups:
            yield ["groupadd", "--system", group]
    for account in accounts:
        user = users.get(account["name"])
        options = [word for name, option in OPTIONS.items() if (user or {}).get(name) != account[name] for word in (option, account[name])]
        if user is None:
            yield ["useradd", "--system", "--no-create-home", *options, account["name"]]
        elif options:
            yield ["usermod", *options, account["name"]]


def look():
    """Return what commands() asks for, of this host."""
    groups = {group.gr_gid: group.gr_name for group in grp.getgrall()}
    users = {
        user.pw_name: {"group": groups.get(user.pw_gid), "home": user.pw_dir, "shell": user.pw_shell} for user in pwd.getpwall()
    }  # fmt: skip
    return users, set(groups.values())


def main():
    """Look, and do what is due."""
    account = {name: {"type": "str", "required": True} for name in ("name", "group")}
    account |= {"home": {"type": "path", "required": True}, "shell": {"type": "path", "default": "/usr/sbin/nologin"}}
    module = AnsibleModule(
        argument_spec={"accounts": {"type": "list", "elements": "dict", "required": True, "options": account}},
        supports_check_mode=True,
    )
    due = list(commands(module.params["accounts"], *look()))
    try:
        for words in [] if module.check_mode else due:
            ask(*words)
    except Failed as error:
        module.fail_json(**error.details)
    module.exit_json(changed=bool(due), commands=due)


if __name__ == "__main__":
    main()
