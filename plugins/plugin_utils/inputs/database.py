# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of its database, its backups and its restores."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from ..postgresql_restore import conflicts, moment_of
from .kinds import wrong_column
from .places import hides_homes, is_inside, meetings, whose_place, why_unseen
from .repositories import MOST, wrong_repositories
from .schedules import is_schedule
from .upgrades import repository
from .values import (
    HOSTS_OF_SITE, PATH, given_numbers, given_ports, is_line, is_list, is_network, is_port, is_rows, is_true, is_whole, listed, matches, text_of, whole_numbers,
)  # fmt: skip

# What a row of each needs, and whose columns it has. A password that is not there is told by the name of its role.
LISTS = {
    "postgresql_roles": (["name"], "postgresql_roles"),
    "postgresql_databases": (["name", "owner"], "postgresql_databases"),
    "postgresql_access": (["database", "role", "from"], "postgresql_access"),
    "postgresql_application_access": (["database", "role", "from"], "postgresql_access"),
}
# A name of PostgreSQL's has 63, and `backup_` stands before that of a host.
SLOT_LETTERS = 56
# Of which variables of the role app they are made, where nothing is said of themselves.
SOURCES = {"postgresql_roles": "app_database_roles", "postgresql_databases": "app_databases"}
# Names that PostgreSQL keeps for itself.
RESERVED = "pg_.*|postgres|public|none|template[01]"
# Roles that are there anyway (PostgreSQL manual, "Predefined Roles").
PREDEFINED = {
    "pg_checkpoint", "pg_create_subscription", "pg_execute_server_program", "pg_maintain", "pg_monitor", "pg_read_all_data",
    "pg_read_all_settings", "pg_read_all_stats", "pg_read_server_files", "pg_signal_autovacuum_worker", "pg_signal_backend", "pg_stat_scan_tables",
    "pg_use_reserved_connections", "pg_write_all_data", "pg_write_server_files",
}  # fmt: skip
# Settings that have a variable or a role of their own; the rest is free.
OWNED = {
    "listen_addresses": "postgresql_listen_addresses",
    "port": "postgresql_port",
    "max_connections": "postgresql_max_connections",
    "shared_preload_libraries": "postgresql_preload_libraries",
    "log_min_duration_statement": "postgresql_slow_statement_ms",
    "archive_mode": "the role postgresql_backup",
    "archive_command": "the role postgresql_backup",
    "archive_library": "the role postgresql_backup",
    "archive_timeout": "postgresql_backup_archive_interval",
    "archive_cleanup_command": "the role postgresql_backup",
    "max_slot_wal_keep_size": "postgresql_slot_keep_mb",
    "synchronous_standby_names": "postgresql_synchronous_standbys",
    "restore_command": "the role postgresql_restore",
    "recovery_end_command": "the role postgresql_restore",
}
# What a server that is being restored is told, and one that serves would be by whatever copies its settings.
OF_A_RESTORE = "recovery_target(_.*)?"
FIXED = {
    "config_file", "data_directory", "external_pid_file", "hba_file", "hot_standby", "ident_file", "include", "include_dir", "include_if_exists",
    "password_encryption", "primary_conninfo", "primary_slot_name", "ssl", "ssl_cert_file", "ssl_key_file", "unix_socket_directories", "wal_log_hints",
}  # fmt: skip
# What comes with the server's own package (PostgreSQL manual, appendix F).
CONTRIBUTED = {
    "adminpack", "amcheck", "autoinc", "bloom", "bool_plperl", "bool_plperlu", "btree_gin", "btree_gist", "citext", "cube", "dblink", "dict_int",
    "dict_xsyn", "earthdistance", "file_fdw", "fuzzystrmatch", "hstore", "insert_username", "intagg", "intarray", "isn", "lo", "ltree", "moddatetime",
    "old_snapshot", "pageinspect", "pg_buffercache", "pg_freespacemap", "pg_prewarm", "pg_stat_statements", "pg_surgery", "pg_trgm", "pg_visibility",
    "pg_walinspect", "pgcrypto", "pgrowlocks", "pgstattuple", "plpgsql", "postgres_fdw", "refint", "seg", "sslinfo", "tablefunc", "tcn",
    "tsm_system_rows", "tsm_system_time", "unaccent", "uuid-ossp", "xml2",
}  # fmt: skip
# By the beginning of an extension's name, what Debian's package is called after the server's version.
PACKAGED = {"postgis": "postgis-3", "vector": "pgvector", "pg_cron": "cron", "pg_partman": "partman", "hll": "hll", "rum": "rum", "pgrouting": "pgrouting"}


