"""The maintenance page, as a visitor, a guest, the host itself and an operator see it."""

import re

import pytest

from conftest import ADDRESSES, get, play, versions

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
def the_site_is_open_again():
    yield
    if 503 in {get(name).status_code for name in ADDRESSES}:
        assert play("maintenance", "-e", "maintenance=off").code == 0


def test_visitors_see_the_page_until_it_is_taken_off(repository, hosts):
    assets = {name: re.findall(r'(?:href|src)="(/static/[^"]+)"', get(name).text) for name in ADDRESSES}
    wrong = play("maintenance", "-e", "maintenance=perhaps")
    assert wrong.code != 0 and "maintenance is 'perhaps': give -e maintenance=on or -e maintenance=off." in wrong.text, wrong.output[-4000:]
    dry = play("maintenance", "-e", "maintenance=on", "--check", "--diff")
    assert dry.code == 0 and re.findall(r"changed=(\d+)", dry.output) == ["1"] * len(ADDRESSES), dry.output[-4000:]
    assert all(get(name).status_code == 200 for name in ADDRESSES)

    assert play("maintenance", "-e", "maintenance=on").code == 0
    again = play("maintenance", "-e", "maintenance=on")
    assert re.findall(r"changed=(\d+)", again.output) == ["0"] * len(ADDRESSES), again.output[-4000:]
    for name in ADDRESSES:
        for path in ("/", "/status/", "/no/such/page"):
            answer = get(name, path)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Content-Type"] == "text/html"
            assert "We are working on this site" in answer.text
        assert assets[name] and all(get(name, path).status_code == 200 for path in assets[name])
    # The checks of the host itself and of a balancer go on, and so do guests: the scenario's hosts are each other's.
    domains = list(ADDRESSES.values())
    for host, own, other in zip(hosts, domains, reversed(domains)):
        assert sees_the_site(host, "127.0.0.1", own)
        assert sees_the_site(host, other, other)

    # A deploy is not hindered by it, does not end it, and says so.
    repository.commit("good", "maintenance")
    run = play("deploy")
    assert run.code == 0 and "Maintenance is on: visitors see its page" in run.text, run.output[-4000:]
    assert {get(name).status_code for name in ADDRESSES} == {503}

    assert play("maintenance", "-e", f'{{"maintenance": true, "nginx_maintenance_page": "{PAGE}"}}').code == 0
    assert {get(name).text.strip() for name in ADDRESSES} == {PAGE}

    assert play("maintenance", "-e", "maintenance=off").code == 0
    assert set(versions().values()) == {"maintenance"}
