# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""How a release goes: it is stopped once nobody waits for it, and removed once nobody goes back to it."""

from __future__ import annotations

import glob
import os
import time

from .directories import clear
from .releases import RECORD, current_of, forget, note, output, records, releases_of

# A short one is not waited out for longer than it is there.
PAUSE_SECONDS = 0.2


def waiting(listing):
    """Return how many connections wait in the queue of a socket: the third column of `ss --listening` (ss(8)), none where it is not there."""
    columns = listing.split()
    return int(columns[2]) if len(columns) > 2 else 0


def drained(ask, timeout_seconds, clock=time.monotonic, sleep=time.sleep):
    """Wait until nobody waits any more; return whether that came to be in time. `ask` returns what `ss` says."""
    end = clock() + timeout_seconds
    while waiting(ask()):
        if clock() >= end:
            return False
        sleep(PAUSE_SECONDS)
    return True


def retire(ask, root, service, releases, timeout_seconds, clock=time.monotonic):
    """Stop releases once nobody waits for them, or their time is over; return a sentence on each for which somebody still did.

    ask runs a command and returns what it prints. Requests in flight are finished meanwhile, and nobody waits for that. Code that was broken into can
    have a queue for ever: it has to go all the same.
    """
    end, late = clock() + timeout_seconds, []
    for release in releases:
        socket = "%s/releases/%s/app.sock" % (root, release)
        if not drained(lambda: ask("ss", "--no-header", "--listening", "--unix", "src", socket), end - clock()):
            late.append("After %d s visitors still waited for release %s. It was stopped all the same." % (timeout_seconds, release))
    if releases:
        ask("systemctl", "stop", "--no-block", *("%s@%s.%s" % (service, release, kind) for release in releases for kind in ("socket", "service")))
    return late


def doomed(releases, current, used, keep):
    """Return the names of releases to remove, sorted: `releases` are the times at which each came into service, None for one that never did."""
    served = sorted((name for name in releases if releases[name] is not None and name != current), key=lambda name: (releases[name], name), reverse=True)
    return sorted(set(releases) - {current, *used, *served[:keep]})


def served_since(path):
    """Return when a release came into service, as its record's time of change; None where it never did."""
    try:
        return os.lstat(os.path.join(path, RECORD)).st_mtime_ns
    except OSError:
        return None


def remove(path):
    """Remove a folder, or whatever stands in its place."""
    if os.path.isdir(path) and not os.path.islink(path):
        forget(path)
    clear(path)


def prune(root, service, keep, dry=False, run="/run"):
    """Remove releases, and virtualenvs that none of the others links to; return the releases. OSError says what cannot be removed."""
    releases, venvs = os.path.join(root, "releases"), os.path.join(root, "venvs")
    current = current_of(root)
    if not os.path.isdir(os.path.join(releases, current or "none")):
        raise OSError("No release of %s serves, so it is not known which ones are old." % root)
    since = {name: served_since(os.path.join(releases, name)) for name in os.listdir(releases)}
    # A job of a timer may still run an older release, of which it left a note, and a server may still finish its last requests.
    used = {note(path)[0] for path in glob.glob(os.path.join(run, service + "-*", "release"))}
    used |= set(releases_of(output("systemctl", "list-units", "--plain", "--no-legend", service + "@*.service"), service, "service"))
    # What a rollback goes back to, whatever the clock said when it was put into service.
    used |= {record.get("previous") for record in records(root) if record["release"] == current}
    removed = doomed(since, current, used, keep)
    if dry:
        return removed
    for name in removed:
        remove(os.path.join(releases, name))
    links = (os.path.join(releases, name, "venv") for name in os.listdir(releases))
    linked = {os.path.basename(os.readlink(link)) for link in links if os.path.islink(link)}
    for name in set(os.listdir(venvs)) - linked:
        remove(os.path.join(venvs, name))
    return removed
