# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What stands in the way of a site: pure functions of what was seen, which yield sentences."""

from __future__ import annotations

import difflib
import ipaddress
import re

# Debian's versions that the roles know, and their Python.
PYTHONS = {"12": "3.11", "13": "3.13"}
CLOCK_SECONDS = 300
# What ssh says, and what it means.
LOGINS = (
    (r"Could not resolve hostname", "{address} is no name that this machine can resolve: correct ansible_host of {host}"),
    (r"IDENTIFICATION HAS CHANGED",
     "{host} shows another host key than the one that this machine knows of {address}: where it was installed anew, ssh-keygen -R {address}"),
    (r"Host key verification failed",
     "This machine does not know the host key of {address} ({host}): enter it once (ssh -p {port} {delivered}@{address}) and compare what it shows"),
    (r"Permission denied|Too many authentication failures",
     "{host} lets in neither {administrator} nor {delivered} with your keys: authorize one at the provider's, or name in "
     "hardening_bootstrap_user the account that the host was delivered with"),
    (r"Connection refused", "Nothing answers on port {port} of {address} ({host}): start its SSH server, or correct ansible_port"),
    (r"timed out|No route to host|Network is unreachable",
     "{host} does not answer at {address}, port {port}: is it on, is the address right, and does the provider's firewall let SSH through"),
)  # fmt: skip


def told(text):
    """Return what a host told of itself in lines of NAME=VALUE: a list of values (str) by name."""
    found = {}
    for line in text.replace("\r", "").splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch("[a-z_]+", name):
            found.setdefault(name, []).append(value)
    return found


def login(host, address, port, administrator, delivered, said):
    """Return why nobody gets into a host; said (str) is what ssh told."""
    names = {"host": host, "address": address, "port": port, "administrator": administrator, "delivered": delivered}
    for pattern, meaning in LOGINS:
        if re.search(pattern, said):
            return meaning.format(**names) + "."
    return f"{host} cannot be entered: {' '.join(said.split())}."


def machine(host, look, now, memory_mb, disk_mb):
    """Yield what is wrong with a host; look is what it told (see `told`), now are the seconds of this machine's clock."""
    user = look["user"][0]
    if look["root"] != ["yes"]:
        yield f"{user} can log in to {host} and not become root there: let it use sudo without a password, or install sudo (as root: apt install sudo)."
    name, _blank, version = look["distribution"][0].partition(" ")
    if name != "debian" or version.split(".")[0] not in PYTHONS:
        yield f"{host} runs {name} {version}: install Debian 13 or 12."
    if look["systemd"] != ["yes"]:
        yield f"{host} was not started by systemd: use a virtual machine, or a container that boots systemd."
    memory = int(look["memory_mb"][0])
    if memory < memory_mb:
        yield f"{host} has {memory} MB of memory, and a site needs {memory_mb} (doctor_memory_mb): take a larger machine."
    free = [(path, int(megabytes)) for path, _blank, megabytes in (row.partition(" ") for row in look.get("disk", []))]
    for path, megabytes in free:
        if megabytes < disk_mb:
            yield f"{host} has {megabytes} MB free at {path}, and a site needs {disk_mb} (doctor_disk_mb): make room, or take a larger disk."
            break
    if abs(int(look["seconds"][0]) - now) > CLOCK_SECONDS:
        yield f"The clock of {host} is {abs(int(look['seconds'][0]) - now) // 60} minutes away from this machine's: certificates need the right time."
    for row in look.get("listens", []):
        port, program = row.split(" ", 1)
        if program not in ("nginx", "haproxy"):
            yield f"{program} of {host} listens on port {port}, where the site will: remove it, or give the site a host of its own."
    for row in look.get("mirror", []):
        answer, index = row.split(" ", 1)
        if answer == "no":
            yield f"{host} cannot fetch {index}: give it a way to Debian's archive, by a route, a name server, or a proxy of apt's."


def is_public(name):
    """Return whether a name of a site (str) is one that the Internet's name servers know: no address, no pattern, none of a reserved kind."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        ending = name.rpartition(".")[2].lower()
        return "*" not in name and not name.startswith(".") and "." in name and ending not in ("test", "local", "localhost", "example", "invalid", "internal")
    return False


def names(resolved, entrances):
    """Return problems and notes (two lists of sentences) about the site's names.

    resolved are the addresses (set of str) of each name (dict); entrances those of each host that visitors reach.
    """
    problems, notes = [], []
    ours = set().union(*entrances.values()) if entrances else set()
    where = " or ".join(f"{host} ({', '.join(sorted(addresses))})" for host, addresses in entrances.items())
    for name, addresses in resolved.items():
        if not addresses:
            problems.append(f"{name} of app_domains has no address: make an A (or AAAA) record that leads to {where}.")
        elif not addresses & ours:
            notes.append(
                f"{name} of app_domains leads to {', '.join(sorted(addresses))} and not to {where}: correct its A and AAAA records, unless that is a "
                "proxy or a CDN of yours."
            )
    return problems, notes


def version(wanted, listing, repository):
    """Return why a branch, a tag or a commit cannot be shipped; listing (str) is what `git ls-remote` printed of the repository."""
    known = {row.split("\t")[1].removeprefix("refs/heads/").removeprefix("refs/tags/").removesuffix("^{}") for row in listing.splitlines() if "\trefs/" in row}
    # A commit is not listed, and may be there all the same.
    if wanted in known or re.fullmatch("[0-9a-f]{7,40}", wanted):
        return ""
    near = difflib.get_close_matches(wanted, known, n=1) or sorted(known & {"main", "master"}) or sorted(known)[:1]
    other = f"give one that is there, such as {near[0]}" if near else "it has none"
    return f"app_version {wanted} is no branch and no tag of {repository}: {other}."


def unreadable(repository, said):
    """Return why a repository cannot be read; said (str) is what git told."""
    words = " ".join(said.split())
    if re.search("Host key verification failed|No .* host key is known", words):
        return f"The server of {repository} shows a key that app_repository_host_keys does not hold: compare it with what its owner publishes."
    if re.search("Permission denied|Authentication failed|could not read Username|Repository not found|not found", words):
        return f"{repository} cannot be read: app_repository may be misspelt, or needs app_repository_key, the key that its server knows ({words[-160:]})."
    return f"{repository} (app_repository) cannot be read from here: {words[-200:].rstrip('.')}."
