"""What the tests of the rolling release share: the site, its balancer as an operator sees it, and the probe's repository."""

import csv
import dataclasses

import playing
import pytest


@dataclasses.dataclass
class Rolling(playing.Site):
    """A site behind a balancer."""

    @property
    def web(self):
        """Names of the web hosts."""
        return self.groups["web"]

    @property
    def balancer(self):
        """The host in front of them."""
        return self.hosts[self.groups["balancer"][0]]

    def versions(self):
        """The version that each web host serves, read on the host."""
        return {name: self.hosts[name].check_output("cat /srv/probe/current/code/VERSION") for name in self.web}

    def running(self):
        """By web host, the releases that run, and the one that serves."""
        units = "systemctl list-units --plain --no-legend --state=active 'probe@*.service' | cut -d' ' -f1 | sed 's/.*@//; s/.service$//'"
        current = "basename $(readlink /srv/probe/current)"
        return {name: (self.hosts[name].check_output(units).split(), self.hosts[name].check_output(current)) for name in self.web}

    def admin(self, words):
        """Return what the balancer's runtime socket answers."""
        return self.balancer.check_output("echo %s | socat - UNIX-CONNECT:/run/haproxy/admin.sock", words)

    def _rows(self):
        return {row["svname"]: row for row in csv.DictReader(self.admin("show stat").lstrip("# ").splitlines()) if row["svname"] in self.web}

    def servers(self):
        """What the balancer says about each web host: UP, DOWN, DRAIN, MAINT."""
        return {name: row["status"].split()[0] for name, row in self._rows().items()}

    def sessions(self):
        """How many requests each web host has from the balancer."""
        return {name: int(row["scur"]) for name, row in self._rows().items()}

    def healthy(self):
        """Wait until every web host takes requests."""
        self.wait("all web hosts to be up", lambda: set(self.servers().values()) == {"UP"} and len(self.servers()) == len(self.web))


@pytest.fixture(scope="session")
def site(request):
    """The site, after it has been seen in health."""
    site = Rolling(request.config.getoption("ansible_inventory"))
    site.healthy()
    return site


@pytest.fixture(scope="session")
def repository(site):
    return site.repository
