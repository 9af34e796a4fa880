"""The maintenance page, as a visitor, a guest, the host itself and an operator see it."""

import re

import pytest
from playing import fresh

PAGE = "<!doctype html><title>Moving</title><p>The shop moves to a new house.</p>"
ASK = (
    "import ssl, sys, urllib.request\n"
    "context = ssl._create_unverified_context()\n"
    "request = urllib.request.Request(f'https://{sys.argv[1]}/status/', headers={'Host': sys.argv[2]})\n"
    "print(urllib.request.urlopen(request, context=context).status)\n"
)


def sees_the_site(host, address, domain):
    return host.run("python3 -c %s %s %s", ASK, address, domain).stdout.strip() == "200"


@pytest.fixture(autouse=True)
def the_site_is_open_again(site):
    yield
    if not all(site.serves(name) for name in site.web):
        site.apply("maintenance", "-e", "maintenance=off")


def test_visitors_see_the_page_until_it_is_taken_off(repository, site):
    assets = {name: re.findall(r'(?:href|src)="(/static/[^"]+)"', site.get(host=name).text) for name in site.web}
    wrong = site.play("maintenance", "-e", "maintenance=perhaps")
    assert wrong.code != 0 and "maintenance is 'perhaps': give -e maintenance=on or -e maintenance=off." in wrong.text, wrong.output[-4000:]
    dry = site.play("maintenance", "-e", "maintenance=on", "--check", "--diff")
    assert dry.code == 0 and re.findall(r"changed=(\d+)", dry.output) == ["1"] * len(site.web), dry.output[-4000:]
    assert all(site.serves(name) for name in site.web)

    site.apply("maintenance", "-e", "maintenance=on")
    again = site.play("maintenance", "-e", "maintenance=on")
    assert re.findall(r"changed=(\d+)", again.output) == ["0"] * len(site.web), again.output[-4000:]
    for name in site.web:
        for path in ("/", "/status/", "/no/such/page"):
            answer = site.get(path, name)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Content-Type"] == "text/html"
            assert "We are working on this site" in answer.text
        assert assets[name] and all(site.get(path, name).status_code == 200 for path in assets[name])
    # The checks of the host itself and of a balancer go on, and so do guests: the scenario's hosts are each other's.
    domains = list(site.addresses.values())
    for host, own, other in zip(site.hosts.values(), domains, reversed(domains)):
        assert sees_the_site(host, "127.0.0.1", own)
        assert sees_the_site(host, other, other)

    # A deploy is not hindered by it, does not end it, and says so.
    version = fresh("maintenance")
    repository.commit("good", version)
    run = site.play("deploy")
    assert run.code == 0 and "Maintenance is on: visitors see its page" in run.text, run.output[-4000:]
    assert {site.get(host=name).status_code for name in site.web} == {503}

    site.apply("maintenance", "-e", f'{{"maintenance": true, "nginx_maintenance_page": "{PAGE}"}}')
    assert {site.get(host=name).text.strip() for name in site.web} == {PAGE}

    site.apply("maintenance", "-e", "maintenance=off")
    assert site.version() == version
