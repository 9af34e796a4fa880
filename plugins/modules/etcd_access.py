#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_access
short_description: Let nobody ask the voters without a password
description:
  - Turns on etcd's authentication, with C(root), who administers it, and a user who may read and write what is below a prefix.
  - A user's password that has changed is set anew. Passwords travel in the body of requests over TLS and are in no argument.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.voters]
options:
  endpoints:
    description: Addresses and ports of the voters.
    type: list
    elements: str
    required: true
  user:
    description: Name of the user.
    type: str
    required: true
  password:
    description: Password of the user.
    type: str
    required: true
  prefix:
    description: How the keys begin that the user may read and write.
    type: str
    required: true
attributes:
  check_mode: {support: none, description: "What it would do depends on what it has done."}
  diff_mode: {support: none, description: "It writes no file."}
"""

EXAMPLES = r"""
- name: Let nobody in without a password
  selfhost.django.etcd_access:
    endpoints: ["192.0.2.21:2379"]
    certificates: /etc/selfhost
    root_password: "{{ vault_etcd_root_password }}"
    user: patroni
    password: "{{ vault_etcd_password }}"
    prefix: /shop/
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.etcd import Refused, Voters, encoded, end_of

# What etcd says of what is there already.
THERE = ("already exists", "is already")


class Wrong(Exception):
    """The voters are not as they can be dealt with; the message is a sentence."""


def opened(voters, name, password):
    """Return whether a user's password opens; None where nobody is asked for one yet."""
    try:
        voters.log_in(name, password)
    except Refused as refusal:
        return None if "not enabled" in str(refusal) else False
    return True


def make(voters, path, **fields):
    """Make something unless it is there, as an interrupted run may have left it."""
    try:
        voters.ask(path, **fields)
    except Refused as refusal:
        if not any(words in str(refusal) for words in THERE):
            raise


def enable(voters, given):
    """Make both users and close the door behind them."""
    user, permission = given["user"], {"permType": "READWRITE", "key": encoded(given["prefix"]), "range_end": encoded(end_of(given["prefix"]))}
    make(voters, "auth/role/add", name="root")
    make(voters, "auth/role/add", name=user)
    make(voters, "auth/role/grant", name=user, perm=permission)
    for name, password in (("root", given["root_password"]), (user, given["password"])):
        make(voters, "auth/user/add", name=name, password=password)
        voters.ask("auth/user/changepw", name=name, password=password)
        make(voters, "auth/user/grant", user=name, role=name)
    voters.ask("auth/enable")


def settle(voters, given):
    """Make the voters ask for passwords, and return whether that took a change."""
    held = opened(voters, given["user"], given["password"])
    if held:
        return False
    as_root = opened(voters, "root", given["root_password"])
    if as_root is False:
        raise Wrong("The voters know neither the user %s nor root by these passwords: put back the former etcd_root_password." % given["user"])
    if as_root is None:
        enable(voters, given)
    else:
        voters.ask("auth/user/changepw", name=given["user"], password=given["password"])
    return True


def main():
    """Settle, or say why not."""
    secret, text = {"type": "str", "required": True, "no_log": True}, {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True}, "certificates": {"type": "path", "required": True},
            "root_password": secret, "user": text, "password": secret, "prefix": text,
        },
    )  # fmt: skip
    try:
        module.exit_json(changed=settle(Voters(module.params["endpoints"], module.params["certificates"]), module.params))
    except (Refused, Wrong, OSError) as error:
        module.fail_json(msg="The voters cannot be set up: %s" % error)


if __name__ == "__main__":
    main()
