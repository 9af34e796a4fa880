"""A plain primary with its standbys becomes a site with voters, and back, while a client writes."""

import json
import re
import statistics
import time

import failing
import pytest
from replicating import Cluster

# What the role's page says, host after host, the primary last.
BACK = """
systemctl disable --now patroni@17-main
cd /etc/postgresql/17/main && mv postgresql.base.conf postgresql.conf && echo auto >start.conf
rm /etc/patroni/17-main.yml /etc/systemd/system/postgresql@17-main.service.d/patroni.conf && systemctl daemon-reload
runuser -u postgres -- /usr/lib/postgresql/17/bin/pg_ctl --pgdata=/var/lib/postgresql/17/main stop && systemctl start postgresql@17-main
"""


PGBENCH = "runuser -u postgres -- /usr/lib/postgresql/17/bin/pgbench"


def transactions(site, name):
    """Transactions in a second, three times, each after a checkpoint and a moment of the same load."""
    once = f"runuser -u postgres -- psql -Xqc checkpoint; {PGBENCH} -n -c 8 -T 2 bench >/dev/null; {PGBENCH} -n -c 8 -T 8 bench"
    return [float(re.search(r"tps = ([\d.]+)", site.inside(name, "sh", "-c", f"cd /; {once}"))[1]) for _number in range(3)]


@pytest.mark.long
def test_there_and_back_no_row_is_lost(site, figure):
    primary = site.leader()
    site.inside(primary, "sh", "-ec", f"cd /; runuser -u postgres -- createdb bench; {PGBENCH} -q -i -s 10 bench")
    plain = ["-e", json.dumps({"app_etcd_hosts": [], "etcd_hosts": site.groups["etcd"]})]
    with site.writing() as acknowledged:
        managed = transactions(site, primary)
        assert "Patroni runs the server" in site.play("database", *plain).text
        began = time.time()
        site.inside(primary, "patronictl", "-c", "/etc/patroni/17-main.yml", "pause", "--wait")
        for name in [*(name for name in site.groups["database"] if name != primary), primary]:
            site.inside(name, "sh", "-ec", BACK)
        site.apply("database", *plain)
        Cluster.healthy(site)
        assert site.primary() == primary
        assert site.hosts[primary].service("postgresql-guard.timer").is_running
        alone = transactions(site, primary)
        figure(f"seconds without writes, from voters to a plain cluster: {max(failing.pauses(acknowledged(), since=began, least=0.2), default=0):.1f}")
        began = time.time()
        site.apply("database")
        site.healthy()
        figure(f"seconds without writes, from a plain cluster to voters: {max(failing.pauses(acknowledged(), since=began, least=0.2), default=0):.1f}")
        managed += transactions(site, primary)
        acks = acknowledged()
    site.inside(primary, "sh", "-c", "cd /; runuser -u postgres -- dropdb bench")
    ratio = statistics.median(managed) / statistics.median(alone)
    figure(f"pgbench, reading and writing, under Patroni beside the same servers without it: {ratio:.2f} of {statistics.median(alone):.0f} transactions/s")
    assert site.leader() == primary
    assert not site.hosts[primary].file("/etc/systemd/system/postgresql-guard.timer").exists
    assert site.inside(primary, "sh", "-c", "systemctl is-active postgresql@17-main || true").strip() == "inactive"
    for name in site.groups["database"]:
        assert site.lacking(name, acks) == []
    assert failing.twice(acks) == []
