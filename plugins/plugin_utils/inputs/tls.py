# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of the certificate that visitors see."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...filter.tls_source import obstacle
from .places import unseen_place
from .values import (
    ONE_LINE, PLACE, belong_together, is_address, is_calendar_event, is_certificate, is_key, is_list, is_value, is_variable, listed, matches, told,
    whole_numbers,
)  # fmt: skip


def visitors_tls(site):
    """Say what is wrong with where the certificate comes from."""
    source = site["app_tls"]
    text, path = bool(site["app_tls_certificate"]), str(site["app_tls_certificate_path"])
    if source not in ("acme", "files", "self_signed"):
        yield f"app_tls is {told(source)}: give acme, files or self_signed."
        return
    if text and path:
        yield "app_tls_certificate and app_tls_certificate_path are both given: leave one out, since visitors see one certificate."
    elif source == "files" and not text and not path:
        yield "app_tls is files, and neither app_tls_certificate nor app_tls_certificate_path is given: give one, or leave app_tls out."
    elif source != "files" and (text or path):
        yield f"app_tls is {source}, and {'app_tls_certificate' if text else 'app_tls_certificate_path'} is given: leave one of the two out."
    yield from certificate_pair(site, "app_tls_certificate", "app_tls_key")
    yield from _paths(site, path)
    yield from _authority(site)
    if not is_list(site["app_public_addresses"]) or "app_public_addresses" in site.given and not all(map(is_address, site["app_public_addresses"])):
        yield f"app_public_addresses is {site['app_public_addresses']}: give a list of IP addresses, as the records of the DNS have them."
    if source == "acme" and is_list(site["app_domains"]):
        why = obstacle(
            site["app_domains"], site["app_acme_directory"], site["app_acme_dns_hooks"], site["app_entrance_hosts"], site["app_balancer_tls"]
        )  # fmt: skip
        if why:
            yield f"app_tls is acme, and {why}"


def _paths(site, certificate):
    key = str(site["app_tls_key_path"])
    for name, value in (("app_tls_certificate_path", certificate), ("app_tls_key_path", key)):
        if value and not matches(PLACE, value):
            yield f"{name} is '{value}': give the absolute path of a file on the host, of letters, digits, dots, hyphens and underscores."
            return
    if certificate and (bad := [path for path in dict.fromkeys((certificate, key)) if unseen_place(path)]):
        yield f"app_tls_certificate_path names {listed(bad)}: give a place outside of homes and of /tmp and /var/tmp, which the servers do not see."
    # HAProxy finds a key in the file of its certificate, or beside it under this name.
    elif certificate and site["app_balancer_hosts"] and site["app_balancer_tls"] == "terminate" and key not in (certificate, f"{certificate}.key"):
        yield f"app_tls_key_path is '{key}': let it be {certificate}.key, or the file of the certificate itself, where HAProxy finds it."


def certificate_pair(site, certificate, key):
    """Say what is wrong with a certificate and its key, texts that variables of these names hold; what others derive from is told by its own name."""
    text, secret = site[certificate], site[key]
    if not {certificate, key} & site.given:
        return
    if text and not secret:
        yield f"{key} is not set: {certificate} needs its private key, in PEM form, from the vault."
    elif secret and not text:
        yield f"{certificate} is not set: {key} is of no use without the certificate, in PEM form."
    elif text and not is_certificate(text):
        yield f"{certificate} is no certificate in PEM form: give the text of the file, its chain after it."
    elif text and not is_key(secret):
        yield f"{key} is no unencrypted private key in PEM form: give the text of the file."
    elif text and not belong_together(text, secret):
        yield f"{key} is not the key of {certificate}: give the two that belong together."


def _authority(site):
    if not matches(r"https://[^\s/]+(/\S*)?", site["app_acme_directory"]):
        yield f"app_acme_directory is {told(site['app_acme_directory'])}: give the URL of an authority's directory, which begins with https://."
    if site["app_acme_email"] and not matches(r"[^\s@]+@[^\s@]+\.[^\s@]+", site["app_acme_email"]):
        yield f"app_acme_email is '{site['app_acme_email']}': give one mail address, or nothing."
    if bool(site["app_acme_key_id"]) != bool(site["app_acme_hmac_key"]):
        yield "app_acme_key_id and app_acme_hmac_key belong together: set both, or none where the authority asks for no account."
    elif site["app_acme_key_id"] and not (matches(r"\S+", site["app_acme_key_id"]) and matches(r"[A-Za-z0-9_=-]+", site["app_acme_hmac_key"])):
        yield "app_acme_key_id or app_acme_hmac_key holds what neither can: give them as the authority does, the key in base64url."
    if site["app_acme_ca"] and not matches(r"(?s)\s*-----BEGIN CERTIFICATE-----.*", site["app_acme_ca"]):
        yield "app_acme_ca is no certificate in PEM form: give the text of the file."
    if site["app_acme_key_type"] not in ("ecdsa", "rsa"):
        yield f"app_acme_key_type is '{site['app_acme_key_type']}': give ecdsa or rsa."
    if not is_calendar_event(site["acme_schedule"]):
        yield f"acme_schedule is '{site['acme_schedule']}': give what systemd.time(7) calls a calendar event, *-*-* 00,12:00:00, say."
    yield from whole_numbers(site, {"acme_patience_seconds": (0, None)})
    yield from _dns(site["app_acme_dns_hooks"], site["app_acme_dns_environment"])


def _dns(hooks, environment):
    if not isinstance(hooks, Mapping) or hooks and set(hooks) != {"auth", "cleanup"}:
        yield "app_acme_dns_hooks has to be a mapping with auth and cleanup, the paths of two programs on the controller."
    elif missing := [path for path in hooks.values() if not (str(path).startswith("/") and os.path.isfile(path))]:
        yield f"app_acme_dns_hooks names {listed(missing)}: give the absolute path of a program on the controller."
    rows = environment.items() if isinstance(environment, Mapping) else [("", "")]
    if not all(is_variable(name) and is_value(value) and matches(ONE_LINE, value) for name, value in rows):
        yield "app_acme_dns_environment has to be a mapping of names (letters, digits, underscores) to values of one line each."
