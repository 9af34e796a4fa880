# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Sends what waits in the spool. Runs as an account that may do nothing else; it alone has the secrets of the ways."""

from __future__ import annotations

import email.message
import email.utils
import http.client
import json
import os
import re
import smtplib
import ssl
import time
import urllib.error
import urllib.request

from . import spool

SECONDS = 20
# What was looked at longer ago than this is no sign of life.
FRESH_SECONDS = 300


class NotSent(Exception):
    """One sentence, without a secret, on why a way cannot be gone."""


def text_of(message):
    """Return what people read, with what was lost before it."""
    lost = message.get("lost", 0)
    before = f"{lost} messages before this one were not kept: too many waited.\n" if lost else ""
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(message["at"]))
    return f"{before}{message['text']}\n\n{since}, told by {message['host']} of {message['site']}."


def mail(settings, message):
    """Send a mail by the relay."""
    letter = email.message.EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = settings["from"], ", ".join(settings["to"]), message["title"]
    letter["Date"], letter["Message-ID"] = email.utils.formatdate(message["at"]), email.utils.make_msgid(domain=message["host"])
    # No holiday answers this (RFC 3834).
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(text_of(message))
    context = ssl.create_default_context(cadata=settings["ca"] or None)
    try:
        secured = {"context": context} if settings["tls"] == "tls" else {}
        with (smtplib.SMTP_SSL if secured else smtplib.SMTP)(settings["relay"], settings["port"], timeout=SECONDS, **secured) as relay:
            if settings["tls"] == "starttls":
                relay.starttls(context=context)
            if settings["user"]:
                relay.login(settings["user"], settings["password"])
            relay.send_message(letter)
    except smtplib.SMTPAuthenticationError as error:
        raise NotSent(f"{settings['relay']} does not let notify_relay_user in ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as error:
        refused = [f"{who} ({code} {said.decode(errors='replace')})" for who, (code, said) in error.recipients.items()]
        raise NotSent(f"the relay refuses {', '.join(refused)}") from None
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise NotSent(f"the relay says {error.smtp_code} {said}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"{settings['relay']}, port {settings['port']}: {getattr(error, 'strerror', None) or error}") from None


class Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a message would be lost on the way, since what is asked there is asked by GET."""

    def redirect_request(self, *words):
        return None


def ask(url, **options):
    """Ask a URL, which is a secret; raise NotSent unless it is well received."""
    try:
        with urllib.request.build_opener(Straight).open(urllib.request.Request(url, **options), timeout=SECONDS) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        raise NotSent(f"answered {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NotSent(str(getattr(reason, "strerror", None) or type(reason).__name__)) from None


def post(url, message):
    """Send a message as JSON."""
    body = json.dumps(message | {"text": text_of(message)}).encode()
    ask(url, data=body, headers={"Content-Type": "application/json", "User-Agent": "selfhost.django"})


def by_apprise(url, message):
    """Send a message by what apprise knows."""
    try:
        import apprise
    except ImportError:
        raise NotSent("Debian's package apprise is missing: run site.yml") from None
    sender = apprise.Apprise()
    if not sender.add(url):
        raise NotSent(f"apprise does not know {url.partition(':')[0]}:// or misses a part of it")
    with apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s") as log:
        is_sent = sender.notify(title=message["title"], body=text_of(message))
        said = log.getvalue().strip().splitlines()
    if not is_sent:
        raise NotSent("apprise could not deliver it" + (f": {without(url, said[-1])}" if said else ""))


def without(url, line):
    """Return a line without any word of a URL."""
    for word in filter(lambda word: len(word) > 3, re.split(r"[^\w.-]+", url.partition("://")[2])):
        line = line.replace(word, "…")
    return line


def send(way, settings, message):
    """Send a message by a way; raise NotSent."""
    if way == "mail":
        mail(settings["mail"], message)
        return
    url = settings["urls"][int(way.removeprefix("url")) - 1]
    (post if url.startswith(("http://", "https://")) else by_apprise)(url, message)


def ways(settings):
    """Return the names of the ways that are set."""
    return (["mail"] if settings["mail"]["to"] else []) + [f"url{number}" for number, _url in enumerate(settings["urls"], 1)]


def send_all(box, settings, now, deliver=send):
    """Send what waits, in order, as far as each way can be gone; note what keeps it from that."""
    before, failures = box.failures(), {}
    for way in ways(settings):
        for name in box.waiting(way):
            message = box.read(name)
            try:
                if message:
                    deliver(way, settings, message)
            except NotSent as error:
                failures[way] = {"text": str(error), "since": before.get(way, {}).get("since", now)}
                break
            except Exception as error:
                # What cannot be sent at all must not keep the rest from it.
                failures[way] = {"text": f"{type(error).__name__} in a message, which is left out", "since": now}
            box.remove(name)
    known = set(ways(settings))
    for name in os.listdir(box.folder):
        if name.endswith(".json") and name.split(".")[-2] not in known:
            box.remove(name)
    try:
        box.note(failures)
    except OSError as error:
        # A full disk keeps nothing from being told.
        print(f"What fails cannot be noted: {error.strerror}")
    return failures


def heartbeat(settings, looked_at, now):
    """Tell the watcher outside that this host looks after itself; nothing where it has not looked for a while."""
    if settings["heartbeat"] and now - looked_at < FRESH_SECONDS:
        ask(settings["heartbeat"])


def main():
    """Send what waits."""
    with open(os.path.join(os.environ["CREDENTIALS_DIRECTORY"], "ways"), encoding="utf-8") as file:
        settings = json.load(file)
    now = int(time.time())
    failures = send_all(spool.Spool(settings["spool"]), settings, now)
    for way, failure in failures.items():
        print(f"{way}: {failure['text']}")
    try:
        heartbeat(settings, os.stat(settings["looked"]).st_mtime, now)
    except (NotSent, FileNotFoundError) as error:
        print(f"notify_heartbeat_url: {error}")
