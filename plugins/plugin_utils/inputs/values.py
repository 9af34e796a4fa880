# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a site says of one host, and the kinds of values that several inputs have in common."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence

from ansible.parsing.vault import EncryptedString


class Unreadable(Exception):
    """A variable whose own text is at fault: it names one that is not there, say."""


# What a site's hosts know of each other, in the order of its deriving.
HOSTS_OF_SITE = ("app_web_hosts", "app_database_hosts", "app_balancer_hosts", "app_backup_hosts", "app_site_hosts", "app_addresses")


class Site:
    """The variables of one host as its roles will see them: the inventory's over the roles' defaults.

    host is its name; groups are those it is in; inputs are those of all roles, each as in argument_specs; given are the
    names that the inventory or the command line says something of; run are the hosts of this run. A value is asked for by name and is made when
    it is asked for: some need facts of the host, which nobody has yet, and are made of another host's (`render_by_example`), for their form.
    """

    def __init__(self, host, variables, render, inputs, given, render_by_example=None):
        self.host = host
        self.variables = variables
        self.given = frozenset(given)
        self.groups = variables.get("group_names", [])
        self.inputs = inputs
        self.run = variables.get("ansible_play_hosts_all", [host])
        self._render, self._render_by_example = render, render_by_example
        self.asked, self.by_example = {}, set()

    def __getitem__(self, name):
        """Return a variable's value; raise Unreadable where it has none."""
        if name not in self.asked:
            if name not in self.variables:
                raise Unreadable(f"{name} is not set")
            try:
                self.asked[name] = self.variables[name] = plain(self._render(self.variables[name]))
            except Exception:
                self.asked[name] = self._by_example(name)
        return self.asked[name]

    def _by_example(self, name):
        """Return what a variable would be on some host, where nothing but facts is missing."""
        try:
            value = plain(self._render_by_example(self.variables[name]))
        except Exception as error:
            raise Unreadable(f"{name} cannot be read: {reason(error)}") from error
        self.by_example.add(name)
        return value

    def get(self, name, default=None):
        """Return a variable's value, or a default where it has none, or one that only the host's facts give."""
        try:
            value = self[name]
        except Unreadable:
            return default
        return default if name in self.by_example else value

    def settle(self, *names):
        """Make values of variables that others derive from, each from those before it, so that none is rendered again for every other."""
        for name in names:
            self.get(name)

    def is_in(self, *groups):
        """Return whether the host is in one of the groups."""
        return any(group in self.groups for group in groups)


def plain(value):
    """Return a value without what Ansible knows of where it came from; what is encrypted is opened, or the error raised that keeps it closed."""
    if isinstance(value, EncryptedString):
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if is_list(value):
        return [plain(item) for item in value]
    return next((kind(value) for kind in (str, float) if isinstance(value, kind)), value)


def reason(error):
    """Return what an error says, as the end of a sentence."""
    return " ".join(str(error).split()).rstrip(".")


# --- Kinds ------------------------------------------------------------------------------------


def matches(pattern, value):
    """Return whether the whole of a value, as text, is of a pattern."""
    return re.fullmatch(pattern, str(value)) is not None


def is_list(value):
    """Return whether a value is a list, and neither text nor a mapping."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, Mapping))


def is_rows(value, required=()):
    """Return whether a value is a list of mappings that each have the required keys."""
    return is_list(value) and all(isinstance(row, Mapping) and all(key in row for key in required) for row in value)


def is_whole(value, least=0, most=None):
    """Return whether a value is a whole number within bounds."""
    return matches(r"-?[0-9]+", value) and least <= int(value) and (most is None or int(value) <= most)


def is_port(value):
    """Return whether a value is the number of a port."""
    return is_whole(value, 1, 65535)


def is_line(value):
    """Return whether a value is a text of one line, a number, or yes or no."""
    return isinstance(value, (str, int, float)) and not re.search(r"[\r\n]", str(value))


def is_true(value):
    """Return what Ansible's filter `bool` makes of a value."""
    return str(value).lower() in ("true", "yes", "on", "1", "y", "t")


def is_address(value):
    """Return whether a value is an IP address."""
    try:
        return "%" not in str(value) and bool(ipaddress.ip_address(str(value)))
    except ValueError:
        return False


def is_network(value):
    """Return whether a value is an IP address, or a network as address and prefix length."""
    address, slash, length = str(value).partition("/")
    return is_address(address) and (not slash or is_whole(length, 0, ipaddress.ip_address(address).max_prefixlen) and len(length) <= 3)


