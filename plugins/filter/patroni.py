# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What the servers of a database under Patroni have in common, as its voters keep it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: patroni
short_description: What all servers of a database under Patroni have in common
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Patroni's dynamic configuration (Patroni's documentation, "Dynamic Configuration Settings"), which the voters keep for all servers.
  - Settings of the server that have to be the same everywhere, or changed in order, are taken out of those of a server.
  - With standbys that have to acknowledge, a primary without them waits, as it does without Patroni.
options:
  _input:
    description: Settings of a server.
    type: dict
    required: true
  members:
    description: Names of the database hosts. Each one's slot is kept while it is away.
    type: list
    elements: str
    required: true
  foreign_slots:
    description: Names of slots that are somebody else's.
    type: list
    elements: str
    default: []
  synchronous:
    description: How many standbys have to acknowledge a transaction.
    type: int
    default: 0
  quorum:
    description: Whether any of them may, which Patroni knows from version 4 on; before that, it names which.
    type: bool
    default: true
  failsafe:
    description: Whether a primary whose voters are lost goes on as long as every other server agrees.
    type: bool
    default: true
  ttl:
    description: Seconds that a primary's lease lasts.
    type: int
    required: true
  loop_wait:
    description: Seconds between two looks.
    type: int
    required: true
  retry_timeout:
    description: Seconds that a question to the voters may take.
    type: int
    required: true
"""

EXAMPLES = r"""
common: "{{ settings | selfhost.django.patroni(['db1', 'db2'], ttl=20, loop_wait=5, retry_timeout=7) }}"
"""

RETURN = r"""
_value:
  description: The dynamic configuration.
  type: dict
"""

# Which a standby has to have as its primary has them, or Patroni gives on the command line.
COMMON = (
    "max_connections", "max_locks_per_transaction", "max_prepared_transactions", "max_replication_slots", "max_wal_senders", "max_worker_processes",
    "track_commit_timestamp", "wal_keep_size", "wal_level", "wal_log_hints",
)  # fmt: skip
# What a standby may lack of the log when the primary dies, to become one where none has to acknowledge.
LAG_BYTES = 16 * 1024 * 1024
# A primary that crashed and is not back by then gives way.
START_SECONDS = 60


def as_text(value):
    """Return a setting as it stands in postgresql.conf."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def patroni(settings, members, foreign_slots=(), synchronous=0, quorum=True, failsafe=True, *, ttl, loop_wait, retry_timeout):
    """Return the dynamic configuration."""
    waits = int(synchronous) > 0
    # pg_rewind needs to know every changed page.
    named = {"wal_log_hints": True} | {str(name).lower(): value for name, value in settings.items()}
    return {
        "ttl": int(ttl),
        "loop_wait": int(loop_wait),
        "retry_timeout": int(retry_timeout),
        "maximum_lag_on_failover": LAG_BYTES,
        "primary_start_timeout": START_SECONDS,
        "check_timeline": True,
        "failsafe_mode": bool(failsafe),
        "synchronous_mode": ("quorum" if quorum else True) if waits else False,
        "synchronous_mode_strict": waits,
        "synchronous_node_count": max(int(synchronous), 1),
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            # What cannot be rewound stays, until somebody has it built anew.
            "remove_data_directory_on_rewind_failure": False,
            "remove_data_directory_on_diverged_timelines": False,
            "parameters": {name: as_text(named[name]) for name in COMMON if name in named},
        },
        "slots": {slot_of(member): {"type": "physical"} for member in members},
        "ignore_slots": [{"name": name, "type": "physical"} for name in foreign_slots],
    }


def slot_of(member):
    """Return the name of a member's slot, as Patroni makes it."""
    return "".join(letter if letter in "abcdefghijklmnopqrstuvwxyz0123456789_" else "_" if letter in "-." else f"u{ord(letter):04d}" for letter in member.lower())[:63]


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {"patroni": patroni}
