"""What the tests of the cluster share: its hosts, its servers, the playbooks and a visitor."""

import concurrent.futures
import dataclasses
import functools
import itertools
import json
import threading
import time

import playing
import pytest
import requests
import testinfra
import urllib3

urllib3.disable_warnings()


@dataclasses.dataclass
class Cluster:
    """The hosts of the scenario, as an operator sees them."""

    inventory: str

    @functools.cached_property
    def variables(self):
        """What the inventory says, by host."""
        listing = playing.command("ansible-inventory", "-i", self.inventory, "--list", "--vars")
        return json.loads(listing)

    @functools.cached_property
    def groups(self):
        return {name: group.get("hosts", []) for name, group in self.variables.items() if name != "_meta"}

    @functools.cached_property
    def addresses(self):
        return {name: values["ansible_host"] for name, values in self.variables["_meta"]["hostvars"].items()}

    @functools.cached_property
    def hosts(self):
        """Every host, by name, with root's rights."""
        options = {"ansible_inventory": self.inventory, "ssh_config": str(playing.SSH_CONFIG), "sudo": True}
        return {name: testinfra.get_host(f"ansible://{name}", **options) for name in self.addresses}

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

    # --- Playbooks ----------------------------------------------------------------------------

    def start(self, playbook, *arguments):
        return playing.start(self.inventory, playbook, *arguments)

    def play(self, playbook, *arguments):
        return playing.finish(self.start(playbook, *arguments))

    # --- Visitor ------------------------------------------------------------------------------

    def get(self, path="/", **arguments):
        return self.request("GET", path, **arguments)

    def post(self, path, **arguments):
        return self.request("POST", path, **arguments)

    def request(self, method, path, timeout=30, **arguments):
        address = self.addresses[self.groups["web"][0]]
        return requests.request(method, f"https://{address}{path}", verify=False, allow_redirects=False, timeout=timeout, **arguments)

    # --- Time ---------------------------------------------------------------------------------

    @staticmethod
    def wait(what, predicate, seconds=120, every=1):
        """Wait until something holds, and return its value."""
        deadline = time.monotonic() + seconds
        while not (value := predicate()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
            time.sleep(every)
        return value


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