HOST_NAME = r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*(?![0-9]+\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


def is_domain(value):
    """Return whether a value is a host name (RFC 1123) or an IP address."""
    return is_address(value) or matches(HOST_NAME, value)


def is_pattern(value):
    """Return whether a value stands for the names below a domain, `*.example.org`, or for these and itself, `.example.org`."""
    return matches(rf"\*?\.(?=[^.]+\.){HOST_NAME}", value)


def is_text(value):
    """Return whether a value is a text, or a number that stands for one: nothing that YAML made of a word, and nothing of several parts."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def is_variable(name):
    """Return whether a value is the name of a variable, as a shell takes it."""
    return isinstance(name, str) and matches("[A-Za-z_][A-Za-z0-9_]*", name)


def is_value(value):
    """Return whether a value may be that of a variable: a text, a number, true or false, or nothing, which is an empty one."""
    return value is None or isinstance(value, (str, int, float, datetime.date)) and "\0" not in str(value)


def are_headers(value, but=r"\x00-\x1f\x7f"):
    """Return whether a value is a mapping of the names of HTTP headers to texts of one line; but are characters that these must not have."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and matches("[A-Za-z0-9-]+", name) and is_text(text) and matches(f"[^{but}]+", text) for name, text in value.items()
    )


ONE_LINE = r"[^\x00-\x08\x0a-\x1f\x7f]*"
# Without spaces, and without a slash at its end.
PATH = r"(/[A-Za-z0-9._-]+)+"
# In one spelling, and of nothing that a unit, a shell or a server's configuration reads as more than a path (systemd.unit(5), "Specifiers").
PLACE = r"(/(?!\.{1,2}(/|$))[\w.@+-]+)+"
GIVE_PLACE = "give an absolute path of letters, digits, dots, hyphens and underscores, without a slash at its end"


def is_calendar_event(value):
    """Return whether a value looks like what systemd.time(7) calls a calendar event; what systemd makes of it, a host knows."""
    return matches(r"[A-Za-z0-9*][A-Za-z0-9*:,.~/_+ -]*", value) and len(str(value).split()) <= 4


def is_certificate(value):
    """Return whether a value begins with a certificate in PEM form."""
    return matches(r"(?s)\s*-----BEGIN CERTIFICATE-----.*", value)


def is_key(value):
    """Return whether a value is a private key in PEM form that has no passphrase."""
    return matches(r"(?s)\s*-----BEGIN ([A-Z]+ )?PRIVATE KEY-----.*", value)


def belong_together(certificate, key):
    """Return whether a private key is that of a certificate, both in PEM form."""
    # Ansible brings it. Here, since what only reads the plugins' documentation has no need of it, and often lacks it.
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        public = load_pem_x509_certificate(certificate.strip().encode()).public_key()
        return public == load_pem_private_key(key.strip().encode(), None).public_key()
    except (TypeError, ValueError):
        return False


# --- Sentences --------------------------------------------------------------------------------


def listed(values):
    """Return values as one text, with commas between them."""
    return ", ".join(map(str, values))


def told(value):
    """Return how a message names a value: in quotes, or as one that is not set."""
    return f"'{value}'" if str(value or "") else "not set"


def text_of(value):
    """Return a value as JSON, as a message shows a structure."""
    return json.dumps(value, default=str)


def misread(value, give, example=""):
    """Return what is wrong with a value that is no text, as the end of a sentence that goes on from `is`; empty for a text.

    give says what would be right; example is what YAML makes of a number that was meant as a text.
    """
    if isinstance(value, str):
        return ""
    if isinstance(value, bool):
        return f"{value}, which YAML makes of a word such as yes: put it into quotes"
    if isinstance(value, (int, float)):
        return f"the number {value}: put it into quotes{example and f', since YAML makes {example}'}"
    if isinstance(value, datetime.date):
        return f"the date {value}: put it into quotes"
    return f"{'not set' if value is None else 'a mapping' if isinstance(value, Mapping) else 'a list'}: {give}"


def whole_numbers(site, bounds):
    """Say which of the numbers, by name with their bounds (least, and most or None), are none."""
    for name, (least, most) in bounds.items():
        value = site.get(name, least)
        if not is_whole(value, least, most):
            yield f"{name} is '{value}': give a whole number {f'of at least {least}' if most is None else f'from {least} to {most}'}."


def given_numbers(site, bounds):
    """Say the same of those that the inventory gives; where it does not, they derive from inputs of the role app, which are told by their own names."""
    yield from whole_numbers(site, {name: bound for name, bound in bounds.items() if name in site.given})


def ports(site, *names):
    """Say which of the variables are no ports."""
    for name in names:
        if not is_port(site[name]):
            yield f"{name} is '{site[name]}': give a port number from 1 to 65535."


def given_ports(site, *names):
    """Say the same of those that the inventory gives; where it does not, they are facts of the role app, which are told by their own names."""
    yield from ports(site, *(name for name in names if name in site.given))
