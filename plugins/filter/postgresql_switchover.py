# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a switchover of the database's primary does, or why it does nothing."""

from __future__ import annotations

import json

DOCUMENTATION = r"""
name: postgresql_switchover
short_description: Plan a change of the primary from what the servers say of themselves
version_added: 0.1.0
author: selfhost.django contributors
description:
  - Decides from the answers of C(postgresql-guard state) on every host of the database which host becomes the primary, or
    refuses in one sentence. It reads nothing and changes nothing.
  - A planned switchover needs a standby that receives the log and lags no more than the limit, and no server beside the primary that may be
    one, too.
  - A forced one needs proof that no other host can be the primary. A reachable host proves it by what it runs; for a host that
    cannot be reached, the operator vouches by naming it in O(dead).
  - With synchronous standbys it takes as many answers as make certain that one of them holds every acknowledged row, and the
    standby that holds most. Only a server that runs answers; the control file of one that is stopped tells less than it may hold.
  - A server on a newer timeline was promoted later, or follows one that was; a host on an older one does not become the primary.
positional: _input
options:
  _input:
    description: Answers by name of host, in the order of the inventory, as JSON or what is in it; nothing for a host that cannot be reached.
    type: dict
    required: true
  to:
    description: Name of the new primary; may be empty where there is one other host.
    type: str
    default: ""
  force:
    description: Whether the primary is given up.
    type: bool
    default: false
  dead:
    description: Names of hosts that the operator knows to be switched off; as a text, with commas between them.
    type: list
    elements: str
    default: []
  max_lag_mb:
    description: Log that the standby of a planned switchover may lack at the beginning, in MB.
    type: float
    default: 16
  synchronous:
    description: Number of standbys that acknowledge each transaction.
    type: int
    default: 0
"""

EXAMPLES = r"""
# {"refusal": "", "new": "db2", "old": "db1", "forced": false, "finish": false, "position": 0, "fence": [], "lag_mb": 0.0, ...}
plan: "{{ answers | selfhost.django.postgresql_switchover(to='db2') }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusal), one sentence or empty. Without one, C(new) and C(old) (or null), C(forced), C(finish) (the new primary is one
      already), C(position) (what it has to replay first), C(fence) (hosts whose data may not run again), C(rejoin) (hosts that
      follow it), C(standbys) (how many of those run now), C(lag_mb) and C(certain) (whether no acknowledged row can be lost).
  type: dict
"""

MB = 1024 * 1024


class _Refusal(Exception):
    pass


def _names(names):
    return " and ".join(names)


def _target(answers, to, primaries):
    """Return the name of the host that is to become the primary."""
    if len(answers) < 2:
        raise _Refusal("The group database has a single host: there is no standby to switch over to.")
    if to:
        if to not in answers:
            raise _Refusal(f"switchover_to is '{to}': give one of the database's hosts, {', '.join(answers)}.")
        return to
    others = [name for name in answers if name not in primaries]
    if len(others) != 1:
        raise _Refusal(f"switchover_to is not set: name the new primary, one of {', '.join(others)}.")
    return others[0]


def _check_target(name, answers):
    answer = answers[name]
    if answer is None:
        raise _Refusal(f"{name} cannot be reached, so it cannot become the primary.")
    if answer["fenced"]:
        raise _Refusal(f"{name} is fenced ({answer['fenced']}): rebuild it with -e postgresql_rebuild={name} first.")
    if not answer["running"] or answer["recovery"] is None:
        raise _Refusal(f"{name} runs no server that answers, so it cannot become the primary.")
    strangers = [other for other, known in answers.items() if known and known.get("system", answer["system"]) != answer["system"]]
    if strangers:
        raise _Refusal(f"{_names(strangers)} and {name} do not hold the same database cluster.")


def _running(answers, recovery):
    return [name for name, known in answers.items() if known and known["running"] and known["recovery"] is recovery]


def _dormant(answers):
    """Return the hosts whose server would be a primary if it were started."""
    return [
        name for name, known in answers.items()
        if known and known["exists"] and not known["running"] and not known["standby"] and not known["fenced"]
    ]  # fmt: skip


def _demoted(answers):
    """Return the hosts that an interrupted run stopped as a primary and left as a standby: one's own stop would read otherwise."""
    return [
        name for name, known in answers.items()
        if known and known["exists"] and not known["running"] and known["standby"] and not known["fenced"] and known["cluster"] == "shut down"
    ]  # fmt: skip


