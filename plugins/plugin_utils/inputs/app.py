# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of its application."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping

from ...filter.hosts import site_names
from .accounts import accounts
from .packages import packages
from .parts import parts
from .places import is_inside, place_of_system, whose_place
from .tls import visitors_tls
from .values import (
    HOSTS_OF_SITE, belong_together, given_numbers, given_ports, is_address, is_calendar_event, is_certificate, is_domain, is_key, is_list, is_network, is_pattern,
    is_port, is_rows, is_whole, listed, matches, ports, text_of, told, whole_numbers,
)  # fmt: skip

IDENTIFIER = r"[a-z][a-z0-9_]{0,30}"
# Of a host in the inventory.
HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?"
# A name of PostgreSQL's has 63, and `standby_` stands before that of a host.
SLOT_LETTERS = 55
# What is absolute, leads upwards, or is the folder of manage.py itself.
LEAVES = re.compile(r"^/|(^|/)\.\.(/|$)|^[./]*$")
# systemd.unit(5): a unit is named after the entry.
UNIT = r"[a-z][a-z0-9_-]{0,30}"
UNIT_KEYS = {
    "app_processes": (["name", "command"], ["hosts", "stop_seconds"]),
    "app_timers": (["name", "command", "schedule"], ["hosts", "timeout_seconds", "persistent"]),
}
PORTS = (
    "app_database_port", "app_http_port", "app_https_port", "app_acme_port", "app_backup_port", "app_media_backup_port", "app_etcd_port", "app_etcd_peer_port",
    "app_etcd_metrics_port", "app_patroni_port", "app_logs_port",
)  # fmt: skip
# What a shell takes as it is.
QUOTED = r"""\\.|'[^']*'|"(\\.|[^"\\])*\""""
CHECK_KEYS = ["path", "status", "text", "absent", "host", "headers"]
FILE_KEYS = (["path", "content"], ["owner", "group", "mode"])
# What uv, pip, Poetry and git read of their environment.
INSTALLER = "(UV|PIP|POETRY|GIT_CONFIG)_.*"


def name(site):
    """Say what is wrong with the name that all others derive from."""
    value = site.get("app_name") or ""
    if not matches(IDENTIFIER, value):
        yield (
            f"app_name is {told(value)}: give an identifier of at most 31 lower-case letters, digits and underscores that begins with a letter, "
            "since a system user, a database and units are named after it."
        )


def application(site):
    """Say what is wrong with code, secrets, database and files."""
    site.settle(*HOSTS_OF_SITE)
    if missing := _without_address(site):
        # Much derives from it.
        yield f"app_addresses lacks {listed(missing)}: give the address of every host of the site, or leave it out and give each its app_address."
        return
    yield from accounts(site)
    yield from _repository(site)
    yield from _version(site)
    yield from packages(site)
    for variable, length in (("app_secret_key", 50), ("app_database_password", 16)):
        value = str(site[variable] or "")
        if len(value) < length:
            yield (
                f"{variable} is {f'shorter than {length} characters' if value else 'not set'}: put a random one of at least {length} characters "
                f"into the vault as vault_{variable}."
            )
    yield from _hosts(site)
    yield from whole_numbers(
        site, {"app_request_timeout_seconds": (1, None), "app_request_header_kb": (4, 40), "app_connections_per_address": (0, None)}
    )
    yield from ports(site, *PORTS)
    yield from _same_ports(site)
    yield from _http3(site)
    yield from _environments(site)
    yield from _build_commands(site)
    yield from _modules(site)
    yield from visitors_tls(site)
    yield from _steps(site)
    yield from _paths(site)
    yield from _files(site)
    yield from _units(site)


def _environments(site):
    """What the installer reads is of no use to the application, which does not share its own."""
    environments = {name: site[name] for name in ("app_environment", "app_build_environment")}
    strange = [
        name for name, value in environments.items()
        if not isinstance(value, Mapping) or not all(matches("[A-Za-z_][A-Za-z0-9_]*", key) for key in value)
    ]  # fmt: skip
    for name in strange:
        yield f"{name} has to be a mapping whose names are letters, digits and underscores, none beginning with a digit."
    if not strange and (of_installer := [key for key in environments["app_environment"] if matches(INSTALLER, key) and key not in environments["app_build_environment"]]):
        yield f"app_environment has {listed(of_installer)}, which the application alone gets: give the installer its own in app_build_environment."


