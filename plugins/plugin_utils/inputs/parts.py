# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what nginx is told of a site's other names, headers, and paths: files, limits, what has moved, and what not everybody sees."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...filter.decoded_paths import decoded
from .values import are_headers, is_list, is_network, is_rows, is_true, is_whole, listed, matches

# Of a URL, without its query: nothing that ends a word or opens a block in nginx's configuration. A space is one there in quotes.
PATH = r"/[^\x00-\x1f\x7f;{}\"'\\$#?]*"
TARGET = r"(https?://[^\s;{}\"'\\$#/?]+)?/[^\s;{}\"'\\$]*|https?://[^\s;{}\"'\\$#/?]+"
# Of a file or a folder.
FILE = r"/[^\s;{}\"'\\$#]*"
PROTECTED = {"path", "networks", "users"}
# What nginx reads as a variable, and of which no header is made.
NO_VALUE = r"\x00-\x1f\x7f$"
GIVE_HEADERS = "names (letters, digits, hyphens) to values of one line without $; a word such as off belongs into quotes"
# Where its configuration and that of others lies (dpkg --listfiles nginx-common).
OF_NGINX = {
    "conf.d", "fastcgi.conf", "fastcgi_params", "koi-utf", "koi-win", "mime.types", "modules-available", "modules-enabled", "nginx.conf", "proxy_params",
    "scgi_params", "sites-available", "sites-enabled", "snippets", "uwsgi_params", "win-utf",
}  # fmt: skip


def wrong_path(path):
    """Return why nothing would ever match the path of a URL, as the end of a sentence; empty where it is one that nginx compares with others.

    It takes percent signs away first, then what leads upwards, and of several slashes all but one (nginx's manual, `$uri`).
    """
    try:
        plain = decoded(path)
    except UnicodeDecodeError:
        plain = ""
    if not plain or re.search("%(?![0-9A-Fa-f]{2})", str(path)):
        return "write the percent sign itself as %25, and letters as they are"
    if re.search(r"[\x00-\x1f\x7f\"\\$]", plain):
        return "give a path without quotation marks, backslashes and dollar signs"
    if "//" in plain or {".", ".."} & set(plain.split("/")):
        return "give it without // and without parts that are dots, as the web server sees it"
    return ""


def is_path(path):
    """Return whether a value looks like the path of a URL; whether anything matches it, wrong_path tells."""
    return isinstance(path, str) and matches(PATH, path)


def parts(site):
    """Say what is wrong with them; a password is told by its name alone."""
    served, domains = site["nginx_domains_served"], site["nginx_domains"]
    if not is_list(served) or is_list(domains) and (strange := [name for name in map(str, served) if name not in set(map(str, domains))]):
        yield (
            f"app_domains_served holds {listed(strange) if is_list(served) else served}: give a list of names that app_domains holds, too, since the site "
            "answers to no other."
        )
    headers = site["nginx_headers"]
    if not are_headers(headers, NO_VALUE):
        yield f"nginx_headers has to be a mapping of {GIVE_HEADERS}."
    elif [name for name in headers if name.lower() == "strict-transport-security"]:
        yield "nginx_headers holds Strict-Transport-Security: say it by nginx_hsts_seconds, which waits for a certificate that browsers trust."
    name = site["nginx_name"]
    # That of the units is told as app_service.
    if "nginx_name" in site.given and (not matches("[A-Za-z][A-Za-z0-9._-]{0,30}", name) or name in OF_NGINX):
        yield (
            f"nginx_name is '{name}': give at most 31 letters, digits, dots, hyphens and underscores that begin with a letter, and no name that nginx "
            "has for a file or a folder of its own."
        )
    # What is made of the application's URLs is told by their names.
    if "nginx_static_locations" in site.given:
        yield from _static_locations(site["nginx_static_locations"])
    yield from _rate_limits(site["nginx_rate_limits"])
    yield from _redirects(site["nginx_redirects"], _single_paths(site))
    yield from _protected(site["nginx_protected"])


def _redirects(rows, taken):
    """Say what is wrong with what has moved; taken are paths that are answered otherwise, with what says so."""
    if not is_rows(rows):
        yield "nginx_redirects has to be a list of mappings with from, to and, where wanted, status."
        return
    for row in rows:
        if (
            set(row) - {"from", "to", "status"} or not is_path(row.get("from")) or not matches(TARGET, row.get("to", ""))
            or not matches("30[1278]", row.get("status", 301))
        ):  # fmt: skip
            yield f"nginx_redirects holds {dict(row)}: give from, a path without a query, to, a path or URL, and a status of 301, 302, 307 or 308."
        elif wrong := wrong_path(row["from"]):
            yield f"nginx_redirects holds {dict(row)}: {wrong}."
        elif what := taken.get(decoded(row["from"])):
            yield f"nginx_redirects sends {row['from']} elsewhere, which is answered already ({what}): leave one of the two out."
    if twice := _twice(rows, "from"):
        yield f"nginx_redirects sends {listed(twice)} to two places: give each path once."


