# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Who is who in a replicated PostgreSQL cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgresql_cluster
short_description: Who is who among the hosts of a PostgreSQL cluster, and what follows from that for one of them
version_added: 0.1.0
author: selfhost.django contributors
description:
  - Finds the primary in what the hosts' servers and data directories say of themselves. The inventory decides only where no
    host has data yet; then its first host is to be the primary.
  - A server that runs as a primary is the primary. Of several whose servers are stopped, it is the one on the highest timeline.
  - No server is the primary where another one of the same cluster, also a standby, knows a newer timeline - another primary came after it.
  - Where that leaves a doubt, no host is the primary and the reason is given.
positional: _input, hosts, own
options:
  _input:
    description: Results of the module P(selfhost.django.postgresql_look#module) in a loop over the hosts. None for a host that never had others.
    type: list
    elements: dict
    required: true
  hosts:
    description: Names of the cluster's hosts, in the order of the inventory.
    type: list
    elements: str
    required: true
  own:
    description: Name of this host.
    type: str
    required: true
  rebuild:
    description: Names of hosts whose data is to be replaced, whatever it is; what they know does not count.
    type: list
    elements: str
    default: []
  managed:
    description: Whether Patroni runs the servers, so that the order of the inventory says nothing.
    type: bool
    default: false
"""

EXAMPLES = r"""
# {"primary": "db2", "problem": "", "builds": false, "serves": true, "contradictions": ["db2 is the primary, not db1 …"], …}
who: "{{ looks.results | selfhost.django.postgresql_cluster(['db1', 'db2'], inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - C(primary) is the name of the host that is the primary, or is to become it; empty when there is a C(problem), one sentence.
    - C(rebuilt) are the hosts whose data is to be replaced.
    - C(builds) is whether this host's data is to be copied from the primary, C(serves) whether its server is to run as it is.
    - C(contradictions) are sentences on what inventory and servers say of each other, C(least) are the settings in which this host
      may not fall below its primary yet.
  type: dict
"""

UNKNOWN = {"reachable": False, "exists": False, "primary": False, "running": False, "fenced": False, "timeline": 0, "heard": 0, "system": ""}
REBUILD = "it becomes a standby with -e postgresql_rebuild={host}, which sets this data aside"


def _names(hosts):
    return " and ".join(hosts)


def _known(state):
    """Return the newest timeline that a host knows of: a standby may have heard of one that its data is not on yet."""
    return state["timeline"] if state["primary"] else max(state["timeline"], state["heard"])


def _doubt(states, later):
    return (
        f"{_names(later)}, a standby, is on a newer timeline ({max(_known(states[host]) for host in later)}), so another server was promoted "
        f"after it: start that one, or stop the server of {_names(later)} and give its data up with -e postgresql_rebuild={','.join(later)}"
    )


def _later(states, primary):
    """Return the hosts that know of a primary after this one, by name."""
    return [
        host for host, state in states.items()
        if state["exists"] and not state["fenced"] and state["system"] == states[primary]["system"] and _known(state) > states[primary]["timeline"]
    ]  # fmt: skip


def _primary(states, given_up):
    """Return the primary, or an empty name and the reason."""
    own = [host for host, state in states.items() if state["exists"] and state["primary"] and not state["fenced"]]
    running = [host for host in own if states[host]["running"]]
    if len(running) > 1:
        return "", f"{_names(running)} both accept writes: stop the one whose data is not to be kept, then rebuild it"
    if running:
        (primary,) = running
        later = [host for host in _later(states, primary) if host not in given_up]
        ahead = [host for host in later if host in own]
        if ahead:
            return "", f"{primary} accepts writes, but {_names(ahead)}, stopped, was promoted after it: decide which data is to be kept"
        if later:
            return "", f"{primary} accepts writes, but {_doubt(states, later)}"
        return primary, ""
    if own:
        newest = max(states[host]["timeline"] for host in own)
        last = [host for host in own if states[host]["timeline"] == newest]
        if len(last) > 1:
            return "", f"{_names(last)} are both primaries, and stopped: start the one whose data is to be kept"
        later = [host for host in _later(states, last[0]) if host not in given_up]
        if later:
            return "", f"{last[0]} is a primary, and stopped, but {_doubt(states, later)}"
        return last[0], ""
    silent = [host for host, state in states.items() if not state["reachable"]]
    if silent:
        return "", f"none of the hosts that answer is the primary, and {_names(silent)} cannot be asked"
    standbys = [host for host, state in states.items() if state["exists"]]
    if standbys and len(states) == 1:
        return "", (
            f"{standbys[0]} is a standby, and the only host: put that of its primary back into the group database, make {standbys[0]} the primary with the "
            "playbook switchover, by force where the other is dead, and take that off afterwards"
        )
    if standbys:
        return "", f"there is no primary, only {_names(standbys)}, which waits for one: promote it with the playbook switchover"
    return next(iter(states), ""), ""


def who(states, given_up=()):
    """Return who is who, by what each host says of itself."""
    states = {host: UNKNOWN | state for host, state in states.items()}
    primary, problem = _primary(states, given_up)
    apart = {}
    for host, state in states.items():
        if not primary or host == primary or not state["exists"]:
            continue
        rebuild = REBUILD.format(host=host)
        if state["fenced"]:
            apart[host] = f"{host} is fenced, since another host was made the primary: {rebuild}"
        elif state["system"] != states[primary]["system"]:
            apart[host] = f"{host} has data of another cluster than {primary}: {rebuild}"
        elif state["primary"]:
            apart[host] = f"{host} was the primary before {primary}: {rebuild}"
    return {"primary": primary, "problem": problem, "apart": apart}


def postgresql_cluster(asked, hosts, own, rebuild=(), managed=False):
    """Return who is who, and what that means for one host."""
    rebuilt = [rebuild] if isinstance(rebuild, str) else list(rebuild)
    rebuilt = [name for name in rebuilt if name]
    if not asked:
        return {"primary": own, "problem": "", "rebuilt": rebuilt, "builds": False, "serves": True, "contradictions": [], "least": {}}
    states = {answer["item"]: {"reachable": True, **answer["server"]} if "server" in answer else {"reachable": False} for answer in asked}
    seen = who(states, rebuilt)
    primary, apart, mine = seen["primary"], seen["apart"], states[own]
    builds = primary != own and (own in rebuilt or not mine.get("exists") or bool(mine.get("unfinished")))
    contradictions = []
    if primary != hosts[0] and not managed:
        contradictions.append(f"{primary} is the primary, not {hosts[0]} as the inventory says: put it first in the group database.")
    if own in apart and not builds:
        contradictions.append(f"{apart[own]}.")
    # Where the primary does not run, what a standby runs with itself: it follows one.
    least = {} if primary == own or managed else (states.get(primary) or {}).get("limits") or mine.get("limits") or {}
    return {
        "primary": primary, "problem": seen["problem"], "rebuilt": rebuilt, "builds": builds,
        "serves": primary == own or not builds and (managed or own not in apart), "contradictions": contradictions, "least": least,
    }  # fmt: skip


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"postgresql_cluster": postgresql_cluster}
