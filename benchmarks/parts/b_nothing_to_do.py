"""Runs that find everything as it should be, on one host."""

from lab import CACHE, Failed
from report import row


def measure(lab):
    """Return the rows of part b."""
    inventory = lab.site()
    runs = {name: [] for name in ("site", "pings", "deploy", "status")}
    for _run in range(lab.runs):
        for name in runs:
            # 190 times the least that a task can do, without sudo: the same controller, the same connection.
            runs[name].append(lab.play(inventory, CACHE / "pings.yml" if name == "pings" else name))
    if changed := max(run["changed"] for run in runs["site"] + runs["deploy"]):
        raise Failed(f"there was nothing to do, and yet {changed} tasks changed something")

    def figures(name, what):
        return [run[what] for run in runs[name]]

    rows = [row("site.yml, second run", figures("site", "seconds"), "s", figures("pings", "seconds"), "190 tasks of ping")]
    rows += [row(f"{name}.yml with nothing to do", figures(name, "seconds"), "s") for name in ("deploy", "status")]
    for name in ("site", "deploy", "status"):
        rows += [row(f"{name}.yml, tasks", figures(name, "ok"), "tasks"), row(f"{name}.yml, modules on the host", figures(name, "modules"), "modules")]
    roles = sorted({role for run in runs["site"] for role in run["roles"]})
    rows += [row(f"site.yml, role {role}", [run["roles"].get(role, 0) for run in runs["site"]], "s") for role in roles]
    return [*rows, row("site.yml, outside roles", [run["seconds"] - sum(run["roles"].values()) for run in runs["site"]], "s")]
