"""What of a changed inventory a deploy takes, and what it leaves to the playbook site."""

import json
import re

import pytest

testinfra_hosts = ["ansible://probe"]


def deploy(site, **variables):
    return site.play("deploy", "-e", json.dumps(variables))


@pytest.fixture(scope="module", autouse=True)
def head(site):
    """The head of the repository serves, whatever other tests went back to."""
    assert deploy(site).code == 0


def changed(run):
    return sum(map(int, re.findall(r"changed=(\d+)", run.output)))


def test_a_deploy_takes_what_its_hosts_are_set_up_with(site):
    """Packages, folders, options of the server, locations of the web server: with the same revision and with another."""
    before = site.current()
    variables = {"app_system_packages": ["tree"], "uwsgi_threads": 3, "app_media_url": "/uploads/"}
    with site.visitors(pause_seconds=1):
        run = deploy(site, **variables)
    assert run.code == 0, run.output[-4000:]
    named = "these have changed: app_media_url, app_system_packages, nginx_static_locations, uwsgi_threads."
    assert named in run.text, run.output[-4000:]
    for name, host in site.hosts.items():
        assert host.package("tree").is_installed
        assert "threads = 3" in host.check_output("cat /etc/uwsgi/probe.ini").splitlines()
        assert " /uploads/ {" in host.check_output("nginx -T 2>/dev/null")
        assert site.current()[name] == before[name]
    again = deploy(site, **variables)
    assert again.code == 0 and changed(again) == 0 and "set up anew" not in again.text, again.output[-4000:]
    assert deploy(site).code == 0
    assert not any(" /uploads/ {" in host.check_output("nginx -T 2>/dev/null") for host in site.hosts.values())


def test_new_health_checks_are_asked_of_the_release_that_serves(site):
    for _time in range(2):
        run = deploy(site, app_health_checks=[{"path": "/nowhere/"}], nginx_health_timeout_seconds=3)
        assert run.code != 0 and "/nowhere/ answered 404 instead of 200" in run.text, run.output[-4000:]
        assert "keeps serving" in run.text and all(site.serves(name) for name in site.web)
    assert deploy(site).code == 0


def test_what_only_site_takes_is_named(site):
    run = deploy(site, firewall_log_dropped=False)
    assert run.code == 0 and changed(run) == 0
    assert "Changed since the last site.yml, which gives it to the other parts of the site: firewall_log_dropped. Run site.yml." in run.text, run.output[-4000:]
    assert "Run site.yml" not in deploy(site).text


def test_a_site_that_nobody_gets_to_is_not_said_to_be_well(site):
    """As behind a provider's packet filter that is shut."""
    host = site.hosts[site.web[0]]
    here = site.addresses[site.web[0]].rpartition(".")[0] + ".1"
    host.check_output("nft add table inet shut && nft add chain inet shut visitors '{ type filter hook input priority -300; }'")
    try:
        host.check_output(f"nft add rule inet shut visitors ip saddr {here} tcp dport 443 drop")
        run = deploy(site)
        assert run.code != 0
        assert f"this machine does not get there: {site.addresses[site.web[0]]} (no answer within 10 s)" in run.text, run.output[-4000:]
        assert "Open the ports 80 and 443" in run.text
        assert deploy(site, django_visited_from_controller=False).code == 0
    finally:
        host.check_output("nft delete table inet shut")
    assert deploy(site).code == 0