def _build_commands(site):
    for entry in site["app_build_commands"] if is_list(site["app_build_commands"]) else []:
        row = {"command": entry} if isinstance(entry, str) else entry
        is_right = is_rows([row], ["command"]) and not set(row) - {"command", "imports_settings"} and isinstance(row.get("imports_settings", False), bool)
        if not is_right or not isinstance(row["command"], str) or not row["command"].strip():
            yield (
                f"app_build_commands holds {text_of(entry)}: give commands, and one that imports the settings as "
                "{command: …, imports_settings: true}."
            )


def _http3(site):
    if not isinstance(site["app_http3"], bool):
        yield f"app_http3 is '{site['app_http3']}': give true or false."
    elif site["app_http3"] and site["app_balancer_hosts"]:
        yield "app_http3 is true, and visitors reach the group balancer, whose HAProxy speaks HTTP/2 with them: leave it at false."


def _same_ports(site):
    """Of hosts that have several parts, only one could listen."""
    bearers = {"22": ["sshd"]}
    # A database that is managed elsewhere listens there.
    for name in PORTS if site["app_database_hosts"] else PORTS[1:]:
        bearers.setdefault(str(site[name]), []).append(name)
    for port, names in bearers.items():
        if len(names) > 1:
            yield f"{names[-1]} is {port}, as is that of {listed(names[:-1])}: give each a port of its own."


def _repository(site):
    repository = str(site.get("app_repository") or "")
    if not repository:
        yield "app_repository is not set: give the git URL of the application, or an absolute path on the controller."
    elif not matches(r"(https?|ssh|git|file)://\S+|(\w[\w.-]*@)?\w[\w.-]*:(?!:)\S+|/\S*", repository):
        yield "app_repository is no git URL, and no absolute path on the controller: give one of the two."
    elif re.search("://[^/@]*:[^/]*@|^https?://[^/]*@", repository):
        yield (
            "app_repository holds a login, which every list of processes would show: give an SSH address, app_repository_key and "
            "app_repository_host_keys."
        )
    elif re.match(r"ssh://|[^/]+:(?!//)", repository) and not site["app_repository_host_keys"]:
        yield (
            "app_repository_host_keys is empty, and app_repository is behind SSH: give the lines that ssh-keyscan prints for its server, compared "
            "with those that the server's owner publishes."
        )
    if not matches(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----\n[^-]*-----END [A-Z ]*PRIVATE KEY-----)?", str(site["app_repository_key"]).strip()):
        yield "app_repository_key is no private key: put the whole file that ssh-keygen made, with its first and last line, into the vault."


def _version(site):
    variable = "deploy_version" if "deploy_version" in site.variables else "app_version"
    value = site[variable]
    if not isinstance(value, str):
        yield f"{variable} is the number {value}: put it into quotes, since YAML makes 1.1 of 1.10."
    elif not matches("[A-Za-z0-9][A-Za-z0-9._/-]*", value):
        yield f"{variable} is '{value}': give a branch, a tag or a commit."


def _hosts(site):
    if not site["app_database_host"]:
        yield (
            "The group database has no host: name one in the inventory, or set app_database_host to the address of a database server "
            "that is managed elsewhere."
        )
    for host in str(site["app_database_host"]).split(",") if site["app_database_host"] else []:
        if not is_address(host.strip()) and not matches("[A-Za-z0-9._-]+|(/[A-Za-z0-9._-]+)+", host.strip()):
            yield (
                f"app_database_host holds '{host}': give names, IP addresses without brackets and port, or directories of sockets, with commas "
                "between them."
            )
    yield from _host_names(site["app_site_hosts"])
    if len(site["app_database_hosts"]) > 1:
        for host in (host for host in site["app_database_hosts"] if len(host) > SLOT_LETTERS):
            yield (
                f"The inventory names a database host '{host}': give one of several at most {SLOT_LETTERS} characters, since its replication slot is named "
                "after it; its address is ansible_host."
            )
    # An authority comes to any of them for the proof that another one has, and nginx looks names up when it starts.
    ask_each_other = site["app_tls"] == "acme" and len(site["app_entrance_hosts"]) > 1
    if (site["app_database_hosts"] + site["app_balancer_hosts"] or ask_each_other) and len(site["app_site_hosts"]) > 1:
        for host, address in site["app_addresses"].items():
            if not is_address(address):
                yield (
                    f"app_address of {host} is '{address}': give each host of a site with several its IP address, since they admit each "
                    "other by it."
                )


