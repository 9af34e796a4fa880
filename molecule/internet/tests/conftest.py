"""The fixtures of these tests."""

import socket

import pytest
from naming import KNOWN, NAME, Internet, Named, getaddrinfo


@pytest.fixture(scope="session")
def kind():
    socket.getaddrinfo = getaddrinfo
    KNOWN[NAME] = "10.88.16.13"
    return Named


@pytest.fixture(scope="session")
def internet(site):
    internet = Internet()
    internet.lead(shop=site.addresses["web1"])
    internet.begin_testssl(site.addresses["web1"])
    return internet


@pytest.fixture(scope="session")
def forget(site):
    """Return a function that takes from a host all that was ever asked for, as on one that has never asked."""

    def run(name="web1"):
        site.hosts[name].check_output(
            "rm -f /var/lib/selfhost-acme/site.pem /var/lib/selfhost-acme/status.json /etc/selfhost-acme/site.pem /etc/selfhost-acme/acme.pem"
            " /etc/selfhost-acme/trusted.map; rm -rf /var/lib/selfhost-acme/config"
        )

    return run
