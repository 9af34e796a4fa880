# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Which backup leads to a moment, and whether any does."""

from __future__ import annotations

import datetime
import json
import re

from ansible.errors import AnsibleFilterError

MOMENT = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[ T](?P<clock>\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?) ?(?P<zone>Z|UTC|[+-]\d{2}(:?\d{2})?)$",
)
# Timelines that begin for another reason than this left a history behind that leads to other moments.
PROMOTED = "no recovery target specified"


def _words(epoch):
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S+00")


def postgresql_restore_moment(text):
    """Return the moment as PostgreSQL takes it, in UTC, and as seconds since 1970; empty and nothing where it is none."""
    found = MOMENT.match(str(text).strip())
    nothing = {"target": "", "seconds": None}
    if not found:
        return nothing
    zone = found["zone"].replace(":", "")
    zone = "+0000" if zone in ("Z", "UTC") else zone if len(zone) == 5 else f"{zone}00"
    clock = found["clock"] if found["clock"].count(":") == 2 else f"{found['clock']}:00"
    clock = clock if "." in clock else f"{clock}.0"
    try:
        moment = datetime.datetime.strptime(f"{found['day']} {clock}{zone}", "%Y-%m-%d %H:%M:%S.%f%z")
        moment = moment.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        return nothing
    return {"target": moment.strftime("%Y-%m-%d %H:%M:%S.%f+00"), "seconds": moment.timestamp()}


def _timeline(backup):
    return int(backup["archive"]["stop"][:8], 16)


def _forks(histories):
    """Return the timelines that a restore to a moment began, and from which one: rows of parent, where the log parted, why."""
    rows = [re.split(r"\s+", line.strip(), maxsplit=2) for line in histories.splitlines() if re.match(r"\s*\d", line)]
    return [{"parent": int(row[0]), "reason": row[2] if len(row) > 2 else ""} for row in rows]


def _sets(backups, seconds):
    """Return the labels of sound backups that ended before the moment, newest first."""
    usable = [backup for backup in backups if not backup.get("error")]
    if seconds is not None:
        # The repository knows whole seconds: one that ended within the moment's own second may be too late.
        usable = [backup for backup in usable if backup["timestamp"]["stop"] + 1 <= seconds]
    return sorted(usable, key=lambda backup: backup["timestamp"]["stop"], reverse=True)


def _history(backup, backups, seconds, histories):
    """Return the timeline to follow to a moment, or nothing where the log that is asked for cannot be known."""
    mine = _timeline(backup)
    later = sorted((row for row in backups if row["timestamp"]["stop"] + 1 > seconds), key=lambda row: row["timestamp"]["stop"])
    if later and _timeline(later[0]) == mine:
        return "current"
    parted = [fork for fork in _forks(histories) if fork["parent"] >= mine and fork["reason"] != PROMOTED]
    if not parted:
        return "latest"
    # Before the moment that was restored to, all histories are the same.
    for fork in parted:
        before = postgresql_restore_moment(fork["reason"].removeprefix("before "))
        if before["seconds"] is None or seconds > before["seconds"]:
            return None
    return "latest"


def _cluster(backup):
    """Return the number by which a repository knows the cluster that a backup is of; each version of the server has its own."""
    return (backup.get("database") or {}).get("id", 0)


def _version(information, cluster):
    """Return the version of the server of a cluster; an empty word where the repository does not say."""
    return next((str(row["version"]) for row in information.get("db", []) if row["id"] == cluster and "version" in row), "")


