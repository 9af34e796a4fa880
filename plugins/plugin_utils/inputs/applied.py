# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Which inputs the roles of a host read, and digests of what they are, by which a later run sees what has changed since."""

from __future__ import annotations

import hashlib
import json
import re

from .names import WORDS
from .values import HOSTS_OF_SITE

# What sets a web host up before a release comes to it: files of roles. A release reads the rest, in every run.
OF_WEB_HOSTS = (
    "uwsgi/tasks/*.yml", "uwsgi/templates/*", "nginx/tasks/*.yml", "nginx/templates/*", "acme/tasks/*.yml", "acme/templates/*",
    "media_backup/tasks/offer.yml", "media_backup/tasks/server.yml", "media_backup/tasks/listen.yml", "media_backup/templates/media-server*",
    "django/tasks/main.yml", "django/tasks/account.yml", "django/tasks/directories.yml", "django/templates/run.j2", "django/templates/manage.j2",
)  # fmt: skip
# What only the rest of a site reads, by the variable that says whether there are hosts of it.
OF_THE_SITE = {
    "app_site_hosts": ("guard", "hardening", "firewall"), "app_database_hosts": ("postgresql", "postgresql_backup", "media_backup"),
    "app_backup_hosts": ("postgresql_backup", "media_backup"), "app_balancer_hosts": ("haproxy", "acme"), "app_etcd_hosts": ("etcd",),
    "app_logs_hosts": ("logs",),
}  # fmt: skip
NAME = re.compile(r"\b(?:__)?[a-z]+(?:_[a-z0-9]+)+\b")
# Of one run alone, given on the command line or by its hosts.
OF_A_RUN = re.compile(rf"\b(?:{'|'.join(WORDS)}|ansible_play_\w+)\b")


def reached(texts, definitions):
    """Return the names of variables that texts lead to: those that they mention, and those that the definitions of these mention.

    definitions are texts by name. What is of one run alone, and what leads to nothing else, is left out.
    """
    known, found = [name for text in texts for name in NAME.findall(text)], set()
    while known:
        name = known.pop()
        if name in definitions and name not in found and not OF_A_RUN.search(definitions[name]):
            found.add(name)
            known += NAME.findall(definitions[name])
    return found


def digest(site, name):
    """Return a digest of an input's value, or of its text where only the host's facts give that."""
    value = site.get(name, site.variables.get(name))
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def digests(site, definitions, secrets, roles):
    """Return what a web host is set up with: digests by name, `web` of what its own roles read, `site` of what the rest of the site reads.

    definitions are the texts of variables by name; secrets are the names of inputs of which nothing is told, since everybody may read this;
    roles is the directory of the roles. Of the rest of the site are those that the inventory says something of, or its groups.
    """
    inputs = site.inputs.keys() - secrets
    others = [f"{role}/{part}" for hosts, names in OF_THE_SITE.items() if site.get(hosts) for role in names for part in ("tasks/*", "templates/*")]
    web, rest = (reached(_texts(roles, patterns), definitions) & inputs for patterns in (OF_WEB_HOSTS, others))
    rest &= site.given | set(HOSTS_OF_SITE)
    return {part: {name: digest(site, name) for name in sorted(names)} for part, names in (("web", web), ("site", rest))}


def _texts(roles, patterns):
    """Return the texts of files below the directory of the roles."""
    return [path.read_text() for pattern in patterns for path in sorted(roles.glob(pattern)) if path.is_file()]