def server(site):
    """Say what is wrong with the server, its roles and its databases."""
    known = site["__postgresql_known_versions"]
    version = site.get("postgresql_version", known[0])
    if not any(str(version) == str(one) for one in known):
        yield f"postgresql_version is '{version}': known are {listed(known)}."
    yield from repository(site)
    yield from given_ports(site, "postgresql_port", "postgresql_voters_port")
    yield from _listening(site)
    yield from whole_numbers(
        site,
        {"postgresql_max_connections": (10, 10000), "postgresql_slow_statement_ms": (-1, 2147483647), "postgresql_synchronous_standbys": (0, 64),
         "postgresql_slot_keep_mb": (64, 10000000), "postgresql_memory_mb": (128, 1000000000), "postgresql_cores": (1, 10000)},
    )  # fmt: skip
    share = site["postgresql_memory_share"]
    if not matches("[0-9]*[.]?[0-9]+", share) or not 0.05 <= float(share) <= 1:
        yield f"postgresql_memory_share is '{share}': give a number from 0.05 to 1."
    if site["postgresql_storage"] not in ("ssd", "san", "hdd"):
        yield f"postgresql_storage is '{site['postgresql_storage']}': known are ssd, san and hdd."
    yield from _settings(site)
    lists = list(_lists(site))
    yield from lists
    if not lists:
        yield from _rows(site)
    yield from _several_hosts(site)
    if site["postgresql_voters"]:
        yield from _failover(site)


def voters(site):
    """Say what is wrong with the hosts that vote on who is the primary."""
    site.settle(*HOSTS_OF_SITE)
    hosts = site["etcd_hosts"]
    if not is_list(hosts) or len(hosts) < 3 or len(hosts) % 2 == 0:
        there = f"has {len(hosts)} host{'s' if len(hosts) > 1 else ''}" if is_list(hosts) else "is no list"
        yield f"The group etcd {there}: give an odd number of the site's hosts, three or more, of which some can fail while the others agree; or none."
        return
    parts = [site[f"app_{part}_hosts"] for part in ("web", "database", "balancer", "backup")]
    if strange := [host for host in hosts if not any(host in part for part in parts)]:
        yield f"The group etcd names {listed(strange)}, which is in no other part of the site: give hosts of web, database, balancer or backup."
    for name in ("etcd_root_password", "etcd_password"):
        yield from _long_enough(site, name, f"vault_{name}")
    yield from given_ports(site, "etcd_port", "etcd_peer_port")
    beat, election = site["etcd_heartbeat_ms"], site["etcd_election_ms"]
    if not is_whole(beat, 50, 5000) or not is_whole(election, 500, 50000) or int(election) < 5 * int(beat):
        yield f"etcd_heartbeat_ms is '{beat}' and etcd_election_ms '{election}': give whole numbers, the second one at least five times the first."
    prefix = site["etcd_prefix"]
    if not matches("(/[A-Za-z0-9_.-]+)+/", prefix):
        yield f"etcd_prefix is '{prefix}': give words with slashes between them, one before and one behind."


def _long_enough(site, name, vault):
    password = str(site[name] or "")
    if len(password) < 16 or "\n" in password or "\r" in password:
        yield (
            f"{name} is {'no line of at least 16 characters' if password else 'not set'}: put a random one of at least 16 characters into the vault as "
            f"{vault}."
        )


