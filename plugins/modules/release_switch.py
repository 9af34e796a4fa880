#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_switch
short_description: Let a release serve, from one moment to the next
description:
  - Lets the web server have the release's static files under their plain names, records the release when all of it is on the disk, and switches to it, by
    one rename. Its server runs already.
  - The static files are handled as the application, in the application's sandbox, since it has written them.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.application, selfhost.django.application.static]
options:
  release:
    description: Release that is to serve.
    type: str
    required: true
  group:
    description: The application's group, which may read the record.
    type: str
    required: true
  record:
    description: What is noted of the release, beside what is known of it already and when it was put into service. Without it nothing is noted, and the
      switch comes before the static files, as it has to where a release is gone back to.
    type: dict
    default: {}
  migrations:
    description: The migrations that the release knows, as C(showmigrations --plan) lists them; empty for those that were noted before.
    type: str
    default: ""
  lock:
    description: The lock of releases, held meanwhile.
    type: path
    required: true
  token:
    description: What M(selfhost.django.release_begin) said when it was taken. Who has lost it switches nothing.
    type: str
    required: true
attributes:
  check_mode: {support: none, description: "There is no release in a dry run."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Switch
  selfhost.django.release_switch:
    root: /srv/shop
    service: shop
    release: 0123456789ab-01234567
    group: shop
    record: {revision: 0123456789abcdef, version: main, previous: "", released_by: Ann}
    lock: /run/selfhost/shop/release.lock
    token: "{{ begun.token }}"
"""

RETURN = r"""
published:
  description: Names of static files that have another content since.
  type: list
  elements: str
  returned: success
"""

import datetime
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask
from ansible_collections.selfhost.django.plugins.module_utils.disks import flush_all
from ansible_collections.selfhost.django.plugins.module_utils.locks import LOST, alive, keep
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath, account, open_directory, write_file
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, RECORD, STATIC, static_files


def recorded(known, release, given, now):
    """Return the record of a release that is put into service now: what is known of it, and what is given."""
    return known | {"release": release} | given | {"released_at": now.strftime("%Y-%m-%dT%H:%M:%SZ")}


def note(folder, release, record, migrations, gid, store=""):
    """Write down what is known of a release, whose folder is root's, when the release is on the disk, and what the web server has of it in the store.

    The migrations that it knows are for whoever proves that a backup fits the release, on a host without its code, and for a rollback to it.
    """
    flush_all(*filter(None, (folder, os.path.realpath(os.path.join(folder, "venv")), store)))
    directory = open_directory(folder)
    try:
        try:
            with open(os.open(RECORD, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory), encoding="utf-8") as file:
                known = json.load(file)
        except (OSError, ValueError):
            known = {}
        record = recorded(known, release, record, datetime.datetime.now(datetime.timezone.utc))
        texts = {"migrations.txt": migrations, RECORD: json.dumps(record, indent=4, sort_keys=True) + "\n"}
        for name, text in texts.items():
            if text:
                write_file(directory, name, text.encode(), 0, gid, 0o644)
    finally:
        os.close(directory)


def switch(root, release, service):
    """Let `current` be a release, and have it run after a reboot or a power cut, too. That needs no room on a disk that may be full."""
    scratch = os.path.join(root, "current.next")
    if os.path.lexists(scratch):
        os.unlink(scratch)
    os.symlink("releases/%s" % release, scratch)
    os.replace(scratch, os.path.join(root, "current"))
    directory = open_directory(root)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    ask("systemctl", "start", "%s.service" % service)


def serve(given):
    """Publish, note and switch, or switch and publish; return the names of the files that have changed."""
    root, release, record = map(given.get, ("root", "release", "record"))
    folder = os.path.join(root, "releases", release)
    if not record:
        switch(root, release, given["service"])
    # Names without a hash (plain storage, robots.txt) mean another content in each release: they change with it.
    said = static_files(given, "publish", os.path.join(folder, "static"), given["store"], release=release, taking=bool(record))
    if record:
        note(folder, release, record, given["migrations"], account("root", given["group"])[1], given["store"])
        switch(root, release, given["service"])
    return said.get("changed", [])


def main():
    """Let it serve, and tell."""
    module = AnsibleModule(
        argument_spec=APPLICATION
        | STATIC
        | {
            "release": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "record": {"type": "dict", "default": {}},
            "migrations": {"type": "str", "default": ""},
            "lock": {"type": "path", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
        },
    )
    lock = module.params["lock"]
    os.umask(0o022)
    try:
        if not keep(lock, module.params["token"]):
            module.fail_json(msg=LOST)
        with alive(lock):
            published = serve(module.params)
    except Failed as error:
        module.fail_json(**error.details)
    except (OSError, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, published=published)


if __name__ == "__main__":
    main()
