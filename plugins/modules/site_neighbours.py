#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: site_neighbours
short_description: Tell whether a host already belongs to somebody else
description:
  - Reads what a host already has of other applications and of other PostgreSQL clusters, and changes nothing.
  - Says in one sentence why a site must not be set up there; nothing where it may.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  name:
    description: Name of the host, for the sentence.
    type: str
    required: true
  application:
    description: Name of the application that this host is to serve.
    type: str
  databases:
    description: Names of all databases that this host's server is to have.
    type: list
    elements: str
  postgresql_version:
    description: Major version of the PostgreSQL cluster that this host is to run.
    type: str
  postgresql_port:
    description: Its port.
    type: int
  balanced:
    description: Names of the site, and addresses of the web hosts, that this host is to be the balancer of.
    type: list
    elements: str
  backed_up:
    description: Addresses of the database servers whose backups this host is to keep.
    type: list
    elements: str
attributes:
  check_mode:
    description: Only reads, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
"""

EXAMPLES = r"""
- name: See whether the host is free
  selfhost.django.site_neighbours:
    name: "{{ inventory_hostname }}"
    application: shop
"""

RETURN = r"""
found:
  description: What the host has.
  returned: always
  type: dict
refusal:
  description: Why it is not this site's; empty where it is.
  returned: always
  type: str
"""

import glob
import os
import re
import stat

from ansible.module_utils.basic import AnsibleModule

BYTES = 1 << 20
# A line of ours in pg_hba.conf, in every version.
OURS = "# Who is not admitted here is refused."


def read(path):
    """Return the text of a file; nothing where there is none, or something else by its name.

    The postgres account may write to its configuration's folder: no link and no pipe of its making is followed or waited for.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(number, "rb") as file:
        return file.read(BYTES).decode("utf-8", "replace") if stat.S_ISREG(os.fstat(number).st_mode) else ""


def applications(root="/"):
    """Return name and folder of each application that this host serves: it has our unit, and a release or a site of nginx's."""
    sites = "".join(read(path) for path in glob.glob(os.path.join(root, "etc/nginx/conf.d/*.conf")))
    found = {}
    for path in sorted(glob.glob(os.path.join(root, "etc/systemd/system/*@.service"))):
        unit = read(path)
        name = re.search(r"(?m)^ExecStart=/usr/local/bin/([a-z][a-z0-9_]*)-serve %i$", unit)
        home = re.search(r"(?m)^WorkingDirectory=(/.*)/releases/%i/", unit)
        if name and home and (os.path.lexists(os.path.join(root, home[1].lstrip("/"), "current")) or "unix:%s/" % home[1] in sites):
            found[name[1]] = home[1]
    return found


def setting(text, name):
    """Return the last value of a setting in the text of a configuration."""
    values = re.findall(r"(?mi)^[ \t]*%s[ \t]*=?[ \t]*(?:'([^']*)'|([^\s'#]+))" % name, text)
    return "".join(values[-1]) if values else ""


def clusters(root="/"):
    """Return the PostgreSQL clusters that hold data: `version`, `name`, `port` (0 for one without a configuration), `active`."""
    found = []
    for path in sorted(glob.glob(os.path.join(root, "etc/postgresql/*/*/postgresql.conf"))):
        directory = os.path.dirname(path)
        version, name = directory.split(os.sep)[-2:]
        text = "\n".join(map(read, [path, *sorted(glob.glob(os.path.join(directory, "conf.d/*.conf")))]))
        data = setting(text, "data_directory") or "/var/lib/postgresql/%s/%s" % (version, name)
        data = os.path.join(root, data.lstrip("/"))
        port = setting(text + "\n" + read(os.path.join(data, "postgresql.auto.conf")), "port")
        unfinished = os.path.join(root, "var/lib/postgresql/%s-%s.unfinished" % (version, name))
        start = re.findall(r"(?m)^\s*(auto|manual|disabled)", read(os.path.join(directory, "start.conf")))
        found.append(
            {
                "version": version,
                "name": name,
                "port": int(port) if port.isdigit() else 5432,
                "active": start[-1:] in ([], ["auto"]) or os.path.lexists(os.path.join(data, "postmaster.pid")),
                # One that was never finished is nobody's.
                "data": os.path.lexists(os.path.join(data, "PG_VERSION")) and not os.path.lexists(unfinished),
            }
        )
    # Data alone: on a disk of the host before, say.
    known = {(row["version"], row["name"]) for row in found}
    for path in sorted(glob.glob(os.path.join(root, "var/lib/postgresql/*/main/PG_VERSION"))):
        version, name = path.split(os.sep)[-3:-1]
        if (version, name) not in known:
            found.append({"version": version, "name": name, "port": 0, "active": False, "data": True})
    return [{key: value for key, value in row.items() if key != "data"} for row in found if row["data"]]


def databases(root="/"):
    """Return the databases that our rows of pg_hba.conf admit to, by the file's path."""
    found = {}
    for path in sorted(glob.glob(os.path.join(root, "etc/postgresql/*/main/pg_hba.conf"))):
        text = read(path)
        if OURS in text.splitlines():
            names = set(re.findall(r'(?m)^(?:local|host|hostssl) "([^"]+)" ', text)) - {"postgres"}
            if names:
                found["/" + os.path.relpath(path, root)] = sorted(names)
    return found


def balanced(root="/"):
    """Return names and addresses in the configuration of our balancer."""
    text = read(os.path.join(root, "etc/haproxy/haproxy.cfg"))
    names = re.findall(r"(?m)^ *acl ours req\.hdr\(host\),host_only -i -m str (.*)$", text)
    servers = re.findall(r"(?m)^ *server \S+ (\S+):\d+", text)
    return sorted({word.strip("[]") for word in " ".join(names + servers).split()}) if names else []


def backed_up(root="/"):
    """Return the addresses of the servers whose backups are kept here."""
    return sorted(set(re.findall(r"(?m)^pg\d+-host=(\S+)$", read(os.path.join(root, "etc/pgbackrest.conf")))))


def look(root="/"):
    """Return what this host has."""
    return {
        "applications": applications(root),
        "clusters": clusters(root),
        "databases": databases(root),
        "balanced": balanced(root),
        "backed_up": backed_up(root),
    }


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
                "to %s, or upgrade it there first (pg_upgradecluster %s main), or, where nobody needs its data, drop it (pg_dropcluster %s main)."
                % (host, cluster, version, row["version"], row["version"], row["version"])
            )
        if row["active"] and row["port"] == port:
            return (
                "%s already has the PostgreSQL cluster %s on port %d, which is postgresql_port of this inventory: set postgresql_port to another one, or "
                "give %s another port in /etc/postgresql/%s/postgresql.conf and restart it." % (host, cluster, port, cluster, cluster)
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
        "backups, remove /etc/pgbackrest.conf there." % (host, ", ".join(found["backed_up"]))
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


def main():
    """Look, and say."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "application": {"type": "str"},
            "databases": {"type": "list", "elements": "str"},
            "postgresql_version": {"type": "str"},
            "postgresql_port": {"type": "int"},
            "balanced": {"type": "list", "elements": "str"},
            "backed_up": {"type": "list", "elements": "str"},
        },
        required_together=[("postgresql_version", "postgresql_port")],
        supports_check_mode=True,
    )
    found = look()
    module.exit_json(changed=False, found=found, refusal=refusal(module.params["name"], found, module.params))


if __name__ == "__main__":
    main()
