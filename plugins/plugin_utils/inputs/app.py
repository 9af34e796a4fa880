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
from .code import code
from .packages import packages
from .parts import is_path, parts, wrong_path
from .places import FOLDER, LEAVES, meet, places
from .tls import certificate_pair, visitors_tls
from .units import units
from .values import (
    HOSTS_OF_SITE, ONE_LINE, PLACE, are_headers, given_numbers, given_ports, is_address, is_domain, is_list, is_network, is_pattern, is_port, is_rows, is_text,
    is_true, is_value, is_variable, listed, matches, ports, text_of, told, whole_numbers,
)  # fmt: skip

IDENTIFIER = r"[a-z][a-z0-9_]{0,30}"
# Of a host in the inventory.
HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?"
# A name of PostgreSQL's has 63, and `standby_` stands before that of a host.
SLOT_LETTERS = 55
PORTS = (
    "app_database_port", "app_http_port", "app_https_port", "app_acme_port", "app_backup_port", "app_media_backup_port", "app_etcd_port", "app_etcd_peer_port",
    "app_etcd_metrics_port", "app_patroni_port", "app_logs_port",
)  # fmt: skip
# What a role listens on in the place of these, where the inventory says so.
OF_ROLES = {
    "app_database_port": "postgresql_port", "app_http_port": "nginx_http_port", "app_https_port": "nginx_https_port",
    "app_backup_port": "postgresql_backup_tls_port", "app_media_backup_port": "media_backup_port", "app_etcd_port": "etcd_port",
    "app_etcd_peer_port": "etcd_peer_port", "app_patroni_port": "postgresql_failover_port", "app_logs_port": "logs_port",
}  # fmt: skip
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
    yield from code(site)
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
    yield from _database_options(site)
    yield from _build_commands(site)
    yield from _modules(site)
    yield from visitors_tls(site)
    yield from _steps(site)
    yield from places(site)
    yield from _urls(site)
    yield from _files(site)
    yield from units(site)


def _environments(site):
    """What the installer reads is of no use to the application, which does not share its own. No sentence holds a value, which may be a secret."""
    environments = {name: site[name] for name in ("app_environment", "app_build_environment")}
    strange = [name for name, value in environments.items() if not isinstance(value, Mapping) or not all(map(is_variable, value))]
    for name in strange:
        yield (
            f"{name} has to be a mapping whose names are letters, digits and underscores, none beginning with a digit, and in quotes where YAML has "
            "a word for it (\"YES\")."
        )
    if strange:
        return
    for name, value in environments.items():
        if several := [key for key, text in value.items() if not is_value(text)]:
            yield f"{name} has more than a text for {listed(several)}: give one text in quotes, written as the application reads it, or nothing."
    if of_installer := [key for key in environments["app_environment"] if matches(INSTALLER, key) and key not in environments["app_build_environment"]]:
        yield f"app_environment has {listed(of_installer)}, which the application alone gets: give the installer its own in app_build_environment."


def _database_options(site):
    options = site["app_database_options"]
    rows = options.items() if isinstance(options, Mapping) else ()
    if strange := [name for name, value in rows if not matches("[a-z][a-z0-9_]*", name) or not is_text(value) or not matches(ONE_LINE, value)]:
        yield (
            f"app_database_options has {listed(strange)}: give names as libpq has them (sslmode, connect_timeout) and values of one line, "
            "a word such as off in quotes."
        )


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
    if is_true(site["app_http3"]) and site["app_balancer_hosts"]:
        yield "app_http3 is true, and visitors reach the group balancer, whose HAProxy speaks HTTP/2 with them: leave it at false."


def _same_ports(site):
    """Of hosts that have several parts, only one could listen. What is no port is told elsewhere."""
    sshd = next((name for name in ("hardening_ssh_port", "ansible_port") if name in site.given), "sshd")
    # A database that is managed elsewhere listens there.
    names = [OF_ROLES[name] if OF_ROLES.get(name) in site.given else name for name in (PORTS if site["app_database_hosts"] else PORTS[1:])]
    bearers = {}
    for name, port in [(sshd, site["hardening_ssh_port"]), *((name, site[name]) for name in names)]:
        if is_port(port):
            bearers.setdefault(int(port), []).append(name)
    for port, names in bearers.items():
        if len(names) > 1:
            # The one that somebody wrote.
            said = next((name for name in reversed(names) if name in site.given), names[-1])
            hint = ", or set hardening_ssh_port where sshd has another than Ansible connects to" if "ansible_port" in names else ""
            yield f"{said} is {port}, as is that of {listed(name for name in names if name != said)}: give each a port of its own{hint}."
    opened, asked = site.get("firewall_ssh_port"), site["hardening_ssh_port"]
    if "firewall_ssh_port" in site.given and is_port(opened) and is_port(asked) and int(opened) != int(asked):
        yield f"firewall_ssh_port is {opened}, and sshd listens on {asked} (hardening_ssh_port): leave the first one out, or nobody gets in."


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
    steps, given = site["__app_release_steps"], site["app_release_steps"]
    if is_list(given) and (unknown := [step for step in given if step not in steps]):
        yield f"app_release_steps names {listed(unknown)}: the steps are {listed(steps)}."
    hooks, moments = site["app_hooks"], site["__app_release_moments"]
    if not isinstance(hooks, Mapping):
        yield "app_hooks is no mapping: give moments and the paths of task files."
    elif unknown := [hook for hook in hooks if not matches(f"(before|after)_({'|'.join(moments)})", hook)]:
        yield f"app_hooks names {listed(unknown)}: a moment is before_ or after_ one of {listed(moments)}."
    elif missing := [path for path in hooks.values() if not (str(path).startswith("/") and os.path.isfile(path))]:
        yield f"app_hooks names {listed(missing)}: give the absolute path of a task file on the controller."
    if "app_health_checks" in site.given:
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
        elif not are_headers(headers):
            yield f"{name} has headers in the check of {row['path']} that are no mapping of names to values of one line: give such, or none."


