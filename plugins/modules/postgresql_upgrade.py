#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_upgrade
short_description: Make a PostgreSQL cluster one of a later version
description:
  - Debian's C(pg_upgradecluster) with PostgreSQL's C(pg_upgrade) makes a copy of the cluster, of the later version. The old cluster stays as it
    was, stopped, and is the way back.
  - A server that Patroni runs is taken from it before it is stopped, while Patroni is paused, and the voters forget what they know of a former
    cluster of the name that the new one has. Whoever sets the new server up has Patroni take it over.
  - A run that is killed has changed nothing yet, or is gone on with by the next one.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  state:
    description:
      - V(checked) has pg_upgrade look whether it can be done, while the server runs on.
      - V(upgraded) does it. The new server is not started.
      - V(exchanged) has systemd start the cluster O(new) and no more O(old); both are there.
      - V(retired) stops the cluster O(old) of a standby, for good.
      - V(removed) removes the cluster O(old), which is not started any more.
      - V(finished) notes that the site serves with the cluster O(new).
    type: str
    required: true
    choices: [checked, upgraded, exchanged, retired, removed, finished]
  old:
    description: Version of the cluster that is there.
    type: str
    required: true
  new:
    description: Version of the one that takes its place, or serves beside it.
    type: str
    default: ""
  name:
    description: Name of the cluster.
    type: str
    default: main
  port:
    description: Port of the server.
    type: int
    default: 5432
  jobs:
    description: Processes that work side by side.
    type: int
    default: 1
  clone:
    description: Whether files are cloned, which takes no time and no room, where the file system can do that (btrfs, xfs).
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: "Does nothing."}
  diff_mode: {support: none, description: "A cluster has no text."}
"""

EXAMPLES = r"""
- name: Make the cluster one of PostgreSQL 17
  selfhost.django.postgresql_upgrade:
    state: upgraded
    old: "15"
    new: "17"
"""

RETURN = r"""
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils import postgresql_upgrade as upgrade


def work(given):
    """Do what is asked for; return whether anything has changed."""
    state, old, new, name = (given[word] for word in ("state", "old", "new", "name"))
    if state == "checked":
        upgrade.checked(old, new, name, given["port"])
    elif state == "upgraded":
        upgrade.upgraded(old, new, name, given["jobs"], given["clone"])
    elif state == "exchanged":
        upgrade.exchanged(old, new, name)
    elif state == "retired":
        return upgrade.retired(old, name)
    elif state == "removed":
        return upgrade.removed(old, new, name)
    else:
        upgrade.finished(old, new, given["port"])
    return state != "checked"


def would(given):
    """Return whether anything would change."""
    if given["state"] in ("retired", "removed"):
        return upgrade.is_there(given["old"], given["name"])
    return given["state"] != "checked"


def main():
    """Work, and tell."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["checked", "upgraded", "exchanged", "retired", "removed", "finished"]},
            "old": {"type": "str", "required": True}, "new": text, "name": {"type": "str", "default": "main"}, "port": {"type": "int", "default": 5432},
            "jobs": {"type": "int", "default": 1}, "clone": {"type": "bool", "default": False},
        }, supports_check_mode=True
    )  # fmt: skip
    if module.check_mode:
        module.exit_json(changed=would(module.params))
    try:
        upgrade.alone()
        module.exit_json(changed=work(module.params))
    except upgrade.Wrong as wrong:
        module.fail_json(msg=str(wrong))


if __name__ == "__main__":
    main()
