#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Have those that vote already take a voter in
description:
  - For a voter without data. Where nobody votes yet, nothing is done, and it begins with the others.
  - One that voted before under its name or at its address is taken off the list first, since it would vote anew on what it has voted on. If
    there is none, one that is not among O(voters) any more makes room for it.
  - The voters refuse what would leave too few of them.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.voters]
options:
  endpoints:
    description: Addresses and ports of the other voters.
    type: list
    elements: str
    required: true
  name:
    description: Name of the voter.
    type: str
    required: true
  peer_url:
    description: Where the others reach it.
    type: str
    required: true
  voters:
    description: Names of all that are to vote.
    type: list
    elements: str
    required: true
  seconds:
    description: How long is waited for the others to be ready for it.
    type: int
    default: 60
attributes:
  check_mode: {support: none, description: "What it would do is asked of voters who may be still to come."}
  diff_mode: {support: none, description: "It writes no file."}
"""

EXAMPLES = r"""
- name: Have the others take it in
  selfhost.django.etcd_member:
    endpoints: ["192.0.2.21:2379", "192.0.2.22:2379"]
    certificates: /etc/selfhost
    root_password: "{{ vault_etcd_root_password }}"
    name: db3
    peer_url: https://192.0.2.23:2380
    voters: [db1, db2, db3]
"""

RETURN = r"""
cluster:
  description: Who votes, as etcd's C(initial-cluster) has it; empty where nobody does yet.
  returned: success
  type: str
removed:
  description: Name of the one that was taken off the list; empty for none.
  returned: success
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.etcd import Refused, Voters

# What they say while one of them, or the last change, is not settled yet.
SOON = ("unhealthy cluster", "re-configuration failed", "too many learner", "leader changed", "request timed out")
PAUSE = 2


def superfluous(members, name, url, voters):
    """Return the member whose place is taken; nothing where there is room."""
    same = [member for member in members if member.get("name") == name or url in member["peerURLs"]]
    strange = [member for member in members if member.get("name") not in ["", None, *voters]]
    return next(iter(same + strange), None)


def patiently(voters, seconds, path, **fields):
    """Ask again as long as they are not ready for it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return voters.ask(path, **fields)
        except Refused as refusal:
            if time.monotonic() > end or not any(words in str(refusal) for words in SOON):
                raise
        time.sleep(PAUSE)


def join(voters, given):
    """Take the voter in, and return who votes then, and whose place it took."""
    try:
        voters.log_in("root", given["root_password"])
    except Refused as refusal:
        if "not enabled" not in str(refusal):
            raise
    except OSError:
        return {"changed": False, "cluster": "", "removed": ""}
    members = voters.ask("cluster/member/list")["members"]
    gone = superfluous(members, given["name"], given["peer_url"], given["voters"])
    if gone:
        patiently(voters, given["seconds"], "cluster/member/remove", ID=gone["ID"])
    members = patiently(voters, given["seconds"], "cluster/member/add", peerURLs=[given["peer_url"]])["members"]
    named = [(given["name"] if given["peer_url"] in row["peerURLs"] else row.get("name") or "voter-%s" % row["ID"], row["peerURLs"]) for row in members]
    cluster = ",".join("%s=%s" % (name, url) for name, urls in sorted(named) for url in urls)
    return {"changed": True, "cluster": cluster, "removed": (gone or {}).get("name", "")}


def main():
    """Join, or say why not."""
    text, names = {"type": "str", "required": True}, {"type": "list", "elements": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "endpoints": names, "certificates": {"type": "path", "required": True}, "root_password": text | {"no_log": True}, "name": text,
            "peer_url": text, "voters": names, "seconds": {"type": "int", "default": 60},
        },
    )  # fmt: skip
    try:
        module.exit_json(**join(Voters(module.params["endpoints"], module.params["certificates"]), module.params))
    except (Refused, OSError) as error:
        module.fail_json(msg="The voters that are left do not take %s in: %s" % (module.params["name"], error))


if __name__ == "__main__":
    main()
