# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with whom a site tells of problems; no sentence holds a URL, which may be a secret."""

from __future__ import annotations

from .values import is_certificate, is_list, listed, matches, ports

ADDRESS = r"[^@\s<>,;:\"]+@(\[[0-9A-Fa-f.:]+\]|[^@\s<>,;:\"]+)"
URL = r"[a-z][a-z0-9+.-]*://\S+"
WEB = r"https?://\S+"


def notify(site):
    """Say what is wrong with the ways by which somebody is told."""
    yield from ports(site, "notify_relay_port")
    yield from _mail(site)
    urls = site["notify_urls"]
    if not is_list(urls):
        yield "notify_urls has to be a list."
    elif strange := [str(number) for number, url in enumerate(urls, 1) if not matches(URL, url)]:
        yield f"notify_urls has no URL in entry {listed(strange)}: give https://… for JSON by POST, or what apprise takes, such as slack://…."
    url = site["notify_heartbeat_url"]
    if url and not matches(WEB, url):
        yield "notify_heartbeat_url is no URL that can be asked: give https://…, from the vault."


def _mail(site):
    to = site["notify_mail_to"]
    if strange := [address for address in (to if is_list(to) else [to]) if not is_list(to) or not matches(ADDRESS, address)]:
        yield f"notify_mail_to holds {listed(strange)}: give a list of addresses such as ops@example.org."
        return
    if not to:
        return
    if not matches(ADDRESS, site["notify_mail_from"]):
        yield f"notify_mail_from is '{site['notify_mail_from']}': give one address such as shop@example.org."
    relay = site["notify_relay"]
    if not relay:
        yield "notify_relay is not set: give the mail server that takes mails to notify_mail_to."
    elif not matches(r"[A-Za-z0-9.:-]+", relay) or matches(r".*[^:]:[0-9]+", relay):
        yield f"notify_relay is '{relay}': give a name or an address, and the port as notify_relay_port."
    tls, user, password = (site[f"notify_relay_{name}"] for name in ("tls", "user", "password"))
    if tls not in ("starttls", "tls", "none"):
        yield f"notify_relay_tls is '{tls}': give starttls, tls or none."
    if bool(user) != bool(password):
        yield "notify_relay_user and notify_relay_password belong together: set both, or none for a server that asks for none."
    elif user and tls == "none":
        yield "notify_relay_tls is none, and notify_relay_password would go in the clear: give starttls or tls."
    ca = site["notify_relay_ca"]
    if ca and not is_certificate(ca):
        yield "notify_relay_ca is no certificate in PEM form: give the text of the file."