def _without_address(site):
    """Return the site's hosts that an address is not known of."""
    addresses = site["app_addresses"]
    return [host for host in site["app_site_hosts"] if not isinstance(addresses, Mapping) or not addresses.get(host)]


def _host_names(hosts):
    """Say which names cannot stand where hosts of a site name each other: in certificates, in configurations, in the names of replication slots."""
    if len(hosts) < 2:
        return
    for host in hosts:
        if not matches(HOST, host):
            yield (
                f"The inventory names a host '{host}': give each host of a site with several a name of letters, digits, dots, underscores and hyphens, since "
                "certificates name it; its address is ansible_host."
            )
    alike = {}
    for host in hosts:
        alike.setdefault(re.sub("[^a-z0-9]", "_", host.lower()), []).append(host)
    for names in alike.values():
        if len(names) > 1:
            said = " and ".join(sorted(names))
            yield f"The inventory names the hosts {said}, which are one name where only letters and digits count: give them names that differ."


def _steps(site):
    steps = site["__app_release_steps"]
    if unknown := [step for step in site["app_release_steps"] if step not in steps]:
        yield f"app_release_steps names {listed(unknown)}: the steps are {listed(steps)}."
    hooks, moments = site["app_hooks"], site["__app_release_moments"]
    if not isinstance(hooks, Mapping):
        yield "app_hooks is no mapping: give moments and the paths of task files."
    elif unknown := [hook for hook in hooks if not matches(f"(before|after)_({'|'.join(moments)})", hook)]:
        yield f"app_hooks names {listed(unknown)}: a moment is before_ or after_ one of {listed(moments)}."
    elif missing := [path for path in hooks.values() if not (str(path).startswith("/") and os.path.isfile(path))]:
        yield f"app_hooks names {listed(missing)}: give the absolute path of a task file on the controller."
    yield from _health_checks("app_health_checks", site["app_health_checks"])


def _health_checks(name, checks):
    if not is_rows(checks, ["path"]) or not checks or not all(matches(r"/\S*", row["path"]) for row in checks):
        yield f"{name} needs at least one check, each with a path that begins with a slash."
        return
    for row in checks:
        statuses, headers = row.get("status", [200]), row.get("headers") or {}
        if strange := [key for key in row if key not in CHECK_KEYS]:
            yield f"{name} has {listed(strange)} in the check of {row['path']}: the keys are {listed(CHECK_KEYS)}."
        elif not statuses or not all(matches("[1-5][0-9]{2}", status) for status in (statuses if is_list(statuses) else [statuses])):
            yield f"{name} has the status {statuses} in the check of {row['path']}: give a list of numbers, such as [200, 302]."
        elif not isinstance(headers, Mapping) or not all(matches("[A-Za-z0-9-]+", header) and matches(r"[^\r\n]*", value) for header, value in headers.items()):
            yield f"{name} has headers in the check of {row['path']} that are no mapping of names to values of one line: give such, or none."


def _modules(site):
    dotted = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
    if not matches(dotted, site["app_settings_module"]):
        yield f"app_settings_module is '{site['app_settings_module']}': give a module as Python imports it, such as shop.settings."
    if not matches(rf"{dotted}(:[A-Za-z_]\w*)?", site["app_wsgi_module"]):
        yield f"app_wsgi_module is '{site['app_wsgi_module']}': give a module and its callable, such as shop.wsgi:application."
    folder = str(site["app_subdirectory"])
    if folder and LEAVES.search(folder):
        yield f"app_subdirectory is '{folder}': give the folder of manage.py inside the repository, or nothing where it is at its root."


