# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""The names of a site and the addresses of its database, as each program that is told of them wants them."""

from __future__ import annotations

from urllib.parse import quote

from ansible_collections.selfhost.django.plugins.module_utils.hosts import address_of, host_in_url


def site_names(domains, served=()):
    """Return what each program is told of the names that a site answers to, a mapping.

    domains are names and addresses; `*.example.org` stands for the names below example.org, `.example.org` for these and itself. served are those
    that are served as the canonical one is, though they are other names.

    canonical       value of the Host header that checks ask with: the first name that is one; empty where all are patterns
    hosts           values of the Host header that are ours
    endings         how further ones end
    allowed_hosts   Django's ALLOWED_HOSTS
    server_names    nginx's server_name, and the patterns in it as they are
    redirected      names from which visitors are sent to the canonical one: all others but addresses, which checks and operators use
    certificate     names and addresses that a certificate is for
    """
    plain = [domain for domain in map(str, domains) if not domain.startswith("*.")]
    hosts = [host_in_url(domain.removeprefix(".")) for domain in plain]
    endings = [ending(domain) for domain in map(str, domains) if ending(domain)]
    certificate = [
        name for domain in map(str, domains) for name in ([domain[1:], f"*{domain}"] if domain.startswith(".") else [domain])
    ]  # fmt: skip
    canonical = next(iter(hosts), "")
    names = [domain for domain in plain[1:] if not domain.startswith(".") and not address_of(domain) and domain not in set(map(str, served))]
    return {
        "canonical": canonical,
        "redirected": [] if address_of(canonical.strip("[]")) else [name for name in names if name.lower() != canonical.lower()],
        "hosts": hosts,
        "endings": endings,
        "allowed_hosts": [ending(domain) or host_in_url(domain) for domain in map(str, domains)],
        "server_names": [host_in_url(domain) for domain in domains],
        "certificate": list(dict.fromkeys(certificate)),
    }


def ending(domain):
    """Return how the names of a pattern end; empty for what is no pattern."""
    return domain.removeprefix("*") if domain.startswith(("*.", ".")) else ""


def database_urls(hosts, engine, user, password, port, name, options):
    """Return the URL of a database, and after it one for each standby: it prefers a standby, each another one first.

    hosts are names, addresses or directories of sockets with commas between them; options are libpq's.
    """
    hosts = [host.strip() for host in str(hosts).split(",")]
    login = f"{quote(str(user), safe='')}:{quote(str(password), safe='')}"

    def url(hosts, options):
        # The place of a host in a URL has none for a directory, and readers disagree on several addresses in brackets: libpq's parameter has.
        apart = hosts[0].startswith("/") or len(hosts) > 1 and any(address_of(host) and ":" in host for host in hosts)
        given = {"host": ",".join(hosts), **options} if apart else options
        query = "&".join(f"{quote(str(key), safe='')}={quote(str(value), safe='')}" for key, value in given.items())
        place = "" if apart else ",".join(map(host_in_url, hosts))
        return f"{engine}://{login}@{place}:{port}/{name}{'?' if query else ''}{query}"

    return [url(hosts, options)] + [
        url([first, *(host for host in hosts if host != first)], {**options, "target_session_attrs": "prefer-standby"}) for first in hosts[1:]
    ]


def database_options(host, hosts, here, authority):
    """Return the options of a web host's connections, as libpq names them: a mapping.

    host is where the database is asked for, hosts are the site's database hosts, here is this host's name, authority the path of the certificate
    that proves the others. On a loopback nothing leaves the host, and TLS would cost each connection a handshake; one that leads to another host, by
    a tunnel say, is as that one wants it.
    """
    if host.strip() == "127.0.0.1":
        return {"sslmode": "disable"} if list(hosts) == [here] else {}
    if not hosts:
        return {}
    return {"sslmode": "verify-full", "sslrootcert": authority, "target_session_attrs": "read-write", "connect_timeout": 5}


# libpq has a variable for each option, of the same name but for these (PostgreSQL manual, "Environment Variables").
VARIABLES = {"connect_timeout": "PGCONNECT_TIMEOUT", "application_name": "PGAPPNAME"}


def libpq_variables(options):
    """Return the environment variables for options of a connection, as libpq names both."""
    return {VARIABLES.get(name, f"PG{name.replace('_', '').upper()}"): str(value) for name, value in options.items()}


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Return the filters."""
        return {
            "database_options": database_options, "database_urls": database_urls, "host_in_url": host_in_url, "libpq_variables": libpq_variables,
            "site_names": site_names,
        }  # fmt: skip
