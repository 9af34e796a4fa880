# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""The certificates of a site on its page: whose they are, when they end, and who renews them."""

from __future__ import annotations

COLUMNS = ["Host", "Certificate", "Names", "Issuer", "Days", "Renewed by"]
# Who renews what is seen on a port, by where it comes from.
RENEWED = {
    "acme": "the host itself, by ACME",
    "files": "whoever provides it",
    "self_signed": "site.yml",
    "internal": "site.yml",
}
NAMES_SHOWN = 3


def certificate_rows(page, host, status):
    """Return a row for each certificate of a host; note what stands in the way of one that is asked for."""
    rows = []
    certificates = status.get("certificates")
    for certificate in certificates if isinstance(certificates, list) else []:
        if "error" in certificate:
            continue
        sentence = certificate.get("sentence")
        if sentence:
            # As long as the former one is good, nobody notices.
            page.problem(host, f"certificate/asked/{certificate['name']}", sentence, "bad" if certificate["self_signed"] else "warn")
        elif certificate.get("source") == "acme" and certificate["self_signed"]:
            text = "Visitors see a self-signed certificate: none was obtained yet. The timer asks, and so does web.yml or balancer.yml."
            page.problem(host, f"certificate/asked/{certificate['name']}", text)
        # Some of the site's own name an address as a name, too.
        names = list(dict.fromkeys(certificate.get("names", [])))
        shown = ", ".join(names[:NAMES_SHOWN]) + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "")
        issuer = "self-signed" if certificate["self_signed"] else certificate.get("issuer", "")
        days = str((certificate["end"] - status["now"]) // 86400)
        rows.append([host, certificate["name"], shown, issuer, days, RENEWED.get(certificate.get("source"), "site.yml")])
    return rows