def _failover(site):
    """Say what is wrong with what Patroni needs."""
    if len(site["postgresql_hosts"]) < 2:
        yield "The group etcd is there, and the group database has a single host: there is nobody to take its place."
    yield from _long_enough(site, "postgresql_failover_password", "vault_postgresql_failover_password")
    yield from given_ports(site, "postgresql_failover_port")
    names = ("ttl", "loop", "retry")
    ttl, loop, retry = values = [site[f"postgresql_failover_{name}_seconds"] for name in names]
    if not all(is_whole(value, least, 3600) for value, least in zip(values, (20, 1, 3))) or int(ttl) < int(loop) + 2 * int(retry):
        yield (
            f"postgresql_failover_ttl_seconds is '{ttl}', with '{loop}' between looks and '{retry}' for an answer: give at least 20, 1 and 3, the first "
            "not less than the second and twice the third."
        )
    elif is_whole(site["etcd_election_ms"]) and int(site["etcd_election_ms"]) * 2 > int(retry) * 1000:
        yield (
            f"postgresql_failover_retry_seconds is {retry} and etcd_election_ms {site['etcd_election_ms']}: give at least twice the time in which the "
            "voters choose who leads them, or each choice stops the database."
        )
    connections = site["postgresql_max_connections"]
    if is_whole(connections) and int(connections) < 25:
        yield f"postgresql_max_connections is {connections}: with the group etcd give 25 or more, Patroni's least."


# At what addresses a server listens that a client finds at the loopback.
HEARD = {"127.0.0.1": {"*", "0.0.0.0", "127.0.0.1", "localhost"}, "::1": {"*", "::", "::1", "localhost"}}
HEARD["localhost"] = HEARD["127.0.0.1"] | HEARD["::1"]


def _listening(site):
    """Say where those who need the server would not find it."""
    addresses, port, asked, host = (site[name] for name in ("postgresql_listen_addresses", "postgresql_port", "app_database_port", "app_database_host"))
    name = "[*]|[A-Za-z0-9][A-Za-z0-9.-]*|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*"
    if not is_list(addresses) or not addresses or not all(matches(name, address) for address in addresses):
        yield f"postgresql_listen_addresses is {text_of(addresses)}: give a list of addresses or host names, such as [localhost]."
        return
    is_same_port = str(port) == str(asked)
    # Who says both has something between them.
    if not is_same_port and is_port(port) and is_port(asked) and "app_database_port" not in site.given:
        yield (
            f"postgresql_port is {port}, and the application asks for {asked}: give app_database_port, which postgresql_port follows, or both where a "
            "pooler is between them."
        )
    if is_same_port and site.host in site["app_web_hosts"] and str(host) in HEARD and not HEARD[str(host)] & set(map(str, addresses)):
        yield (
            f"postgresql_listen_addresses is {text_of(addresses)}, and the application on {site.host} asks for the server at {host}: add localhost, or leave "
            "it out."
        )
    web = site["app_web_hosts"] if is_same_port and "app_database_host" not in site.given else []
    others = [other for other in dict.fromkeys([*site["postgresql_hosts"], *web, *site["app_backup_hosts"]]) if other != site.host]
    if others and all(matches(r"localhost|127\..*|::1", address) for address in addresses):
        yield f"postgresql_listen_addresses is {text_of(addresses)}, where {listed(others)} cannot reach {site.host}: give ['*'], or leave it out."


def _settings(site):
    settings = site["postgresql_settings"]
    if not _is_settings(settings):
        yield "postgresql_settings has to be a mapping of names of settings to values of one line."
        return
    values = {key.lower(): str(value) for key, value in settings.items()}
    if elsewhere := [key for key in values if key in OWNED]:
        yield f"postgresql_settings holds {listed(elsewhere)}: that is set by {listed(dict.fromkeys(OWNED[key] for key in elsewhere))}."
    if restored := [key for key in values if matches(OF_A_RESTORE, key)]:
        yield f"postgresql_settings holds {listed(restored)}: that is set by the playbook restore, for its one run."
    if fixed := [key for key in values if key in FIXED]:
        yield f"postgresql_settings holds {listed(fixed)}: this is fixed, since the roles depend on it."
    if values.get("wal_level", "replica").lower() not in ("replica", "logical"):
        yield f"postgresql_settings has the wal_level {values['wal_level']}, from which nothing could be archived: give replica or logical, or leave it out."
    # Each of those who follow takes one of each, and another sender while it is made.
    followers = max(len(site["postgresql_hosts"]) - 1, 0) + len(site["postgresql_receivers"])
    for key, least in {"max_wal_senders": 2 * followers, "max_replication_slots": followers}.items():
        if matches("[0-9]+", values.get(key, "")) and int(values[key]) < least:
            yield f"postgresql_settings has {key} {values[key]}, and the site's other hosts need {least}: give more, or leave it out."


