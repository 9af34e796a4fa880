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

    def __init__(self, site, prefix):
        self.site, self.prefix = site, prefix
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
                written = self.site.post("/write/", data={"text": text}, timeout=60).status_code == 200
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
        self.site.wait("the first write", lambda: self.acknowledged)
        return self

    def __exit__(self, *_exception):
        self.stopping.set()
        self.thread.join(timeout=120)
        assert not self.thread.is_alive()

    def lost(self, name):
        """Acknowledged notes that a host's server does not hold."""
        held = self.site.sql(name, f"SELECT text FROM pages_note WHERE text LIKE '{self.prefix}-%'", database="probe")
        return sorted(set(self.acknowledged) - set(held.splitlines()))


@pytest.fixture(scope="session")
def kind():
    return Cluster


@pytest.fixture(scope="session")
def keeper(site):
    """The host that keeps the backups."""
    return site.hosts[site.groups["backup"][0]]


@pytest.fixture
def writer(site):
    """Return a function that makes a writer of notes: `with writer("name") as stream: …`."""
    return functools.partial(Writer, site)