def _paths(site):
    if leaving := [path for path in site["app_shared_paths"] if LEAVES.search(str(path))]:
        yield f"app_shared_paths holds {listed(leaving)}: give paths inside the release, relative to the folder of manage.py."
    media = str(site["app_media_root"])
    if not media.startswith("/") and LEAVES.search(media):
        yield f"app_media_root is '{media}': give a folder inside the release, relative to the folder of manage.py, or an absolute path."
    # Releases are removed with all that is in them, as are static files that no release has.
    elif place := whose_place(site["app_media_path"], site["app_root"], site["app_static_store"]):
        yield f"app_media_root is '{media}', and {place}: give a folder of its own, best one below {site['app_root']}/shared."
    if place := place_of_system(site["app_root"]):
        yield f"app_root is '{site['app_root']}', and {place} is the system's: give a folder of its own, such as /srv/{site['app_name']}."
    yield from _static_root(site, str(site["app_static_root"]), media)
    for variable in ["app_static_url"] * (site["app_static_served_by"] == "nginx") + ["app_media_url"] * bool(site["app_media_url"]):
        if not matches("/(.*/)?", site[variable]):
            yield f"{variable} is '{site[variable]}': give a path with a slash at both ends, as Django has it."


def _static_root(site, root, media):
    """What is collected is published, and is handed over to the application; what is uploaded is neither."""
    if not root.startswith("/") and LEAVES.search(root):
        yield f"app_static_root is '{root}': give a folder inside the release, relative to the folder of manage.py, or an absolute path."
        return
    place = whose_place(root, site["app_root"]) if root.startswith("/") else ""
    if place:
        yield f"app_static_root is '{root}', and {place}: give a folder of its own, best one inside the release, as a relative path."
    for name, paths in {"app_media_root": [media], "app_shared_paths": map(str, site["app_shared_paths"])}.items():
        if meeting := [path for path in paths if path.startswith("/") == root.startswith("/") and (is_inside(root, path) or is_inside(path, root))]:
            yield f"app_static_root is '{root}', which meets {listed(meeting)} of {name}: let static files be collected into a folder that is nothing else."


def _files(site):
    """What an entry holds is secret: it is named by its path, or its number."""
    rows = site["app_files"]
    required, optional = FILE_KEYS
    if not is_rows(rows):
        yield f"app_files has to be a list of mappings with {listed(required)} and, where wanted, {listed(optional)}."
        return
    for number, row in enumerate(rows, 1):
        path = str(row.get("path") or "")
        entry = path or f"number {number}"
        if unknown := [key for key in row if key not in required + optional]:
            yield f"app_files has {listed(unknown)} in the entry {entry}: the keys are {listed(required + optional)}."
        elif missing := [key for key in required if row.get(key) is None or key == "path" and not path]:
            yield f"app_files lacks {listed(missing)} in the entry {entry}: give each {listed(required)} and, where wanted, {listed(optional)}."
        elif ".." in path.split("/") or not path.startswith("/") and LEAVES.search(path) or path.endswith("/"):
            yield f"app_files has the path {path}: give that of a file, absolute or relative to the folder of manage.py, without '..'."
        elif "mode" in row and not (isinstance(row["mode"], str) and matches("0?[0-7]{3}", row["mode"])):
            yield f"app_files has the mode {row['mode']} in the entry {entry}: give one such as \"0640\", in quotes, since YAML reads 0640 as a number."
    for path, times in Counter(os.path.normpath(str(row.get("path"))) for row in rows).items():
        if times > 1:
            yield f"app_files names {path} twice: give each file once."


def _units(site):
    entries = []
    for variable, (required, optional) in UNIT_KEYS.items():
        rows = site[variable]
        if not is_list(rows):
            yield f"{variable} has to be a list of mappings with {listed(required)} and, where wanted, {listed(optional)}."
            continue
        for row in rows:
            if not isinstance(row, Mapping) or set(required) - set(row) or set(row) - set(required + optional):
                yield f"{variable} holds {text_of(row)}: give each entry {listed(required)} and, where wanted, {listed(optional)}."
            else:
                entries.append((variable, row))
    for variable, row in entries:
        yield from _unit(variable, row)
    names = Counter(str(row["name"]) for _variable, row in entries)
    if twice := sorted(unit for unit, times in names.items() if times > 1):
        yield f"""app_processes and app_timers name two '{"', '".join(twice)}': give each a name of its own, since a unit is named after it."""


