# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Names and addresses of hosts, as URLs and Host headers have them (RFC 3986, "Host")."""

from __future__ import annotations

import ipaddress


def address_of(host):
    """Return an IP address, without brackets if it has any, as an object; None for a name."""
    try:
        return ipaddress.ip_address(str(host).strip("[]"))
    except ValueError:
        return None


def host_in_url(host):
    """Return a name or address as it stands before a port, in a URL and in a Host header: an IPv6 address in brackets and its shortest form."""
    address = address_of(host)
    return f"[{address}]" if address and address.version == 6 else str(host)


def host_without_port(value):
    """Return the name or address of a Host header, without port and brackets."""
    if address_of(value):
        return str(address_of(value))
    name, colon, port = str(value).rpartition(":")
    return (name if colon and port.isdigit() else str(value)).strip("[]")
