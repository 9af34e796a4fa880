"""The same site on 1, 2, 4 and 8 hosts: all of them serve it, the first one has the database. Last of all parts: it changes the first host."""

from lab import SITE, check_shown
from report import row


def measure(lab):
    """Return the rows of part d; beside each is the figure of one host."""
    runs = {name: {} for what in ("second run", "deploy") for name in (what, controllers(what))}

    def note(what, hosts, cost):
        runs[what].setdefault(hosts, []).append(cost["seconds"])
        runs[controllers(what)].setdefault(hosts, []).append(cost["processor_seconds"])

    for hosts in (1, 2, 4, 8) if lab.scale == 1 else (1, 2, 3):
        inventory = lab.site(hosts)
        # The first run after a growth is not the second of anything.
        for _run in range(lab.runs):
            note("second run", hosts, lab.play(inventory, "site"))
        for _run in range(lab.runs):
            mark = lab.commit()
            note("deploy", hosts, lab.play(inventory, "deploy"))
            check_shown(list(SITE)[hosts - 1], mark)
    return [
        row(f"{name}, {hosts} host{'s' * (hosts > 1)}", seconds, "s", of_name[1], "1 host")
        for name, of_name in runs.items() for hosts, seconds in of_name.items()
    ]  # fmt: skip


def controllers(what):
    """Return the name of the processor time that the controller alone takes for a run."""
    return f"controller's processor time of a {what}"
