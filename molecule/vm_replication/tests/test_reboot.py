"""A primary and a standby find each other again after a reboot of either, and the site works before and after."""

import contextlib
import time
import uuid

import pytest
import requests
from replicating import Cluster


@pytest.fixture(scope="module")
def cluster(request):
    cluster = Cluster(request.config.getoption("ansible_inventory"))
    cluster.wait("one primary and its standby", lambda: cluster.streaming() == 1, seconds=600)
    return cluster


def write(cluster, text):
    """Whether the site keeps a note."""
    with contextlib.suppress(requests.RequestException):
        return cluster.post("/write/", data={"text": text}, timeout=60).status_code == 200


def held(cluster, name, text):
    return cluster.sql(name, f"SELECT count(*) FROM pages_note WHERE text = '{text}'", database="probe") == "1"


@pytest.mark.parametrize("role", ["standby", "primary", "web"])
def test_a_host_takes_its_place_again_after_a_reboot(cluster, figure, role):
    primary, (standby,) = cluster.primary(), cluster.standbys()
    name = {"primary": primary, "standby": standby, "web": cluster.groups["web"][0]}[role]
    before, after = (f"{when} {role} {uuid.uuid4().hex}" for when in ("before", "after"))
    assert write(cluster, before)

    cluster.reboot(name)
    started = time.monotonic()
    cluster.wait("the standby to stream", lambda: cluster.streaming() == 1, seconds=600)
    cluster.wait("the site to keep a note", lambda: write(cluster, after), seconds=600)
    figure(f"after a reboot of the {role}: streaming, and the site writing, {time.monotonic() - started:.0f} s after SSH")

    assert (cluster.primary(), cluster.standbys()) == (primary, [standby]), "each is what it was"
    for text in (before, after):
        assert held(cluster, primary, text)
        cluster.wait("the note on the standby", lambda text=text: held(cluster, standby, text), seconds=60)
    assert cluster.hosts[name].run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_a_dry_run_over_everything_finds_nothing_to_do(cluster):
    run = cluster.play("site", "--check")
    assert run.code == 0, run.output[-4000:]
    changed = {line.split()[0]: line.split("changed=")[1].split()[0] for line in run.output.splitlines() if "changed=" in line}
    assert set(changed.values()) == {"0"}, run.output
