"""Faults in a row on a pair without voters, while a client writes: two servers never take writes, but where the operator vouched for what is not so."""

import json
import os
import random
import signal
import time

import failing
import pytest
from recording import docker

UNIT = "postgresql@17-main"
DATA = "/var/lib/postgresql/17/main"
# The guard looks every 15 seconds, and a server takes a moment to stop.
NOTICED = 25


class Trial:
    """The pair, what has gone wrong with it, and what its operator has done."""

    def __init__(self, site, chance, acknowledged):
        self.site, self.chance, self.acknowledged = site, chance, acknowledged
        # When rows may be lost or taken twice, since somebody said so: spans of time, from the fault on that is going on.
        self.began, self.lossy, self.vouched = 0.0, [], []

    def force(self, old, new):
        """Try to make the standby the primary."""
        return self.site.play("switchover", "-e", f"switchover_to={new}", "-e", "switchover_force=true")

    def vouch(self, old, new):
        """The same, and say that the primary is off; it says what that costs."""
        self.lossy.append((self.began, time.time() + 60))
        run = self.site.play("switchover", "-e", f"switchover_to={new}", "-e", "switchover_force=true", "-e", f"switchover_dead={old}")
        if run.code == 0:
            assert f"{new} is the primary." in run.text
            assert "Rows that were acknowledged at the very end may be missing" in run.text
            assert f"The data of {old} is given up and does not run again" in run.text
        return run

    def fence(self, name):
        """Why a server's data is given up; empty where it is not."""
        return self.site.inside(name, "sh", "-c", f"cat {DATA}/fenced 2>/dev/null || :")

    def whole(self):
        """See the pair whole again, with a fresh copy where the data was given up."""
        self.site.wait("a single primary", lambda: len(self.site.primaries()) == 1, 90)
        time.sleep(3)
        primary = self.site.primary()
        other = next(name for name in self.site.groups["database"] if name != primary)
        self.site.wait("the other to stream, or to be given up", lambda: self.fence(other) or self.site.streaming(), 90)
        if not self.site.streaming():
            self.site.apply("database", "--tags", "postgresql", "-e", json.dumps({"postgresql_rebuild": [other]}))
            self.site.inside(other, "sh", "-c", f"rm -rf {DATA}.before-*")
        self.site.healthy()
        self.site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in self.acknowledged()[-200:]), 60)

    # --- Faults: each begins with a whole pair, and returns with hosts that run ---------------------

    def kill_postgresql(self, old, _new):
        self.site.inside(old, "sh", "-c", f"kill -9 $(head -n 1 {DATA}/postmaster.pid)")
        time.sleep(5)
        self.site.inside(old, "systemctl", "start", UNIT)

    def kill_the_primarys_host(self, old, new):
        docker("kill", self.site.container(old))
        assert f"{old} cannot be reached and may still run: switch it off, then vouch for that with" in self.force(old, new).text
        assert self.vouch(old, new).code == 0
        self.site.start_hosts([old])
        time.sleep(30)
        assert self.site.primaries() == [new]

    def pause_the_primarys_host(self, old, new):
        """Its kernel may still take connections, which is believed more than whoever vouches for the opposite."""
        docker("pause", self.site.container(old))
        try:
            assert self.force(old, new).code != 0
            run = self.vouch(old, new)
        finally:
            docker("unpause", self.site.container(old))
        if run.code == 0:
            self.it_hears_of_it(old, new)
        else:
            assert f"{old} still accepts connections from {new}: two primaries could result." in run.text

    def cut_the_primary_off_from_here_too(self, old, new):
        self.site.cut(old, self.site.everybody_but(old))
        self.site.inside(old, "nft", "add", "rule", "inet", "trial", "in", "tcp", "dport", "22", "drop")
        try:
            assert f"{old} cannot be reached and may still run: switch it off, then vouch for that with" in self.force(old, new).text
            assert self.vouch(old, new).code == 0
        finally:
            self.site.mend(old)
        self.it_hears_of_it(old, new)

    def it_hears_of_it(self, old, new):
        """What the operator vouched for was not so: the former primary may take writes until its guard looks."""
        self.vouched.append((self.began, time.time() + NOTICED))
        self.site.wait("the former primary to stop", lambda: self.site.primaries() == [new], NOTICED)
        assert "has taken its place" in self.fence(old)

    def cut_the_primary_off(self, old, new):
        """The operator still reaches it."""
        self.site.cut(old, self.site.everybody_but(old))
        try:
            assert f"{old} still accepts connections as the primary" in self.force(old, new).text
        finally:
            self.site.mend(old)

    def cut_the_primary_off_the_clients(self, old, _new):
        self.site.cut(old, self.site.web)
        time.sleep(15)
        self.site.mend(old)

    def switch_over(self, _old, new):
        assert f"{new} is the primary" in self.site.apply("switchover").text

    def kill_the_former_primary_while_it_yields(self, old, new):
        run = self.site.start("switchover")
        time.sleep(self.chance.uniform(4, 12))
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        self.site.down([old], 5)
        time.sleep(40)
        # Whatever it came to, the same words bring it to its end.
        self.site.apply("switchover", "-e", f"switchover_to={new}")

    def kill_the_standbys_host(self, _old, new):
        self.site.down([new], 10)

    def power_off_both_the_primary_first(self, old, new):
        self.site.down([old, new], 3, between=20)

    def power_off_both_the_standby_first(self, old, new):
        self.site.down([new, old], 3, between=20)


FAULTS = [name for name, value in vars(Trial).items() if callable(value) and name.startswith(("kill_", "pause_", "cut_", "switch_", "power_"))]


def within(moment, spans):
    return any(begin <= moment <= end for begin, end in spans)


@pytest.mark.long
def test_two_primaries_never_take_writes_unless_somebody_vouched(site, figure, seed):
    chance = random.Random(seed)
    print(f"FAILOVER_SEED={seed}")
    without = []
    with site.writing() as acknowledged:
        trial = Trial(site, chance, acknowledged)
        asked = os.environ.get("FAILOVER_FAULTS", "").replace(" ", "_")
        for fault in asked.split(",") if asked else chance.sample(FAULTS, len(FAULTS)):
            trial.whole()
            old, trial.began = site.primary(), time.time()
            getattr(trial, fault)(old, next(name for name in site.groups["database"] if name != old))
            trial.whole()
            without.append(max(failing.pauses(acknowledged(), since=trial.began, least=0.2), default=0.0))
            print(f"{fault.replace('_', ' ')} ({old}): {without[-1]:.1f} s without writes, {site.primary()} is the primary", flush=True)
        acks = acknowledged()
    figure(f"seed {seed}, {len(without)} faults of a pair without voters, {len(acks)} acknowledged rows, seconds without writes: {failing.summary(without)}")
    both = failing.twice(acks)
    figure(f"rows that a former primary took after the new one, where it was vouched to be off: {len(both)}")
    assert [pair for pair in both if not within(pair[1].sent, trial.vouched)] == []
    # Nobody had to acknowledge them but the primary that is gone.
    lost = set(site.lacking(site.primary(), acks))
    figure(f"acknowledged rows that were lost with a primary, as it was said: {len(lost)}")
    assert [ack for ack in acks if ack.row in lost and not within(ack.heard, trial.lossy + trial.vouched)] == []
