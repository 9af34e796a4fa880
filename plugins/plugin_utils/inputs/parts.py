# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what nginx is told of a site's other names, headers, paths that have moved, and parts that not everybody sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .values import is_list, is_network, is_rows, listed, matches

# Nothing that ends a word or opens a block in nginx's configuration.
PATH = r"/[^\s;{}\"'\\$#]*"
TARGET = r"(https?://[^\s;{}\"'\\$#/]+)?/[^\s;{}\"'\\$]*"
PROTECTED = {"path", "networks", "users"}


def parts(site):
    """Say what is wrong with them; a password is told by its name alone."""
    served, domains = site["nginx_domains_served"], site["nginx_domains"]
    if not is_list(served) or is_list(domains) and (strange := [name for name in map(str, served) if name not in set(map(str, domains))]):
        yield (
            f"app_domains_served holds {listed(strange) if is_list(served) else served}: give a list of names that app_domains holds, too, since the site "
            "answers to no other."
        )
    headers = site["nginx_headers"]
    if not isinstance(headers, Mapping) or not all(matches("[A-Za-z0-9-]+", name) and matches(r"[^\n$]+", value) for name, value in headers.items()):
        yield "nginx_headers has to be a mapping of names (letters, digits, hyphens) to values of one line without $."
    elif [name for name in headers if name.lower() == "strict-transport-security"]:
        yield "nginx_headers holds Strict-Transport-Security: say it by nginx_hsts_seconds, which waits for a certificate that browsers trust."
    yield from _redirects(site["nginx_redirects"])
    yield from _protected(site["nginx_protected"])


def _redirects(rows):
    if not is_rows(rows):
        yield "nginx_redirects has to be a list of mappings with from, to and, where wanted, status."
        return
    for row in rows:
        if (
            set(row) - {"from", "to", "status"} or not matches(PATH, row.get("from", "")) or not matches(TARGET, row.get("to", ""))
            or not matches("30[1278]", row.get("status", 301))
        ):  # fmt: skip
            yield f"nginx_redirects holds {dict(row)}: give from, a path, to, a path or URL, and a status of 301, 302, 307 or 308."
    if twice := [path for path, times in Counter(str(row.get("from")) for row in rows).items() if times > 1]:
        yield f"nginx_redirects sends {listed(twice)} to two places: give each path once."


def _protected(rows):
    if not is_rows(rows, ["path"]):
        yield "nginx_protected has to be a list of mappings with path, and networks, users or both."
        return
    for row in rows:
        path, users, networks = row["path"], row.get("users", {}), row.get("networks", [])
        if not matches(PATH, path):
            yield f"nginx_protected has the path {path}: give one that begins with a slash, such as /admin/."
        elif set(row) - PROTECTED or not set(row) & {"networks", "users"}:
            yield f"nginx_protected has the keys {listed(sorted(row))} for {path}: give path, and networks, users or both."
        elif not is_list(networks) or not all(is_network(value) for value in networks):
            yield f"nginx_protected lets {networks} into {path}: give a list of addresses or networks, such as 203.0.113.0/24."
        elif not isinstance(users, Mapping) or "users" in row and not users:
            yield f"nginx_protected has users for {path} that are no mapping: give crypt hashes by name."
        elif wrong := [name for name, value in users.items() if not matches(r"[A-Za-z0-9._@-]+", name) or not matches(r"\$[0-9a-z]+\$\S+", value)]:
            yield f"nginx_protected gives {listed(wrong)} no usable password for {path}: give a plain name and a crypt hash (mkpasswd), from the vault."
    if twice := [path for path, times in Counter(str(row["path"]) for row in rows).items() if times > 1]:
        yield f"nginx_protected has {listed(twice)} twice: give each path once."
