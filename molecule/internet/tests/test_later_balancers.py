"""Visitors reach the site by two balancers, and an authority by one of them. With LONG=1; the last tests, as those of one balancer."""

import subprocess

import pytest
import requests
import yaml
from naming import KNOWN, NAME
from playing import ROOT, Site
from test_later_balancer import set_up

testinfra_hosts = ["ansible://web"]
pytestmark = pytest.mark.long

INVENTORY = ROOT / "molecule/inventories/second_balancer.yml"


@pytest.fixture
def arguments(site, internet):
    """The arguments of a playbook by which the bare host and a new one are balancers; the name leads to the new one alone."""
    Site(str(INVENTORY)).apply("../molecule/shared/create")
    internet.lead(shop=yaml.safe_load(INVENTORY.read_text())["lab"]["hosts"]["lb2"]["ansible_host"])
    arguments = ("-i", str(INVENTORY))
    yield arguments
    internet.lead(shop=site.addresses["web1"])
    subprocess.run(["docker", "rm", "--force", "selfhost-internet-lb2"], check=True, capture_output=True)
    set_up(site)
    site.hosts["lb1"].check_output("systemctl disable --now haproxy.service selfhost-acme.timer")


def test_each_asks_for_its_own_whichever_the_authority_comes_to(site, internet, arguments):
    run = set_up(site, *arguments)
    assert "No certificate is asked for" not in run.text
    internet.wait(NAME)
    serial = internet.shown().serial
    KNOWN[NAME] = site.addresses["lb1"]
    internet.wait(NAME)
    assert internet.shown().serial != serial
    assert site.get("/").status_code == 200
    # A question that nobody has an answer to is passed on no further, and shows nothing else.
    for path in ("acme-challenge", "selfhost-challenge"):
        asked = requests.get(f"http://{site.addresses['lb1']}/.well-known/{path}/none", headers={"Host": NAME}, allow_redirects=False, timeout=30)
        assert asked.status_code in (404, 503)
