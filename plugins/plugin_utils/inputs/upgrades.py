# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of its upgrades."""

from __future__ import annotations

from .values import listed, matches


def upgrade_postgresql(site):
    """Say what is wrong with the wishes of upgrade_postgresql.yml."""
    if site["postgresql_voters"]:
        yield (
            "The group etcd is there: Patroni runs the servers, and upgrade_postgresql.yml leaves them alone. Take the site back to a plain pair, upgrade "
            "it, and add the group again (README of the role postgresql, Automatic failover)."
        )
        return
    back, removed = str(site["postgresql_upgrade_back"]), str(site["postgresql_upgrade_removed"])
    if back.lower() not in ("", "true", "false", "yes", "no", "lose"):
        yield f"upgrade_back is '{back}': give true, or lose where what was written since the upgrade may be lost."
    if removed and not matches("[1-9][0-9]+/main", removed):
        yield f"upgrade_remove is '{removed}': give the former cluster as version/main, such as 15/main."
    if removed and back.lower() in ("true", "yes", "lose"):
        yield "upgrade_back and upgrade_remove are given: give one of them."
    if out := [host for host in site["postgresql_hosts"] if host not in site.run]:
        yield f"--limit leaves out {listed(out)}: an upgrade needs every host of the database."
