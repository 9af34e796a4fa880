# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""PostgreSQL settings from what the host has."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgresql_tuning
short_description: PostgreSQL settings from a host's memory, cores and storage
version_added: 0.1.0
author: selfhost.django contributors
description:
  - Computes the settings that depend on the machine; everything else is left at the server's own default.
  - C(shared_buffers) is a quarter of the memory (PostgreSQL manual, section "Resource Consumption", C(shared_buffers);
    pgtune does the same).
  - C(effective_cache_size) is three quarters of it (pgtune; manual, section "Query Planning").
  - C(maintenance_work_mem) is a sixteenth of it, at most 2 GB (pgtune).
  - C(work_mem) is what C(shared_buffers) leaves, divided by three times the number of processes that may sort at once
    (pgtune, profile "web"; manual, C(work_mem), on several sorts in one query).
  - C(max_parallel_workers) is the number of cores, half of them, at most four, for one query or one maintenance command (pgtune).
  - C(random_page_cost) and C(effective_io_concurrency) follow the storage (pgtune; manual, section "Query Planning").
  - C(min_wal_size) and C(max_wal_size) are pgtune's for a web application; a volume of 16 GB and more has room for them.
  - Memory is rounded down to 64 MB first, so that a kernel update that takes a little more of it does not change a setting
    which only a restart applies.
positional: _input, cores
options:
  _input:
    description: Memory that PostgreSQL may use, in MB.
    type: int
    required: true
  cores:
    description: Processor cores of the host.
    type: int
    required: true
  storage:
    description: Kind of storage under the data directory.
    type: str
    choices: [ssd, san, hdd]
    default: ssd
  max_connections:
    description: Connections that the server accepts.
    type: int
    default: 100
  most_cores:
    description: Most processor cores of a host of the cluster; a standby needs as many worker processes as its primary, whichever that is.
    type: int
    default: 0
"""

EXAMPLES = r"""
# {"effective_cache_size": "3072MB", "shared_buffers": "1024MB", "work_mem": "9709kB", ...}
settings: "{{ 4096 | selfhost.django.postgresql_tuning(cores=2) }}"
# On a host that is shared with the application: half of its memory.
shared: "{{ (ansible_facts['memtotal_mb'] * 0.5) | int | selfhost.django.postgresql_tuning(cores=4, storage='hdd', max_connections=50) }}"
"""

RETURN = r"""
_value:
  description: Names and values as they stand in postgresql.conf.
  type: dict
"""

from ansible.errors import AnsibleFilterError

# random_page_cost, effective_io_concurrency
STORAGE = {"ssd": (1.1, 200), "san": (1.1, 300), "hdd": (4.0, 2)}
GRANULE_MB = 64
# Below this a sort spills to disk at once, and the server's own floor is 64 kB.
WORK_MEM_FLOOR_KB = 256
# The server's default; background workers of extensions and of replication need some beside the parallel ones.
WORKER_PROCESSES = 8


def _whole(name, value, lowest):
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"postgresql_tuning: {name} is '{value}', which is no whole number") from error
    if number < lowest:
        raise AnsibleFilterError(f"postgresql_tuning: {name} is {number}, at least {lowest} is needed")
    return number


def postgresql_tuning(memory_mb, cores, storage="ssd", max_connections=100, most_cores=0):
    """Return the settings that depend on the machine."""
    memory_mb = _whole("memory_mb", memory_mb, 2 * GRANULE_MB)
    cores = _whole("cores", cores, 1)
    max_connections = _whole("max_connections", max_connections, 1)
    if storage not in STORAGE:
        raise AnsibleFilterError(f"postgresql_tuning: storage is '{storage}', known are {', '.join(STORAGE)}")

    memory_mb -= memory_mb % GRANULE_MB
    shared_buffers_mb = memory_mb // 4
    workers = max(WORKER_PROCESSES, cores, _whole("most_cores", most_cores, 0))
    work_mem_kb = (memory_mb - shared_buffers_mb) * 1024 // (3 * (max_connections + workers))
    if work_mem_kb < WORK_MEM_FLOOR_KB:
        raise AnsibleFilterError(
            f"postgresql_tuning: {memory_mb} MB are too little for {max_connections} connections: "
            f"each would get {work_mem_kb} kB to sort in. Lower max_connections or give PostgreSQL more memory."
        )
    random_page_cost, io_concurrency = STORAGE[storage]
    return {
        "shared_buffers": f"{shared_buffers_mb}MB",
        "effective_cache_size": f"{memory_mb * 3 // 4}MB",
        "maintenance_work_mem": f"{min(memory_mb // 16, 2048)}MB",
        "work_mem": f"{work_mem_kb}kB",
        "max_connections": max_connections,
        "max_worker_processes": workers,
        "max_parallel_workers": cores,
        "max_parallel_workers_per_gather": min(cores // 2, 4),
        "max_parallel_maintenance_workers": min(cores // 2, 4),
        "random_page_cost": random_page_cost,
        "effective_io_concurrency": io_concurrency,
        "min_wal_size": "1GB",
        "max_wal_size": "4GB",
    }


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {"postgresql_tuning": postgresql_tuning}
