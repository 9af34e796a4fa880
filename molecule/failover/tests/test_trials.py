"""Faults in a row while a client writes: no acknowledged row is lost, and never do two servers take writes."""

import itertools
import os
import random
import time

import failing
import pytest


def test_no_acknowledged_row_is_lost_and_there_are_never_two_primaries(site, figure, seed):
    asked = os.environ.get("FAILOVER_FAULTS")
    faults = asked.split(",") if asked else failing.trials(seed, 24) if os.environ.get("LONG") else failing.trials(seed, 4, longest=40)
    chance, without = random.Random(seed), {}
    print(f"FAILOVER_SEED={seed}")
    with site.writing() as acknowledged:
        for fault in faults:
            began = time.time()
            said = site.wrong(fault, chance)
            # Before it shows, all looks well.
            time.sleep(3)
            site.healthy()
            # The writers have found the primary again.
            site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
            gone = failing.pauses(acknowledged(), since=began, least=0.2)
            without.setdefault(fault, []).append(max(gone, default=0.0))
            print(f"{said}: {max(gone, default=0.0):.1f} s without writes, {len(acknowledged())} rows, {site.leader()} leads", flush=True)
        acks = acknowledged()
    site.healthy()
    figure(f"seed {seed}, {len(faults)} faults, {len(acks)} acknowledged rows")
    for fault, seconds in without.items():
        figure(f"seconds without writes, {fault}: {failing.summary(seconds)}")
    figure(f"seconds without writes, all faults: {failing.summary([value for values in without.values() for value in values])}")
    assert failing.twice(acks) == []
    for name in site.groups["database"]:
        site.wait(f"{name} to have replayed all", lambda name=name: not site.lacking(name, acks), 30)


@pytest.mark.long
def test_a_server_without_room_for_its_log_does_not_become_the_primary(site):
    former, full = site.leader(), site.standbys()[0]
    with site.writing() as acknowledged, site.small_disk(full):
        site.inside(full, "sh", "-c", "dd if=/dev/zero of=/var/lib/postgresql/filling bs=1M; truncate --size=-32M /var/lib/postgresql/filling")
        site.inside(former, "sh", "-c", " ".join(site.switching(former, full)) + " || :")
        # Whoever it is then has room.
        site.wait("rows after it", lambda: site.leader() not in ("", full) and any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
        said = site.inside(full, "journalctl", "--unit=patroni@17-main", "--since=-3min", "--output=cat", "--no-pager")
        assert "Promotion cancelled because the pre-promote script failed" in said
    assert site.lacking(site.leader(), acknowledged()) == []


@pytest.mark.long
def test_all_hosts_that_were_powered_off_are_started_in_each_order(site, figure):
    """The former primary comes first, in the middle, and last."""
    lasted, lost = [], []
    with site.writing() as acknowledged:
        for order in itertools.permutations(site.groups["database"]):
            primary, began = site.leader(), time.time()
            # Longer between them than it takes to boot and to elect.
            site.down(order, 3, between=12)
            site.healthy()
            site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
            lasted.append(max(failing.pauses(acknowledged(), since=began, least=0.2)))
            print(f"{', '.join(order)}, after {primary} led: {lasted[-1]:.1f} s without writes, {site.leader()} leads", flush=True)
            lost += site.lacking(site.leader(), acknowledged())
        acks = acknowledged()
    figure(f"seconds without writes, all powered off and started one after the other, 12 s apart, in each order: {failing.summary(lasted)}")
    assert lost == []
    assert failing.twice(acks) == []