def _single_paths(site):
    """Return what answers a single path of a site already, by that path: two of them are none that nginx reads."""
    locations, prefix = site["nginx_static_locations"], site["nginx_path_prefix"]
    files = [row["url"] for row in locations if isinstance(row, Mapping) and is_path(row.get("url"))] if is_list(locations) else []
    taken = {decoded(url): "nginx_static_locations" for url in files if not url.endswith("/") and not wrong_path(url)}
    taken |= {f"/{site['nginx_name']}-unavailable.html": "the page of a site that is away"}
    taken |= {prefix: "nginx_path_prefix"} if prefix else {}
    return taken | ({"/robots.txt": "nginx_hidden_from_search"} if is_true(site["nginx_hidden_from_search"]) else {})


def _twice(rows, column):
    """Return the paths that a column of rows has more than once, however they are written."""
    paths = {}
    for path in (str(row.get(column)) for row in rows):
        paths.setdefault(path if wrong_path(path) else decoded(path), []).append(path)
    return [same[0] for same in paths.values() if len(same) > 1]


def _protected(rows):
    if not is_rows(rows, ["path"]):
        yield "nginx_protected has to be a list of mappings with path, and networks, users or both."
        return
    for row in rows:
        path, users, networks = row["path"], row.get("users", {}), row.get("networks", [])
        if not is_path(path):
            yield f"nginx_protected has the path {path}: give one that begins with a slash, such as /admin/, without a query."
        elif wrong := wrong_path(path):
            yield f"nginx_protected has the path {path}, which would protect nothing: {wrong}."
        elif set(row) - PROTECTED or not set(row) & {"networks", "users"}:
            yield f"nginx_protected has the keys {listed(sorted(row))} for {path}: give path, and networks, users or both."
        elif not is_list(networks) or not all(is_network(value) for value in networks):
            yield f"nginx_protected lets {networks} into {path}: give a list of addresses or networks, such as 203.0.113.0/24."
        elif not isinstance(users, Mapping) or "users" in row and not users:
            yield f"nginx_protected has users for {path} that are no mapping: give crypt hashes by name."
        elif wrong := [name for name, value in users.items() if not matches(r"[A-Za-z0-9._@-]+", name) or not matches(r"\$[0-9a-z]+\$\S+", value)]:
            yield f"nginx_protected gives {listed(wrong)} no usable password for {path}: give a plain name and a crypt hash (mkpasswd), from the vault."
    if twice := _twice(rows, "path"):
        yield f"nginx_protected has {listed(twice)} twice: give each path once."


def _rate_limits(rows):
    keys = ["path", "requests_per_minute"]
    if not is_rows(rows):
        yield f"nginx_rate_limits has to be a list of mappings with {listed(keys)}."
        return
    for row in rows:
        if set(row) != set(keys) or not is_path(row["path"]) or not is_whole(row["requests_per_minute"], 1):
            yield f"nginx_rate_limits holds {row}: give a path that begins with a slash, and requests_per_minute, a whole number of at least 1."
        elif wrong := wrong_path(row["path"]):
            yield f"nginx_rate_limits holds {row}, which would limit nothing: {wrong}."


def _static_locations(rows):
    if not is_list(rows):
        yield "nginx_static_locations is no list: give one of mappings with url and path, or an empty one."
        return
    for row in rows:
        if (
            not isinstance(row, Mapping)
            or not is_path(row.get("url"))
            or row["url"] == "/"
            or not matches(FILE, row.get("path", ""))
            or row.get("kind", "static") not in ("static", "media")
        ):
            yield (
                f"nginx_static_locations holds {row}: give a url below the root that begins with a slash, an absolute path, and the kind static "
                "or media."
            )
        elif wrong := wrong_path(row["url"]):
            yield f"nginx_static_locations has the url {row['url']}, which nothing would be served by: {wrong}."
        elif not are_headers(row.get("headers", {}), NO_VALUE):
            yield f"nginx_static_locations has headers for {row['url']} that are none: give a mapping of {GIVE_HEADERS}."
    if twice := _twice([row for row in rows if isinstance(row, Mapping)], "url"):
        yield f"nginx_static_locations has {listed(twice)} twice: give each place a URL of its own."
