"""What stands in a server's configuration, and in which order who says it."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.postgresql_settings import postgresql_settings

SITE = {"addresses": ["localhost", "192.0.2.1"], "port": 5432, "slow_statement_ms": 500, "libraries": [], "certificate": "", "slot_keep_mb": None}
REPLICATION = {"connection": "user=replication", "slot": "standby_db1", "peers": {"standby_db2": "192.0.2.2", "standby_db3": "192.0.2.3"}, "synchronous": 0}


@pytest.mark.parametrize(
    ("site", "more", "expected", "missing"),
    [
        pytest.param({}, {}, {"listen_addresses": "localhost, 192.0.2.1", "port": 5432, "log_min_duration_statement": 500, "log_lock_waits": True},
                     ["ssl", "wal_keep_size", "primary_conninfo", "shared_preload_libraries"], id="alone"),
        pytest.param({"libraries": ["auto_explain"]}, {}, {"shared_preload_libraries": "auto_explain"}, ["pg_stat_statements.track_utility"], id="libraries"),
        pytest.param({"libraries": ["pg_stat_statements", "x"]}, {}, {"shared_preload_libraries": "pg_stat_statements, x", "pg_stat_statements.track_utility": False},
                     [], id="statistics"),
        pytest.param({"certificate": "/etc/x/host.crt"}, {}, {"ssl": True, "ssl_cert_file": "/etc/x/host.crt", "ssl_key_file": "/etc/x/host.key"}, [], id="TLS"),
        pytest.param({"slot_keep_mb": "4096"}, {}, {"max_slot_wal_keep_size": "4096MB", "wal_keep_size": "512MB"}, ["wal_log_hints"], id="slots"),
        pytest.param({"slot_keep_mb": 100}, {}, {"max_slot_wal_keep_size": "100MB", "wal_keep_size": "100MB"}, [], id="small slots"),
        pytest.param({}, {"replication": REPLICATION}, {
            "primary_conninfo": "host=192.0.2.2,192.0.2.3 user=replication target_session_attrs=read-write", "primary_slot_name": "standby_db1",
            "synchronous_standby_names": "", "wal_log_hints": True}, [], id="replicated"),
        pytest.param({}, {"replication": REPLICATION | {"synchronous": "1"}}, {"synchronous_standby_names": "ANY 1 (standby_db2, standby_db3)"}, [], id="synchronous"),
    ],
)  # fmt: skip
def test_settings(site, more, expected, missing):
    found = postgresql_settings({"work_mem": "4MB"}, SITE | site, {}, **more)
    assert {name: found[name] for name in expected} == expected
    assert found["work_mem"] == "4MB" and not set(missing) & set(found)


def test_the_inventory_goes_before_the_machine_and_the_machine_before_the_rest():
    found = postgresql_settings({"work_mem": "4MB", "log_checkpoints": False}, SITE, {"work_mem": "8MB", "port": 1, "own": "x"})
    assert (found["work_mem"], found["log_checkpoints"], found["port"], found["own"]) == ("8MB", False, 1, "x")