def _of_several(command):
    """Return what is wrong with a command that takes the place of its shell, so that what follows it never runs; empty where nothing does."""
    plain = re.sub(QUOTED, "x", command)
    if "'" in plain or '"' in plain:
        return "close its quotes"
    # What leads output elsewhere joins no commands.
    several = re.search(r";|&|\|\|", re.sub(r"[<>]&[0-9-]|&>", " ", plain))
    return "only the first of several would run; give one command, or sh -c '…' with all of them" if several else ""


def _unit(variable, row):
    if not matches(UNIT, row["name"]):
        yield (
            f"{variable} names one '{row['name']}': give at most 31 lower-case letters, digits, hyphens and underscores that begin with a letter, "
            "since a unit is named after it."
        )
        return
    command = str(row["command"])
    if not matches(r"[^\n]*\S[^\n]*", command):
        yield f"The command of {row['name']} in {variable} is '{command.strip()}': give one command on one line."
    elif wrong := _of_several(command):
        yield f"The command of {row['name']} in {variable} is '{command}': {wrong}."
    if row.get("hosts", "all") not in ("all", "one"):
        yield f"hosts of {row['name']} in {variable} is '{row['hosts']}': give all, or one for the first web host."
    for key in ("stop_seconds", "timeout_seconds"):
        if not is_whole(row.get(key, 1), 1):
            yield f"{key} of {row['name']} in {variable} is '{row[key]}': give a whole number of at least 1."
    # What systemd makes of it is asked on the host, before anything is released.
    schedule = str(row.get("schedule", "daily"))
    if not is_calendar_event(schedule):
        yield (
            f"schedule of {row['name']} in app_timers is '{schedule}': give what systemd.time(7) calls a calendar event, daily or "
            "*-*-* 03:30:00, say."
        )


# --- What serves it ---------------------------------------------------------------------------


def releases(site):
    """Say what is wrong with how releases are made."""
    names = (
        "django_keep_releases", "django_step_timeout_seconds", "django_database_timeout_seconds", "django_migrate_lock_timeout_seconds",
        "django_migrate_statement_timeout_seconds", "django_health_timeout_seconds", "django_health_request_timeout_seconds",
        "django_process_watch_seconds", "django_lock_idle_seconds",
    )  # fmt: skip
    yield from whole_numbers(site, dict.fromkeys(names, (1, None)))
    yield from given_numbers(site, {"django_drain_seconds": (1, None)})
    if site["django_installer"] not in ("uv", "pip"):
        yield f"django_installer is '{site['django_installer']}': give uv or pip."
    served_by = site["app_static_served_by"]
    if served_by not in ("nginx", "elsewhere"):
        yield f"app_static_served_by is '{served_by}': give nginx or elsewhere."
    # Each release has its own copy of what it collected, and the store is made up of these.
    root, store = f"{site['app_static_root']}/", f"{site['app_static_store']}/"
    if served_by == "nginx" and (root.startswith(store) or store.startswith(root)):
        yield (
            f"app_static_root is '{site['app_static_root']}', and {site['app_static_store']} is what the web server serves (app_static_store): "
            "let the application collect elsewhere, best into a folder beside its manage.py."
        )
    if not matches("[1-9][0-9]*|[1-9][0-9]?%|100%", site["django_serial"]):
        yield (
            f"{'deploy_serial' if 'deploy_serial' in site.given else 'django_serial'} is '{site['django_serial']}': give the number of hosts "
            "that switch at once, at least 1, or a percentage of them (50%)."
        )


def application_server(site):
    """Say what is wrong with uWSGI's numbers; what only facts give is right."""
    names = (
        "uwsgi_threads", "uwsgi_max_requests", "uwsgi_memory_max_mb", "uwsgi_tasks_max",
        "uwsgi_buffer_size_bytes", "uwsgi_start_timeout_seconds", "uwsgi_backlog",
    )  # fmt: skip
    yield from whole_numbers(site, dict.fromkeys(names, (1, None)))
    yield from given_numbers(site, dict.fromkeys(("uwsgi_request_timeout_seconds", "uwsgi_drain_seconds"), (1, None)))


# Nothing that ends a word or opens a block in nginx's configuration.
NGINX_PATH = r"/[^\s;{}\"'\\$#]*"


