# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a restore of the database has to do: pure functions of what was seen on the database hosts and of what is asked for."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence

from ..module_utils.postgresql_restore import BEGUN, goes_on, since

MOMENT = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[ T](?P<clock>\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?) ?(?P<zone>Z|UTC|[+-]\d{2}(:?\d{2})?)$",
)
# Timelines that begin for another reason than this left a history behind that leads to other moments.
PROMOTED = "no recovery target specified"
# pgBackRest's number for a repository that cannot be read.
UNREADABLE = 99


def _words(epoch):
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S+00")


def moment_of(text):
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
        before = moment_of(fork["reason"].removeprefix("before "))
        if before["seconds"] is None or seconds > before["seconds"]:
            return None
    return "latest"


def _cluster(information, backup):
    """Return the cluster that a backup is of, as its repository knows it: `system-id`, `version`; each version of the server has its own."""
    of = backup.get("database") or {}
    known = {(row.get("repo-key", 1), row["id"]): row for row in information.get("db", [])}
    row = known.get((of.get("repo-key", 1), of.get("id")), {})
    return {"system-id": row.get("system-id", of.get("id")), "version": str(row.get("version", ""))}


def way(
    information, moment="", name="", label="", timeline="", histories="", now=0, free_bytes=0, headroom_mb=0, repository=0, version="", in_place=False
):
    """Return how to get to a moment: `type`, `target`, `timeline`, `sets` to try in turn, `bytes`, `repository`, `version`, or an `error`.

    `repository` is the number of the one that is asked for, 0 for any; version is that of the server that runs: what is of another one, from
    before an upgrade, is restored beside it.
    """
    repository = int(repository)
    backups = [row for row in information.get("backup", []) if not repository or row["database"]["repo-key"] == repository]
    if not backups:
        return {"error": f"repository {repository} holds no backup" if repository else "the repository holds no backup"}
    plan = {"error": "", "type": "default", "target": "", "timeline": str(timeline), "sets": [], "repository": repository}
    seconds = None
    if moment:
        parsed = moment_of(moment)
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
    # The server would wait for who is away with each piece of log that it asks for.
    if not repository and any(row["status"]["code"] == UNREADABLE for row in information.get("repo", [])):
        plan["repository"] = chosen[0]["database"]["repo-key"]
        chosen = [row for row in chosen if row["database"]["repo-key"] == plan["repository"]]
    plan["sets"] = [backup["label"] for backup in chosen]
    plan["bytes"] = max(backup["info"]["size"] for backup in chosen)
    needed = plan["bytes"] + int(headroom_mb) * 1024**2
    if needed > int(free_bytes):
        return {
            "error": f"the restored cluster takes {plan['bytes'] // 1024**2} MB and {headroom_mb} MB are to stay free "
            f"(postgresql_restore_headroom_mb), but only {int(free_bytes) // 1024**2} MB are"
        }
    return plan


def host_of(looks: Mapping[str, Mapping], hosts: Sequence[str], words: str) -> str:
    """Return the host that is restored: where an interrupted run has exchanged the cluster, else the primary, else where one has left these words."""
    journals = {name: look["journal"] for name, look in looks.items() if look["journal"]}
    primaries = [name for name, look in looks.items() if look["primary"]]
    # One that has become a standby since has what its primary has.
    standbys = [name for name, look in looks.items() if primaries and look["running"] and not look["primary"]]
    exchanged = [name for name, journal in journals.items() if journal["exchanged"] and name not in standbys]
    left = [name for name, journal in journals.items() if journal["phase"] in BEGUN or journal["words"] == words]
    return [*exchanged, *primaries, *left, *(name for name in hosts if name in looks), *hosts][0]


