#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_static
short_description: Collect the static files of a release, and add them to what the web server serves
description:
  - Django collects them and commands that follow change them, all as the application, which may write to that directory alone.
  - Then names that the store lacks are added to it. So a page that an older release rendered still finds its assets, and a page of this one finds
    its own on every host before the first host switches. What has not changed since an earlier release is neither copied nor compressed again.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.application.static]
options:
  root:
    description: Directory of the application.
    type: str
    required: true
  release:
    description: Release, whose directory gets its own copy in C(static).
    type: str
    required: true
  static_root:
    description: Absolute path of STATIC_ROOT.
    type: str
    required: true
  is_shared:
    description: Whether releases share it, as an absolute C(app_static_root). One in the code is handed over with all that the revision brought there.
    type: bool
    default: false
  user:
    description: Account of the application.
    type: str
    required: true
  group:
    description: Group of the application.
    type: str
    required: true
  collect:
    description: Whether C(collectstatic) is run; not for a project that commits its built files.
    type: bool
    default: true
  commands:
    description: Commands for sh that follow, as in O(selfhost.django.app#role:main:app_static_commands).
    type: list
    elements: str
    default: []
attributes:
  check_mode: {support: none, description: "There is no release in a dry run."}
  diff_mode: {support: none, description: "What it makes is no text."}
"""

EXAMPLES = r"""
- name: Collect the static files
  selfhost.django.release_static:
    root: /srv/shop
    release: 4f1c2d3e5a6b-0a1b2c3d
    static_root: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/code/static
    user: shop
    group: shop
    run: /usr/local/bin/shop-run
    program: "{{ lookup('ansible.builtin.file', 'static_files.py') }}"
    store: /srv/shop/static
"""

RETURN = r"""
commands:
  description: Commands that ran, each a list of words.
  type: list
  elements: list
  returned: success
rc:
  description: What the command that failed returned; likewise C(cmd), C(stdout) and C(stderr).
  type: int
  returned: failure
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask
from ansible_collections.selfhost.django.plugins.module_utils.directories import apply
from ansible_collections.selfhost.django.plugins.module_utils.disks import flush_all
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath, account, walk
from ansible_collections.selfhost.django.plugins.module_utils.releases import STATIC, static_files


def said_last(text):
    """Return the last line of a text that is not empty: whatever settings print stands above what Django says."""
    return ([""] + [line for line in text.splitlines() if line])[-1]


def hand_over(path, owner):
    """Give all that is in a directory to an account, by its number; no link is followed."""
    for _path, folders, files, descriptor in walk(path):
        for name in (*folders, *files):
            os.chown(name, owner, -1, dir_fd=descriptor, follow_symlinks=False)


def own(given):
    """Return the directory of the release's own copy."""
    return os.path.join(given["root"], "releases", given["release"], "static")


def make(given):
    """Make the directories; return whether anything changed."""
    is_handed_over = given["collect"] and not given["is_shared"]
    paths = [own(given), *([given["static_root"]] if is_handed_over else [])]
    changes = list(apply([{"path": path, "owner": given["user"], "group": given["group"], "mode": "0755"} for path in paths]))
    if is_handed_over:
        hand_over(given["static_root"], account(given["user"], given["group"])[0])
    return bool(changes)


def collect(given):
    """Run the commands; return them in order."""
    root, release = given["static_root"], given["release"]
    run, said = [given["run"], "--release", release, "--write", root], ""
    commands = [[*run, "sh", "-euc", command] for command in given["commands"]]
    if given["collect"]:
        commands.insert(0, [*run, "python", "manage.py", "collectstatic", "--noinput", "--no-color"])
    for number, command in enumerate(commands):
        printed = ask(*command)
        if given["collect"] and number == 0:
            said = said_last(printed)
    current = os.path.join(given["root"], "current/static")
    static_files(given, "collect", said, root, own(given), given["store"], *([current] if os.path.isdir(current) else []), release=release)
    if given["is_shared"]:
        # What is of the release alone is waited for with its record.
        flush_all(root)
    return commands


def main():
    """Make the directories, and run the commands."""
    module = AnsibleModule(
        argument_spec=STATIC
        | {name: {"type": "str", "required": True} for name in ("root", "release", "static_root", "user", "group")}
        | {
            "is_shared": {"type": "bool", "default": False},
            "collect": {"type": "bool", "default": True},
            "commands": {"type": "list", "elements": "str", "default": []},
        },
    )
    try:
        changed = make(module.params)
        commands = collect(module.params)
    except Failed as error:
        module.fail_json(**error.details)
    except (OSError, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed or bool(commands or module.params["store"]), commands=commands)


if __name__ == "__main__":
    main()
