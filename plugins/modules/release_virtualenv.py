#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_virtualenv
short_description: Make the virtualenv of a release, from requirement files, lock files, or code of the repository
description:
  - Tools that are missing (uv, and Poetry where there is a C(poetry.lock)) are installed first, each into a folder of its own.
  - A lock file is read by the tool that wrote it, which refuses one that does not match its C(pyproject.toml); hashes are checked.
  - One that is complete is left as it is. What an interrupted one left is cleared, and only what is whole and sealed is marked as complete (file
    C(.complete)); so a release uses no other.
  - Every command runs through O(run), which brings the environment of builds; so no secret is an argument. In what the module says
    O(secrets) are masked.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  virtualenv:
    description: Directory of the virtualenv, in a folder of root's that is there.
    type: str
    required: true
  root:
    description: Directory of the application. Where the host went down while something was built for it, what such builds share (caches, tools, interpreters
      that were never sealed) is cleared first, since files in it may be empty. Without it nothing is noted, and nothing cleared.
    type: str
    default: ""
  user:
    description: Account that builds.
    type: str
    required: true
  group:
    description: Group that reads the virtualenv.
    type: str
    required: true
  seal:
    description: Further folders that are sealed with it where the account has built them, or patterns of such; interpreters of uv.
    type: list
    elements: str
    default: []
  code:
    description: Directory of the release's code.
    type: str
    required: true
  run:
    description: What stands before each command and runs it as the account that builds, with the environment of builds.
    type: list
    elements: str
    required: true
  environment:
    description: Further variables of the commands, none of them secret.
    type: dict
    default: {}
  secrets:
    description: Texts that are masked in what the module says.
    type: list
    elements: str
    default: []
  installer:
    description: What builds virtualenvs.
    type: str
    choices: [uv, pip]
    required: true
  uv:
    description: Folder that uv is kept in; what else begins with the same words before the last hyphen is replaced.
    type: str
    required: true
  uv_requirement:
    description: Requirement with hashes that uv is installed from.
    type: str
    required: true
  poetry:
    description: Folder that Poetry is kept in, as O(uv).
    type: str
    required: true
  poetry_requirement:
    description: Requirements with hashes that Poetry and its plugin C(export) are installed from.
    type: str
    required: true
  python:
    description: Path of the interpreter, or a version that uv provides.
    type: str
    required: true
  scratch:
    description: File that nobody else reads, in a directory that is there.
    type: str
    required: true
  requirements:
    description: What is installed, as in O(selfhost.django.app#role:main:app_requirements).
    type: list
    elements: str
    default: []
  arguments:
    description: Further arguments of C(pip install) or C(uv pip install).
    type: list
    elements: str
    default: []
  packages:
    description: Further packages, installed last.
    type: list
    elements: str
    default: []
attributes:
  check_mode: {support: none, description: "There is no release in a dry run."}
  diff_mode: {support: none, description: "What it makes is no text."}
"""

EXAMPLES = r"""
- name: Build the virtualenv
  selfhost.django.release_virtualenv:
    virtualenv: /srv/shop/venvs/0a1b2c3d4e5f
    user: shop-build
    group: shop
    seal: [/srv/shop/python/*]
    code: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/code
    run: [/usr/local/bin/shop-run, --release, 4f1c2d3e5a6b-0a1b2c3d, --build, --write, /srv/shop/venvs/0a1b2c3d4e5f]
    installer: uv
    uv: /srv/shop/build/uv-0a1b2c3d4e5f
    uv_requirement: "{{ django_uv_requirement }}"
    poetry: /srv/shop/build/poetry-0a1b2c3d4e5f
    poetry_requirement: "{{ django_poetry_requirement }}"
    python: /usr/bin/python3.13
    scratch: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/tmp/requirements.txt
    requirements: [uv.lock --extra postgres]
"""

RETURN = r"""
commands:
  description: Commands that ran, each a list of words.
  type: list
  elements: list
  returned: always
rc:
  description: What the command that failed returned; likewise C(stdout) and C(stderr).
  type: int
  returned: failure
"""

import glob
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.directories import apply, clear
from ansible_collections.selfhost.django.plugins.module_utils.disks import building
from ansible_collections.selfhost.django.plugins.module_utils.installs import installs
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath
from ansible_collections.selfhost.django.plugins.module_utils.releases import COMPLETE
from ansible_collections.selfhost.django.plugins.module_utils.seals import seal_all

ACCOUNTS = ("user", "group")
# Of the package python3-pip-whl, from which `python3 -m venv` takes it, too.
WHEELS = "/usr/share/python-wheels/pip-*.whl"
TEXTS = ("virtualenv", "code", "uv", "uv_requirement", "poetry", "poetry_requirement", "python", "scratch")
LISTS = ("requirements", "arguments", "packages")


def there(*paths):
    """Return what is beside tools' folders and begins with the same words."""
    return [found for path in paths for found in glob.glob(glob.escape(path.rpartition("-")[0]) + "-*")]


def build(module, given):
    """Run the commands one after the other; return them."""
    asked = {name: given[name] for name in (*TEXTS, *LISTS, "installer")}
    wheel = max(glob.glob(WHEELS), default="")
    commands = installs(there=there(given["uv"], given["poetry"]), wheel=wheel, **asked)
    variables = ["%s=%s" % pair for pair in sorted(given["environment"].items())]
    begin = [*given["run"], "env", "--chdir=" + given["code"], "--unset=VIRTUAL_ENV", *variables]
    ran = []
    for command, text in commands:
        ran.append(command)
        rc, stdout, stderr = module.run_command(begin + command, data=text or None)
        if rc:
            module.fail_json(msg="The command failed: " + " ".join(command), rc=rc, stdout=stdout, stderr=stderr, commands=ran)
    return ran


def main():
    """Make an empty directory, build the virtualenv in it, seal it, and mark it as complete."""
    module = AnsibleModule(
        argument_spec={name: {"type": "str", "required": True} for name in (*TEXTS, *ACCOUNTS)}
        | {name: {"type": "list", "elements": "str", "default": []} for name in (*LISTS, "seal")}
        | {
            "root": {"type": "str", "default": ""},
            "run": {"type": "list", "elements": "str", "required": True},
            "environment": {"type": "dict", "default": {}},
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "installer": {"type": "str", "choices": ["uv", "pip"], "required": True},
        },
    )
    given = module.params
    path, user, group = given["virtualenv"], given["user"], given["group"]
    if os.path.lexists(os.path.join(path, COMPLETE)):
        module.exit_json(changed=False, commands=[])
    try:
        with building(given["root"]):
            clear(path)
            list(apply([{"path": path, "owner": user, "group": group, "mode": "0750"}]))
            commands = build(module, given)
        seal_all(given["seal"], user, group)
        seal_all([glob.escape(path)], user, group, COMPLETE)
    except (OSError, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, commands=commands)


if __name__ == "__main__":
    main()
