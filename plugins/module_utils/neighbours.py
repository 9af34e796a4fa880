# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What a host has of applications, PostgreSQL clusters, balancers and backups: read by name, and nothing is changed."""

from __future__ import annotations

import glob
import json
import os
import re

from .paths import read_text

BYTES = 1 << 20
# A line of ours in pg_hba.conf, in every version.
OURS = "# Who is not admitted here is refused."


def read(path):
    """Return the text of a plain file; nothing where there is none. The postgres account may write to its configuration's folder."""
    return read_text(path, BYTES)


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
                "port": int(port) if re.fullmatch("[0-9]{1,5}", port) else 5432,
                # Patroni starts one that systemd does not.
                "active": start[-1:] in ([], ["auto"])
                or os.path.lexists(os.path.join(data, "postmaster.pid"))
                or os.path.lexists(os.path.join(root, "etc/patroni/%s-%s.yml" % (version, name))),
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
    names = re.findall(r"(?m)^ *acl ours req\.hdr\(host\),host_only -i -m (?:str|end) (.*)$", text)
    servers = re.findall(r"(?m)^ *server \S+ (\S+):\d+", text)
    return sorted({word.strip("[]") for word in " ".join(names + servers).split()}) if names else []


def backed_up(root="/"):
    """Return the servers whose backups are kept here, by their addresses and by the names that their inventory gives them."""
    text = "\n".join(read(os.path.join(root, path)) for path in ("etc/pgbackrest/pgbackrest.conf", "etc/pgbackrest.conf"))
    addresses = set(re.findall(r"(?m)^pg\d+-host=(\S+)$", text))
    try:
        names = json.loads(read(os.path.join(root, "etc/pgbackrest/postgresql-backup.json")))["hosts"]
    except (ValueError, LookupError, TypeError):
        names = ()
    return sorted(addresses | set(names if addresses else ()))


def look(root="/"):
    """Return what this host has."""
    return {
        "applications": applications(root),
        "clusters": clusters(root),
        "databases": databases(root),
        "balanced": balanced(root),
        "backed_up": backed_up(root),
    }
