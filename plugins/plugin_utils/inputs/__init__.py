# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether a site can be set up as its inventory says: pure functions of its variables, each of which yields sentences.

A sentence names the variable, what it is, and what would be right; it holds no secret.
"""

from __future__ import annotations

import re

from . import app, database, hosts, notify, upgrades
from .kinds import wanted
from .names import misspelt
from .values import Unreadable

PARTS = ("web", "database", "backup", "balancer")
# What is checked, by the role that it is for, on hosts of which groups; none for all hosts.
INVENTORY = {
    "app": (app.application, PARTS),
    "guard": (hosts.guard, ()),
    "hardening": (hosts.hardening, ()),
    "doctor": (hosts.doctor, ()),
    "firewall": (hosts.firewall, ()),
    "etcd": (database.voters, ("etcd",)),
    "certificates": (hosts.certificates, PARTS),
    "postgresql": (database.server, ("database",)),
    "postgresql_backup": (database.backups, ("database", "backup")),
    "media_backup": (database.uploads, ("database", "backup")),
    "django": (app.releases, ("web",)),
    "uwsgi": (app.application_server, ("web",)),
    "nginx": (app.web_server, ("web",)),
    "haproxy": (app.balancer, ("balancer",)),
    "logs": (hosts.logs, PARTS),
    "notify": (notify.notify, PARTS),
}
# Lists that may be one word, since they are given on the command line.
WORDS = ("postgresql_rebuild",)
# What playbooks are asked for on the command line.
WISHES = {
    "backup": (database.backup, ("database", "backup")),
    "maintenance": (app.maintenance, ("web",)),
    "reboot": (hosts.reboot, ()),
    "restore": (database.restore, ("database",)),
    "restore_media": (database.restore_media, PARTS),
    "status": (hosts.status, ()),
    "switchover": (database.switchover, ("database",)),
    "upgrade_debian": (upgrades.upgrade_debian, PARTS),
    "upgrade_postgresql": (upgrades.upgrade_postgresql, ("database",)),
}
# What Ansible says where a fact is missing, be it one of a host's own.
FACT = re.compile("ansible_|has no attribute")


def mistakes(site, names=tuple(INVENTORY)):
    """Return what is wrong with what a site says of one host: sentences, in the order in which roles need what they are about.

    names are keys of INVENTORY and WISHES.
    """
    # What is wrong in the inventory stands in the way of nothing that asks for something else.
    inputs = site.inputs if set(names) & set(INVENTORY) else {}
    found = [
        f"{name} is no variable of this collection, and {meant} is one: write that, or give yours a name less like it."
        for name, meant in misspelt(site.given, inputs).items()
    ]
    if site.is_in(*PARTS) and (unnamed := list(app.name(site))):
        found += unnamed
        # All else derives from it: with another one it can be judged, too.
        site.variables["app_name"] = "app"
    broken = []
    for name in names:
        check, groups = (INVENTORY | WISHES)[name]
        try:
            found += check(site) if not groups or site.is_in(*groups) else ()
        except (AttributeError, KeyError, TypeError, Unreadable, ValueError) as error:
            broken.append(error)
    given = {
        name: option for name, option in inputs.items()
        if name in site.given and _is_for(site, option["role"]) and not any(said.startswith(f"{name} ") for said in found)
    }  # fmt: skip
    wrong, is_awaited = _of_another_kind(site, given)
    # A check came upon what cannot be read, or upon what is of another kind: it is one of these, or nobody's mistake.
    if broken and not found and not wrong and not is_awaited:
        raise broken[0]
    return list(dict.fromkeys(found + wrong))


def _is_for(site, role):
    """Whether a role is run on the host; of one that is not here, all are."""
    groups = INVENTORY[role][1] if role in INVENTORY else ()
    return not groups or site.is_in(*groups)


def _of_another_kind(site, given):
    """Return what is wrong with inputs that are of another kind or cannot be read, and whether there are some that facts of the host will give, later."""
    sentences, is_awaited = [], False
    for name, option in given.items():
        try:
            if what := wanted(site[name], option, name in WORDS):
                sentences.append(f"{name} has to be {what}.")
        except Unreadable as unreadable:
            if "ansible_" in str(site.variables[name]) and FACT.search(str(unreadable)):
                is_awaited = True
            else:
                sentences.append(f"{unreadable}.")
    return sentences, is_awaited
