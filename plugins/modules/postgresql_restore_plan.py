#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_restore_plan
short_description: Plan a restore of PostgreSQL over all database hosts
description:
  - Decides from what was seen on the hosts which of them is restored, from which backup, on which history, and whether beside the cluster or in its place;
    or fails with one sentence on why it must not begin.
  - Runs on the controller alone. In check mode it tells the same.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  looks:
    description: Name under which the hosts have registered what M(selfhost.django.postgresql_restore_look) saw.
    type: str
    required: true
  hosts:
    description: All database hosts.
    type: list
    elements: str
    required: true
  backup_hosts:
    description: Hosts that keep the backups; without any, each database host keeps its own.
    type: list
    elements: str
    default: []
  version:
    description: Version of the server.
    type: str
    required: true
  managed:
    description: Whether Patroni runs the servers.
    type: bool
    default: false
  time:
    description: Moment to restore to, with its time zone; without it, a restore point or a backup, the newest state.
    type: str
    default: ""
  point:
    description: Restore point to restore to.
    type: str
    default: ""
  label:
    description: Backup to start from.
    type: str
    default: ""
  timeline:
    description: Timeline to follow; without it, the one that the moment was on.
    type: str
    default: ""
  repository:
    description: Number of the repository to restore from; 0 for any.
    type: int
    default: 0
  dump:
    description: Dump to restore instead.
    type: str
    default: ""
  database:
    description: Database that the dump is of.
    type: str
    default: ""
  confirmation:
    description: Name of what the restored takes the place of; without it, it is restored beside.
    type: str
    default: ""
  removed:
    description: Whether what was restored beside goes first.
    type: bool
    default: false
  headroom_mb:
    description: Megabytes that have to stay free.
    type: int
    default: 0
attributes:
  action: {support: full, description: "Runs on the controller."}
  check_mode: {support: full, description: "Only decides, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Plan the restore
  selfhost.django.postgresql_restore_plan:
    looks: look
    hosts: [db1, db2]
    version: "17"
    time: "2026-01-31 14:05:00+01:00"
  run_once: true
  register: plan
"""

RETURN = r"""
host:
  description: Host that is restored.
  type: str
  returned: success
keeper:
  description: Host that keeps its backups.
  type: str
  returned: success
action:
  description: What is done. C(beside) or C(swap) with a cluster, C(dump) with a dump, or C(remove).
  type: str
  returned: success
in_place:
  description: Whether what is restored takes the place of what serves.
  type: bool
  returned: success
is_newest:
  description: Whether the newest state is asked for, which is not there before the application has stopped.
  type: bool
  returned: success
words:
  description: What is asked for, by which the next run recognizes one that was interrupted.
  type: str
  returned: success
sentence:
  description: What is to be done.
  type: str
  returned: success
order:
  description: What M(selfhost.django.postgresql_restore) is given.
  type: dict
  returned: success
stood_down:
  description: Hosts on which Patroni is stopped before.
  type: list
  elements: str
  returned: success
rebuilt:
  description: Hosts whose servers are built anew afterwards.
  type: list
  elements: str
  returned: success
"""