def web_server(site):
    """Say what is wrong with what nginx is told."""
    yield from _domains(site, "nginx_domains")
    if strange := [address for address in site["nginx_balancers"] if not is_address(address)]:
        yield f"nginx_balancers holds '{listed(strange)}': give IP addresses, since the visitor's address is believed by them."
    yield from given_ports(site, "nginx_http_port", "nginx_https_port")
    if is_port(site["nginx_http_port"]) and str(site["nginx_http_port"]) == str(site["nginx_https_port"]):
        yield f"nginx_http_port and nginx_https_port are both {site['nginx_http_port']}: give each its own."
    yield from whole_numbers(
        site,
        {"nginx_read_timeout_seconds": (1, None), "nginx_health_timeout_seconds": (1, None), "nginx_client_max_body_mb": (1, None),
         "nginx_hsts_seconds": (0, None), "nginx_worker_connections": (512, None), "nginx_requests_per_address": (0, None)},
    )  # fmt: skip
    yield from given_numbers(site, {"nginx_connections_per_address": (0, None), "nginx_request_header_kb": (4, 40)})
    if "nginx_health_checks" in site.given:
        yield from _health_checks("nginx_health_checks", site["nginx_health_checks"])
    yield from parts(site)
    yield from _rate_limits(site["nginx_rate_limits"])
    yield from _nginx_certificate(site["nginx_tls_certificate"], site["nginx_tls_key"])
    if not matches(NGINX_PATH, site["nginx_upstream_socket"]):
        yield f"nginx_upstream_socket is '{site['nginx_upstream_socket']}': give the absolute path of a socket."
    prefix = site["nginx_path_prefix"]
    if matches("(/[A-Za-z0-9._~-]+)*", prefix):
        yield from _static_locations(site["nginx_static_locations"])
    else:
        yield (
            f"{'app_path_prefix' if prefix == site['app_path_prefix'] else 'nginx_path_prefix'} is '{prefix}': give a path such as /shop, of letters, "
            "digits, dots, hyphens and underscores, without a slash at its end, or nothing for the root."
        )
    if not matches(r"[^\"\s]+", site["nginx_immutable_pattern"]):
        yield f"nginx_immutable_pattern is '{site['nginx_immutable_pattern']}': give a regular expression without quotation marks and spaces."
    allowed = site["nginx_maintenance_allowed"]
    if not is_list(allowed) or not all(is_network(value) for value in allowed):
        yield f"nginx_maintenance_allowed is {allowed}: give a list of addresses or networks, such as 203.0.113.0/24."


def _domains(site, variable):
    value = site[variable]
    named = "app_domains" if value == site["app_domains"] else variable
    if not is_list(value) or not value:
        yield f"{named} is empty or no list: name at least one host name or address that the site answers to."
    elif bad := [str(domain) for domain in value if not is_domain(domain) and not is_pattern(domain)]:
        yield (
            f"""{named} holds '{"', '".join(bad)}': give host names (letters, digits and hyphens between dots), patterns of them (*.example.org) or """
            "IP addresses, without scheme, port, brackets and spaces."
        )
    elif not site_names(value)["canonical"]:
        yield f"{named} holds {listed(value)} alone: name one host too that checks ask for, or {listed(str(domain)[1:] for domain in value)}."


def _nginx_certificate(certificate, key):
    if certificate and not key:
        yield "nginx_tls_key is not set: nginx_tls_certificate needs its private key, in PEM form, from the vault."
    elif key and not certificate:
        yield "nginx_tls_certificate is not set: nginx_tls_key is of no use without the certificate, in PEM form."
    elif certificate and not is_certificate(certificate):
        yield "nginx_tls_certificate is no certificate in PEM form: give the text of the file, its chain after it."
    elif key and not is_key(key):
        yield "nginx_tls_key is no unencrypted private key in PEM form: give the text of the file."
    elif certificate and not belong_together(certificate, key):
        yield "nginx_tls_key is not the key of nginx_tls_certificate: give the two that belong together."


def _rate_limits(rows):
    keys = ["path", "requests_per_minute"]
    if not is_rows(rows):
        yield f"nginx_rate_limits has to be a list of mappings with {listed(keys)}."
        return
    for row in rows:
        if set(row) != set(keys) or not matches(NGINX_PATH, row["path"]) or not is_whole(row["requests_per_minute"], 1):
            yield f"nginx_rate_limits holds {row}: give a path that begins with a slash, and requests_per_minute, a whole number of at least 1."


