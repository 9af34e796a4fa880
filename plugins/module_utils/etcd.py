# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""etcd's own questions, as JSON over HTTPS. The host's certificate opens the connection, a password what is behind it."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request

SECONDS = 10
# More than voters, or a server's Patroni, ever answer.
MOST_BYTES = 4 << 20


class Refused(Exception):
    """The voters answered, and it is no."""


def encoded(text):
    """Return a key as etcd's JSON has it."""
    return base64.b64encode(text.encode()).decode()


def end_of(prefix):
    """Return the first key after all that begin with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def trusting(certificates):
    """Return a context of TLS that knows the site's authority and shows the host's certificate."""
    context = ssl.create_default_context(cafile="%s/ca.crt" % certificates)
    context.load_cert_chain("%s/host.crt" % certificates, "%s/host.key" % certificates)
    return context


class Voters:
    """The voters of a site, of which the first that answers is asked."""

    def __init__(self, endpoints, certificates):
        self.endpoints = endpoints
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting(certificates)))
        self.token = None

    def ask(self, path, **fields):
        """Return the answer to a question; raise Refused, or OSError where no voter can be reached."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": self.token} if self.token else {})
        last = OSError("there is no voter")
        for endpoint in self.endpoints:
            request = urllib.request.Request("https://%s/v3/%s" % (endpoint, path), json.dumps(fields).encode(), headers)
            try:
                with self.opener.open(request, timeout=SECONDS) as answer:
                    return json.loads(answer.read(MOST_BYTES))
            except urllib.error.HTTPError as error:
                raise Refused(reason(error.read(MOST_BYTES))) from None
            except OSError as error:
                last = error
        raise last

    def log_in(self, name, password):
        """Ask as a user from now on; raise Refused where the password is wrong, or nobody is asked for one."""
        self.token = None
        self.token = self.ask("auth/authenticate", name=name, password=password)["token"]


def reason(body):
    """Return what etcd says of a refusal, which has several forms."""
    try:
        said = json.loads(body)
        said = said.get("error") or said.get("message") or said
        return str(said.get("message", said) if isinstance(said, dict) else said)
    except (ValueError, AttributeError):
        return body.decode(errors="replace").strip() or "no reason given"