def _asked(answers):
    """Return the standbys that said what they hold: those whose server runs and answers."""
    return [name for name in _running(answers, recovery=True) if not answers[name]["fenced"]]


def _mute(answers):
    """Return the standbys whose server is stopped: their control file names their last checkpoint, and they may hold more."""
    former = _demoted(answers)
    return [
        name for name, known in answers.items()
        if known and known["exists"] and not known["running"] and known["standby"] and not known["fenced"] and name not in former
    ]  # fmt: skip


def _ahead(new, answers):
    """Return the standbys, or what is left of them, that hold more of the log than the new primary."""
    return [
        name for name, known in answers.items()
        if known and name != new and known["standby"] and not known["fenced"] and known.get("position", 0) > answers[new]["position"]
    ]  # fmt: skip


def _heard(known):
    """Return the newest timeline that a host knows of: a standby may have heard of one that its data is not on yet."""
    return max(known.get("timeline", 0), known.get("heard", 0))


def _check_timeline(new, answers, given_up=(), old=None):
    """Refuse a new primary whose place another server has taken already, by what the others and the archive of the backups know.

    The timeline of the old one, whose log it receives, is its own in a moment.
    """
    own = max(answers[new].get("timeline", 0), answers[new].get("accepted") or 0, answers[old].get("timeline", 0) if old else 0)
    archived = answers[new].get("archived") or 0
    if archived > max([own, *(answers[name].get("timeline", 0) for name in given_up)]):
        raise _Refusal(
            f"The archive of the backups holds a newer timeline than {new} ({archived}, not {own}), so another server was promoted after it: start that one, "
            f"or, to give up what it wrote, run `postgresql-guard accept-lost-rows` on {new} first."
        )
    for name, known in answers.items():
        if known and name != new and name not in given_up and not known["fenced"] and _heard(known) > own:
            raise _Refusal(
                f"{name} is on a newer timeline than {new} ({_heard(known)}, not {own}): "
                + (f"switch over to {name}." if known["running"] else f"start the server of {name} first.")
            )


def _primaries(new, answers):
    """Return the one host whose server is the primary, or none, as a list; refuse where there may be two, or where it is not the last."""
    primaries = _running(answers, recovery=False)
    if len(primaries) > 1:
        raise _Refusal(f"{_names(primaries)} both accept writes: stop the wrong one before anything else.")
    mute = [name for name in _running(answers, recovery=None) if not answers[name]["standby"]]
    if primaries and mute:
        raise _Refusal(f"{_names(mute)} runs a server that does not answer, and may accept writes as {primaries[0]} does: wait for it, or stop it.")
    if primaries == [new]:
        _check_timeline(new, answers)
    return primaries


def _planned(new, answers, max_lag_mb):
    primaries = _primaries(new, answers)
    dormant = _dormant(answers)
    if primaries == [new]:
        return {"old": None, "finish": True}
    hung = _running(answers, recovery=None)
    if not primaries and hung:
        raise _Refusal(f"{_names(hung)} runs a server that does not answer: wait for it, or stop it and use switchover_force=true.")
    if primaries:
        old = primaries[0]
        target = answers[new]
        lag = max(0, answers[old]["position"] - (target["replayed"] or 0)) / MB
        if not target["receiving"]:
            raise _Refusal(f"{new} does not receive the log of {old}: it would lack what is written now.")
        _check_timeline(new, answers, old=old)
        if lag > max_lag_mb:
            raise _Refusal(f"{new} lags {lag:.1f} MB behind {old}, more than switchover_max_lag_mb ({max_lag_mb:g}): wait, or raise the limit.")
        return {"old": old, "lag_mb": round(lag, 2), "position": 0}
    # No primary: a run before this one was interrupted, or the primary was stopped. Nobody may know more than the new one.
    _check_timeline(new, answers)
    unreachable = [name for name, known in answers.items() if known is None]
    if unreachable:
        raise _Refusal(f"No primary answers, and {_names(unreachable)} cannot be reached: for a dead primary use switchover_force=true.")
    if len(dormant) > 1:
        raise _Refusal(f"{_names(dormant)} are both stopped primaries: start the one that was last.")
    if dormant and answers[dormant[0]]["cluster"] != "shut down":
        raise _Refusal(
            f"The server of {dormant[0]} is down and was not stopped cleanly: start it, or give it up with switchover_force=true."
        )
    position = max([known["position"] for name, known in answers.items() if name != new and not known["fenced"] and known["exists"]], default=0)
    if position > answers[new]["position"]:
        ahead = dormant or _ahead(new, answers)
        raise _Refusal(f"{new} lacks {position - answers[new]['position']} bytes of the log that {_names(ahead)} holds: {_remedy(ahead[0], dormant)}")
    # A primary that stopped cleanly holds every row; without one, all others have to be asked.
    former = dormant + _demoted(answers)
    mute = _mute(answers)
    if mute and not former:
        raise _Refusal(f"The server of {_names(mute)} is stopped and may hold more of the log than {new}: start it first.")
    given_up = [name for name, known in answers.items() if known["fenced"]]
    return {"old": (former + [None])[0], "position": position, "certain": bool(former) or not given_up}


