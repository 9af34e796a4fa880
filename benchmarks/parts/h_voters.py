"""pgbench on a primary that waits for its standby: under Patroni with three voters, and beside it the same pair without."""

from lab import MEMORY_MB, PAIR, VOTERS
from report import row

from parts.f_database import MEGABYTES_OF_A_SCALE, MODES, PGBENCH, SIZES, transactions


def measure(lab):
    """Return the rows of part h."""
    primaries = []
    for hosts in (PAIR, VOTERS):
        first, second, third = hosts
        groups = {"wagtail": list(hosts), "web": [third], "database": [first, second]} | ({"etcd": list(hosts)} if hosts is VOTERS else {})
        lab.play(lab.create(hosts, groups, postgresql_synchronous_standbys=1), "site")
        primaries.append(first)
    seconds = max(2, round(6 * lab.scale))
    rows = []
    scale = max(1, round(SIZES["in memory"] * lab.scale / MEGABYTES_OF_A_SCALE))
    for host in primaries:
        lab.limit_memory(host, MEMORY_MB)
        lab.ssh(host, f"{PGBENCH}runuser -u postgres -- createdb bench\npgbench --quiet --initialize --scale={scale} bench")
    for mode, option in MODES.items():
        figures = {host: [] for host in primaries}
        for _run in range(lab.runs):
            for host in primaries:
                figures[host].append(transactions(lab, host, f"--client=8 --time={seconds} {option}"))
        pair, voters = figures.values()
        rows.append(row(f"pgbench, {mode}, one standby is waited for", voters, "transactions/s", pair, "the same without voters"))
    lab.remove(PAIR | VOTERS)
    return rows
