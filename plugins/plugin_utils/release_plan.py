# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a release or a rollback has to do on each host: pure functions of what was seen on the hosts and of the inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Those of every release; between them are those of the inventory.
BEFORE, AFTER = ("checkout", "virtualenv", "configure"), ("start", "health")
# What the database may need again, though the release was there before.
AGAIN = ("migrate", "commands")
# What may write to the code after `configure` has.
BUILDING = ("after_configure", "before_build", "after_build")
# What one host does for all.
ONCE = ("migrations", "migrate", "commands")
# The shortest beginning of a revision that names it.
LEAST_OF_A_REVISION = 7


class Refusal(Exception):
    """One sentence on why a release must not begin."""


def plan(
    looks: Mapping[str, Mapping],
    hosts: Sequence[str],
    order: Sequence[str],
    steps: Sequence[str],
    hooks: Mapping[str, str],
    serial: int | str = 1,
    first: str = "",
    is_rollback: bool = False,
    wanted: str = "",
    is_static_shared: bool = False,
    is_built: bool = True,
    limit: str = "all",
) -> dict:
    """Return what is to be done, or raise Refusal.

    looks are what the modules `release_fetch` or, for a rollback, `release_look` have seen, by the host; hosts are those that have to take
    part; order is that in which hosts switch; steps are those between `configure` and `start`; hooks are task files by their moment
    (`before_build`); serial is how many hosts switch at once, as a number or a percentage; first is the host that does what is done once for
    all, and chooses a rollback's release; wanted is what the operator asked to go back to; is_static_shared tells that all releases collect
    into one folder, which is of the one that collected last; is_built tells that there are commands to build with, where the code is sealed after
    these and not by `configure` already; limit is the pattern of hosts of this run.

    The answer has `is_due`, whether any host has to do something; `batches`, lists of hosts; `files`, the task files that the hosts go through
    together; and `hosts`, for each what the module release_plan returns as `mine`.
    """
    away = [host for host in hosts if host not in looks]
    if away:
        without = f"{limit}:!{':!'.join(away)}"
        raise Refusal(f"{', '.join(away)} cannot be reached. Nothing was changed; --limit '{without}' ships without.")
    targets = rollback_targets(looks, first, wanted) if is_rollback else {host: look["resolved"] for host, look in looks.items()}
    is_sealed_early = not is_built and not set(BUILDING) & set(hooks)
    planned = {host: of_host(look, targets[host], is_rollback, is_static_shared) for host, look in looks.items()}
    for host, row in planned.items():
        taken = release_steps(steps, row["is_kept"], is_rollback) if row["release"] != row["current"] else []
        done = [*(() if host == first else ONCE), *["virtualenv"] * looks[host]["has_virtualenv"], *["build"] * is_sealed_early]
        row |= {"files": step_files(taken, hooks, without=done), "is_sealed_early": is_sealed_early}
    used = {path for row in planned.values() if row["is_due"] for path in row["files"]}
    return {
        "is_due": any(row["is_due"] for row in planned.values()),
        "batches": batches([host for host in order if host in looks], serial),
        "files": [path for path in every_file(steps, hooks) if path in used],
        "hosts": planned,
    }


def of_host(look: Mapping, target: Mapping, is_rollback: bool, is_static_shared: bool) -> dict:
    """Return what one host has to do to serve the target, but for the task files; target has `release`, `revision` and `version`."""
    release, current = target["release"], look["current"]
    replaced = [name for name in look["running"] if name != release]
    known = {name: target[name] for name in ("revision", "version")}
    return known | {
        "release": release,
        "virtualenv": target.get("virtualenv", ""),
        "current": current,
        "replaced": replaced,
        "is_due": release != current or bool(replaced),
        # What an absolute STATIC_ROOT holds is of the release that collected last.
        "is_kept": is_rollback or (look["is_kept"] and not is_static_shared),
        "is_initial": look["is_initial"],
        "is_in_maintenance": look["is_in_maintenance"],
        "has_units": bool(look["units"]),
        # A release that is gone back to keeps what it replaced, so that the next rollback goes further back.
        "record": {} if is_rollback else known | {"previous": current},
        "sentence": sentence(release, current, replaced),
    }


