"""A site behind a balancer as an operator sees it, for the tests of the scenarios that have one."""

import csv

import playing


class Balanced(playing.Site):
    """A balancer, and web hosts that nobody else reaches."""

    @property
    def balancer(self):
        return self.hosts[self.groups["balancer"][0]]

    def versions(self):
        """The version that each web host serves, read on the host."""
        return self.each("cat /srv/probe/current/code/VERSION")

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
