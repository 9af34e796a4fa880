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
# What the journal of a restore in place says from the moment on when something is exchanged.
EXCHANGED = ("swapping", "swapped")


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


def _cluster(information, backup):
    """Return the cluster that a backup is of, as its repository knows it: `system-id`, `version`; each version of the server has its own."""
    of = backup.get("database") or {}
    known = {(row.get("repo-key", 1), row["id"]): row for row in information.get("db", [])}
    row = known.get((of.get("repo-key", 1), of.get("id")), {})
    return {"system-id": row.get("system-id", of.get("id")), "version": str(row.get("version", ""))}


def postgresql_restore_plan(
    information, moment="", name="", label="", timeline="", histories="", now=0, free_bytes=0, headroom_mb=0, repository=0, version="", in_place=False
):
    """Return how to get to a moment: `type`, `target`, `timeline`, `sets` to try in turn, `bytes`, `repository`, `version`, or an `error`.

    `repository` is the number of the one that is asked for, 0 for any; version is that of the server that runs: what is of another one, from
    before an upgrade, is restored beside it.
    """
    if not isinstance(information, dict):
        raise AnsibleFilterError("postgresql_restore_plan: what the repository says is no mapping")
    repository = int(repository)
    backups = [row for row in information.get("backup", []) if not repository or row["database"]["repo-key"] == repository]
    if not backups:
        return {"error": f"repository {repository} holds no backup" if repository else "the repository holds no backup"}
    plan = {"error": "", "type": "default", "target": "", "timeline": str(timeline), "sets": [], "repository": repository}
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
    cluster = _cluster(information, chosen[0])
    plan["version"] = cluster["version"] or str(version)
    if in_place and version and plan["version"] != str(version):
        return {
            "error": f"what is asked for is of PostgreSQL {plan['version']}, and {version} serves: restore it beside, without restore_in_place, or go back "
            "with upgrade_postgresql.yml (README of the role postgresql, The next version)"
        }
    if cluster != _cluster(information, max(backups, key=lambda backup: backup["timestamp"]["stop"])):
        # The log's histories are of the newest cluster.
        histories = ""
    backups, chosen = ([row for row in rows if _cluster(information, row) == cluster] for rows in (backups, chosen))
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


def postgresql_restore_host(looks, hosts):
    """Return the host that is restored: where an interrupted run has begun to exchange its cluster, else the primary."""
    exchanged = [name for name, look in looks.items() if (look["journal"] or {}).get("phase") in EXCHANGED]
    primaries = [name for name, look in looks.items() if look["primary"]]
    left = [name for name, look in looks.items() if look["journal"]]
    return [*exchanged, *primaries, *left, *hosts][0]


def postgresql_restore_refusal(looks, hosts, host, action, removed=False, resumed=False, managed=False):
    """Return why a host is not restored, whatever the repository holds; an empty word where nothing speaks against it.

    `looks` is what each database host that answers has, `action` what is to be done: beside, swap, dump or remove. `removed` says that what was
    restored beside goes first, `resumed` that an interrupted run is gone on with, `managed` that Patroni runs the servers.
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
    if managed and action == "swap" and unknown:
        silent, them = ", ".join(unknown), "it" if len(unknown) == 1 else "them"
        return f"{silent} did not answer, and would take the place of what is restored: start {them}, or take what is gone for good off the group database"
    if managed and action == "swap" and not seen["voters"]:
        return "The voters do not answer, and without them Patroni makes no server the primary: see status.yml"
    if managed and action == "swap" and seen["paused"]:
        return "Patroni is paused, and would leave the servers as they are: patronictl resume ends that"
    if journal.get("phase") in EXCHANGED and not resumed:
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


def postgresql_restore_standing(hosts, known):
    """Return the hosts that did not say that Patroni has stopped there."""
    stopped = {host: known[host].get("__postgresql_backup_restore_stood_down") or {} for host in hosts}
    return [host for host, said in stopped.items() if said.get("failed") or "state" not in said]


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
            "postgresql_restore_host": postgresql_restore_host,
            "postgresql_restore_looks": postgresql_restore_looks,
            "postgresql_restore_moment": postgresql_restore_moment,
            "postgresql_restore_plan": postgresql_restore_plan,
            "postgresql_restore_refusal": postgresql_restore_refusal,
            "postgresql_restore_serving": postgresql_restore_serving,
            "postgresql_restore_standing": postgresql_restore_standing,
        }