def postgresql_restore_plan(
    information, moment="", name="", label="", timeline="", histories="", now=0, free_bytes=0, headroom_mb=0, version="", in_place=False
):
    """Return how to get to a moment: `type`, `target`, `timeline`, `sets` to try in turn, `bytes`, `version`, or an `error`.

    version is that of the server that runs; what is of another one, from before an upgrade, is restored beside it.
    """
    if not isinstance(information, dict):
        raise AnsibleFilterError("postgresql_restore_plan: what the repository says is no mapping")
    backups = information.get("backup", [])
    if not backups:
        return {"error": "the repository holds no backup"}
    plan = {"error": "", "type": "default", "target": "", "timeline": str(timeline), "sets": []}
    seconds = None
    if moment:
        parsed = postgresql_restore_moment(moment)
        seconds = parsed["seconds"]
        if seconds is None:
            return {"error": f"restore_target_time is '{moment}': give a moment with its time zone, such as 2026-01-31 14:05:00+01:00"}
        if seconds > now:
            return {"error": f"restore_target_time is '{moment}', which is in the future"}
        plan |= {"type": "time", "target": parsed["target"]}
    elif name:
        plan |= {"type": "name", "target": str(name)}
    elif label:
        plan |= {"type": "immediate"}
    chosen = _sets(backups, seconds)
    if label:
        known = [backup for backup in backups if backup["label"] == label]
        if not known:
            labels = ", ".join(backup["label"] for backup in backups)
            return {"error": f"restore_backup_label is '{label}', which the repository does not hold: there are {labels}"}
        if seconds is not None and known[0]["timestamp"]["stop"] + 1 > seconds:
            return {"error": f"restore_target_time is '{moment}', before the end of the backup {label} at {_words(known[0]['timestamp']['stop'])}"}
        chosen = known
    if not chosen and seconds is None:
        return {"error": "every backup in the repository is damaged: name one by restore_backup_label to take it all the same"}
    if not chosen:
        oldest = min(backup["timestamp"]["stop"] for backup in backups)
        return {"error": f"restore_target_time is '{moment}', before the oldest backup, which ended at {_words(oldest)}"}
    cluster = _cluster(chosen[0])
    plan["version"] = _version(information, cluster) or str(version)
    if in_place and version and plan["version"] != str(version):
        return {
            "error": f"what is asked for is of PostgreSQL {plan['version']}, and {version} serves: restore it beside, without restore_in_place, or go back "
            "with upgrade_postgresql.yml (README of the role postgresql, The next version)"
        }
    if cluster != max(map(_cluster, backups)):
        # The log's histories are of the newest cluster.
        histories = ""
    backups, chosen = ([row for row in rows if _cluster(row) == cluster] for rows in (backups, chosen))
    if not plan["timeline"]:
        plan["timeline"] = "current" if plan["type"] == "immediate" else "latest"
        if seconds is not None:
            followed = _history(chosen[0], backups, seconds, histories)
            if followed is None:
                return {
                    "error": f"restore_target_time is '{moment}', and the database was taken back to an earlier moment once: say by "
                    f"restore_target_timeline whether {_timeline(chosen[0])}, the history before that, or latest is meant"
                }
            plan["timeline"] = followed
    plan["sets"] = [backup["label"] for backup in chosen]
    plan["bytes"] = max(backup["info"]["size"] for backup in chosen)
    needed = plan["bytes"] + int(headroom_mb) * 1024**2
    if needed > int(free_bytes):
        return {
            "error": f"the restored cluster takes {plan['bytes'] // 1024**2} MB and {headroom_mb} MB are to stay free "
            f"(postgresql_backup_restore_headroom_mb), but only {int(free_bytes) // 1024**2} MB are"
        }
    return plan


def postgresql_restore_refusal(looks, hosts, host, action, removed=False, resumed=False):
    """Return why a host is not restored, whatever the repository holds; an empty word where nothing speaks against it.

    `looks` is what each database host that answers has, `action` what is to be done: beside, swap, dump or remove. `removed` says that what was
    restored beside goes first, `resumed` that an interrupted run is gone on with.
    """
    seen = looks[host]
    journal, beside = seen["journal"] or {}, seen["beside"] or {}
    primaries = [name for name, look in looks.items() if look["primary"]]
    unknown = [name for name in hosts if name not in looks]
    if len(primaries) > 1:
        return f"Several database hosts are primaries: {', '.join(primaries)}"
    if not primaries and unknown and not journal:
        return f"No database host is the primary, and {', '.join(unknown)} did not answer"
    if seen["running"] and not seen["primary"]:
        return f"{host} is a standby, and no database host is the primary: make one by switchover.yml first"
    if journal.get("phase") in ("swapping", "swapped") and not resumed:
        return f"A restore in place to {journal['words']} was interrupted: run it again as it was, which finishes it"
    if action == "beside" and not removed and beside.get("finished"):
        return f"What was restored to {beside['words']} stands beside the cluster: remove it first, by -e restore_remove=true"
    if action == "swap" and seen["tablespaces"]:
        return "The cluster has tablespaces, which are not exchanged with its directory: restore beside it, without restore_in_place"
    if action in ("swap", "beside") and seen["trouble"] and not resumed:
        return f"The repository does not answer: {seen['trouble']}"
    return ""


def postgresql_restore_looks(hosts, known):
    """Return by name what each database host that answers has."""
    looks = {host: (known[host].get("__postgresql_backup_restore_look") or {}).get("stdout") for host in hosts}
    return {host: json.loads(look) for host, look in looks.items() if look}


def postgresql_restore_serving(hosts, known):
    """Return the web hosts that did not say that the application has stopped."""
    return [host for host in hosts if (known[host].get("__uwsgi_stopped") or {}).get("rc", 1) != 0]


def postgresql_restore_complaints(hosts, known):
    """Return what is wrong with servers that are not what the site says."""
    found = [known[host].get("__postgresql_backup_restore_unsettled") or {} for host in hosts]
    return [row["msg"] for row in found if "msg" in row]


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {
            "postgresql_restore_complaints": postgresql_restore_complaints,
            "postgresql_restore_looks": postgresql_restore_looks,
            "postgresql_restore_moment": postgresql_restore_moment,
            "postgresql_restore_plan": postgresql_restore_plan,
            "postgresql_restore_refusal": postgresql_restore_refusal,
            "postgresql_restore_serving": postgresql_restore_serving,
        }
