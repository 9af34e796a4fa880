"""pgbench on our settings and on Debian's default, on hosts of the same memory, over the local socket."""

import re

from lab import ARCHIVED, MEMORY_MB
from report import row

# Megabytes of a database that fits into shared_buffers, and of one that does not fit into the host's memory.
SIZES = {"in memory": MEMORY_MB // 10, "beyond memory": MEMORY_MB * 3 // 2}
MEGABYTES_OF_A_SCALE = 15
MODES = {"read-only": "--select-only", "read-write": ""}
HOSTS = ("h1", "floor")
# Debian keeps pgbench out of the PATH.
PGBENCH = "set -e\ncd / && pgbench() { runuser -u postgres -- $(ls /usr/lib/postgresql/*/bin/pgbench | tail -n 1) \"$@\"; }\n"


def measure(lab):
    """Return the rows of part f."""
    lab.site()
    lab.floor()
    rows = []
    for host in HOSTS:
        lab.limit_memory(host, MEMORY_MB)
    try:
        for size, megabytes in SIZES.items():
            rows += compared(lab, HOSTS, megabytes, size, "Debian's default")
            for host in HOSTS:
                lab.ssh(host, "cd / && runuser -u postgres -- dropdb bench")
    finally:
        for host in HOSTS:
            # More than any machine has: no limit.
            lab.limit_memory(host, 1 << 22)
    return rows


def compared(lab, hosts, megabytes, where, against):
    """Return the rows of a database of this size on two hosts, ours first; it stays there."""
    scale, seconds = max(1, round(megabytes * lab.scale / MEGABYTES_OF_A_SCALE)), max(2, round(6 * lab.scale))
    for host in hosts:
        lab.ssh(host, f"{PGBENCH}runuser -u postgres -- createdb bench\npgbench --quiet --initialize --scale={scale} bench\n{ARCHIVED}")
    rows = []
    for mode, option in MODES.items():
        figures = {host: [] for host in hosts}
        for _run in range(lab.runs):
            for host in hosts:
                figures[host].append(transactions(lab, host, f"--client=8 --time={seconds} {option}"))
        ours, beside = figures.values()
        rows.append(row(f"pgbench, {mode}, {where}", ours, "transactions/s", beside, against))
    return rows


def transactions(lab, host, options):
    """Return transactions in a second; each run begins with everything on the disk and a moment of the same load, unmeasured."""
    script = f"runuser -u postgres -- psql --quiet --command checkpoint\npgbench {options} --time=2 bench >/dev/null 2>&1\npgbench {options} bench"
    return float(re.search(r"tps = ([\d.]+)", lab.ssh(host, PGBENCH + script)[1])[1])