def sentence(release: str, current: str, replaced: Sequence[str]) -> str:
    """Return what is to be done on a host, in words."""
    if release != current:
        return f"Release {release} is to take the place of {current}." if current else f"Release {release} is to be the first one."
    return f"Release {release} serves{', others are still to be stopped' if replaced else ''}."


def batches(hosts: Sequence[str], serial: int | str) -> list[list[str]]:
    """Return the hosts in groups that switch at once: serial is how many, or a percentage of them, rounded down, and one at least."""
    text = str(serial)
    size = len(hosts) * int(text[:-1]) // 100 if text.endswith("%") else int(text)
    return [list(hosts[start : start + max(1, size)]) for start in range(0, len(hosts), max(1, size))]


def release_steps(steps: Sequence[str], is_kept: bool = False, is_rollback: bool = False) -> list[str]:
    """Return the steps of a release that is made, of one that is kept whole, or of a rollback to it; steps are those of the inventory.

    One that is kept, from before a rollback, is not made anew: its shared files are written (which others have from `configure`),
    and the database is asked. What is gone back to asks whether the database has not gone on without it.
    """
    if is_rollback:
        return ["migrations", "files", *AFTER]
    if is_kept:
        return ["files", *(step for step in steps if step in AGAIN), *AFTER]
    # Whatever the inventory says: with the build the account that builds hands the code over.
    return [*BEFORE, *([] if "build" in steps else ["build"]), *steps, *AFTER]


def every_file(steps: Sequence[str], hooks: Mapping[str, str]) -> list[str]:
    """Return the task files that any host may have to take, in the order that all of them keep."""
    made = release_steps(steps)
    return step_files(["migrations", *BEFORE, "files", *made[len(BEFORE) :]], hooks)


def step_files(steps: Sequence[str], hooks: Mapping[str, str], without: Sequence[str] = ()) -> list[str]:
    """Return the task files of steps, with the hooks around them; hooks are paths by their moment. Of steps in `without` only the hooks."""
    taken = []
    for step in steps:
        own = [] if step in without else [f"release/{step}.yml"]
        taken += [hooks.get(f"before_{step}"), *own, hooks.get(f"after_{step}")]
    return [path for path in taken if path]


def rollback_targets(looks: Mapping[str, Mapping], first: str, wanted: str) -> dict[str, Mapping]:
    """Return the records of the release that each host goes back to, or raise Refusal.

    One host chooses for all: after a run that was killed between two hosts, what was replaced differs between them. A release's id holds what
    a host builds with, so another host may know the same revision by another one.
    """
    chosen = choose(looks[first], *filter(None, [wanted]))
    names = {host: choose(look, chosen, chosen[:12]) for host, look in looks.items()}
    return {host: next(record for record in looks[host]["records"] if record["release"] == name) for host, name in names.items()}


def choose(look: Mapping, *wanted: str) -> str:
    """Return the id of the release to go back to on a host, or raise Refusal.

    wanted are a release, the beginning of a revision, or a version; the first word that fits decides, and of several releases that fit
    the last that served. Without a word, the release that was replaced by the current one. A release without its record never served.
    """
    current, records = look["current"], {record["release"]: record for record in look["records"]}
    if not current:
        raise Refusal("No release serves here: deploy one first.")
    kept = "; ".join(f"{name} ({record['version']})" for name, record in records.items() if name != current) or "none"
    if not wanted:
        previous = records.get(current, {}).get("previous")
        if previous not in records:
            raise Refusal(f"The release before {current} is not there any more; name one with -e rollback_to=RELEASE. Kept: {kept}.")
        return previous
    for word in wanted:
        fitting = [name for name, record in records.items() if fits(word, name, record)]
        if fitting:
            return next((name for name in fitting if name == word or name != current), current)
    raise Refusal(f"rollback_to is {wanted[0]}, which is no release that is kept here. Kept: {kept}.")


def fits(word: str, release: str, record: Mapping) -> bool:
    """Whether a word names a release: its id, its version, or the beginning of its revision."""
    return word in (release, record["version"]) or (len(word) >= LEAST_OF_A_REVISION and record["revision"].startswith(word))
