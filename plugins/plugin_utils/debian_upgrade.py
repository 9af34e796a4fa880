# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether hosts can become the next Debian, which of them is next, and what is left to do there: pure functions of what they say."""

from __future__ import annotations

from ..module_utils.debian import NEW, OLD
from ..module_utils.site_report import is_to_come

# What an upgrade goes through, in order; a host's mark says from where on.
STEPS = ("packages", "reboot", "order", "site")
# Free MB that are to stay, and those of a kernel with what it boots from.
RESERVE_MB, KERNEL_MB = 500, 200
# Who goes without them is locked out, or without its data.
NEEDED = ("openssh-server", "sudo", "python3", "python3-apt", "systemd", "apt")
ARCHIVES = "/var/cache/apt/archives"
DAY = 86400


def steps(look):
    """Return what is left to do on a host; nothing on one that is the next Debian already."""
    if look["mark"] in STEPS:
        return list(STEPS[STEPS.index(look["mark"]) :])
    return list(STEPS) if look["number"] == OLD[0] else []


def _of(rooms, place):
    """Return the place of the file system that a place is on, by the places that are known."""
    return max((known for known in rooms if place == known or place.startswith(known.rstrip("/") + "/")), key=len)


def room(look):
    """Yield where there is too little room, with how much it takes."""
    rooms, simulation = look["room_mb"], look["simulation"]
    needed = dict.fromkeys(rooms, 0)
    needed[_of(rooms, ARCHIVES)] += simulation["download_mb"]
    # What apt writes is nearly all below /usr; the package lists and dpkg's own are below /var.
    needed[_of(rooms, "/usr")] += simulation["added_mb"] + RESERVE_MB
    needed[_of(rooms, "/var")] += RESERVE_MB if _of(rooms, "/var") != _of(rooms, "/usr") else 0
    needed[_of(rooms, "/boot")] += KERNEL_MB if look["has_kernel"] else 0
    for place, least in needed.items():
        if rooms[place] < least:
            yield "%s has %d MB free, and the upgrade takes %d" % (place, rooms[place], least)


def reasons(look, packages=()):
    """Yield what speaks against the upgrade of one host, each a sentence without its end; packages are those that have to stay."""
    if look["number"] not in (OLD[0], NEW[0]):
        yield "it is Debian %s, and this playbook leads from %s to %s" % (look["number"] or "of no number", OLD[0], NEW[0])
        return
    if look["is_busy"]:
        yield "another program is installing packages: wait for it"
    if look["mark"]:
        # What an interrupted one left is what it goes on with.
        return
    if look["held"]:
        yield "%s is held back: release it (apt-mark unhold)" % ", ".join(look["held"])
    if look["broken"]:
        yield "its packages are not whole (%s): mend them first (apt --fix-broken install)" % look["broken"][0]
    for path, rows in look["strange"].items():
        yield (
            "%s fetches from %s, which is not Debian's: see whether there is one for %s, and name the file in hardening_upgrade_sources, or remove it"
            % (path, rows[0], NEW[1])
        )
    simulation = look["simulation"]
    if simulation["error"]:
        yield "apt cannot be asked for %s: %s" % (NEW[1], simulation["error"])
        return
    yield from room(look)
    if lost := [name for name in (*NEEDED, *packages) if name in simulation["removed"]]:
        yield "apt would remove %s" % ", ".join(lost)


def following(looks, order):
    """Return the hosts that are still to be upgraded, in order; one that has begun comes first."""
    waiting = [host for host in order if host in looks and steps(looks[host])]
    return sorted(waiting, key=lambda host: not looks[host]["mark"])


def order(groups, primary=""):
    """Return hosts in the order in which they are upgraded: who keeps the backups, standbys, web hosts, balancers, the database's primary."""
    databases = [host for host in groups.get("database", []) if host != primary]
    ordered = [*groups.get("backup", []), *databases, *groups.get("web", []), *groups.get("balancer", []), *groups.get("etcd", []), *groups.get("all", [])]
    return [host for host in dict.fromkeys(ordered) if host != primary] + [primary] * bool(primary)


def refusals(looks, hosts, packages=(), is_pinned=True, versions=()):
    """Return what speaks against the upgrade that a run asks for, each a sentence; nothing where there is nothing to do.

    looks are what the hosts say; hosts are those of the run that wait for it, in order; packages have to stay; is_pinned tells whether the inventory
    says which PostgreSQL the site has, versions are those of the clusters that are there.
    """
    found = ["%s: %s." % (host, reason) for host in hosts for reason in reasons(looks[host], packages)]
    if hosts and versions and not is_pinned:
        found.append(
            "postgresql_version is not set: the next Debian brings another PostgreSQL, and the clusters here are of %s; put postgresql_version: %s into "
            "group_vars/all first, and upgrade them by upgrade_postgresql.yml afterwards." % (", ".join(versions), versions[0])
        )
    if len(hosts) > 1:
        found.append("%s wait for the upgrade, and a run takes one host: begin with --limit %s, and go on in this order." % (", ".join(hosts), hosts[0]))
    return found


def stale(statuses, now):
    """Return a sentence on backups that are older than a day; statuses are what the hosts that keep them say (status.json), by host."""
    ends = [
        row.get("succeeded") or 0 for status in statuses.values() for kind, row in (status.get("kinds") or {}).items() if kind in ("full", "diff", "incr")
    ]
    if not statuses or any(end > now - DAY and not is_to_come(end, now) for end in ends):
        return ""
    age = "of a time that is still to come, since the clock was wrong" if is_to_come(max(ends, default=0), now) else "older than a day"
    return "The newest backup on %s is %s: make one first (backup.yml)." % (", ".join(statuses), age)


def warning(look):
    """Return what an operator should know of the upgrade of a host before it begins."""
    left = steps(look)
    if not left:
        return "It is Debian %s already." % NEW[0]
    if left != list(STEPS):
        return "The upgrade goes on with: %s." % ", ".join(left)
    simulation = look["simulation"] or {}
    return (
        "Debian %s becomes %s: %d MB are fetched, %d packages go. What this host does is away for about %d to %d minutes, its reboot among them. There "
        "is no way back but a new host and its backups (rebuild.yml)."
        % (OLD[0], NEW[0], simulation.get("download_mb", 0), len(simulation.get("removed", [])), 5, 15)
    )
