#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_build
short_description: Build a release, and let nobody change any more what was built
description:
  - Runs commands as the account that builds, one after the other, and then seals the code as M(selfhost.django.release_seal) does.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  root:
    description: Directory of the application. Where the host went down while something was built for it, what builds share is cleared first, as by
      M(selfhost.django.release_virtualenv). Without it nothing is noted, and nothing cleared.
    type: str
    default: ""
  run:
    description: What stands before each command and runs it in this release as the account that builds.
    type: list
    elements: str
    required: true
  settings:
    description: What follows O(run) where a command imports the settings, for the application's environment.
    type: list
    elements: str
    default: []
  commands:
    description:
      - Commands for sh, as in O(selfhost.django.app#role:main:app_build_commands), or mappings of a C(command) and C(imports_settings).
      - Variables in them are the release's shell's.
    type: list
    elements: raw
    default: []
  withheld:
    description: Names of variables that only a command gets which imports the settings. One that fails and speaks of them is told what to write.
    type: list
    elements: str
    default: []
  code:
    description: Folder of the release's code, in one of root's.
    type: path
    required: true
  user:
    description: Account that builds.
    type: str
    required: true
  group:
    description: The application's group, which reads the code.
    type: str
    required: true
attributes:
  check_mode: {support: none, description: "There is no release in a dry run."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Build the release
  selfhost.django.release_build:
    run: [/usr/local/bin/shop-run, --release, 4f1c2d3e5a6b-0a1b2c3d, --build]
    settings: [--settings]
    commands: [npm ci, npm run build, {command: python manage.py compilemessages, imports_settings: true}]
    withheld: [SECRET_KEY, DATABASE_URL]
    code: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/code
    user: shop-build
    group: shop
"""

RETURN = r"""
commands:
  description: Command lines that were run.
  type: list
  elements: list
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask
from ansible_collections.selfhost.django.plugins.module_utils.disks import building
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath
from ansible_collections.selfhost.django.plugins.module_utils.reasons import lacks_settings
from ansible_collections.selfhost.django.plugins.module_utils.seals import seal_all


def build(given):
    """Run the commands one after the other; yield the line of each that ran. Failed says why one did not."""
    for command in given["commands"]:
        entry = {"command": command} if isinstance(command, str) else command
        imports = bool(entry.get("imports_settings"))
        line = [*given["run"], *(given["settings"] if imports else []), "sh", "-euc", entry["command"]]
        try:
            ask(*line)
        except Failed as error:
            if not imports:
                error.details["stderr"] += lacks_settings(entry["command"], error.details["stdout"] + error.details["stderr"], given["withheld"])
            raise
        yield line


def main():
    """Build, seal, and tell."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "default": ""},
            "run": {"type": "list", "elements": "str", "required": True},
            "settings": {"type": "list", "elements": "str", "default": []},
            "commands": {"type": "list", "elements": "raw", "default": []},
            "withheld": {"type": "list", "elements": "str", "default": []},
            "code": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
        },
    )
    given = module.params
    try:
        with building(given["root"] if given["commands"] else ""):
            lines = list(build(given))
        sealed = seal_all([given["code"]], given["user"], given["group"])
    except Failed as error:
        module.fail_json(**error.details)
    except (UnsafePath, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(lines or sealed), commands=lines)


if __name__ == "__main__":
    main()
