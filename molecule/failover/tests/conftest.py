"""What the tests of automatic failover share: hosts whose servers Patroni runs, faults, and a client that writes all the while."""

import contextlib
import os
import time

import failing
import pytest
from recording import Voted, docker

# The server's folder moves onto a volume that can be filled, and back. Who has walled it in sees the former one.
VOLUME = """
systemctl stop patroni@17-main && mv /var/lib/postgresql /var/lib/postgresql.whole && install -d -o postgres -g postgres /var/lib/postgresql
mount -t tmpfs -o size=1500m,mode=0755,uid=postgres,gid=postgres tmpfs /var/lib/postgresql
cp -a /var/lib/postgresql.whole/. /var/lib/postgresql && systemctl start patroni@17-main
"""
NO_VOLUME = """
systemctl stop patroni@17-main && rm -rf /var/lib/postgresql.whole && cp -a /var/lib/postgresql /var/lib/postgresql.whole
umount /var/lib/postgresql && rmdir /var/lib/postgresql && mv /var/lib/postgresql.whole /var/lib/postgresql && systemctl start patroni@17-main
systemctl try-restart pgbackrest-server
"""
# The log needs new pieces, of which there are none left that could be used again.
FILL = """
dd if=/dev/zero of=/var/lib/postgresql/filling bs=1M; dd if=/dev/zero of=/var/lib/postgresql/filling bs=4k oflag=append conv=notrunc
for time in $(seq 100); do
    timeout 5 runuser -u postgres -- psql -XAtq -c "SELECT pg_logical_emit_message(false, 'trial', repeat('x', 1000000)), pg_switch_wal()" || break
done
"""


class Guarded(Voted):
    """A cluster under Patroni."""

    def settled(self):
        """Whether one leads, all others stream, and as many as have to acknowledge may."""
        rows = self.members()
        roles = sorted(row["Role"] for row in rows.values())
        states = {row["State"] for row in rows.values() if row["Role"] != "Leader"}
        return roles == ["Leader", "Quorum Standby", "Quorum Standby"] and states == {"streaming"}

    # --- Faults -------------------------------------------------------------------------------

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
            self.cut(primary, self.everybody_but(primary))
            time.sleep(seconds)
            self.mend(primary)
        elif fault == "cut the primary off the clients":
            self.cut(primary, self.web)
            time.sleep(seconds)
            self.mend(primary)
        elif fault == "cut the primary off the voters":
            self.cut(primary, others, only_voters=True)
            time.sleep(seconds)
            self.mend(primary)
        elif fault == "kill PostgreSQL and Patroni":
            # The unit's end may have taken the server along.
            pid = self.inside(primary, "head", "-n", "1", "/var/lib/postgresql/17/main/postmaster.pid").strip()
            self.inside(primary, "sh", "-c", f"systemctl kill --signal=KILL patroni@17-main; kill -9 {pid} 2>/dev/null || :")
        elif fault == "switch over":
            self.inside(primary, *self.switching(primary, chance.choice(others)))
        elif fault in ("kill the new primary while it takes over", "kill the former primary while it yields"):
            candidate = chance.choice(others)
            docker("exec", "--detach", self.container(primary), *self.switching(primary, candidate))
            time.sleep(chance.uniform(0.5, 4))
            self.down([candidate if "new" in fault else primary], seconds)
        elif fault == "fill the primary's disk":
            self.fill(primary, seconds)
        elif fault == "power off all":
            self.down(chance.sample(self.groups["database"], 3), seconds, between=chance.choice([0, 8]))
        elif fault == "kill two hosts":
            self.down([primary, chance.choice(others)], seconds)
        elif fault == "kill the primary's host and a voter":
            self.inside(chance.choice(others), "systemctl", "kill", "--signal=KILL", "etcd.service")
            self.down([primary], seconds)
        return f"{fault} ({primary})"

    @staticmethod
    def switching(primary, candidate):
        return ["patronictl", "-c", "/etc/patroni/17-main.yml", "switchover", "--leader", primary, "--candidate", candidate, "--force"]

    @contextlib.contextmanager
    def small_disk(self, name):
        """Have a server's data on a small volume meanwhile."""
        self.inside(name, "sh", "-ec", VOLUME)
        self.healthy()
        try:
            yield
        finally:
            self.inside(name, "rm", "-f", "/var/lib/postgresql/filling")
            self.healthy_or_rebuilt(name)
            self.inside(name, "sh", "-ec", NO_VOLUME)
            self.healthy()

    def healthy_or_rebuilt(self, name):
        """Wait as healthy() does. A server whose rewinding found no room never starts, which only the operator's word ends."""
        try:
            self.healthy()
        except AssertionError:
            assert "rewind" in self.inside(name, "sh", "-c", "journalctl --unit=patroni@17-main | grep 'Failed to rewind'")
            self.apply("database", "-e", f"postgresql_rebuild={name}")
            self.inside(name, "sh", "-c", "rm -rf /var/lib/postgresql/17/main.before-*")
            self.healthy()

    def fill(self, name, seconds):
        """Let the primary's disk be full for a while."""
        with self.small_disk(name):
            # Another took over when its server was stopped.
            if self.leader() != name:
                self.inside(self.leader(), *self.switching(self.leader(), name))
                self.healthy()
            self.inside(name, "sh", "-c", FILL)
            time.sleep(seconds)


@pytest.fixture(scope="session")
def kind():
    return Guarded


@pytest.fixture(scope="session")
def seed():
    """What the order of the faults is made from: FAILOVER_SEED in the environment says it again."""
    return int(os.environ.get("FAILOVER_SEED") or time.time())
