"""First converge of a bare host with the Wagtail site, beside one script that knows the result."""

from lab import FLOOR, SITE
from report import row


def measure(lab):
    """Return the rows of part a."""
    ours, floor = [], []
    for _run in range(lab.runs):
        # The bare host boots before the clock runs, on both sides.
        lab.remove(SITE | FLOOR)
        inventory = lab.create({"h1": SITE["h1"]}, lab.serving(["h1"]))
        ours.append(lab.play(inventory, "site"))
        lab.hosts = 1
        floor.append(lab.floor())
    return [
        row("first site.yml of a bare host", [run["seconds"] for run in ours], "s", floor, "the floor, one script"),
        row("first site.yml, tasks", [run["ok"] for run in ours], "tasks"),
        row("first site.yml, modules on the host", [run["modules"] for run in ours], "modules"),
    ]
