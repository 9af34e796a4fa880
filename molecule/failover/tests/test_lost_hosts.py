"""A host is gone for good, with its server and its vote: a bare one in its place, or another voter, and one run of site.yml."""

import json
import time

import failing
import pytest
import yaml
from playing import ROOT, finish
from recording import docker

FORMER = "systemctl disable --now etcd; rm -rf /var/lib/etcd/selfhost"


METRICS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:2381/metrics').read().decode())"


def votes(site):
    """How many voters are at work, as one of them sees it."""
    said = site.inside(site.groups["etcd"][0], "python3", "-c", METRICS)
    return 1 + sum(line.startswith("etcd_network_active_peers{") and line.endswith(" 1") for line in said.splitlines())


@pytest.mark.long
def test_a_bare_host_takes_the_place_of_one_that_is_gone(site, figure):
    lost = site.leader()
    with site.writing() as acknowledged:
        began = time.time()
        docker("rm", "--force", "--volumes", site.container(lost))
        site.wait("another primary", lambda: site.leader() not in ("", lost), 60)
        site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
        figure(f"seconds without writes, the primary's host gone for good: {max(failing.pauses(acknowledged(), since=began, least=0.2)):.1f}")
        bare = finish(site.start("../molecule/shared/create", FRESH="1"))
        assert bare.code == 0, bare.output
        began = time.time()
        run = site.apply("site")
        figure(f"seconds from a bare host to a standby that votes, by site.yml: {time.time() - began:.0f}")
        assert f"{lost} votes, in the place of {lost}." in run.text
        site.healthy()
        acks = acknowledged()
    assert votes(site) == 3
    assert failing.twice(acks) == []
    for name in site.groups["database"]:
        site.wait(f"{name} to have replayed all", lambda name=name: not site.lacking(name, acks), 30)
    # Nothing is left of how it came, and it counts: another may go now.
    assert site.inside(lost, "sh", "-c", "ls /run/etcd-joining.yml /run/systemd/system/etcd.service.d 2>/dev/null || :").split() == []
    other = next(name for name in site.groups["database"] if name not in (lost, site.leader()))
    site.down([other], 10)
    site.healthy()
    again = site.apply("site")
    assert again.output.count("changed=0") == len(site.addresses), again.output[-3000:]


@pytest.fixture
def moved(kind, inventory, tmp_path):
    """The same site, where the backup host votes in the place of db3."""
    (tmp_path / "molecule").mkdir()
    folder = tmp_path / "molecule/inventories"
    folder.mkdir()
    (folder / "group_vars").symlink_to(ROOT / "molecule/inventories/group_vars")
    # What lies beside the folder of inventories is the lab's.
    (tmp_path / ".cache").symlink_to(ROOT / ".cache")
    said = yaml.safe_load((ROOT / "molecule/inventories/failover.yml").read_text())
    said["etcd"]["hosts"] = {"db1": None, "db2": None, "backup1": None}
    (folder / "failover.yml").write_text(json.dumps(said))
    return kind(str(folder / "failover.yml"))


@pytest.mark.long
def test_another_host_votes_in_the_place_of_one(site, moved):
    with site.writing() as acknowledged:
        # Its data is lost, too.
        site.inside("db3", "sh", "-c", FORMER)
        assert "backup1 votes, in the place of db3." in moved.apply("site").text
        assert votes(moved) == 3
        moved.healthy()
        # And back, from one that is at work.
        assert "db3 votes, in the place of backup1." in site.apply("site").text
        site.inside("backup1", "sh", "-c", FORMER)
        assert votes(site) == 3
        site.healthy()
        acks = acknowledged()
    assert max(failing.pauses(acks, least=0.2), default=0) < 8
    assert site.lacking(site.leader(), acks) == []
