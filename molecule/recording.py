"""A database whose hosts fail, seen from outside, and a client that keeps a record of every row: what scenarios with faults share."""

import contextlib
import json
import pathlib
import subprocess
import time
import types

import failing
import playing
from replicating import Cluster

WRITER = pathlib.Path(__file__).with_name("writer.py")
LOG = "/var/tmp/trial"
# Drops what passes between this host and those addresses.
CUT = """
table inet trial {{
    chain in {{ type filter hook input priority -200; {arriving} }}
    chain out {{ type filter hook output priority -200; {leaving} }}
}}
"""
# Either end of a connection to a voter.
VOTERS = ("tcp dport { 2379, 2380 }", "tcp sport { 2379, 2380 }")


def docker(*words, **arguments):
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, **arguments).stdout


class Recorded(Cluster):
    """A cluster whose hosts can be killed and cut off, while somebody writes."""

    def container(self, name):
        """The name by which the engine knows a host."""
        return f"selfhost-{self.variables['_meta']['hostvars'][name]['lab_name']}-{name}"

    def inside(self, name, *words, **arguments):
        """Run a command on a host, by way of the engine: its network may be cut."""
        return docker("exec", *(["-i"] if "input" in arguments else []), self.container(name), *words, **arguments)

    def attempt(self, name, statement, database="postgres"):
        """What psql made of a statement on a host, which may be about to boot or hang."""
        words = ["timeout", "20", "runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]
        done = subprocess.run(["docker", "exec", "--workdir=/", self.container(name), *words], capture_output=True, text=True)
        return types.SimpleNamespace(rc=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def leader(self):
        """The name of the host that is the primary."""
        return self.primary()

    # --- Faults -------------------------------------------------------------------------------

    def cut(self, name, others, only_voters=False):
        """Let nothing pass between a host and others."""
        addresses, kinds = ", ".join(self.addresses[other] for other in others), VOTERS if only_voters else ("",)
        arriving, leaving = ("; ".join(f"ip {side} {{ {addresses} }} {kind} drop" for kind in kinds) + ";" for side in ("saddr", "daddr"))
        self.inside(name, "nft", "-f", "-", input=CUT.format(arriving=arriving, leaving=leaving))

    def everybody_but(self, name):
        return [other for other in self.addresses if other != name]

    def mend(self, name):
        self.inside(name, "nft", "delete", "table", "inet", "trial")

    def start_hosts(self, names):
        for name in names:
            docker("start", self.container(name))

    def down(self, names, seconds, between=0):
        """Kill hosts, and start them after a while, in this order."""
        docker("kill", *map(self.container, names))
        time.sleep(seconds)
        for place, name in enumerate(names):
            time.sleep(between if place else 0)
            self.start_hosts([name])

    # --- Who writes ---------------------------------------------------------------------------

    def connection(self):
        """How the writer finds the primary, as the application does."""
        lab = self.variables["_meta"]["hostvars"][self.web[0]]["lab_name"]
        password = (playing.ROOT / f".cache/lab/{lab}/database_password").read_text().split()[0]
        hosts = ",".join(self.addresses[name] for name in self.groups["database"])
        return (
            f"host={hosts} dbname=probe user=probe password={password} sslmode=verify-full sslrootcert=/etc/selfhost/ca.crt "
            "target_session_attrs=read-write connect_timeout=2 keepalives_idle=2 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=5000"
        )

    @contextlib.contextmanager
    def writing(self):
        """Have rows written from the web host; gives a function that returns what was acknowledged so far."""
        web = self.web[0]
        self.sql(self.leader(), "SET ROLE probe; CREATE TABLE IF NOT EXISTS trial (row text PRIMARY KEY)", database="probe")
        self.inside(web, "sh", "-c", f"rm -f {LOG}.stop; : >{LOG}; cat >{LOG}.py", input=WRITER.read_text())
        python = self.inside(web, "sh", "-c", "echo $(readlink -f /srv/probe/current)/venv/bin/python").strip()
        docker("exec", "--detach", "--env", f"TRIAL={self.connection()}", self.container(web), "sh", "-c", f"exec {python} {LOG}.py {LOG} >{LOG}.out 2>&1")

        def acknowledged():
            return failing.read(self.inside(web, "cat", LOG))

        try:
            self.wait("the first rows", lambda: len(acknowledged()) > 20, 30)
            yield acknowledged
        finally:
            self.inside(web, "touch", f"{LOG}.stop")
            time.sleep(2)

    def lacking(self, name, acks):
        """Acknowledged rows that a host's server does not have."""
        held = set(self.inside(name, "runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", "probe", "-c", "SELECT row FROM trial").split())
        return sorted({ack.row for ack in acks} - held)


class Voted(Recorded):
    """A database whose primary the voters choose."""

    def version_of(self, _name):
        """The version that Patroni runs on a host."""
        return "17"

    def members(self):
        """What Patroni says of all servers, by name, asked on any host that answers."""
        for name in self.groups["database"]:
            with contextlib.suppress(subprocess.SubprocessError, ValueError):
                path = f"/etc/patroni/{self.version_of(name)}-main.yml"
                said = self.inside(name, "timeout", "8", "patronictl", "-c", path, "list", "-f", "json", timeout=12)
                return {row["Member"]: row for row in json.loads(said)}
        return {}

    def leader(self):
        """The name of the member that leads; empty for none."""
        return next((name for name, row in self.members().items() if row["Role"] == "Leader" and row["State"] == "running"), "")

    def healthy(self, seconds=180):
        self.wait("one primary and its standbys", self.settled, seconds)
