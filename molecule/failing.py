"""Faults in a row, and a record of every row that was acknowledged meanwhile: what the trials of automatic failover decide.

Nothing here touches a host, so that it can be tested without.
"""

import dataclasses
import random
import statistics

# What goes wrong, and how many seconds it lasts before it is put right.
FAULTS = {
    "kill PostgreSQL": 0, "kill Patroni": 0, "kill etcd": 0, "kill the primary's host": 25, "pause the primary's host": 40,
    "cut the primary off": 40, "cut the primary off the voters": 40, "cut the primary off the clients": 15, "switch over": 0,
    "kill PostgreSQL and Patroni": 0, "kill two hosts": 5, "kill the primary's host and a voter": 25, "power off all": 3,
    "kill the new primary while it takes over": 5, "kill the former primary while it yields": 5, "fill the primary's disk": 90,
}  # fmt: skip


def trials(seed, count, longest=3600):
    """Return the names of faults in a row that last no longer: each kind once before any comes again, in an order that the seed says."""
    chance, row, kinds = random.Random(seed), [], sorted(name for name, seconds in FAULTS.items() if seconds <= longest)
    while len(row) < count:
        row += chance.sample(kinds, len(kinds))
    return row[:count]


@dataclasses.dataclass(frozen=True)
class Ack:
    """A row that the server said it has: who wrote it when, and which server of which timeline has said so when."""

    row: str
    sent: float
    heard: float
    server: str
    timeline: int


def read(text):
    """Return the acknowledged rows of a log; its last line may be cut off."""
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    return [Ack(row, float(sent), float(heard), server, int(timeline, 16)) for row, sent, heard, server, timeline in rows]


def sent(row):
    """Return when a row was sent, which its name tells."""
    return float(row.rsplit("-", 1)[1])


def quiet(acks, chance, least=0.01):
    """Return a moment, by chance, at which no row was under way: all before it were acknowledged by then, all after it not sent yet."""
    moments, heard = [], None
    for ack in sorted(acks, key=lambda ack: ack.sent):
        if heard is not None and ack.sent - heard >= least:
            moments.append((heard + ack.sent) / 2)
        heard = max(heard or 0, ack.heard)
    return chance.choice(moments)


def twice(acks):
    """Return pairs of rows that two primaries took: one was sent to an old one after somebody had heard from a newer one."""
    found, newest, heard = [], None, sorted(acks, key=lambda ack: -ack.heard)
    for ack in sorted(acks, key=lambda ack: ack.sent):
        while heard and heard[-1].heard < ack.sent:
            newest = max(filter(None, (newest, heard.pop())), key=lambda other: other.timeline)
        if newest and newest.timeline > ack.timeline:
            found.append((newest, ack))
    return found


def pauses(acks, since=0.0, least=1.0):
    """Return the seconds without an acknowledged row, of each time that ended after a moment and took longer than the least."""
    heard = sorted(ack.heard for ack in acks)
    return [later - earlier for earlier, later in zip(heard, heard[1:]) if later > since and later - earlier >= least]


def summary(lasted):
    """Return median and worst of several spans, as a text."""
    return f"median {statistics.median(lasted):.1f} s, worst {max(lasted):.1f} s" if lasted else "none"
