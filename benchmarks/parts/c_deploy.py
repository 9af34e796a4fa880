"""A deploy of a commit that changes one template, beside the same by hand."""

from lab import check_shown
from report import row


def measure(lab):
    """Return the rows of part c."""
    inventory = lab.site()
    lab.floor()
    ours, floor = [], []
    for _run in range(lab.runs):
        mark = lab.commit()
        ours.append(lab.play(inventory, "deploy"))
        check_shown("h1", mark)
        floor.append(lab.by_hand("floor_deploy.sh")[0])
        check_shown("floor", mark)
    return [
        row("deploy.yml of a changed template", [run["seconds"] for run in ours], "s", floor, "the floor: fetch, migrate, collectstatic, restart"),
        row("deploy.yml of a changed template, tasks", [run["ok"] for run in ours], "tasks"),
        row("deploy.yml of a changed template, modules on the host", [run["modules"] for run in ours], "modules"),
    ]
