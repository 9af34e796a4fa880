# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a host was seen to have at the beginning of the run, by the module host_facts.

Where nobody has looked, a host has nothing, and the task that asks does its own look.
"""

from __future__ import annotations

import re

from ansible.errors import AnsibleFilterError

# Of Debian's policy. What is no such name, a pattern or one with a version, is not looked up here.
NAME = re.compile("[a-z0-9][a-z0-9+.-]+")


def _seen(facts, what):
    try:
        return facts.get("selfhost", {}).get(what, ())
    except AttributeError:
        raise AnsibleFilterError("This is no mapping of facts: give ansible_facts.") from None


def installed(packages, facts):
    """Return whether packages, a name or a list of names, are all installed. One with a version or of a release of its own is never known to be."""
    names = [packages] if isinstance(packages, str) else packages
    return set(names) <= set(_seen(facts, "packages"))


def absent(packages, facts):
    """Return whether packages, a name or a list of names, are all gone, with their configuration. Of anything but a plain name it is not known."""
    names = [packages] if isinstance(packages, str) else packages
    there = {*_seen(facts, "packages"), *_seen(facts, "leftovers")}
    return bool(there) and all(NAME.fullmatch(name) and name not in there for name in names)


def active(units, facts):
    """Return whether units, a name or a list of names, are all active as their files say that systemd has read, whatever starts them at boot."""
    return all(row.get("active") and not row.get("stale") for row in _rows(units, facts))


def enabled(units, facts):
    """Return whether units, a name or a list of names, are all enabled as their files say that systemd has read."""
    return all(row.get("enabled") and not row.get("stale") for row in _rows(units, facts))


def running(units, facts):
    """Return whether units, a name or a list of names, are all active and enabled as their files say that systemd has read."""
    return active(units, facts) and enabled(units, facts)


def _rows(units, facts):
    seen = _seen(facts, "units") or {}
    return [seen.get(name, {}) for name in ([units] if isinstance(units, str) else units)]


def account(user, facts, **wanted):
    """Return whether an account is there as it has to be: wanted are values of what host_facts tells of it."""
    seen = (_seen(facts, "users") or {}).get(user)
    return seen is not None and all(seen.get(name) == value for name, value in wanted.items())


class TestModule:
    """The tests of this file."""

    def tests(self):
        """Return them by name."""
        return {"absent": absent, "account": account, "active": active, "enabled": enabled, "installed": installed, "running": running}
