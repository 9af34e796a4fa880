"""A database with standbys as an operator sees it, for the tests of the scenarios that have one."""

import concurrent.futures

import playing


class Cluster(playing.Site):
    """The hosts of the scenario, as an operator sees them."""

    # --- Servers ------------------------------------------------------------------------------

    def attempt(self, name, statement, database="postgres"):
        """Return what psql made of a statement on a host: `rc`, `stdout`, `stderr`."""
        return self.hosts[name].run("cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s", database, statement)

    def sql(self, name, statement, database="postgres"):
        """Return what a statement answers on a host."""
        done = self.attempt(name, statement, database)
        assert done.rc == 0, done.stderr
        return done.stdout.strip()

    def recovering(self):
        """Whether the server of each database host is in recovery; None where it does not answer."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            names = self.groups["database"]
            answers = pool.map(lambda name: self.attempt(name, "SELECT pg_is_in_recovery()"), names)
            return {name: {"t": True, "f": False}.get(answer.stdout.strip()) for name, answer in zip(names, answers)}

    def primaries(self):
        """Names of the hosts whose server accepts writes."""
        return [name for name, recovering in self.recovering().items() if recovering is False]

    def primary(self):
        """Name of the one host whose server accepts writes."""
        (name,) = self.primaries()
        return name

    def standbys(self):
        """Names of the hosts whose server is in recovery."""
        return [name for name, recovering in self.recovering().items() if recovering]

    def streaming(self):
        """How many other database hosts the primary streams to."""
        addresses = ", ".join(f"'{self.addresses[name]}'" for name in self.groups["database"])
        query = f"SELECT count(DISTINCT client_addr) FROM pg_stat_replication WHERE state = 'streaming' AND client_addr IN ({addresses})"
        primaries = self.primaries()
        return int(self.sql(primaries[0], query)) if len(primaries) == 1 else 0

    def healthy(self, seconds=120):
        """Wait until there is one primary and every other database host streams from it."""
        self.wait("one primary and its standbys", lambda: self.streaming() == len(self.groups["database"]) - 1, seconds)
