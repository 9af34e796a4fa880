#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Write several files of a role, with their directories, in one round trip
description:
  - Renders templates and reads files on the controller, as M(ansible.builtin.template) and M(ansible.builtin.copy) do, and has the host compare and
    write all of them at once. A task of one file costs as much as one of twenty.
  - Each file is written beside its place, tried by O(files[].validate), and renamed. No link is followed that another account than root could have
    made; a link in the place of a file is replaced.
  - The action plugin of the same name does what happens on the controller.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  files:
    description:
      - The files, in order. Exactly one of O(files[].template), O(files[].src) and O(files[].content) says what is in each.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description:
          - Absolute path; directories on the way that are missing are made, as root's, with the permissions 0755.
          - One that ends in a slash is the directory, and the file keeps its name.
        type: str
        required: true
      state:
        description:
          - V(directory) is one with this owner, group and mode; what is in it stays.
          - V(link) is a link that leads to O(files[].src), on the host.
          - V(kept) is a file of somebody else's that keeps its content, and gets this owner, group and mode where it is there.
          - V(absent) is a file or a link that is not to be there. A directory is never removed.
        type: str
        choices: [file, directory, link, kept, absent]
        default: file
      template:
        description: Template in the role's C(templates).
        type: str
      vars:
        description: Variables that this template alone reads.
        type: dict
        default: {}
      src:
        description: File in the role's C(files), or a glob of them; of a link, where it leads.
        type: str
      content:
        description: Text.
        type: str
      owner:
        description: Account whose file it is.
        type: str
        default: root
      group:
        description: Group whose file it is.
        type: str
        default: root
      mode:
        description: Permissions, as four octal digits in quotes; by default V(0644), and V(0755) of a directory.
        type: str
      validate:
        description: Command that has to succeed before the file is put in its place; C(%s) is the file.
        type: str
      secret:
        description: Whether no difference of it is shown.
        type: bool
        default: false
  reader:
    description:
      - A word for who takes the files over, as M(selfhost.django.commands) knows it, too. What it has not taken over, since a run before failed or was
        killed in between, is told as changed once more.
    type: str
  payload:
    description: The files as the action plugin hands them to the host.
    type: str
attributes:
  check_mode: {support: full, description: "Says what it would do, on a host without the accounts and directories too; nothing is validated."}
  diff_mode: {support: full, description: "Shows each file that differs."}
"""

EXAMPLES = r"""
- name: Install the command and its unit
  selfhost.django.files:
    files:
      - {src: selfhost-guard, dest: /usr/local/sbin/, mode: "0755"}
      - {template: selfhost-guard.service.j2, dest: /etc/systemd/system/selfhost-guard.service}
  notify: Reload systemd

- name: Configure the site
  selfhost.django.files:
    reader: nginx
    files:
      - {template: site.conf.j2, dest: /etc/nginx/conf.d/site.conf}
  notify: Reload nginx

- name: Have a place of its own for the site, and no other site
  selfhost.django.files:
    files:
      - {dest: /etc/nginx/selfhost, state: directory}
      - {dest: /etc/nginx/sites-enabled/default, state: absent}
"""

RETURN = r"""
changed_files:
  description: Paths of the files that were written, or would be in check mode; with O(reader) those that are still to be taken over come first.
  returned: always
  type: list
  elements: str
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhost.django.plugins.module_utils.files import place
from ansible_collections.selfhost.django.plugins.module_utils.owed import owe, owed
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath


def main():
    """Write all files, or say which one cannot be written."""
    module = AnsibleModule(
        argument_spec={"payload": {"type": "str", "no_log": True}, "files": {"type": "list", "elements": "dict"}, "reader": {"type": "str"}},
        supports_check_mode=True,
    )
    if not module.params["payload"]:
        module.fail_json(msg="The module files needs its action plugin: call it as selfhost.django.files.")
    reader, changed, differences = module.params["reader"], [], []
    os.umask(0o022)
    try:
        before = owed(reader) if reader else []
        for entry in json.loads(module.params["payload"]):
            row = place(entry, module.check_mode, module.run_command, (lambda path: owe(reader, path)) if reader else None)
            if row:
                changed.append(entry["dest"])
                differences.append(row)
    except (OSError, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error), changed=bool(changed) and not module.check_mode, changed_files=changed)
    changed = [*dict.fromkeys(before + changed)]
    module.exit_json(changed=bool(changed), changed_files=changed, diff=differences)


if __name__ == "__main__":
    main()