def refusal_of(looks, hosts, host, action, words="", removed=False, resumed=False, managed=False):
    """Return why a host is not restored, whatever the repository holds; an empty word where nothing speaks against it.

    `looks` is what each database host that answers has, `action` what is to be done: beside, swap, dump or remove, `words` what is asked for.
    `removed` says that what was restored beside goes first, `resumed` that an interrupted run is gone on with, `managed` that Patroni runs the
    servers.
    """
    seen = looks[host]
    journal, beside = seen["journal"] or {}, seen["beside"] or {}
    primaries = [name for name, look in looks.items() if look["primary"]]
    unknown = [name for name in hosts if name not in looks]
    if len(primaries) > 1:
        return f"Several database hosts are primaries: {', '.join(primaries)}"
    if not primaries and unknown and not (resumed and journal["exchanged"]):
        return f"No database host is the primary, and {', '.join(unknown)} did not answer"
    if primaries and host not in primaries:
        return (
            f"{primaries[0]} is the primary by now, and a restore in place to {journal['words']} was interrupted on {host}: build {host} anew first, by "
            f"database.yml -e postgresql_rebuild={host}"
        )
    if seen["running"] and not seen["primary"]:
        return f"{host} is a standby, and no database host is the primary: make one by switchover.yml first"
    if managed and action == "swap" and unknown:
        silent, them = ", ".join(unknown), "it" if len(unknown) == 1 else "them"
        return f"{silent} did not answer, and would take the place of what is restored: start {them}, or take what is gone for good off the group database"
    if managed and action == "swap" and not seen["voters"]:
        return "The voters do not answer, and without them Patroni makes no server the primary: see status.yml"
    if managed and action == "swap" and seen["paused"]:
        return "Patroni is paused, and would leave the servers as they are: patronictl resume ends that"
    if journal.get("phase") in BEGUN and not resumed and (action != "swap" or journal["words"] != words):
        return f"A restore in place to {journal['words']} was interrupted: run it again as it was, which finishes it"
    if action == "beside" and not removed and beside.get("finished"):
        return f"What was restored to {beside['words']} stands beside the cluster: remove it first, by -e restore_remove=true"
    if action == "swap" and seen["tablespaces"]:
        return "The cluster has tablespaces, which are not exchanged with its directory: restore beside it, without restore_in_place"
    if action in ("swap", "beside") and seen["trouble"] and not resumed:
        return f"The repository does not answer: {seen['trouble']}"
    return ""


# --- What is asked for --------------------------------------------------------------------------


def conflicts(wishes: Mapping) -> list[str]:
    """Return the words of the command line that are given, of which only one goes."""
    is_removed, in_place = wishes["removed"], wishes["confirmation"]
    given = {
        "restore_target_time": wishes["time"],
        "restore_target_name": wishes["point"],
        "restore_dump": wishes["dump"],
        "restore_backup_label": wishes["dump"] and wishes["label"],
        "restore_in_place": is_removed and in_place,
        "restore_remove": is_removed and (wishes["dump"] or in_place),
    }
    return [word for word, value in given.items() if value]


def is_newest(wishes: Mapping) -> bool:
    """Whether the newest state is asked for. It is not taken before the application has stopped: what that writes meanwhile would be lost."""
    return not (wishes["time"] or wishes["point"] or wishes["label"])


def words_of(wishes: Mapping) -> str:
    """Return what is asked for, by which the next run recognizes an interrupted one."""
    if wishes["dump"]:
        words = f"the dump {wishes['dump']} of the database {wishes['database']}"
    elif wishes["time"]:
        words = moment_of(wishes["time"])["target"]
    elif wishes["point"]:
        words = f"the restore point {wishes['point']}"
    else:
        words = "the end of the backup" if wishes["label"] else "the newest state"
    words += f" from the backup {wishes['label']}" if wishes["label"] else ""
    return words + (f" on the timeline {wishes['timeline']}" if wishes["timeline"] else "")


def action_of(wishes: Mapping) -> str:
    """Return what is done with what is asked for: remove, dump, swap or beside."""
    if wishes["removed"] and is_newest(wishes):
        return "remove"
    return "dump" if wishes["dump"] else "swap" if wishes["confirmation"] else "beside"


# --- The plan -----------------------------------------------------------------------------------


class Refusal(Exception):
    """One sentence on why a restore must not begin."""


