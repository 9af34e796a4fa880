"""The same site on 1, 2, 4 and 8 hosts: all of them serve it, the first one has the database. Last of all parts: it changes the first host."""

from lab import SITE, check_shown
from report import row


def measure(lab):
    """Return the rows of part d; beside each is the figure of one host."""
    runs = {}
    for hosts in (1, 2, 4, 8) if lab.scale == 1 else (1, 2, 3):
        inventory = lab.site(hosts)
        # The first run after a growth is not the second of anything.
        for _run in range(lab.runs):
            runs.setdefault(("second run", hosts), []).append(lab.play(inventory, "site")["seconds"])
        for _run in range(lab.runs):
            mark = lab.commit()
            runs.setdefault(("deploy", hosts), []).append(lab.play(inventory, "deploy")["seconds"])
            check_shown(list(SITE)[hosts - 1], mark)
    return [
        row(f"{what}, {hosts} host{'s' * (hosts > 1)}", seconds, "s", runs[what, 1], "1 host")
        for (what, hosts), seconds in sorted(runs.items(), key=lambda item: (item[0][0] != "second run", item[0][1]))
    ]
