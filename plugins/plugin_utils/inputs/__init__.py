# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether a site can be set up as its inventory says: pure functions of its variables, each of which yields sentences.

A sentence names the variable, what it is, and what would be right; it holds no secret.
"""

from __future__ import annotations

import re

from . import app, database, hosts, notify, upgrades
from .kinds import wanted
from .names import SWITCHES, VAULT, WORDS, misspelt
from .values import Unreadable, is_list, reason

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
LISTS_OR_WORDS = ("postgresql_rebuild",)
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
TEMPLATE = re.compile("(?s){{.*?}}")


def mistakes(site, names=tuple(INVENTORY)):
    """Return what is wrong with what a site says of one host: sentences, in the order in which roles need what they are about.

    names are keys of INVENTORY and WISHES.
    """
    # What is wrong in the inventory stands in the way of nothing that asks for something else.
    is_inventory = bool(set(names) & set(INVENTORY))
    inputs = {name: option for name, option in site.inputs.items() if is_inventory or option["role"] in names}
    known = {*inputs, *WORDS, *(VAULT if is_inventory else ())}
    unread = _unreadable(site, known - set(inputs))
    found = [
        f"{name} is no variable of this collection, and {meant} is one: write that, or give yours a name less like it."
        for name, meant in misspelt(site.given, {*site.inputs, *WORDS, *VAULT}).items() if meant in known
    ]  # fmt: skip
    found += unread.values()
    if site.is_in(*PARTS) and (unnamed := list(app.name(site))):
        found += unnamed
        # All else derives from it: with another one it can be judged, too.
        site.variables["app_name"] = "app"
    told, broken = [], []
    for name in names:
        check, groups = (INVENTORY | WISHES)[name]
        try:
            told += check(site) if not groups or site.is_in(*groups) else ()
        except Unreadable as error:
            broken.append(f"{error}.")
        except Exception as error:
            broken.append(f"{name}'s inputs cannot be read: {reason(error)}.")
    found += [sentence for sentence in told if not _is_of(sentence, unread)]
    given = {
        name: option for name, option in (inputs | dict.fromkeys(SWITCHES, {"type": "bool", "role": ""})).items()
        if name in site.given and _is_for(site, option["role"]) and not any(_is_told(name, option, said) for said in found)
    }  # fmt: skip
    wrong, is_awaited = _of_another_kind(site, given, unread)
    # A check came upon what cannot be read, or upon what is of another kind: it is one of these, or nobody's mistake.
    if broken and not found and not wrong and not is_awaited:
        return broken[:1]
    return list(dict.fromkeys(found + wrong))


def _unreadable(site, names):
    """Return by its name what is told of each variable that cannot be read, and that defaults would read over as if it were not there."""
    told = {}
    for name in sorted(names & site.given):
        try:
            site[name]
        except Unreadable as unreadable:
            if name in VAULT and _is_beside_braces(site.variables[name]):
                # What is told of a password with braces in it would be a piece of it.
                told[name] = f"{name} cannot be read: give what it names in {{{{ }}}}, or write a secret that has them in it with !unsafe."
            elif not _is_of_facts(site, name, unreadable):
                told[name] = f"{unreadable}."
    return told


def _is_beside_braces(value):
    """Return whether a text, or one of a list, is more than a template."""
    return any(isinstance(text, str) and "{{" in text and TEMPLATE.sub("", text).strip() for text in (value if is_list(value) else [value]))


def _is_of_facts(site, name, unreadable):
    """Return whether a variable that cannot be read is made of facts of the host, which will give it later."""
    return "ansible_" in repr(site.variables[name]) and FACT.search(str(unreadable)) is not None


def _is_of(text, unread):
    """Return whether a text is about a variable that cannot be read, or about the input that is made of it."""
    return any(re.search(rf"\b(vault_)?{name.removeprefix('vault_')}\b", text) for name in unread)


def _is_told(name, option, said):
    """Return whether a sentence says what is wrong with an input; of one that has columns, it may begin with what is in a row."""
    return said.startswith(f"{name} ") or "options" in option and re.search(rf"\b{name}\b", said) is not None


def _is_for(site, role):
    """Whether a role is run on the host; of one that is not here, all are."""
    groups = INVENTORY[role][1] if role in INVENTORY else ()
    return not groups or site.is_in(*groups)


def _of_another_kind(site, given, unread):
    """Return what is wrong with inputs that are of another kind or cannot be read, and whether there are some that facts of the host will give, later.

    unread are names of others that cannot be read, and were told of.
    """
    sentences, is_awaited = [], False
    for name, option in given.items():
        try:
            if what := wanted(site[name], option, name in LISTS_OR_WORDS):
                sentences.append(f"{name} has to be {what}.")
        except Unreadable as unreadable:
            if _is_of_facts(site, name, unreadable):
                is_awaited = True
            elif not _is_of(f"{name} {site.variables[name]!r}", unread):
                sentences.append(f"{unreadable}.")
    return sentences, is_awaited
