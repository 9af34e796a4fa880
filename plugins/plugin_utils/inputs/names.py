# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Variables that nothing reads, since their names are misspelt."""

from __future__ import annotations

import difflib

# What playbooks read from the command line.
WORDS = (
    "backup_type", "deploy_allow_breaking_migrations", "deploy_break_lock", "deploy_serial", "deploy_version", "maintenance", "reboot_all",
    "rebuild_media", "restore_backup_label", "restore_database", "restore_dump", "restore_in_place", "restore_media", "restore_remove", "restore_repository",
    "restore_target_name", "restore_target_time", "restore_target_timeline", "rollback_to", "switchover_dead", "switchover_force", "switchover_max_lag_mb", "switchover_to",
    "upgrade_back", "upgrade_remove",
)  # fmt: skip
# Those of them that are yes or no.
SWITCHES = (
    "deploy_allow_breaking_migrations", "deploy_break_lock", "reboot_all", "rebuild_media", "restore_media", "restore_remove", "switchover_force",
)  # fmt: skip
# What defaults read from the vault.
VAULT = (
    "vault_app_acme_hmac_key", "vault_app_database_password", "vault_app_repository_key", "vault_app_secret_key", "vault_etcd_password",
    "vault_etcd_root_password", "vault_notify_heartbeat_url", "vault_notify_relay_password", "vault_notify_urls",
    "vault_postgresql_backup_former_passphrase", "vault_postgresql_backup_passphrase", "vault_postgresql_backup_password", "vault_postgresql_failover_password",
    "vault_postgresql_replication_password",
)  # fmt: skip
# How names of former versions began, and how the same ones begin now.
RENAMED = {
    "postgresql_backup_media_command": "app_run_command",
    "postgresql_backup_media_database": "app_database_name",
    "postgresql_backup_media_": "media_backup_",
    "postgresql_backup_restore_": "postgresql_restore_",
}
# How alike two names are from which on the one is taken for the other (difflib's ratio). Sites have variables of their own, too.
ALIKE = 0.8


def misspelt(variables, known):
    """Return the names among variables that are meant to be another one: by each, the one that is meant.

    variables are names; known are those that something reads. A name of somebody else is none: it has to begin as one of these does (app_…), and to
    be like one of them, or the beginning of one.
    """
    prefixes = {name.split("_", 1)[0] + "_" for name in known}
    found = {}
    for name in sorted(set(variables) - known):
        former = next((former for former in RENAMED if name.startswith(former)), None)
        if former and (renamed := RENAMED[former] + name.removeprefix(former)) in known:
            found[name] = renamed
            continue
        if not any(name.startswith(prefix) for prefix in prefixes):
            continue
        whole = [one for one in known if one.startswith(name) and len(name) > len(one.split("_", 1)[0]) + 1]
        if near := difflib.get_close_matches(name, sorted(known), n=1, cutoff=ALIKE) or sorted(whole, key=len)[:1]:
            found[name] = near[0]
    return found
