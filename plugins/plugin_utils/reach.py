# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether a site answers this machine through the network, wherever it is asked for."""

from __future__ import annotations

from ..module_utils.health import NoAnswer, ask, connect_web_server, decode_response, encode_http_request
from ..module_utils.hosts import host_in_url, host_without_port


def visit(place, port, name, path, seconds):
    """Ask a site at a place (address or name, str) for a path, over TLS; return the status (int), or raise NoAnswer."""

    def connect(timeout):
        return connect_web_server(port, host_without_port(name), False, timeout, place)

    raw = ask(f"port {port}", connect, encode_http_request(path, host_in_url(name), {}), seconds)
    status, _headers, _body = decode_response(raw)
    return status


def unreached(places, visit_one):
    """Return why a site is reached at none of these places (list of str), as one clause; empty where one answers, whatever it says.

    What the site has to answer was asked on its hosts; here it is asked whether anybody gets there. visit_one takes a place and raises NoAnswer.
    """
    reasons = []
    for place in dict.fromkeys(places):
        try:
            visit_one(place)
            return ""
        except NoAnswer as reason:
            reasons.append(f"{place} ({reason})")
    return " and ".join(reasons)