def _is_settings(value):
    """Return whether a value is a mapping of names of settings to values of one line."""
    name = "[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)?"
    return isinstance(value, Mapping) and all(matches(name, key) and is_line(item) for key, item in value.items())


def _said(site, variable):
    """Return by which name the inventory gives a list."""
    source = SOURCES.get(variable)
    return source if source in site.given and variable not in site.given else variable


def _lists(site):
    for variable, (required, of) in LISTS.items():
        rows, known, name = site[variable], site.inputs[of]["options"], _said(site, variable)
        if not is_rows(rows):
            yield f"{name} has to be a list of mappings."
        elif strange := dict.fromkeys(key for row in rows for key in row if key not in known):
            yield f"{name} has an entry with {listed(strange)}: known are {listed(known)}."
        elif not is_rows(rows, required):
            yield f"{name} has an entry without all of {listed(required)}."
        elif wrong := wrong_column(rows, known):
            yield f"{name} has to be a list of mappings in which {wrong}."


def _rows(site):
    roles, databases, access = site["postgresql_roles"], site["postgresql_databases"], site["postgresql_access"]
    of_roles, of_databases = _said(site, "postgresql_roles"), _said(site, "postgresql_databases")
    for variable, rows in ((of_roles, roles), (of_databases, databases)):
        names = [str(row["name"]) for row in rows]
        if len(set(names)) < len(names) or not all(matches("[a-z_][a-z0-9_-]{0,62}", name) for name in names):
            yield (
                f"{variable} names {listed(names)}: each name has to be there once, of at most 63 lower-case letters, digits, underscores and "
                "hyphens, beginning with a letter."
            )
            return
        if reserved := [name for name in names if matches(RESERVED, name)]:
            yield f"{variable} names {listed(reserved)}: PostgreSQL keeps that name for itself."
            return
    for role in roles:
        # What is wrong with the application's own is told of app_database_password.
        if role.get("password") != site["app_database_password"] or is_whole(len(str(role["password"])), 16):
            yield from _password(of_roles, role["name"], str(role.get("password") or ""))
        if not is_whole(role.get("connection_limit", -1), -1, 10000):
            yield f"{of_roles} has the connection_limit {role['connection_limit']} of {role['name']}: give a whole number, or -1 for any."
        if not _is_settings(role.get("settings", {})):
            yield f"{of_roles} has settings of {role['name']} that are none: give values of one line by the names of settings."
    attributes = site["__postgresql_attributes"]
    if strange := [item for role in roles for item in _flat(role.get("attributes", [])) if item not in attributes]:
        yield f"{of_roles} gives {listed(strange)}: a role can have {listed(attributes)}."
    names = {of_roles: [row["name"] for row in roles], of_databases: [row["name"] for row in databases]}
    for variable, among, used in (
        (of_databases, of_roles, [row["owner"] for row in databases]),
        (of_roles, of_databases, [name for row in roles for name in _flat(row.get("databases", []))]),
        ("postgresql_access", of_roles, [row["role"] for row in access]),
        ("postgresql_access", of_databases, [row["database"] for row in access]),
    ):
        if strange := dict.fromkeys(name for name in used if name not in names[among]):
            yield f"{variable} names {listed(strange)}, which is not in {among}."
    if strange := dict.fromkeys(name for role in roles for name in _flat(role.get("member_of", [])) if name not in {*names[of_roles], *PREDEFINED}):
        yield f"{of_roles} has a role member_of {listed(strange)}, which is neither in {of_roles} nor PostgreSQL's own, such as pg_monitor."
    yield from _extensions(site, of_databases, [name for row in databases for name in _flat(row.get("extensions", []))])
    if not all(is_network(row["from"]) and not str(row["from"]).endswith("/0") for row in access):
        yield (
            f"postgresql_access admits from {listed(row['from'] for row in access)}: give the address or the network of the clients, such as "
            "192.0.2.10 or 192.0.2.0/24."
        )


def _flat(value):
    return value if is_list(value) else [value]


def _password(variable, name, password):
    if len(password) >= 16 and not matches("md5[0-9a-f]{32}", password):
        return
    wrong = "is an MD5 hash, which only weak authentication could use" if len(password) >= 16 else "is shorter than 16 characters" if password else "is not set"
    yield f"{variable}: the password of {name} {wrong}: put a random one of at least 16 characters into the vault."


