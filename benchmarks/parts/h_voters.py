"""pgbench on a primary that waits for its standby: under Patroni with three voters, and beside it the same pair without."""

from lab import MEMORY_MB, PAIR, VOTERS

from parts.f_database import SIZES, compared


def measure(lab):
    """Return the rows of part h."""
    primaries = []
    for hosts in (VOTERS, PAIR):
        first, second, third = hosts
        groups = {"wagtail": list(hosts), "web": [third], "database": [first, second]} | ({"etcd": list(hosts)} if hosts is VOTERS else {})
        lab.play(lab.create(hosts, groups, postgresql_synchronous_standbys=1), "site")
        lab.limit_memory(first, MEMORY_MB)
        primaries.append(first)
    rows = compared(lab, primaries, SIZES["in memory"], "one standby is waited for", "the same without voters")
    lab.remove(PAIR | VOTERS)
    return rows
