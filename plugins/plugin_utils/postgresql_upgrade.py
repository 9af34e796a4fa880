# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What an upgrade of PostgreSQL has to do, or why it is refused: pure functions of what the hosts say and of what the inventory wants."""

from __future__ import annotations

import re

from ..filter.patroni import slot_of

# Free MB that are to stay beside the copy.
RESERVE_MB = 500
# Slots that the roles make anew by themselves.
OURS = ("standby_", "backup_")
# What keeps an upgrade from beginning where Patroni runs the servers, by its state (module_utils/postgresql_upgrade.py).
PATRONI = {
    "paused": "Patroni is paused: end that first (patronictl resume)",
    "silent": "its Patroni hears nothing of the voters: see first whether most of them are there (systemctl status etcd)",
}
# MB that are copied in a second, on a slow disk.
COPIED_MB = 50


def versions(look):
    """Return the versions of a host's clusters, oldest first."""
    return sorted({row["version"] for row in look["clusters"]}, key=int)


def serving(look):
    """Return the version that serves on a host, or is to: the one that is started at boot, or else the only one."""
    active = [row["version"] for row in look["clusters"] if row["active"]]
    return (active or versions(look) or [""])[-1]


def primaries(looks):
    """Return the hosts whose servers say that they are primaries."""
    return [host for host, look in looks.items() if look["clusters"] and look["server"] and not look["server"]["standby"]]


def primary_of(looks):
    """Return the host whose server is the primary: by what an interrupted run has left, or else by what the servers say, or the first that has one."""
    begun = [host for host, look in looks.items() if look["journal"].get("phase") == "upgraded"]
    return (begun or primaries(looks) or [host for host, look in looks.items() if look["clusters"]] or [""])[0]


def streams(server, host):
    """Return whether a host is one that a server streams to: by the name of its slot (role postgresql), or under Patroni by that of its member."""
    names = ("standby_" + re.sub("[^a-z0-9_]", "_", host.lower()), host)
    return any(server["standbys"].get(name[:63]) == "streaming" for name in names)


def action(look, wanted, back="", removed=""):
    """Return what there is to do on the primary: `copy`, `finish`, `back`, `remove` or nothing."""
    now = serving(look)
    if removed:
        return "remove"
    if look["journal"].get("phase") == "upgraded" and look["journal"].get("new") == wanted == now:
        return "finish"
    if not now or now == wanted:
        return ""
    return "back" if back and wanted in versions(look) else "copy"


def upgraded_elsewhere(looks, primary, now):
    """Return the host where the version that serves was made by an upgrade, if that is not the primary; empty for none.

    There is the former cluster that had everything, and the count of what was written since. That of another host is a standby's.
    """
    made = [host for host, look in looks.items() if look["journal"].get("new") == now and look["journal"].get("old") in versions(look)]
    return made[0] if made and primary not in made else ""


def loss(look):
    """Yield what the way back would lose, as far as that can be told: transactions since the upgrade was finished. A few are the server's own."""
    server, journal = look["server"], look["journal"]
    is_noted = journal.get("new") == serving(look)
    if is_noted and journal.get("phase") == "upgraded":
        # The application has not been started since.
        return
    if not is_noted or not journal.get("next") or not server:
        yield "nobody can tell how many transactions since the upgrade would be lost (%s): say -e upgrade_back=lose if all of them may be" % (
            "its server does not answer" if is_noted and journal.get("next") else "when it ended is not noted"
        )
    elif server["next"] > journal["next"]:
        yield "%d transactions since the upgrade would be lost: say -e upgrade_back=lose if that may be" % (server["next"] - journal["next"])


def reasons_of_servers(looks, primary):
    """Yield what speaks against exchanging the clusters in what the servers say who they are."""
    for host in primaries(looks):
        if host != primary:
            yield "%s accepts writes, too: stop the one whose data is not to be kept, then rebuild it" % host
    if (looks[primary]["server"] or {}).get("standby"):
        yield "it is a standby, and no server says that it is the primary: start that one first"


