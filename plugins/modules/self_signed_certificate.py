#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: self_signed_certificate
short_description: Let there be a self-signed certificate for a site's names
description:
  - Makes a certificate and its key, in one file, so that neither ever meets the other's predecessor; makes it anew where it is for other
    names, the key is missing, or the end is near.
  - Needs the program openssl.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  path:
    description: The file. It is root's alone.
    type: str
    required: true
  names:
    description: Names and addresses that it is for; the first one is its subject.
    type: list
    elements: str
    required: true
  valid_days:
    description: Days that a new one is good for.
    type: int
    default: 825
  renew_days:
    description: Days before its end from which on it is made anew.
    type: int
    default: 60
  reader:
    description: Who takes it over, as M(selfhost.django.files) knows it.
    type: str
attributes:
  check_mode: {support: full, description: "Says what it would do and does nothing."}
  diff_mode: {support: none, description: "A certificate is no text to compare."}
"""

EXAMPLES = r"""
- name: Let there be a certificate
  selfhost.django.self_signed_certificate:
    path: /etc/nginx/shop/self-signed.pem
    names: [shop.example.org, 192.0.2.10]
"""

RETURN = r"""
reason:
  description: Why it is made anew; empty where it is not.
  type: str
  returned: always
"""

import ipaddress
import os
import re
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.owed import owe, owed
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath, open_directory, read_file, write_file


def kind_of(name):
    """Return how a certificate names something: a pair of `DNS` or `IP` and the name; an address in its shortest form."""
    try:
        return "IP", str(ipaddress.ip_address(name))
    except ValueError:
        return "DNS", name.lower()


def names_in(text):
    """Return the names that `openssl x509 -ext subjectAltName` tells, as pairs of kind_of."""
    return {kind_of(name.strip()) for name in re.findall(r"(?:DNS|IP Address):([^,\n]+)", text)}


def reason_to_make(content, names, told, ends_soon):
    """Return why a certificate is to be made; empty where the one at hand is good.

    content is the file's, None where there is none; told is what openssl tells of its names.
    """
    if content is None:
        return "there is none"
    if b"PRIVATE KEY-----" not in content:
        return "its key is not with it"
    missing = [name for name in names if kind_of(name) not in names_in(told)]
    if missing:
        return "it is not for %s" % ", ".join(missing)
    if names_in(told) - set(map(kind_of, names)):
        return "it is for other names, too"
    return "its end is near" if ends_soon else ""


def request(names, days, directory):
    """Return the command that makes a certificate and its key in a directory."""
    alternatives = ",".join("%s:%s" % kind_of(name) for name in names)
    return [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", str(days),
        "-keyout", os.path.join(directory, "key"), "-out", os.path.join(directory, "certificate"), "-subj", "/CN=%s" % names[0][:64],
        "-addext", "subjectAltName=%s" % alternatives, "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=serverAuth",
        # What signs itself would be an authority else.
        "-addext", "basicConstraints=critical,CA:FALSE",
    ]  # fmt: skip


def look(path, renew_days, run):
    """Return content, names and whether the end is near, of the file at hand."""
    try:
        directory = open_directory(os.path.dirname(path))
    except FileNotFoundError:
        return None, "", False
    found = read_file(directory, os.path.basename(path))
    os.close(directory)
    if not found:
        return None, "", False
    ask = ["openssl", "x509", "-noout", "-in", path]
    _code, told, _err = run(ask + ["-ext", "subjectAltName"])
    return found[0], told, run(ask + ["-checkend", str(renew_days * 86400)])[0] != 0


def main():
    """Make it where it has to be made."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "valid_days": {"type": "int", "default": 825},
            "renew_days": {"type": "int", "default": 60},
            "reader": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path, names, reader = (module.params[name] for name in ("path", "names", "reader"))
    os.umask(0o077)
    try:
        is_owed = bool(reader) and path in owed(reader)
        content, told, ends_soon = look(path, module.params["renew_days"], module.run_command)
        reason = reason_to_make(content, names, told, ends_soon)
        if reason and not module.check_mode:
            with tempfile.TemporaryDirectory(prefix="selfhost-certificate-", dir="/run") as scratch:
                module.run_command(request(names, module.params["valid_days"], scratch), check_rc=True)
                parts = []
                for name in ("certificate", "key"):
                    with open(os.path.join(scratch, name), "rb") as file:
                        parts.append(file.read())
            if reader:
                owe(reader, path)
            directory = open_directory(os.path.dirname(path), lambda above, name: os.mkdir(name, 0o755, dir_fd=above))
            write_file(directory, os.path.basename(path), b"".join(parts), 0, 0, 0o600)
    except (OSError, UnsafePath) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(reason) or is_owed, reason=reason)


if __name__ == "__main__":
    main()
