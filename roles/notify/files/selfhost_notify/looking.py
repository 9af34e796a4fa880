# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Looks at this host and its neighbour, and puts into the spool what is worth telling."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time

from site_status.paths import open_directory, write_file
from site_status.site_look import look
from site_status.site_report import site_report

from . import telling, wording
from .spool import Spool

STATUS = "/etc/selfhost-notify/status.json"
SETTINGS = "/etc/selfhost-notify/notify.json"
STATE = "/var/lib/selfhost-notify"
SENDER = "selfhost-notify-send.service"
SECONDS = 3
# An echo request of ICMP and of ICMPv6; the kernel fills in checksum and identifier.
ECHO = {socket.AF_INET: (socket.IPPROTO_ICMP, b"\x08" + bytes(7)), socket.AF_INET6: (socket.IPPROTO_ICMPV6, b"\x80" + bytes(7))}


def load(path, default):
    """Return what a JSON file says; the default where there is none, or a torn one."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return default


def answers(address, port, seconds=SECONDS):
    """Return whether a host answers, to ping or on the port of SSH; a refusal is an answer."""
    try:
        (family, _kind, _protocol, _name, place), *_others = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    try:
        protocol, packet = ECHO[family]
        with socket.socket(family, socket.SOCK_DGRAM, protocol) as ping:
            ping.settimeout(seconds)
            ping.connect((place[0], 0))
            ping.send(packet)
            ping.recv(64)
            return True
    except OSError:
        # No answer, or a kernel that lets nobody ping.
        pass
    try:
        with socket.create_connection((address, port), timeout=seconds):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def watched(settings, is_alive=None):
    """Return the problems of the site's other hosts."""
    hosts = settings["hosts"]
    if len(hosts) < 2 or settings["host"] not in hosts:
        return []
    is_alive = is_alive or (lambda name: answers(hosts[name]["address"], hosts[name]["port"]))
    dead, is_cut_off = telling.neighbours(sorted(hosts), settings["host"], is_alive)
    problems = [{"about": f"neighbour/{name}", "level": "bad", "text": f"{name} does not answer {settings['host']}: it is down, or cut off."} for name in dead]
    return problems + ([{"about": "cut_off", "level": "bad", "text": "None of the site's other hosts answers."}] if is_cut_off else [])


def judged(status, host):
    """Return what was found out, and the problems of the host as the status page has them."""
    # Django would be started every minute to ask for its migrations, and apt; nftables answers to root's full rights alone.
    asked = look(status["questions"] | {"run": None, "at_length": False})
    return asked["status"], site_report({host: asked}, status["limits"])["problems"]


def tell(state, settings, problems, known, now, complete):
    """Return what is remembered after a look, and the message, if any; a pure function."""
    things, begun, ended = telling.decide(state.get("things", {}), telling.found_in(problems), now, complete)
    remembered, events = {"things": things}, []
    application = known.get("application")
    entries = application["deploys"] if isinstance(application, dict) else None
    remembered["deploys"], sentences = telling.deploys(state.get("deploys"), entries) if entries is not None else (state.get("deploys"), [])
    events += sentences if settings["tells_deploys"] else []
    remembered["role"], sentences = telling.role(state.get("role"), known.get("database"))
    return remembered, wording.message(settings, now, begun, ended, events + sentences)


def main():
    """Look once."""
    settings, now = load(SETTINGS, None), int(time.time())
    path, complete, known = os.path.join(STATE, "state.json"), True, {}
    try:
        known, problems = judged(load(STATUS, None), settings["host"])
    except Exception as error:
        # Whatever it is: that nobody looks is worth telling.
        problems, complete = [{"about": "look", "level": "bad", "text": f"This host cannot be looked at: {type(error).__name__}: {error}"}], False
    problems += watched(settings)
    state, message = tell(load(path, {}), settings, problems, known, now, complete)
    if message:
        Spool(os.path.join(STATE, "spool")).put(message, settings["ways"])
        print(message["title"])
    write_file(open_directory(STATE), "state.json", json.dumps(state).encode(), 0, 0, 0o600)


def test():
    """Send a test message by every way, and wait for it; return the sentences on those that it has not gone."""
    settings, box = load(SETTINGS, None), Spool(os.path.join(STATE, "spool"))
    site, host = settings["site"], settings["host"]
    text = "This is a test: whoever reads it is told of what goes wrong here."
    names = box.put({"site": site, "host": host, "at": int(time.time()), "level": "test", "title": f"{site}, {host}: a test", "text": text,
                     "problems": [], "over": [], "events": [text]}, settings["ways"])  # fmt: skip
    left = names
    # One that runs already may have begun before.
    for _time in range(2):
        if left:
            subprocess.run(["systemctl", "start", SENDER], check=False)
            there = os.listdir(box.folder)
            left = [name for name in names if name in there]
    failures = box.failures()
    for name in left:
        box.remove(name)
    unknown = f"it was not sent; journalctl -u {SENDER} says why"
    return [f"{named(way)}: {failures.get(way, {}).get('text', unknown)}" for way in (name.split(".")[-2] for name in left)]


def named(way):
    """Return how an inventory calls a way."""
    return "notify_mail_to" if way == "mail" else f"notify_urls, entry {way.removeprefix('url')}"
