"""Fixtures of the tests of who is told."""

import pytest
from telling import Outside, Teller


@pytest.fixture(scope="session")
def outside():
    return Outside()


@pytest.fixture(scope="session")
def teller(site, outside):
    """Return the host that tells, at a moment when nothing waits to be told."""
    (name,) = site.web
    host = site.hosts[name]
    # What an earlier run of the tests has brought about would take longer to be over.
    host.check_output("systemctl stop selfhost-notify.timer selfhost-notify.service; rm -f /var/lib/selfhost-notify/state.json")
    teller = Teller(host, outside)
    teller.look(3)
    yield teller
    host.check_output("systemctl start selfhost-notify.timer")
