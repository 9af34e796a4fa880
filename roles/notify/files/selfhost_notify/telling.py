# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What is told, and when: pure functions of what was known before and of what is seen now.

A look comes every minute. A thing is told when two looks in a row have seen it, and once; that it is over, when three in a row have not.
Each time that it came back within a day, twice as many: what flaps is told a few times, and then as one thing.
"""

from __future__ import annotations

import hashlib
import json

LOOKS_TO_BEGIN = 2
LOOKS_TO_END = 3
MOST_DOUBLINGS = 9
DAY = 86400
# Seconds that a thing may take before it is one, by what it is about or begins with: a deploy does some of them, and ends them.
PATIENCE = {
    "application/beside": 900, "application/lock": 1800, "application/maintenance": 1800, "application/missing": 900, "application/none": 3600,
    "application/outdated": 900, "backup/none": 3600, "backup/physical": 3600,
}  # fmt: skip
# The deploys themselves are told, each as it ends.
UNTOLD = ("application/deploy",)
LEVELS = ("warn", "bad")
# Whoever can make things go wrong can make many of them.
MOST_THINGS = 500
MOST_IN_A_MESSAGE = 20
MOST_LETTERS = 300


def plain(text):
    """Return a text in one line of bounded length, without what a terminal or a header could take for an order."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * MOST_LETTERS])
    text = " ".join(text.split())
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def begins(about, keys):
    """Return the first of the keys that is what a thing is about, or what that is below of."""
    return next((key for key in keys if about == key or about.startswith(key + "/")), None)


def found_in(problems):
    """Return what is worth telling of a report's problems, by what it is about; of two about the same the worse one."""
    found = {}
    for problem in problems:
        about = problem["about"]
        if problem["level"] in LEVELS and not begins(about, UNTOLD):
            before = found.get(about)
            if before is None or LEVELS.index(problem["level"]) > LEVELS.index(before["level"]):
                found[about] = {"level": problem["level"], "text": plain(problem["text"])}
    return found


def looks_to_end(turns):
    """Return how many looks have to miss a thing that has come back so many times."""
    return LOOKS_TO_END * 2 ** min(turns, MOST_DOUBLINGS)


def seen(row, thing, about, now):
    """Return what is known of a thing that a look has seen, and whether it is told now."""
    row = dict(row or {"since": now, "looks": 0, "told": "", "turns": 0})
    if not row["looks"] and not row["told"]:
        row["since"] = now
    row |= {"looks": row["looks"] + 1, "missed": 0, **thing}
    patience = PATIENCE.get(begins(about, PATIENCE), 0)
    is_due = row["looks"] >= LOOKS_TO_BEGIN and now - row["since"] >= patience
    is_worse = row["told"] == "warn" and row["level"] == "bad"
    if is_due and (not row["told"] or is_worse):
        return row | {"told": row["level"]}, True
    return row, False


def missed(row, now):
    """Return what is known of a thing that a look has missed, None for nothing any more, and whether it is over now."""
    row = row | {"looks": 0, "missed": row["missed"] + 1}
    if row["told"]:
        if row["missed"] < looks_to_end(row["turns"]):
            return row, False
        return row | {"told": "", "turns": row["turns"] + 1, "ended": now}, True
    return (row if row["turns"] and now - row["ended"] < DAY else None), False


def decide(things, found, now, complete=True):
    """Return what is known of all things now, and which begin and end, as lists of rows with `about`.

    things is what was known; found is what found_in returns; complete is false where the look failed. What is below something that could not
    be looked at is neither there nor over.
    """
    known, begun, ended = {}, [], []
    for about, thing in list(found.items())[:MOST_THINGS]:
        known[about], is_told = seen(things.get(about), thing, about, now)
        if is_told:
            begun.append({"about": about, **known[about]})
    for about, row in things.items():
        if about in known:
            continue
        if not complete or any(begins(about, [other]) and about != other for other in found):
            known[about] = row
            continue
        row, is_over = missed(row, now)
        if row:
            known[about] = row
        if is_over:
            ended.append({"about": about, **row, "seconds": now - row["since"]})
    return known, begun, ended


def digest(entry):
    """Return a short name of a line of the log of deploys."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]


def deploys(before, entries):
    """Return what is remembered of the log of deploys, and the sentences on those that are new, the first one first.

    before is what was remembered, None where nobody has looked yet; entries are those of the log, the last one first.
    """
    now = [digest(entry) for entry in entries]
    if before is None:
        return now, []
    return now, [deploy_sentence(entry) for entry, name in zip(entries, now) if name not in before][::-1]


def deploy_sentence(entry):
    """Return what a line of the log of deploys says."""
    what, version, by = (plain(entry.get(name) or "?") for name in ("what", "version", "by"))
    if entry.get("verdict") == "ok":
        return f"{what[:1].upper()}{what[1:]} of {version} by {by} succeeded."
    step, reason = plain(entry.get("step") or "unknown"), plain(entry.get("reason") or "no reason given")
    return f"{what[:1].upper()}{what[1:]} of {version} by {by} failed in step {step}: {reason}"


def role(before, database):
    """Return what is remembered of the server's role, and a sentence where it has changed; database is what it says of itself, if it does."""
    if not isinstance(database, dict):
        return before, []
    now = "standby" if database["standby"] else "primary"
    if before in (None, now):
        return now, []
    return now, ["The database server of this host has become the primary." if now == "primary" else "The database server of this host is a standby now."]


def neighbours(ring, host, is_alive):
    """Return which hosts this one has found dead, by name, and whether it is itself cut off.

    ring are the site's hosts in an order that all of them know: each looks after the next one, and after the one after that where the next
    one is dead, so that one tells of each. Who finds all dead, of several, is alone.
    """
    place = ring.index(host)
    others = ring[place + 1 :] + ring[:place]
    dead = []
    for other in others:
        if is_alive(other):
            return dead, False
        dead.append(other)
    return ([], True) if len(others) > 1 else (dead, False)