def _extensions(site, variable, names):
    if not all(matches("[a-z_][a-z0-9_-]*", name) for name in names):
        yield f"{variable} names an extension that cannot be; give names such as pg_trgm."
        return
    packages = [str(package) for package in site["postgresql_packages"]]
    for name in dict.fromkeys(names):
        package = next((package for beginning, package in PACKAGED.items() if name.startswith(beginning)), "")
        missing = not any(package in one for one in packages) if package else not packages
        if name not in CONTRIBUTED and missing:
            version = site.get("postgresql_version", "17")
            hint = f"add postgresql-{version}-{package}" if package else "add the one that does"
            yield f"The extension {name} is asked for, and no package of postgresql_packages brings it: {hint}."


# Of the roles that the product makes: password, its name in the vault, and what it is for.
SERVICE_PASSWORDS = {
    "replication": ("postgresql_replication_password", "vault_postgresql_replication_password", "the standbys"),
    "backup": ("postgresql_receiver_password", "vault_postgresql_backup_password", "the backup hosts"),
}


def _several_hosts(site):
    needed = {"replication": len(site["postgresql_hosts"]) > 1, "backup": len(site["postgresql_receivers"]) > 0}
    taken = [role for role, is_needed in needed.items() if is_needed]
    for name, vault, purpose in (SERVICE_PASSWORDS[role] for role in taken):
        password = str(site[name] or "")
        if len(password) < 16 or "\n" in password or "\r" in password:
            yield (
                f"{name} is {'no line of at least 16 characters' if password else 'not set'}: put a random one of at least 16 characters into "
                f"the vault as {vault}, for {purpose}."
            )
    roles = site["postgresql_roles"]
    if own := [row["name"] for row in roles if row["name"] in taken] if is_rows(roles, ["name"]) else []:
        yield f"postgresql_roles names {listed(own)}: a role of this name is made for the site's other hosts."
    hosts, wanted = site["postgresql_hosts"], site["postgresql_synchronous_standbys"]
    standbys = max(len(hosts) - 1, 0)
    if is_whole(wanted, 0, 64) and int(wanted) > standbys:
        there = "is 1 standby" if standbys == 1 else f"are {standbys} standbys"
        yield f"postgresql_synchronous_standbys is {wanted}, and there {there}: no transaction would ever be committed."
    rebuilt = [host for host in _flat(site["postgresql_rebuild"]) if host]
    if strange := [host for host in rebuilt if host not in hosts or not standbys]:
        there = f"the standbys are among {listed(hosts)}" if standbys else "there is no standby"
        yield f"postgresql_rebuild names {listed(strange)}: {there}."


# --- Backups ----------------------------------------------------------------------------------

SCHEDULES = ("full", "differential", "logical", "check", "drill", "offsite")
# The last is pgBackRest's own bound.
BOUNDS = {
    "retention_days": (1, 9999), "logical_retention_days": (1, 9999), "reserve_mb": (32, 100000000), "archive_limit_mb": (32, 1000000000),
    "archive_interval": (10, 86400), "drill_memory_mb": (16, 1000000),
    "drill_hours": (1, 168), "processes": (1, 999),
}  # fmt: skip


