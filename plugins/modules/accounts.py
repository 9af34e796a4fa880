#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: accounts
short_description: Make accounts of services, with their groups, in one round trip
description:
  - What is missing is made as an account of the system, without a password; what differs is changed. Nothing is removed, and no home directory is
    made or moved. An account that runs something gets no other home; what it runs is waited for, for half a minute, and then told.
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

import glob
import grp
import pwd
import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask

OPTIONS = {"group": "-g", "home": "-d", "shell": "-s"}
# What usermod(8) ends with where the account runs something; what a command has left running behind it, such as git, gets these seconds to end.
BUSY = 8
PATIENCE_SECONDS = 30
MOST_SHOWN = 5


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


def running(name):
    """Return what runs as an account, each with its number and the beginning of its name, which it may have chosen itself."""
    user, rows = str(pwd.getpwnam(name).pw_uid), []
    for path in glob.glob("/proc/[0-9]*/status"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                values = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
        except OSError:
            # It has ended.
            continue
        if user in values.get("Uid", "").split():
            rows.append((int(path.split("/")[2]), re.sub(r"[^\w.+-]", "?", values.get("Name", "").strip())))
    return ["%d (%s)" % row for row in sorted(rows)]


def change(words):
    """Run a command that makes or changes an account. One that runs something gets no other home, and it may be about to end."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            ask(*words)
            return
        except Failed as error:
            if words[0] != "usermod" or error.details["rc"] != BUSY:
                raise
            if time.monotonic() >= until:
                error.details["msg"] = refusal(words[-1], running(words[-1]))
                raise
        time.sleep(1)


def refusal(name, rows):
    """Return in words why an account is not changed; rows are what it runs."""
    shown = ", ".join(rows[:MOST_SHOWN]) + (", …" if len(rows) > MOST_SHOWN else "")
    first = rows[0].split()[0] if rows else "PID"
    return (
        "The account %s is not changed, since usermod gives no other home to one that runs something%s: wait for the release that is being made, or end "
        "what was left of one (systemctl status %s says what it belongs to), and run this again."
    ) % (name, ", which is " + shown if shown else "", first)


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
            change(words)
    except Failed as error:
        module.fail_json(**error.details)
    module.exit_json(changed=bool(due), commands=due)


if __name__ == "__main__":
    main()