def _static_locations(rows):
    if not is_list(rows):
        yield "nginx_static_locations is no list: give one of mappings with url and path, or an empty one."
        return
    urls = Counter(row.get("url") for row in rows if isinstance(row, Mapping))
    if twice := [url for url, times in urls.items() if times > 1]:
        yield f"nginx_static_locations has {listed(twice)} twice, as app_static_url and app_media_url, say: give each place a URL of its own."
    for row in rows:
        if (
            not isinstance(row, Mapping)
            or not matches(NGINX_PATH, row.get("url", ""))
            or row["url"] == "/"
            or not matches(NGINX_PATH, row.get("path", ""))
            or row.get("kind", "static") not in ("static", "media")
        ):
            yield (
                f"nginx_static_locations holds {row}: give a url below the root that begins with a slash, an absolute path, and the kind static "
                "or media."
            )


def balancer(site):
    """Say what is wrong with what HAProxy is told."""
    servers, host = site["haproxy_servers"], site.host
    if not servers:
        yield f"The group balancer has {host}, and the group web has no host: name the web hosts in the inventory."
    elif host in servers:
        yield (
            f"The group balancer has {host}, which the group web has too: both take the ports 80 and 443, so give the balancer a host of its own, "
            "or leave it out where there is one web host."
        )
    for server, address in servers.items():
        if not matches("[A-Za-z0-9._-]+", server) or not is_address(address):
            yield f"haproxy_servers has {server} at '{address}': give names of letters, digits, dots, hyphens and underscores, and IP addresses."
    yield from _domains(site, "haproxy_domains")
    yield from given_ports(site, "haproxy_server_port")
    yield from whole_numbers(
        site,
        {"haproxy_hsts_seconds": (0, None), "haproxy_health_check_interval_seconds": (1, None),
         "haproxy_health_check_timeout_seconds": (1, None), "haproxy_keep_alive_seconds": (1, None),
         "haproxy_max_connections": (100, None), "haproxy_drain_seconds": (0, None), "haproxy_admit_seconds": (10, None)},
    )  # fmt: skip
    yield from given_numbers(site, {"haproxy_timeout_seconds": (1, None), "haproxy_connections_per_address": (0, None)})
    # It is the first one of the application's, whose faults are told by their own name.
    if "haproxy_health_check" in site.given or not any(_health_checks("app_health_checks", site["app_health_checks"])):
        yield from _health_check(site["haproxy_health_check"])
    yield from _balancer_tls(site)


def _health_check(check):
    statuses = check.get("status", [200]) if isinstance(check, Mapping) else []
    statuses = statuses if is_list(statuses) else [statuses]
    if not statuses or not matches(r"/[^\s\"'\\#]*", check.get("path", "")) or not all(matches("[1-5][0-9]{2}", status) for status in statuses):
        yield f"haproxy_health_check is {check}: give a path that begins with a slash, and a list of statuses."


def _balancer_tls(site):
    kind, wanted = site["haproxy_tls"], site["app_balancer_tls"]
    if kind not in ("terminate", "passthrough"):
        # The spec says what they are.
        return
    if kind != wanted:
        yield f"haproxy_tls is {kind}, and the web hosts expect {wanted}: set app_balancer_tls for all of them."
    elif kind == "passthrough" and site["app_tls"] == "self_signed":
        yield (
            "app_tls_certificate is not set: with app_balancer_tls passthrough it is the web hosts that visitors see, and each would show another "
            "self-signed certificate."
        )
    certificate, key = site["haproxy_tls_certificate"], site["haproxy_tls_key"]
    if bool(certificate) != bool(key):
        yield "haproxy_tls_certificate and haproxy_tls_key belong together: set both, or none for a self-signed certificate."
    elif certificate and not belong_together(certificate, key):
        yield "haproxy_tls_key is not the key of haproxy_tls_certificate: give the two that belong together, in PEM form."


def maintenance(site):
    """Say what is wrong with the wish of maintenance.yml."""
    wish = site.get("maintenance", "")
    if str(wish).lower() not in ("on", "off", "true", "false"):
        yield f"maintenance is {told(wish)}: give -e maintenance=on or -e maintenance=off."