def reasons_to_copy(look, now, wanted, clone=False, members=()):
    """Yield what speaks against an upgrade, each a sentence without its end; members are the database hosts, of which Patroni names slots."""
    server, slots = look["server"], {slot_of(member) for member in members}
    if int(wanted) < int(now):
        kept = [version for version in versions(look) if version == wanted]
        yield (
            "it serves PostgreSQL %s, and postgresql_version is %s: %s"
            % (now, wanted, "the former cluster is kept; say -e upgrade_back=true to go back to it" if kept else "there is no way to an older one")
        )
        return
    if wanted in versions(look):
        yield "it has a cluster %s/main that serves nobody: remove it first, by -e upgrade_remove=%s/main" % (wanted, wanted)
    if not look["offered"]:
        yield "apt has no package postgresql-%s: give postgresql_repository, or another postgresql_version" % wanted
    if reason := PATRONI.get(look["patroni"].get(now)):
        yield reason
    if not server:
        yield "its server does not answer: start it first"
        return
    if server["prepared"]:
        yield "%d prepared transactions wait to be ended (pg_prepared_xacts), which an upgrade does not carry over" % server["prepared"]
    if server["tablespaces"]:
        yield "it has tablespaces, whose folders this playbook does not look after: move what is in them to pg_default first"
    if others := sorted(name for name, kind in server["slots"].items() if kind == "logical" or not name.startswith(OURS) and name not in slots):
        yield "the replication slot %s is not carried over: end what reads it, drop it, and have it made anew afterwards" % others[0]
    needed = RESERVE_MB + (0 if clone else look["size_mb"].get(now, 0))
    if look["free_mb"] < needed:
        yield "a copy of the cluster takes %d MB, and %d are free" % (needed, look["free_mb"])


def reasons_to_remove(look, wanted, removed):
    """Yield what speaks against the removal of a cluster."""
    version = removed.split("/")[0]
    kept = [one for one in versions(look) if one != serving(look)]
    if version == serving(look) or version == wanted and wanted == serving(look):
        yield "upgrade_remove is '%s', which serves" % removed
    elif version not in kept:
        yield "upgrade_remove is '%s', and %s" % (removed, "kept is %s/main" % kept[0] if kept else "no former cluster is kept")
    elif look["journal"].get("phase") == "upgraded":
        yield "the upgrade is not finished: run it again first, without upgrade_remove"


def plan(looks, hosts, wanted, back="", removed="", clone=False):
    """Return what is to be done: `refusals` (sentences), `primary`, `action`, `old`, `standbys` (those whose copy is of the old version), `warning`.

    looks are what the database hosts say; hosts are those of the inventory; wanted is postgresql_version; back and removed are the words of the
    command line.
    """
    wanted = str(wanted)
    away = [host for host in hosts if host not in looks]
    refusals = ["%s cannot be asked: an upgrade needs every host of the database." % host for host in away]
    primary = primary_of(looks)
    if not primary:
        return {"refusals": refusals or ["No host has a cluster: database.yml makes one."], "primary": "", "action": "", "old": "", "standbys": [], "warning": ""}
    look = looks[primary]
    now, what = serving(look), action(look, wanted, back, removed)
    reasons, warning = [], ""
    others = [host for host in primaries(looks) if host != primary]
    rest = [host for host in hosts if host in looks and host != primary]
    if what == "copy":
        reasons = [*reasons_of_servers(looks, primary), *reasons_to_copy(look, now, wanted, clone, hosts)]
        waiting = [host for host in rest if host not in others and look["server"] and not streams(look["server"], host)]
        reasons += ["%s does not stream from it: mend that first" % host for host in waiting]
        warning = "PostgreSQL %s becomes %s on %s: the application is away for about %d minutes. The old cluster stays." % (
            now, wanted, primary, 3 + look["size_mb"].get(now, 0) // COPIED_MB // 60
        )  # fmt: skip
    elif what == "back":
        reasons = [*reasons_of_servers(looks, primary), *([PATRONI[look["patroni"][now]]] if look["patroni"].get(now) in PATRONI else [])]
        if other := upgraded_elsewhere(looks, primary, now):
            reasons.append(
                "it is the primary, and the cluster to go back to is that of %s, where the upgrade was made: make that the primary first (switchover.yml)"
                % other
            )
        elif back != "lose":
            reasons += loss(look)
        warning = "PostgreSQL %s goes back to %s on %s. What was written since is in the backups of %s alone." % (now, wanted, primary, now)
    elif what == "finish":
        reasons = [
            "the upgrade is to be finished there, and "
            + (
                "%s is the primary by now: make %s the primary first (switchover.yml)" % (host, primary) if serving(looks[host]) == wanted else
                "%s accepts writes in PostgreSQL %s: stop that one, if what was written there may be lost" % (host, serving(looks[host]))
            )
            for host in others
        ]  # fmt: skip
    elif what == "remove":
        reasons = list(reasons_to_remove(look, wanted, removed))
    standbys = rest if what in ("copy", "finish", "back") else []
    old = look["journal"].get("old", "") if what == "finish" else now
    refusals += ["%s: %s." % (primary, reason) for reason in reasons]
    return {"refusals": refusals, "primary": primary, "action": what, "old": old, "standbys": standbys, "warning": warning}
