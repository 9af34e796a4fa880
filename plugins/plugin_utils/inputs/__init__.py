# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether a site can be set up as its inventory says: pure functions of its variables, each of which yields sentences.

A sentence names the variable, what it is, and what would be right; it holds no secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import app, database, hosts, notify, upgrades
from .names import misspelt
from .values import Unreadable, is_list

PARTS = ("web", "database", "backup", "balancer")
# What is checked, by the role that it is for, on hosts of which groups; none for all hosts.
INVENTORY = {
    "app": (app.application, PARTS),
    "guard": (hosts.guard, ()),
    "hardening": (hosts.hardening, ()),
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
    given = {name: kind for name, kind in inputs.items() if name in site.given and not any(said.startswith(f"{name} ") for said in found)}
    found += _of_another_kind(site, given)
    if broken:
        # A check came upon what cannot be read, or upon what is of another kind: which of the site's own values is it?
        culprits, is_awaited = _unreadable(site, given)
        if not culprits and not found and not is_awaited:
            raise broken[0]
        found += culprits
    return list(dict.fromkeys(found))


def _of_another_kind(site, given):
    """Return what is wrong with inputs that are no list or mapping, but have to be."""
    wanted = {"list": is_list, "dict": lambda value: isinstance(value, Mapping)}
    wrong = [name for name, kind in given.items() if kind in wanted and name not in WORDS and not wanted[kind](site.get(name, [] if kind == "list" else {}))]
    return [f"{name} has to be a {'list' if given[name] == 'list' else 'mapping'}." for name in wrong]


def _unreadable(site, given):
    """Return what is wrong with inputs that cannot be read, and whether there are some that facts of the host will give, later."""
    sentences, is_awaited = [], False
    for name in given:
        try:
            site[name]
        except Unreadable as unreadable:
            if "ansible_" in str(site.variables[name]) and FACT.search(str(unreadable)):
                is_awaited = True
            else:
                sentences.append(f"{unreadable}.")
    return sentences, is_awaited