def _modules(site):
    dotted = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
    if not matches(dotted, site["app_settings_module"]):
        yield f"app_settings_module is '{site['app_settings_module']}': give a module as Python imports it, such as shop.settings."
    if not matches(rf"{dotted}(:[A-Za-z_]\w*)?", site["app_wsgi_module"]):
        yield f"app_wsgi_module is '{site['app_wsgi_module']}': give a module and its callable, such as shop.wsgi:application."
    folder = str(site["app_subdirectory"])
    if folder and (LEAVES.search(folder) or not matches(FOLDER, folder)):
        yield f"app_subdirectory is '{folder}': give the folder of manage.py inside the repository, without spaces, or nothing where it is at its root."


def _urls(site):
    """What nginx serves from files; of what derives from app_path_prefix that is told."""
    names = ["app_static_url"] * (site["app_static_served_by"] == "nginx") + ["app_media_url"] * bool(site["app_media_url"])
    for name in names:
        url = site[name]
        if name not in site.given:
            continue
        if not is_path(url) or not matches(r"/(\S*/)+", url):
            yield f"{name} is '{url}': give a path with a slash at both ends, as Django has it, and below the root."
        elif wrong := wrong_path(url):
            yield f"{name} is '{url}', by which nothing would be served: {wrong}."
    if len(names) > 1 and len({site[name] for name in names}) < 2 and "nginx_static_locations" not in site.given:
        yield f"app_static_url and app_media_url are both '{site['app_media_url']}': give each place a URL of its own."


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
    if served_by == "nginx" and matches(f"{PLACE}/?", site["app_static_root"]) and meet(site["app_static_root"], str(site["app_static_store"])):
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
    """Say what is wrong with uWSGI's numbers and options; what only facts give is right."""
    names = ("uwsgi_processes", "uwsgi_threads", "uwsgi_max_requests", "uwsgi_memory_max_mb", "uwsgi_tasks_max", "uwsgi_start_timeout_seconds")
    # The most that the protocol has for a request (uwsgi-docs, "The uwsgi Protocol"), and uWSGI's own default; a queue is an int of the kernel's.
    yield from whole_numbers(site, dict.fromkeys(names, (1, None)) | {"uwsgi_buffer_size_bytes": (4096, 65535), "uwsgi_backlog": (1, 2147483647)})
    yield from given_numbers(site, dict.fromkeys(("uwsgi_request_timeout_seconds", "uwsgi_drain_seconds"), (1, None)))
    options = site["uwsgi_options"]
    lists = {name: value if is_list(value) else [value] for name, value in options.items()} if isinstance(options, Mapping) else {}
    if strange := [name for name, values in lists.items() if not matches("[A-Za-z][A-Za-z0-9_.-]*", name) or not all(map(_is_option, values))]:
        yield f"uwsgi_options has {listed(strange)}: give names as uWSGI has them, and to each a value of one line, or a list of such."


def _is_option(value):
    """Return whether a value is one that a line of uWSGI's configuration holds."""
    return isinstance(value, (str, int, float)) and matches(ONE_LINE, value)


def web_server(site):
    """Say what is wrong with what nginx is told."""
    yield from _domains(site, "nginx_domains")
    balancers = site["nginx_balancers"]
    if is_list(balancers) and (strange := [address for address in balancers if not is_address(address)]):
        yield f"nginx_balancers holds '{listed(strange)}': give IP addresses, since the visitor's address is believed by them."
    yield from given_ports(site, "nginx_http_port", "nginx_https_port")
    yield from whole_numbers(
        site,
        {"nginx_read_timeout_seconds": (1, None), "nginx_health_timeout_seconds": (1, None), "nginx_client_max_body_mb": (1, None),
         "nginx_hsts_seconds": (0, None), "nginx_worker_connections": (512, None), "nginx_requests_per_address": (0, None)},
    )  # fmt: skip
    yield from given_numbers(site, {"nginx_connections_per_address": (0, None), "nginx_request_header_kb": (4, 40)})
    if "nginx_health_checks" in site.given:
        yield from _health_checks("nginx_health_checks", site["nginx_health_checks"])
    yield from parts(site)
    yield from certificate_pair(site, "nginx_tls_certificate", "nginx_tls_key")
    # What it is made of is told by its own name.
    socket = site["nginx_upstream_socket"]
    if "nginx_upstream_socket" in site.given and not matches(PLACE, socket):
        yield f"nginx_upstream_socket is '{socket}': give the absolute path of a socket, of letters, digits, dots, hyphens and underscores."
    prefix = site["nginx_path_prefix"]
    if not matches(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", prefix):
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
    # It is the first one of the application's, whose faults are told by their own name, as are those of the path that it has by default.
    own = "app_health_checks" in site.given and not any(_health_checks("app_health_checks", site["app_health_checks"]))
    if own or "haproxy_health_check" in site.given:
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
    yield from certificate_pair(site, "haproxy_tls_certificate", "haproxy_tls_key")


def maintenance(site):
    """Say what is wrong with the wish of maintenance.yml."""
    wish = site.get("maintenance", "")
    if str(wish).lower() not in ("on", "off", "true", "false"):
        yield f"maintenance is {told(wish)}: give -e maintenance=on or -e maintenance=off."
