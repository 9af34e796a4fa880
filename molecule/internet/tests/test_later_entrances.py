"""Visitors reach the site by two web hosts without a balancer, and an authority by one of them. With LONG=1; the last tests, as those of the balancer."""

import pytest
import requests
import yaml
from naming import KNOWN, NAME
from test_later_balancer import set_up

testinfra_hosts = ["ansible://web"]
pytestmark = pytest.mark.long


@pytest.fixture
def arguments(site, internet, tmp_path):
    """The arguments of a playbook by which the bare host is a web host, too; the name leads to it alone."""
    inventory = tmp_path / "entrances.yml"
    inventory.write_text(yaml.safe_dump({"web": {"hosts": {"lb1": None}}}))
    internet.lead(shop=site.addresses["lb1"])
    yield "-i", str(inventory)
    internet.lead(shop=site.addresses["web1"])
    set_up(site)
    site.hosts["lb1"].check_output("systemctl disable --now nginx.service probe.service probe.socket selfhost-acme.timer 2>/dev/null || true")


def test_each_asks_for_its_own_whichever_the_authority_comes_to(site, internet, arguments, forget):
    forget("web1")
    run = set_up(site, *arguments)
    assert "No certificate is asked for" not in run.text
    internet.wait(NAME)
    serial = internet.shown().serial
    KNOWN[NAME] = site.addresses["web1"]
    internet.wait(NAME)
    assert internet.shown().serial != serial
    # A question that one of them passes on goes no further, and shows nothing else.
    asked = requests.get(f"http://{site.addresses['web1']}/.well-known/acme-challenge/none", headers={"Host": NAME}, allow_redirects=False, timeout=30)
    assert asked.status_code == 404
