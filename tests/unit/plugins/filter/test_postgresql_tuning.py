"""The tuning is arithmetic: what it promises is stated as properties."""

import importlib.util
import pathlib
import re

import hypothesis
import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import assume, given
from hypothesis import strategies as st

# A busy machine is no failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

FILE = pathlib.Path(__file__).parents[4] / "plugins/filter/postgresql_tuning.py"
spec = importlib.util.spec_from_file_location("postgresql_tuning", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
tune = module.FilterModule().filters()["postgresql_tuning"]

UNITS = {"kB": 1, "MB": 1024, "GB": 1024**2}
MEMORY = ("shared_buffers", "effective_cache_size", "maintenance_work_mem", "work_mem")
WORKERS = (
    "max_worker_processes",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_parallel_maintenance_workers",
)

memories = st.integers(min_value=128, max_value=4 * 1024**2)
cores = st.integers(min_value=1, max_value=512)
storages = st.sampled_from(["ssd", "san", "hdd"])
connections = st.integers(min_value=1, max_value=2000)


def kilobytes(value):
    number, unit = re.fullmatch(r"(\d+)(kB|MB|GB)", value).groups()
    return int(number) * UNITS[unit]


def settings(memory_mb, cores, storage, max_connections):
    """Skip what is refused: too many connections for the memory."""
    try:
        return tune(memory_mb, cores, storage, max_connections)
    except AnsibleFilterError:
        assume(False)


@given(memories, cores, storages, connections)
def test_never_more_memory_than_the_host_has(memory_mb, cores, storage, max_connections):
    result = settings(memory_mb, cores, storage, max_connections)
    autovacuum_workers = 3
    used = (
        kilobytes(result["shared_buffers"])
        + (max_connections + result["max_worker_processes"]) * kilobytes(result["work_mem"])
        + autovacuum_workers * kilobytes(result["maintenance_work_mem"])
    )
    assert used <= memory_mb * 1024
    assert kilobytes(result["effective_cache_size"]) <= memory_mb * 1024


@given(memories, cores, storages, connections)
def test_never_more_parallel_workers_than_the_host_has_cores(memory_mb, cores, storage, max_connections):
    result = settings(memory_mb, cores, storage, max_connections)
    assert result["max_parallel_workers"] <= cores
    assert result["max_parallel_workers_per_gather"] <= result["max_parallel_workers"]
    assert result["max_parallel_maintenance_workers"] <= result["max_parallel_workers"]
    assert result["max_parallel_workers"] <= result["max_worker_processes"]


@given(memories, st.integers(min_value=0, max_value=10000), cores, storages, connections)
def test_more_memory_never_lowers_a_setting(memory_mb, more, cores, storage, max_connections):
    small = settings(memory_mb, cores, storage, max_connections)
    large = tune(memory_mb + more, cores, storage, max_connections)
    for name in MEMORY:
        assert kilobytes(small[name]) <= kilobytes(large[name])
    assert {name: small[name] for name in WORKERS} == {name: large[name] for name in WORKERS}


@given(memories, cores, st.integers(min_value=0, max_value=64), storages, connections)
def test_more_cores_never_lower_the_workers(memory_mb, cores, more, storage, max_connections):
    large = settings(memory_mb, cores + more, storage, max_connections)
    small = tune(memory_mb, cores, storage, max_connections)
    for name in WORKERS:
        assert small[name] <= large[name]


@given(memories, cores, storages, connections, st.integers(min_value=0, max_value=500))
def test_more_connections_never_raise_the_memory_of_one(memory_mb, cores, storage, max_connections, more):
    many = settings(memory_mb, cores, storage, max_connections + more)
    few = tune(memory_mb, cores, storage, max_connections)
    assert kilobytes(many["work_mem"]) <= kilobytes(few["work_mem"])
    assert many["shared_buffers"] == few["shared_buffers"]


@given(memories, cores, storages, connections)
def test_every_value_is_within_the_limits_of_the_server(memory_mb, cores, storage, max_connections):
    result = settings(memory_mb, cores, storage, max_connections)
    assert kilobytes(result["shared_buffers"]) >= 128
    assert 64 <= kilobytes(result["work_mem"]) <= 2147483647
    assert 1024 <= kilobytes(result["maintenance_work_mem"]) <= 2147483647
    assert 0 <= result["effective_io_concurrency"] <= 1000
    assert all(0 <= result[name] <= 1024 for name in WORKERS)


@given(st.integers(min_value=128, max_value=1024**2), st.integers(min_value=0, max_value=63))
def test_a_little_less_memory_after_a_kernel_update_changes_nothing(memory_mb, less):
    memory_mb -= memory_mb % 64
    assert settings(memory_mb + less, 2, "ssd", 100) == tune(memory_mb, 2, "ssd", 100)


def test_the_numbers_of_a_usual_host():
    assert tune(4096, 2) == {
        "shared_buffers": "1024MB",
        "effective_cache_size": "3072MB",
        "maintenance_work_mem": "256MB",
        "work_mem": "9709kB",
        "max_connections": 100,
        "max_worker_processes": 8,
        "max_parallel_workers": 2,
        "max_parallel_workers_per_gather": 1,
        "max_parallel_maintenance_workers": 1,
        "random_page_cost": 1.1,
        "effective_io_concurrency": 200,
        "min_wal_size": "1GB",
        "max_wal_size": "4GB",
    }


def test_a_rotating_disk_costs_more_for_a_random_page():
    assert tune(4096, 2, storage="hdd")["random_page_cost"] == 4.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("much", 2), "memory_mb is 'much'"),
        ((64, 2), "at least 128"),
        ((4096, 0), "cores is 0"),
        ((4096, None), "cores is 'None'"),
        ((4096, 2, "tape"), "storage is 'tape'"),
        ((512, 2, "ssd", 2000), "too little for 2000 connections"),
    ],
)
def test_what_cannot_be_is_refused(arguments, sentence):
    with pytest.raises(AnsibleFilterError, match=sentence):
        tune(*arguments)


def test_every_host_of_a_cluster_has_as_many_workers_as_its_largest():
    small, large = tune(4096, cores=4, most_cores=32), tune(4096, cores=32, most_cores=32)
    assert small["max_worker_processes"] == large["max_worker_processes"] == 32
    assert (small["max_parallel_workers"], large["max_parallel_workers"]) == (4, 32)