def plan(
    looks: Mapping[str, Mapping], hosts: Sequence[str], wishes: Mapping, version: str, now: float = 0, backup_hosts: Sequence[str] = (), managed: bool = False
) -> dict:
    """Return what is to be done, or raise Refusal.

    looks are what each database host that answers has, by its name; hosts are all of them. wishes are the inputs of the role by their names, each
    a text, `repository` and `headroom_mb` numbers and `removed` a boolean. version is that of the server, now the time; backup_hosts keep the
    backups, of which each database host keeps its own where there are none; managed tells that Patroni runs the servers.

    The answer is what the module postgresql_restore_plan returns.
    """
    action, words = action_of(wishes), words_of(wishes)
    host = host_of(looks, hosts, words)
    if host not in looks:
        raise Refusal(f"{', '.join(hosts)} did not answer.")
    seen, in_place = looks[host], bool(wishes["confirmation"]) and not wishes["removed"]
    resumed = action == "swap" and goes_on(seen["journal"], words, is_newest(wishes), seen["running"])
    found = {"error": "", "type": "default", "target": "", "timeline": "", "sets": []}
    refusal = refusal_of(looks, hosts, host, action, words, removed=wishes["removed"], resumed=resumed, managed=managed)
    if not refusal and action in ("swap", "beside") and not resumed:
        found = way(
            seen["information"], moment=wishes["time"], name=wishes["point"], label=wishes["label"], timeline=wishes["timeline"],
            histories=seen["histories"], now=now, headroom_mb=wishes["headroom_mb"],
            # What stands beside goes where something else is to stand there.
            free_bytes=seen["free_bytes"] + (seen["beside_bytes"] if action == "beside" else 0),
            repository=wishes["repository"], version=version, in_place=in_place,
        )  # fmt: skip
    if refusal or found["error"]:
        raise Refusal(f"{refusal or found['error']}.")
    others = [name for name in hosts if name != host]
    dump = {"database": wishes["database"], "dump": wishes["dump"], "in_place": in_place, "headroom_mb": wishes["headroom_mb"]}
    return {
        "host": host,
        "keeper": [*(name for name in backup_hosts if name not in hosts), host][0],
        "action": action,
        "in_place": in_place,
        "is_newest": is_newest(wishes),
        "words": words,
        "sentence": resumption(host, seen["journal"]) if resumed else sentence(host, action, in_place, words, found["sets"]),
        "order": {"words": words}
        | (dump if action == "dump" else found | {"complete_log": is_newest(wishes)})
        | ({"since": since(seen["journal"])} if resumed else {}),
        "stood_down": others if managed and action == "swap" else [],
        "rebuilt": others if action == "swap" else [],
    }


def sentence(host: str, action: str, in_place: bool, words: str, sets: Sequence[str]) -> str:
    """Return what is to be done, in words."""
    if action == "remove":
        return f"What was restored beside is removed on {host}."
    where = f"{'in the place of' if in_place else 'beside'} the {'database' if action == 'dump' else 'cluster'}"
    return f"On {host} {words} is restored {where}{f', from the backup {sets[0]}' if sets else ''}."


def resumption(host: str, journal: Mapping) -> str:
    """Return in words what is done with what an interrupted run has left."""
    if journal["phase"] in BEGUN:
        return (
            f"On {host} the restore in place to {journal['words']} is finished, which was interrupted: it was made ready at {since(journal)}, and nothing "
            "newer is restored. To restore again, run it again."
        )
    return f"On {host} {journal['words']} is restored in the place of the cluster, as a run that was interrupted made it ready at {since(journal)}."


# --- What came of it ----------------------------------------------------------------------------


def serving(hosts: Iterable[str], said: Mapping[str, Mapping]) -> list[str]:
    """Return the web hosts that did not say that the application has stopped."""
    return [host for host in hosts if said.get(host, {}).get("rc", 1) != 0]


def standing(hosts: Iterable[str], said: Mapping[str, Mapping]) -> list[str]:
    """Return the hosts that did not say that Patroni has stopped there."""
    return [host for host in hosts if said.get(host, {}).get("failed") or "state" not in said.get(host, {})]


def hindrance(running: Sequence[str], left: Sequence[str]) -> str:
    """Return why what is restored must not take its place: where the application or else Patroni still runs."""
    if running or left:
        return f"{'The application' if running else 'Patroni'} was not stopped on {', '.join(running or left)}: nothing was restored."
    return ""


def is_done(said: Mapping) -> bool:
    """Whether a host said that what was restored is in its place."""
    return "result" in said and not said.get("failed")
