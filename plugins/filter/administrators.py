# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a host's administrators need, beside the accounts that it was seen to have."""

from __future__ import annotations

DOCUMENTATION = r"""
name: administrators
short_description: What a host's administrators need, beside the accounts that it was seen to have
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Plans accounts, homes and keys of the administrators, so that a run with nothing to do asks the host for none of them alone.
  - Hashes of passwords stand in no facts. Who is given a password is due in every run, and the module that sets it compares.
options:
  _input:
    description: C(hardening_admins).
    type: list
    elements: dict
    required: true
  users:
    description: Accounts of the host by name, as M(selfhost.django.host_facts) tells them.
    type: dict
    required: true
  group:
    description: Group of the administrators.
    type: str
    required: true
  candidates:
    description: Directory from where the guard takes the files that it puts in force.
    type: str
    required: true
"""

EXAMPLES = r"""
plan: "{{ hardening_admins | selfhost.django.administrators(ansible_facts['selfhost']['users'], 'admins', '/var/lib/selfhost-guard/candidate') }}"
"""

RETURN = r"""
_value:
  description:
    - C(due), names of those whose accounts are to be made or changed.
    - C(homes), their homes as rows of M(selfhost.django.files), for nobody else to read.
    - C(files), rows of the directories of their keys and of the candidates of the keys themselves.
    - C(keys), paths of the files with the keys in force. Who has no account yet will have the usual home.
  type: dict
"""

SHELL = "/bin/bash"


def administrators(admins, users, group, candidates):
    """Return what is to be done for the administrators: accounts that are due, rows of files, and the paths of their keys."""
    plan = {"due": [], "homes": [], "files": [], "keys": []}
    for admin in admins:
        name, user = admin["name"], users.get(admin["name"])
        home = (user or {}).get("home", f"/home/{name}").rstrip("/")
        keys = f"{home}/.ssh/authorized_keys"
        own = {"owner": name, "group": (user or {}).get("group", name)}
        if admin.get("password") or not is_administrator(user, group):
            plan["due"].append(name)
        plan["homes"].append({"dest": home, "state": "directory", "mode": "0700", **own})
        plan["files"] += [
            {"dest": f"{home}/.ssh", "state": "directory", "mode": "0700", **own},
            {
                "template": "authorized_keys.j2", "vars": {"__hardening_keys": admin["keys"]},
                "dest": f"{candidates}/{keys[1:].replace('/', '-')}", "mode": "0600", **own,
            },
        ]  # fmt: skip
        plan["keys"].append(keys)
    return plan


def is_administrator(user, group):
    """Return whether an account of the host is as it has to be, but for a password."""
    return bool(user) and user["shell"] == SHELL and user["passwordless"] and group in (user["group"], *user["groups"])


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return it by its name."""
        return {"administrators": administrators}
