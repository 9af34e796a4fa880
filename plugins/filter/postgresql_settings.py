# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What stands in a server's configuration."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgresql_settings
short_description: Settings of a PostgreSQL server, from what the machine, the site and the inventory say
version_added: 0.2.0
author: selfhost.django contributors (@selfhost)
description:
  - Puts together what stands in the configuration of a server. What the inventory says goes before all the rest.
positional: _input, site, settings
options:
  _input:
    description: What depends on the machine, as P(selfhost.django.postgresql_tuning#filter) returns it.
    type: dict
    required: true
  site:
    description:
      - C(addresses) and C(port) that it listens at, C(slow_statement_ms), C(libraries) that are loaded at its start, C(certificate), the file
        of its certificate or nothing, and C(slot_keep_mb), how much log is kept for those who receive it, or nothing.
    type: dict
    required: true
  settings:
    description: Settings of the inventory.
    type: dict
    required: true
  replication:
    description:
      - Of a server that follows another one or may come to it, C(connection), C(slot), C(peers), the addresses of the other hosts by the names
        that they are known by, and C(synchronous), how many of them acknowledge each transaction.
    type: dict
    default: {}
"""

EXAMPLES = r"""
settings: "{{ 4096 | selfhost.django.postgresql_tuning(cores=2) | selfhost.django.postgresql_settings(site, postgresql_settings) }}"
"""

RETURN = r"""
_value:
  description: Names and values as they stand in postgresql.conf.
  type: dict
"""

BASE = {
    "password_encryption": "scram-sha-256",
    # The whole pages that follow each checkpoint are most of a log, and each byte of it is written, sent to standbys and archived.
    "wal_compression": "lz4",
    # Values of parameters are the users' data; the statement's text is enough to find it.
    "log_parameter_max_length": 0,
    "log_checkpoints": True,
    "log_lock_waits": True,
    "log_temp_files": "10MB",
    "log_autovacuum_min_duration": "10s",
}
# Of the log that a primary keeps in any case, for a standby whose slot on it is still empty.
KEPT_MB = 512


def _libraries(names):
    found = {"shared_preload_libraries": ", ".join(names)} if names else {}
    # Utility statements are kept as they came, passwords included.
    return found | ({"pg_stat_statements.track_utility": False} if "pg_stat_statements" in names else {})


def _certificate(path):
    return {"ssl": True, "ssl_cert_file": path, "ssl_key_file": path.removesuffix(".crt") + ".key"} if path else {}


def _slots(keep_mb):
    return {} if keep_mb is None else {"max_slot_wal_keep_size": f"{keep_mb}MB", "wal_keep_size": f"{min(KEPT_MB, int(keep_mb))}MB"}


def _replication(connection, slot, peers, synchronous):
    return {
        "primary_conninfo": f"host={','.join(peers.values())} {connection} target_session_attrs=read-write",
        "primary_slot_name": slot,
        "synchronous_standby_names": f"ANY {synchronous} ({', '.join(peers)})" if int(synchronous) > 0 else "",
        # pg_rewind needs to know every changed page.
        "wal_log_hints": True,
    }


def postgresql_settings(tuned, site, settings, replication=None):
    """Return all of them."""
    base = {"listen_addresses": ", ".join(site["addresses"]), "port": site["port"], "log_min_duration_statement": site["slow_statement_ms"]}
    return {
        **BASE, **base, **_libraries(site["libraries"]), **tuned, **_certificate(site["certificate"]), **_slots(site["slot_keep_mb"]),
        **(_replication(**replication) if replication else {}), **settings,
    }  # fmt: skip


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {"postgresql_settings": postgresql_settings}
