# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether a host belongs to somebody else: pure functions of what it has (module_utils/neighbours.py) and of what it is to be."""

from __future__ import annotations

from ..filter.hosts import site_names
from ..module_utils.hosts import host_in_url
from .inputs.values import HOSTS_OF_SITE


def wanted_of(site):
    """Return what a host is to be, of a Site, as refusal takes it."""
    site.settle(*HOSTS_OF_SITE)
    wanted = {}
    if site.is_in("web"):
        wanted["application"] = site["app_name"]
    if site.is_in("database"):
        wanted["databases"] = sorted({row["database"] for row in site["__postgresql_local_access"] + site["__postgresql_remote_access"]})
        wanted["postgresql_version"], wanted["postgresql_port"] = str(site["postgresql_version"]), int(site["postgresql_port"])
    if site.is_in("balancer"):
        names = site_names(site["app_domains"])
        addresses = [host_in_url(site["app_addresses"][host]) for host in site["app_web_hosts"]]
        wanted["balanced"] = [name.strip("[]") for name in names["hosts"] + names["endings"] + addresses]
    if site.is_in("backup"):
        # A server that took the place of a lost one has its name, or its address.
        wanted["backed_up"] = [name for host in site["app_database_hosts"] for name in (host, site["app_addresses"][host])]
    return wanted


def refuse_application(host, found, application):
    others = sorted(set(found["applications"]) - {application})
    if not others:
        return ""
    other = others[0]
    return (
        "%s already serves %s, and this inventory's app_name is %s: a host serves one application, which is not renamed by app_name; put app_name "
        "back, or give %s hosts of its own, or, where %s has had its day, stop its units there and remove /etc/systemd/system/%s[.@-]* and "
        "/etc/nginx/conf.d/%s.conf (%s stays)." % (host, other, application, application, other, other, other, found["applications"][other])
    )


def refuse_databases(host, found, wanted):
    for path, names in found["databases"].items():
        if not set(names) & set(wanted):
            return (
                "The PostgreSQL server of %s already serves the database %s, which this inventory does not declare: its application would lose access; "
                "give this one a server of its own, or declare %s in postgresql_databases, too, or, where nobody needs it any more, take its lines out "
                "of %s." % (host, ", ".join(names), names[0], path)
            )
    return ""


def refuse_cluster(host, found, version, port):
    others = [row for row in found["clusters"] if (row["version"], row["name"]) != (version, "main")]
    ours = len(others) < len(found["clusters"])
    for row in others:
        cluster = "%s/%s" % (row["version"], row["name"])
        if row["name"] == "main" and not ours:
            return (
                "%s already has the PostgreSQL cluster %s, and postgresql_version is %s: an empty cluster would take its place; set postgresql_version "
                "to %s, or upgrade it by the playbook upgrade_postgresql, or, where nobody needs its data, drop it (pg_dropcluster %s main)."
                % (host, cluster, version, row["version"], row["version"])
            )
        if row["active"] and row["port"] == port:
            return (
                "%s already has the PostgreSQL cluster %s on port %d, which is postgresql_port of this inventory: set app_database_port, which it follows, "
                "to another one, or give %s another port in /etc/postgresql/%s/postgresql.conf and restart it." % (host, cluster, port, cluster, cluster)
            )
    return ""


def refuse_balancer(host, found, wanted):
    if not found["balanced"] or set(found["balanced"]) & set(wanted):
        return ""
    return (
        "%s already is the balancer of another site (%s): give this one a balancer of its own, or, where the other site has had its day, remove "
        "/etc/haproxy/haproxy.cfg there." % (host, ", ".join(found["balanced"]))
    )


def refuse_backups(host, found, wanted):
    if not found["backed_up"] or set(found["backed_up"]) & set(wanted):
        return ""
    return (
        "%s already keeps the backups of another site (of the servers %s): give this one a backup host of its own, or, where nobody needs the other's "
        "backups, remove /etc/pgbackrest/pgbackrest.conf there." % (host, ", ".join(found["backed_up"]))
    )


def refusal(host, found, wanted):
    """Say why a host is not this site's; nothing where it is, or where it is not asked for. The first reason is enough."""
    given = {name: value for name, value in wanted.items() if value is not None}
    sentences = [
        refuse_application(host, found, given["application"]) if "application" in given else "",
        refuse_cluster(host, found, given["postgresql_version"], given["postgresql_port"]) if "postgresql_version" in given else "",
        refuse_databases(host, found, given["databases"]) if "databases" in given else "",
        refuse_balancer(host, found, given["balanced"]) if "balanced" in given else "",
        refuse_backups(host, found, given["backed_up"]) if "backed_up" in given else "",
    ]
    return next(filter(None, sentences), "")