def backups(site):
    """Say what is wrong with where backups go, and when."""
    name = site["postgresql_backup_name"]
    if not matches("[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
        yield f"postgresql_backup_name is '{name}': give letters, digits, underscores and hyphens."
    for variable in ("path", "logical_path", "drill_path"):
        path = site[f"postgresql_backup_{variable}"]
        if not matches(PATH, path):
            yield f"postgresql_backup_{variable} is '{path}': give an absolute path without spaces and without a slash at its end."
    # The default one is there, and its path is told once.
    if matches(PATH, site["postgresql_backup_path"]) and (
        wrong := wrong_repositories(site["postgresql_backup_repositories"], str(site["postgresql_backup_passphrase"] or ""))
    ):
        yield wrong
    yield from _places(site)
    yield from _backup_hosts(site)
    if site["postgresql_backup_compression"] not in ("zst", "lz4", "gz"):
        yield f"postgresql_backup_compression is '{site['postgresql_backup_compression']}': known are zst, lz4 and gz."
    passphrase = str(site["postgresql_backup_passphrase"])
    if passphrase and not matches(r"\S[^\r\n]{14,}\S", passphrase):
        wrong = "shorter than 16 characters" if len(passphrase) < 16 else "more than a line, or begins or ends with a space"
        yield (
            f"postgresql_backup_passphrase is {wrong}: put a random one of at least 16 characters into the vault as "
            "vault_postgresql_backup_passphrase, or leave it empty for a repository that is not encrypted."
        )
    yield from whole_numbers(site, {f"postgresql_backup_{name}": bounds for name, bounds in BOUNDS.items()})
    yield from given_ports(site, "postgresql_backup_tls_port", "postgresql_backup_server_port")
    known, version = site["__postgresql_known_versions"], site.get("postgresql_backup_server_version")
    if "postgresql_backup_server_version" in site.given and str(version) not in map(str, known):
        yield f"postgresql_backup_server_version is '{version}': known are {listed(known)}."
    yield from _schedules(site, *(f"postgresql_backup_{name}_schedule" for name in SCHEDULES))
    if not matches(r"([^@\s\"]+(@[^@\s\",]+)?)?", site["postgresql_backup_notify"]):
        yield f"postgresql_backup_notify is '{site['postgresql_backup_notify']}': give a mail address or a local user, or leave it empty."


def uploads(site):
    """Say what is wrong with where copies of uploads go, and when."""
    path, share = site["media_backup_path"], site["media_backup_share"]
    if not matches(PATH, path):
        yield f"media_backup_path is '{path}': give an absolute path without spaces and without a slash at its end."
    if not matches("[0-9]*[.]?[0-9]+", share) or not 0.01 <= float(share) <= 1:
        yield f"media_backup_share is '{share}': give a number from 0.01 to 1."
    for name in ("media_backup_uploads", "media_backup_shared"):
        if name in site.given and (why := why_unseen(str(site[name]), hides_homes(site["media_backup_service_sandbox"]))):
            yield f"{name} is '{site[name]}', and {why}: give the folder as the application has it."
    yield from whole_numbers(site, {"media_backup_retention_days": (1, 9999)})
    yield from given_numbers(site, {"media_backup_repository": (0, MOST)})
    yield from given_ports(site, "media_backup_port")
    yield from _schedules(site, "media_backup_schedule")


def _schedules(site, *names):
    for name in names:
        if not is_schedule(site[name]):
            yield (
                f"{name} is '{site[name]}': give the five fields of cron (minute 0-59, hour 0-23, day 1-31, month 1-12 or jan-dec, weekday 0-7 or sun-sat) "
                "for a day that comes, such as '30 2 * * 0'."
            )


def _places(site):
    """What is kept is nobody else's to write to, and what is written to by others is not kept beside it."""
    rows, own = site["postgresql_backup_repositories"], site["postgresql_backup_path"]
    kept = [row["path"] for row in rows if row.get("type") == "path"] if is_rows(rows, ["path"]) else []
    others = _places_of_others(site)
    places = [("postgresql_backup_path" if path == own else "postgresql_backup_repositories", path) for path in kept]
    places += [(name, site[name]) for name in ("postgresql_backup_logical_path", "postgresql_backup_drill_path", "media_backup_path")]
    hidden = hides_homes(site["postgresql_backup_service_sandbox"])
    places = {(name, path): whose_place(path, hidden=hidden) for name, path in [*others.items(), *places] if matches(PATH, path)}
    for (name, path), place in places.items():
        if place and name not in others:
            yield f"{name} gives '{path}', and {place}: give a folder of its own, such as /var/lib/backups/{site['app_name']}."
    for (name, path), (other, there) in meetings([row for row, place in places.items() if not place]):
        # What is wrong between those of others they say themselves.
        if name not in others:
            yield f"{name} gives '{path}', which meets '{there}' of {other}: give each a folder of its own."


def _places_of_others(site):
    """Return where the application writes to on this host, and what is published of it, by the names of variables."""
    root = str(site["app_root"])
    places = {"app_root": root}
    if site.host in site["app_web_hosts"]:
        media = next((name for name in ("media_backup_uploads", "app_media_path") if name in site.given), "app_media_root")
        places |= {media: site["media_backup_uploads"], **{name: site[name] for name in ("app_static_root", "app_static_store")}}
    return {name: path for name, path in places.items() if name == "app_root" or str(path).startswith("/") and not is_inside(path, root)}


def _backup_hosts(site):
    password = str(site["postgresql_backup_password"])
    if site["__postgresql_backup_role"] != "local" and not matches(r"\S{16,}", password) and not _is_told_of_the_server(site):
        yield (
            f"postgresql_backup_password is {'shorter than 16 characters, or has spaces' if password else 'not set'}: a backup host logs in with it, "
            "so put a random one of at least 16 characters into the vault as vault_postgresql_backup_password."
        )
    paths = site["postgresql_backup_tablespace_paths"]
    if not is_list(paths) or not all(matches(PATH, path) for path in paths):
        yield f"postgresql_backup_tablespace_paths is {text_of(paths)}: give a list of absolute paths, such as [/srv/tablespaces]."
    rows = site["postgresql_backup_repositories"]
    if site["__postgresql_backup_role"] != "local" and is_rows(rows, ["type"]) and not any(map(_is_readable, rows)):
        yield (
            "postgresql_backup_repositories has none that database hosts could be restored from: give one in S3 the reader_key and reader_secret of an "
            "account that can only read, or add one of type path."
        )
    slots = {host: re.sub("[^a-z0-9_]", "_", host.lower())[:SLOT_LETTERS] for host in site["postgresql_backup_hosts"] if len(host) >= SLOT_LETTERS}
    if alike := [host for host, slot in slots.items() if list(slots.values()).count(slot) > 1]:
        yield (
            f"The group backup names {listed(alike)}, which are alike in their first {SLOT_LETTERS} characters: give them names that differ before that, since "
            "their replication slots are named after them; their addresses are ansible_host."
        )
    databases = site["postgresql_backup_database_hosts"]
    if len(databases) > 1 and (both := [host for host in site["postgresql_backup_hosts"] if host in databases]):
        yield (
            f"The group backup names {listed(both)}, which is in the group database too: a host that fetches backups has to be none of several "
            "database hosts."
        )


def _is_told_of_the_server(site):
    """Return whether the same password is told as the server's: one mistake is one sentence."""
    return site.is_in("database") and site["postgresql_receiver_password"] == site["postgresql_backup_password"]


def backup(site):
    """Say what is wrong with the wish of backup.yml."""
    kind = site["postgresql_backup_type"]
    if kind not in ("full", "diff", "incr", "logical", "media", "offsite"):
        yield f"backup_type is '{kind}': known are full, diff, incr, logical, media and offsite."


# --- Restores ---------------------------------------------------------------------------------

# By the word of the command line: the variable that it sets, what it may be, and what to give.
WISHES = {
    "restore_target_name": ("point", "[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}", "the name of a restore point, of letters, digits, underscores, hyphens, dots and colons"),
    "restore_backup_label": ("label", "[0-9]{8}-[0-9]{6}F(_[0-9]{8}-[0-9]{6}[DI])?", "the label of a backup, such as 20260104-031500F"),
    "restore_target_timeline": ("timeline", "latest|current|[1-9][0-9]*", "latest, current or the number of a timeline"),
    "restore_dump": ("dump", "latest|(/[A-Za-z0-9._@:+-]+)+", "latest, or the absolute path of a dump on the database host"),
    "restore_database": ("database", "[a-z_][a-z0-9_-]{0,62}", "the name of a database"),
}


def restore(site):
    """Say what is wrong with the wishes of restore.yml."""
    if site["app_etcd_hosts"] and is_true(site["postgresql_backup_rebuilt"]):
        yield (
            "The playbook rebuild is for a site without voters: take the group etcd out of the inventory, rebuild, and put it in again. Of several database "
            "hosts one that is lost is replaced by site.yml (README of the role etcd)."
        )
        return
    wishes = {name: str(site[f"postgresql_restore_{name}"]) for name in ("time", "confirmation", *(variable for variable, *_form in WISHES.values()))}
    if wishes["time"]:
        seconds = moment_of(wishes["time"])["seconds"]
        if seconds is None:
            yield f"restore_target_time is '{wishes['time']}': give a moment with its time zone, such as 2026-01-31 14:05:00+01:00."
        elif seconds > time.time():
            yield f"restore_target_time is '{wishes['time']}', which is in the future."
    for word, (variable, form, give) in WISHES.items():
        value = wishes[variable]
        if value and not matches(form, value):
            yield f"{word} is '{value}': give {give}."
    rows = site["postgresql_backup_repositories"]
    most, number = len(rows) if is_rows(rows, ["type"]) else 0, site["postgresql_restore_repository"]
    if not is_whole(number, 0, most):
        yield f"restore_repository is '{number}': give the number of one of postgresql_backup_repositories, from 1 to {most}, or 0 for the first that has it."
    elif int(number) and site["__postgresql_backup_role"] != "local" and not wishes["dump"] and not _is_readable(rows[int(number) - 1]):
        yield (
            f"restore_repository is {number}, which database hosts cannot read: the backup host alone holds its key. Give the number of one of type path, or of "
            "one in S3 with a reader_key."
        )
    words = conflicts(wishes | {"removed": is_true(site["postgresql_restore_removed"])})
    confirmed = wishes["database"] if wishes["dump"] else site["postgresql_restore_cluster"]
    if len(words) > 1:
        yield f"{' and '.join(words)} are given: give one of them."
    elif wishes["confirmation"] not in ("", confirmed):
        yield f"restore_in_place is '{wishes['confirmation']}': to put what is restored in the place of what runs, name it: {confirmed}."
    yield from whole_numbers(site, {"postgresql_restore_port": (1024, 65535), "postgresql_restore_headroom_mb": (0, 100000000)})
    port = site["postgresql_restore_port"]
    if str(port) == str(site["postgresql_backup_server_port"]):
        yield f"postgresql_restore_port is {port}, which the server itself listens on: give another."


def _is_readable(row):
    """Return whether a backup host lets database hosts read a repository."""
    return row["type"] == "path" or bool(row.get("reader_key"))


def restore_media(site):
    """Say what is wrong with the wishes about the uploads."""
    wish = site["media_backup_restored"]
    confirmation, cluster = str(site["media_backup_confirmation"]), site["media_backup_cluster"]
    if str(wish).lower() not in ("true", "false", "yes", "no", "1", "0"):
        yield f"restore_media is '{wish}': give true or false."
    elif not is_true(wish):
        return
    elif str(site["postgresql_restore_dump"]):
        yield "restore_media does not go with restore_dump: a dump belongs to no named moment, so no uploads are of the same."
    elif not site["__media_backup_keeper"]:
        reason = (
            "the web hosts are others than the database hosts, and the group backup is empty"
            if site["media_backup_hosts"] else "the site has no web host"
        )  # fmt: skip
        yield f"restore_media is true, yet the uploads are in no backup: {reason}."
    elif confirmation not in ("", cluster):
        yield (
            f"restore_in_place is '{confirmation}': the uploads are put in the place of those of '{cluster}' only when that is its value."
        )


def switchover(site):
    """Say what is wrong with the wishes of switchover.yml."""
    hosts, to = site["postgresql_hosts"], str(site.get("switchover_to", ""))
    force, dead, lag = site.get("switchover_force", False), str(site.get("switchover_dead", "")), site.get("switchover_max_lag_mb", 16)
    if len(hosts) < 2:
        yield "The group database has a single host: there is no standby to switch over to."
        return
    if to not in ["", *hosts]:
        yield f"switchover_to is '{to}': give one of the database's hosts, {listed(hosts)}."
    if not to and len(hosts) > 2:
        yield f"switchover_to is not set: name the new primary, one of {listed(hosts)}."
    if site["postgresql_voters"] and (is_true(force) or dead):
        yield "switchover_force and switchover_dead are for a site without voters: those of the group etcd replace a dead primary by themselves."
        return
    if str(force).lower() not in ("true", "false", "yes", "no"):
        yield f"switchover_force is '{force}': give true for a dead primary, or leave it out."
    if dead and (not is_true(force) or any(host not in hosts for host in dead.split(",") if host)):
        yield (
            f"switchover_dead is '{dead}': together with switchover_force=true, name those of the database's hosts ({listed(hosts)}) that are "
            "switched off, with commas between them."
        )
    if not matches("[0-9]+([.][0-9]+)?", lag):
        yield f"switchover_max_lag_mb is '{lag}': give a number of MB."
    if out := [host for host in hosts if host not in site.run]:
        yield f"--limit leaves out {listed(out)}: a switchover has to ask every host of the database."
