"""What the tests of the cluster share: its hosts, its servers, the playbooks and a visitor."""

import concurrent.futures
import functools
import itertools
import threading
import time

import playing
import pytest
import requests


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

    def healthy(self):
        """Wait until there is one primary and every other database host streams from it."""
        self.wait("one primary and its standbys", lambda: self.streaming() == len(self.groups["database"]) - 1)


class Writer:
    """Writes numbered notes through the site, one after the other, until it is stopped; remembers which were acknowledged."""

    def __init__(self, cluster, prefix):
        self.cluster, self.prefix = cluster, prefix
        self.acknowledged, self.refused = [], 0
        # Seconds between two acknowledged writes, at the worst.
        self.gap = 0.0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        last = time.monotonic()
        for number in itertools.count():
            if self.stopping.is_set():
                return
            text = f"{self.prefix}-{number}"
            try:
                written = self.cluster.post("/write/", data={"text": text}, timeout=60).status_code == 200
            except requests.RequestException:
                written = False
            if written:
                self.acknowledged.append(text)
                self.gap = max(self.gap, time.monotonic() - last)
                last = time.monotonic()
            else:
                self.refused += 1
            time.sleep(0.02)

    def __enter__(self):
        self.thread.start()
        self.cluster.wait("the first write", lambda: self.acknowledged)
        return self

    def __exit__(self, *_exception):
        self.stopping.set()
        self.thread.join(timeout=120)
        assert not self.thread.is_alive()

    def lost(self, name):
        """Acknowledged notes that a host's server does not hold."""
        held = self.cluster.sql(name, f"SELECT text FROM pages_note WHERE text LIKE '{self.prefix}-%'", database="probe")
        return sorted(set(self.acknowledged) - set(held.splitlines()))


@pytest.fixture(scope="session")
def cluster(request):
    """The cluster, after it has been seen in health."""
    cluster = Cluster(request.config.getoption("ansible_inventory"))
    cluster.healthy()
    return cluster


@pytest.fixture(scope="session")
def keeper(cluster):
    """The host that keeps the backups."""
    return cluster.hosts[cluster.groups["backup"][0]]


@pytest.fixture
def writer(cluster):
    """Return a function that makes a writer of notes: `with writer("name") as stream: …`."""
    return functools.partial(Writer, cluster)
