"""What the tests of automatic failover share: hosts whose servers Patroni runs, faults, and a client that writes all the while."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

import failing
import playing
import pytest
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


class Guarded(Cluster):
    """A cluster under Patroni."""

    @staticmethod
    def container(name):
        return f"selfhost-failover-{name}"

    def inside(self, name, *words, **arguments):
        """Run a command on a host, by way of the engine: its network may be cut."""
        return docker("exec", *(["-i"] if "input" in arguments else []), self.container(name), *words, **arguments)

    def members(self):
        """What Patroni says of all servers, by name, asked on any host that answers."""
        for name in self.groups["database"]:
            with contextlib.suppress(subprocess.SubprocessError, ValueError):
                said = self.inside(name, "timeout", "8", "patronictl", "-c", "/etc/patroni/17-main.yml", "list", "-f", "json", timeout=12)
                return {row["Member"]: row for row in json.loads(said)}
        return {}

    def leader(self):
        """The name of the member that leads; empty for none."""
        return next((name for name, row in self.members().items() if row["Role"] == "Leader" and row["State"] == "running"), "")

    def settled(self):
        """Whether one leads, all others stream, and as many as have to acknowledge may."""
        rows = self.members()
        roles = sorted(row["Role"] for row in rows.values())
        states = {row["State"] for row in rows.values() if row["Role"] != "Leader"}
        return roles == ["Leader", "Quorum Standby", "Quorum Standby"] and states == {"streaming"}

    def healthy(self, seconds=180):
        self.wait("one primary and its standbys", self.settled, seconds)

    # --- Faults -------------------------------------------------------------------------------

    def cut(self, name, others, only_voters=False):
        """Let nothing pass between a host and others."""
        addresses, kinds = ", ".join(self.addresses[other] for other in others), VOTERS if only_voters else ("",)
        arriving, leaving = ("; ".join(f"ip {side} {{ {addresses} }} {kind} drop" for kind in kinds) + ";" for side in ("saddr", "daddr"))
        self.inside(name, "nft", "-f", "-", input=CUT.format(arriving=arriving, leaving=leaving))

    def mend(self, name):
        self.inside(name, "nft", "delete", "table", "inet", "trial")

    def start_hosts(self, names):
        for name in names:
            docker("start", self.container(name))

    def wrong(self, fault, chance):
        """Let something go wrong, and put it right after its time. Returns a sentence about it."""
        primary, seconds = self.leader(), failing.FAULTS[fault]
        others = [name for name in self.groups["database"] if name != primary]
        if fault == "kill PostgreSQL":
            self.inside(primary, "sh", "-c", "kill -9 $(head -n 1 /var/lib/postgresql/17/main/postmaster.pid)")
        elif fault == "kill Patroni":
            self.inside(primary, "systemctl", "kill", "--signal=KILL", "patroni@17-main.service")
        elif fault == "kill etcd":
            primary = chance.choice(self.groups["etcd"])
            self.inside(primary, "systemctl", "kill", "--signal=KILL", "etcd.service")
        elif fault == "kill the primary's host":
            self.down([primary], seconds)
        elif fault == "pause the primary's host":
            docker("pause", self.container(primary))
            time.sleep(seconds)
            docker("unpause", self.container(primary))
        elif fault == "cut the primary off":
            self.cut(primary, [*others, *self.web])
            time.sleep(seconds)
            self.mend(primary)
        elif fault == "cut the primary off the voters":
            self.cut(primary, others, only_voters=True)
            time.sleep(seconds)
            self.mend(primary)
        elif fault == "switch over":
            candidate = chance.choice(others)
            self.inside(primary, "patronictl", "-c", "/etc/patroni/17-main.yml", "switchover", "--leader", primary, "--candidate", candidate, "--force")
        elif fault == "power off all":
            self.down(self.groups["database"], seconds)
        elif fault == "kill two hosts":
            self.down([primary, chance.choice(others)], seconds)
        elif fault == "kill the primary's host and a voter":
            self.inside(chance.choice(others), "systemctl", "kill", "--signal=KILL", "etcd.service")
            self.down([primary], seconds)
        return f"{fault} ({primary})"

    def down(self, names, seconds):
        docker("kill", *map(self.container, names))
        time.sleep(seconds)
        self.start_hosts(names)

    # --- Who writes ---------------------------------------------------------------------------

    def connection(self):
        """How the writer finds the primary, as the application does."""
        password = (playing.ROOT / ".cache/lab/failover/database_password").read_text().split()[0]
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


@pytest.fixture(scope="session")
def kind():
    return Guarded


@pytest.fixture(scope="session")
def seed():
    """What the order of the faults is made from: FAILOVER_SEED in the environment says it again."""
    return int(os.environ.get("FAILOVER_SEED") or time.time())
