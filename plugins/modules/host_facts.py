#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
short_description: Look once what a host has
description:
  - One look at a host, at the beginning of a run, tells the roles which of their packages are installed and which of their services run, so that
    a run with nothing to do asks for none of them alone.
  - The tests P(selfhost.django.installed#test), P(selfhost.django.absent#test), P(selfhost.django.running#test) and P(selfhost.django.enabled#test)
    read the answer.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options: {}
attributes:
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Look what the host has
  selfhost.django.host_facts:

- name: Install nginx
  ansible.builtin.apt:
    name: nginx-light
  when: "['nginx-light'] is not selfhost.django.installed(ansible_facts)"
"""

RETURN = r"""
ansible_facts:
  description: What the host has.
  returned: always
  type: dict
  contains:
    selfhost:
      description: The answer of this look; it stands until the next one.
      type: dict
      returned: always
      contains:
        packages:
          description: Names of the Debian packages that are installed and configured.
          type: list
          elements: str
          returned: always
        leftovers:
          description: Names of the Debian packages that are neither whole nor gone, as those of which the configuration was kept.
          type: list
          elements: str
          returned: always
        has_package_lists:
          description: Whether apt knows what its archives offer; an image may come without.
          type: bool
          returned: always
        overrides:
          description: What dpkg was told of owners and permissions (dpkg-statoverride), in lines of owner, group, mode and path.
          type: list
          elements: str
          returned: always
        units:
          description:
            - Units that systemd has loaded, by name, each with C(active), C(enabled), C(masked) and C(stale) (its file has changed since it was read).
          type: dict
          returned: always
        users:
          description:
            - Accounts of the host's own, by name, each with C(uid), C(group), C(home), C(shell), C(groups) and C(passwordless), which is true of
              one that no password opens and a key may (C(*) in shadow).
          type: dict
          returned: always
        groups:
          description: Groups of the host's own, by name, each with its members.
          type: dict
          returned: always
        neighbours:
          description: Applications, PostgreSQL clusters, databases that rows of ours admit to, and what a balancer or backups are for.
          type: dict
          returned: always
"""

import grp
import os
import pwd
import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils import neighbours

PROPERTIES = "--property=Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload"


def packages(listing):
    """Return the names of what is installed, from lines of a name and a state of dpkg's."""
    rows = (line.split() for line in listing.splitlines())
    return sorted({row[0] for row in rows if row[1:] == ["installed"]})


def leftovers(listing):
    """Return the names of what is there in part, from the same lines."""
    rows = (line.split() for line in listing.splitlines())
    return sorted({row[0] for row in rows if row[1:] not in (["installed"], ["not-installed"])})


def has_package_lists(names):
    """Whether apt has a list of packages, from the names of the files in /var/lib/apt/lists, which may be compressed."""
    return any(re.search(r"_Packages(\.[a-z0-9]+)?$", name) for name in names)


def units(listing):
    """Return what `systemctl show` tells of units: blocks of NAME=VALUE, with an empty line between them."""
    found = {}
    for block in listing.split("\n\n"):
        row = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        # Units name others that may not be there.
        if row.get("Id") and row.get("LoadState") != "not-found":
            found[row["Id"]] = {
                "active": row.get("ActiveState") == "active",
                "enabled": row.get("UnitFileState") == "enabled",
                "masked": row.get("UnitFileState") == "masked",
                "stale": row.get("NeedDaemonReload") == "yes",
            }
    return found


def passwordless(shadow):
    """Return the names of the accounts that no password opens, from the lines of shadow. `!` is not meant: it may turn a key away, too."""
    rows = (line.split(":") for line in shadow.splitlines())
    return {row[0] for row in rows if row[1:2] == ["*"]}


def read(path):
    """Return the text of a file, and nothing where it is not there or not for this account to read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def accounts(people, groups, keys_alone=()):
    """Return users and groups of a host as roles read them, from its entries of passwd and group; keys_alone are those without a password."""
    names = {group.gr_gid: group.gr_name for group in groups}
    users = {
        person.pw_name: {
            "uid": person.pw_uid,
            "group": names.get(person.pw_gid, str(person.pw_gid)),
            "home": person.pw_dir,
            "shell": person.pw_shell,
            "groups": sorted(group.gr_name for group in groups if person.pw_name in group.gr_mem),
            "passwordless": person.pw_name in keys_alone,
        }
        for person in people
    }
    return users, {group.gr_name: sorted(group.gr_mem) for group in groups}


def main():
    """Look, and tell."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    _code, installed, _err = module.run_command(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"], check_rc=True)
    # A host that has no systemd yet has no unit either.
    _code, shown, _err = module.run_command(["systemctl", "show", "--all", PROPERTIES, "*"], environ_update={"LC_ALL": "C"})
    users, groups = accounts(pwd.getpwall(), grp.getgrall(), passwordless(read("/etc/shadow")))
    facts = {
        "packages": packages(installed), "leftovers": leftovers(installed), "overrides": read("/var/lib/dpkg/statoverride").splitlines(),
        "has_package_lists": has_package_lists(os.listdir("/var/lib/apt/lists")),
        "units": units(shown), "users": users, "groups": groups, "neighbours": neighbours.look(),
    }  # fmt: skip
    module.exit_json(changed=False, ansible_facts={"selfhost": facts})


if __name__ == "__main__":
    main()
