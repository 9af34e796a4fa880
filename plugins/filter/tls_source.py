# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Where the certificate that a site's visitors see comes from."""

from __future__ import annotations

import ipaddress

DOCUMENTATION = r"""
name: tls_source
short_description: Where the certificate that a site's visitors see comes from
version_added: 0.2.0
author: selfhost.django contributors
description:
  - C(files) where it is given, C(acme) where an authority can be asked for one, else C(self_signed).
  - An authority can be asked where all domains are names that it can reach, and visitors reach the site by five hosts at most.
options:
  _input:
    description: Names, addresses and patterns of the site.
    type: list
    elements: str
    required: true
  given:
    description: Whether there is a certificate, be it as text or as a path.
    type: bool
    default: false
  directory:
    description: URL of the authority's directory.
    type: str
    default: ""
  dns_hooks:
    description: Programs that make a record of the DNS and take it away, C(auth) and C(cleanup).
    type: dict
    default: {}
  entrances:
    description: Names of the hosts that visitors reach.
    type: list
    elements: str
    required: true
  balancer_tls:
    description: Who ends the visitors' TLS where there is a balancer, C(terminate) or C(passthrough).
    type: str
    default: terminate
"""

EXAMPLES = r"""
# acme
source: "{{ ['shop.example.org'] | selfhost.django.tls_source(directory='https://ca.example.org/directory', entrances=['web1']) }}"
"""

RETURN = r"""
_value:
  description: C(files), C(acme) or C(self_signed).
  type: str
"""

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
# How often Let's Encrypt gives a certificate for the same names in a week (its rate limits, "New Certificates per Exact Set of Identifiers").
MOST_ENTRANCES = 5
# Names that no public authority vouches for (RFC 2606, 6761, 6762, 7686, 8375, and what private networks have taken).
RESERVED = (
    "corp", "example", "example.com", "example.net", "example.org", "home", "home.arpa", "internal", "invalid", "lan", "local", "localhost", "onion",
    "test",
)  # fmt: skip


def is_address(domain):
    """Whether a domain is an IP address."""
    try:
        return bool(ipaddress.ip_address(domain))
    except ValueError:
        return False


def is_reserved(domain):
    """Whether no public authority vouches for a name: it has no dot, or ends as those do that are nobody's."""
    name = domain.lower().removeprefix("*.").strip(".")
    return "." not in name or any(name == ending or name.endswith(f".{ending}") for ending in RESERVED)


def obstacle(domains, directory, dns_hooks, entrances, balancer_tls="terminate"):
    """Return why no authority can be asked for a certificate, as the end of a sentence, with what would be right; empty where one can."""
    domains = list(map(str, domains))
    if addresses := [domain for domain in domains if is_address(domain)]:
        return f"app_domains holds {', '.join(addresses)}: give names alone, since Debian's certbot asks for no certificate of an address."
    if not dns_hooks and (patterns := [domain for domain in domains if domain.startswith((".", "*"))]):
        return f"app_domains holds {', '.join(patterns)}: give app_acme_dns_hooks, since an authority proves a pattern by the DNS alone."
    if directory == LETS_ENCRYPT and (reserved := [domain for domain in domains if is_reserved(domain)]):
        return f"app_domains holds {', '.join(reserved)}: give names of your own, since no public authority vouches for these."
    if len(entrances) > MOST_ENTRANCES:
        return (
            f"visitors reach the site by {len(entrances)} hosts: put one balancer in front, or give app_tls_certificate, since each asks for a certificate "
            f"of its own, and an authority gives one for the same names {MOST_ENTRANCES} times a week."
        )
    if balancer_tls != "terminate":
        return "app_balancer_tls is passthrough: let the balancer terminate, or give app_tls_certificate, since the host that asks has to be the one that shows it."
    return ""


def tls_source(domains, given=False, directory=LETS_ENCRYPT, dns_hooks=None, entrances=(), balancer_tls="terminate"):
    """Return where the certificate comes from unless somebody says so."""
    if given:
        return "files"
    return "self_signed" if obstacle(domains, directory, dns_hooks or {}, list(entrances), balancer_tls) else "acme"


class FilterModule:
    """Give the filter its name."""

    def filters(self):
        return {"tls_source": tls_source}
