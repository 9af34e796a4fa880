"""Faults in a row while a client writes: no acknowledged row is lost, and never do two servers take writes."""

import os
import random
import time

import failing


def test_no_acknowledged_row_is_lost_and_there_are_never_two_primaries(site, figure, seed):
    faults, chance, without = failing.trials(seed, 44 if os.environ.get("LONG") else 6), random.Random(seed), {}
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
