"""A balancer comes in front of the site, and is the one that asks: the last tests, which leave the site as it was."""

import re

import pytest
import yaml
from load import Load
from naming import NAME
from playing import finish, quick

testinfra_hosts = ["ansible://web"]


def set_up(site, *arguments):
    """Run site.yml, as hosts of the lab are set up."""
    run = finish(site.start("site", *arguments, **quick()))
    assert run.code == 0, run.output[-6000:]
    return run


@pytest.fixture(scope="module")
def balanced(site, internet, tmp_path_factory):
    """The arguments of a playbook by which the bare host is the balancer; the name leads to it."""
    inventory = tmp_path_factory.mktemp("balanced") / "balancer.yml"
    inventory.write_text(yaml.safe_dump({"balancer": {"hosts": {"lb1": None}}}))
    arguments = ("-i", str(inventory))
    internet.lead(shop=site.addresses["lb1"])
    yield arguments
    set_up(site)
    site.hosts["lb1"].check_output("systemctl disable --now haproxy.service selfhost-acme.timer")


def test_the_balancer_asks_and_visitors_trust_it(site, internet, balanced):
    run = set_up(site, *balanced)
    assert "No certificate is asked for" not in run.text
    internet.wait(NAME)
    answer = site.get("/")
    assert answer.status_code == 200 and answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    page = site.apply("status", *balanced)
    assert re.search(rf"^ *lb1 +port 443 +{NAME} +Pebble Intermediate CA \w+ +\d+ +the host itself, by ACME$", page.output, re.M), page.output
    assert site.hosts["web1"].run("systemctl is-active selfhost-acme.timer").rc != 0


def test_a_new_one_there_is_noticed_by_no_visitor(site, internet, balanced, forget, figure):
    host = site.hosts["lb1"]
    forget("lb1")
    # As it is before there is any: self-signed, and nobody is told to insist on HTTPS.
    host.check_output("ln -s /etc/haproxy/self-signed.pem /etc/selfhost-acme/site.pem && systemctl reload haproxy")
    site.wait("the self-signed certificate", lambda: internet.shown().self_signed)
    assert "Strict-Transport-Security" not in site.get("/").headers
    with Load(site.url) as load:
        load.phase = "the certificate of the balancer"
        host.check_output("systemctl start selfhost-acme.service")
        internet.wait(NAME)
        load.wait(3)
    figure(f"a certificate for the balancer: {load.report()}")
    load.check()
    assert site.get("/").headers["Strict-Transport-Security"] == "max-age=31536000"
