"""What the tests of the cluster share: its hosts, its servers, the playbooks and a visitor."""

import functools
import itertools
import threading
import time

import pytest
import requests
from replicating import Cluster


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
