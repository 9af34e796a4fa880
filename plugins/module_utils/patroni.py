# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""A server's Patroni, asked over its own API: HTTPS with the host's certificate, and a password for what changes something."""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.error
import urllib.request

from ansible_collections.selfhost.django.plugins.module_utils.etcd import MOST_BYTES, trusting
from ansible_collections.selfhost.django.plugins.module_utils.hosts import host_in_url

# Every task of the role gives these.
ARGUMENTS = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "default": 8008},
    "certificates": {"type": "path", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
}
# A question waits for what it asks for: a switchover, a restart.
SECONDS = 300
# Kept as the largest that any host asks for: a server on a larger machine has more of it, and a standby must not have less than its primary.
LARGEST = ("max_worker_processes",)


class Refused(Exception):
    """Patroni answered, and it is no; the message is its own."""


class Silent(Exception):
    """Patroni does not answer."""


class Patroni:
    """The Patroni of one server."""

    def __init__(self, params):
        self.base = "https://%s:%d" % (host_in_url(params["address"]), params["port"])
        self.login = base64.b64encode(("patroni:%s" % params["password"]).encode()).decode()
        context = trusting(params["certificates"])
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def ask(self, path, method="GET", body=None, seconds=10):
        """Return what it answers: an object where that is JSON, or else text."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Basic " + self.login, "Content-Type": "application/json"}
        request = urllib.request.Request("%s/%s" % (self.base, path), data, headers, method=method)
        try:
            with self.opener.open(request, timeout=seconds) as answer:
                text = answer.read(MOST_BYTES).decode(errors="replace")
        except urllib.error.HTTPError as error:
            # Where it is no primary, or starts up, it still tells what it is.
            text = error.read(MOST_BYTES).decode(errors="replace")
            if path != "patroni":
                raise Refused(text.strip() or "%d" % error.code) from None
        except OSError as error:
            raise Silent(str(error)) from None
        try:
            return json.loads(text)
        except (RecursionError, ValueError):
            return text

    def cluster(self):
        """Return what it knows of all members, by name."""
        return {row["name"]: row for row in self.ask("cluster")["members"]}


def leader_of(members):
    """Return the name of the member that leads and runs; empty for none."""
    return next((name for name, row in members.items() if row["role"] == "leader" and row["state"] == "running"), "")


def follows(row):
    """Return whether a member streams from the one that leads. Patroni before version 4 says of it that it runs."""
    return row["role"] != "leader" and row["state"] in ("streaming", "running") and row.get("lag") != "unknown"


def difference(current, wanted):
    """Return what to change in what the voters keep to make it what is wanted; null takes away. What nobody here speaks of stays."""
    patch = {}
    for name, value in wanted.items():
        there = current.get(name)
        if name in LARGEST and re.fullmatch("[0-9]{1,9}", str(there)):
            value = str(max(int(there), int(value)))
        if isinstance(value, dict) and isinstance(there, dict):
            inner = difference(there, value)
            if name in ("slots", "parameters"):
                inner |= {gone: None for gone in there if gone not in value}
            if inner:
                patch[name] = inner
        elif there != value:
            patch[name] = value
    return patch


def until(predicate, seconds, pause=1.0):
    """Return the first true answer; None where there is none in time. One that does not answer is asked again."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = predicate()
            if answer:
                return answer
        except (Silent, Refused):
            pass
        if time.monotonic() > end:
            return None
        time.sleep(pause)
