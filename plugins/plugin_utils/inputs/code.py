# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of its code: the repository, who it is read from, and what is shipped."""

from __future__ import annotations

import re

from .repositories import _decoded, _words
from .values import is_list, matches, misread

HOST = r"(\w[\w.-]*|\[[0-9A-Fa-f:.]+\])"
# A URL, what git takes as one of SSH, or a path; `transport::address` runs a command.
REPOSITORY = rf"(https?|ssh|git|file)://\S+|(\w[\w.-]*@)?{HOST}:(?!:|//)\S+|/[^\x00-\x1f\x7f]*"
# What git takes as the name of a branch or a tag (git-check-ref-format(1)), but for what a shell reads as more than a letter.
VERSION = r"(?!-)(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)))[\w@+#%=,][\w.@+#%=,/-]*(?<![./])"
GIVE_HOST_KEYS = "give the lines that ssh-keyscan prints for its server, compared with those that the server's owner publishes"


def code(site):
    """Say what is wrong with code and version."""
    yield from _repository(site)
    yield from _version(site)


def _repository(site):
    repository, keys = str(site.get("app_repository") or ""), site["app_repository_host_keys"]
    lines = [line.strip() for entry in (keys if is_list(keys) else []) for line in str(entry).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not repository:
        yield "app_repository is not set: give the git URL of the application, or an absolute path on the controller."
    elif not matches(REPOSITORY, repository):
        yield "app_repository is no git URL, and no absolute path on the controller: give one of the two."
    elif re.search("://[^/@]*:[^/]*@|^https?://[^/]*@", repository):
        yield (
            "app_repository holds a login, which every list of processes would show: give an SSH address, app_repository_key and "
            "app_repository_host_keys."
        )
    elif re.match(r"ssh://|[^/]+:(?!//)", repository) and is_list(keys) and not lines:
        yield f"app_repository_host_keys is empty, and app_repository is behind SSH: {GIVE_HOST_KEYS}."
    if strange := [line for line in lines if not _is_known_host(line)]:
        yield f"app_repository_host_keys holds '{strange[0]}', no host with a whole key behind it: {GIVE_HOST_KEYS}."
    if not matches(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----\n[^-]*-----END [A-Z ]*PRIVATE KEY-----)?", str(site["app_repository_key"]).strip()):
        yield "app_repository_key is no private key: put the whole file that ssh-keygen made, with its first and last line, into the vault."


def _is_known_host(line):
    """Return whether a line of known_hosts has a whole key (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""
    words = line.split()
    if words[0] in ("@cert-authority", "@revoked"):
        del words[0]
    # Where it begins with a key, the name of its host is missing.
    return len(words) > 2 and _words(_decoded(words[2]))[:1] == [words[1].encode()]


def _version(site):
    variable = "deploy_version" if "deploy_version" in site.variables else "app_version"
    value = site[variable]
    if wrong := misread(value, "give a branch, a tag or a commit", "1.1 of 1.10"):
        yield f"{variable} is {wrong}."
    elif not matches(VERSION, value):
        yield f"{variable} is '{value}': give a branch, a tag or a commit."