def _remedy(name, dormant):
    return f"start the server of {name} first." if dormant else f"switch over to {name}, which has it all."


def _forced(new, answers, dead, synchronous):
    for name in dead:
        if name not in answers or name == new:
            raise _Refusal(f"switchover_dead names {name}: give the database's hosts that are switched off.")
        if answers[name] is not None:
            raise _Refusal(f"switchover_dead names {name}, which answers: leave it out.")
    primaries = _primaries(new, answers)
    if primaries == [new]:
        return {"old": None, "finish": True, "position": 0}
    if primaries:
        raise _Refusal(f"{_names(primaries)} still accepts connections as the primary: leave switchover_force out.")
    running = _running(answers, recovery=None)
    if running:
        raise _Refusal(f"The server of {_names(running)} does not answer but still runs: stop it first, or two primaries could result.")
    alive = [name for name, peer in answers[new]["peers"].items() if peer["alive"] and not peer.get("recovery")]
    if alive:
        raise _Refusal(f"{_names(alive)} still accepts connections from {new}: two primaries could result.")
    doubtful = [name for name, known in answers.items() if known is None and name not in dead]
    if doubtful:
        raise _Refusal(
            f"{_names(doubtful)} cannot be reached and may still run: switch it off, then vouch for that with "
            f"-e switchover_dead={','.join(doubtful)}."
        )
    dormant = _dormant(answers)
    _check_timeline(new, answers, given_up=dormant)
    ahead = _ahead(new, answers)
    if ahead:
        raise _Refusal(
            f"{_names(ahead)} holds more of the log than {new}: "
            + (f"switch over to {ahead[0]}." if answers[ahead[0]]["running"] else f"start the server of {ahead[0]} first.")
        )
    # Any of `synchronous` among all standbys acknowledged a row: it takes the rest and one more to be certain to meet it.
    standbys = len(answers) - 1
    asked = len(_asked(answers))
    certain = 0 < synchronous and asked > standbys - synchronous
    if synchronous > 0 and not certain:
        mute = _mute(answers) + _demoted(answers)
        raise _Refusal(
            f"Only {asked} of {standbys} standbys can be asked, so that a row which {synchronous} acknowledged may be missing: "
            + (f"start the server of {_names(mute)}, " if mute else "bring one back, ")
            + "or accept the loss with -e postgresql_synchronous_standbys=0."
        )
    old = (dormant + list(dead) + [None])[0]
    return {"old": old, "fence": dormant, "certain": certain, "position": 0}


def postgresql_switchover(answers, to="", force=False, dead=(), max_lag_mb=16, synchronous=0):
    """Return the plan."""
    answers = {name: json.loads(answer) if isinstance(answer, str) and answer else answer or None for name, answer in answers.items()}
    dead = [name for name in (dead.split(",") if isinstance(dead, str) else dead) if name]
    plan = {"refusal": "", "finish": False, "forced": bool(force), "fence": [], "lag_mb": 0.0, "certain": not force, "position": 0}
    try:
        leading = _running(answers, recovery=False) or _dormant(answers) or dead
        new = _target(answers, to, leading)
        _check_target(new, answers)
        plan |= _forced(new, answers, dead, int(synchronous)) if force else _planned(new, answers, float(max_lag_mb))
    except _Refusal as refusal:
        return plan | {"refusal": str(refusal), "new": None, "old": None, "rejoin": [], "standbys": 0}
    rejoin = [
        name for name, known in answers.items()
        if known and name != new and name not in plan["fence"] and not known["fenced"] and known["exists"]
    ]  # fmt: skip
    return plan | {"new": new, "rejoin": rejoin, "standbys": len([name for name in rejoin if answers[name]["running"]])}


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {"postgresql_switchover": postgresql_switchover}
