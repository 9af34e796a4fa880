#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_checkout
short_description: Begin a release with its directories, the code of its revision and its environment
description:
  - Stops and clears what an interrupted release of the name left.
  - Git runs as the account that builds, and alone, since its objects can be links to those of the mirror only where no sandbox stands between them.
    So it reads nothing that a build has written, and is not in the application's group.
  - The directory of the release is root's. Below C(code), which is the account's, root uses no name.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: selfhost.django.application
options:
  release:
    description: Name of the release.
    type: str
    required: true
  mirror:
    description: Directory of the repository's mirror, in the home of the account that builds.
    type: str
    required: true
  repository:
    description: The repository's URL, or its path, to which addresses of submodules are relative, and where files of Git LFS are.
    type: str
    required: true
  revision:
    description: Commit to check out, which the mirror has.
    type: str
    required: true
  subdirectory:
    description: Folder of manage.py in the repository.
    type: str
    default: ""
  lfs:
    description: Whether files of Git LFS are fetched.
    type: bool
    default: false
  git_environment:
    description: Variables of git, beside C(HOME), C(PATH), C(LANG) and those that name a proxy.
    type: dict
    default: {}
  timeout_seconds:
    description: Seconds that one command of git may take.
    type: int
    default: 3600
  user:
    description: Account that builds, whose group has its name.
    type: str
    required: true
  group:
    description: The application's group.
    type: str
    required: true
  environment:
    description: Content of the file C(environment) of the release, which the application reads.
    type: str
    required: true
  build_environment:
    description: Content of the file C(build-environment), which installers and build commands read.
    type: str
    required: true
  virtualenv:
    description: Directory of its virtualenv below C(venvs), which is linked and need not be there yet.
    type: str
    required: true
  lock:
    description: Lock of the release, whose holder is alive meanwhile.
    type: path
attributes:
  check_mode: {support: none, description: "There is no release in a dry run."}
  diff_mode: {support: none, description: "What it makes is no text."}
"""

EXAMPLES = r"""
- name: Check the revision out
  selfhost.django.release_checkout:
    root: /srv/shop
    service: shop
    release: 4f1c2d3e5a6b-0a1b2c3d
    mirror: /srv/shop/build/repository.git
    repository: https://git.example.org/shop.git
    revision: 4f1c2d3e5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d
    user: shop-build
    group: shop
    environment: "{{ {'SECRET_KEY': secret_key} | selfhost.django.environment_file }}"
    build_environment: "{{ {'NODE_ENV': 'production'} | selfhost.django.environment_file }}"
    virtualenv: /srv/shop/venvs/0a1b2c3d4e5f
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

import functools
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.building import variables
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask
from ansible_collections.selfhost.django.plugins.module_utils.directories import apply, clear
from ansible_collections.selfhost.django.plugins.module_utils.locks import alive
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath, account, open_directory, write_file
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, forget
from ansible_collections.selfhost.django.plugins.module_utils.requirements import Refusal
from ansible_collections.selfhost.django.plugins.module_utils.sources import LFS, at_work


def check_out(run, environment, mirror, repository, revision, subdirectory, lfs):
    """Let the folder in which `run`, as commands.ask, runs commands hold a revision; yield each command that ran.

    Failed is raised where one fails, and Refusal for a revision without manage.py.
    """

    def git(*words, **further):
        run("git", *words, env=environment | further)
        return ["git", *words]

    def has(path):
        try:
            run("test", "-e", path, env=environment)
        except Failed:
            return False
        return True

    # Releases share what Git LFS fetched once.
    clone = ["clone", "--quiet", "--no-checkout", "--config", "lfs.storage=%s/%s" % (mirror, LFS), mirror, "."]
    try:
        yield git(*clone)
    except Failed:
        # A link in layers of file systems (overlayfs) is another file to git, which does not trust it.
        yield git(*clone, "--no-hardlinks")
    # Where files of Git LFS are, and what a submodule's address is relative to.
    yield git("remote", "set-url", "origin", repository)
    yield git("checkout", "--quiet", "--detach", revision, GIT_LFS_SKIP_SMUDGE="1")
    if lfs:
        # Without its hooks, which are for whoever commits.
        yield git("lfs", "install", "--local", "--skip-repo")
        yield git("lfs", "pull")
    if has(".gitmodules"):
        yield git("submodule", "--quiet", "update", "--init", "--recursive")
    manage = os.path.join(subdirectory, "manage.py")
    if not has(manage):
        raise Refusal("Revision %s has no %s: give app_subdirectory the folder of manage.py." % (revision, manage))


def is_active(units):
    """Whether systemd runs any of them."""
    try:
        ask("systemctl", "is-active", "--quiet", *units)
    except Failed:
        return False
    return True


def begin(given):
    """Make the release; return the commands that ran."""
    group, (user, own_group) = account("root", given["group"])[1], account(given["user"], given["user"])
    release, commands = "%(root)s/releases/%(release)s" % given, []
    units = ["%s@%s.%s" % (given["service"], given["release"], kind) for kind in ("socket", "service")]
    if os.path.lexists(release) or is_active(units):
        commands.append(["systemctl", "stop", *units])
        ask(*commands[0])
    forget(release)
    clear(release)
    owned = {"owner": given["user"], "group": given["group"]}
    list(apply([
        {"path": release, "group": given["group"], "mode": "0711"},
        {"path": release + "/code", "mode": "0750"} | owned,
        {"path": release + "/tmp", "mode": "0700"} | owned,
    ]))  # fmt: skip
    options = {"cwd": release + "/code", "user": user, "group": own_group, "extra_groups": [], "umask": 0o027, "seconds": given["timeout_seconds"]}
    asked = [given[name] for name in ("mirror", "repository", "revision", "subdirectory", "lfs")]
    with at_work(given["mirror"]) as mirror:
        commands += check_out(functools.partial(ask, pass_fds=[mirror], **options), variables(given["git_environment"], os.environ), *asked)
    folder = open_directory(release)
    try:
        for name in ("environment", "build_environment"):
            write_file(folder, name.replace("_", "-"), given[name].encode(), 0, group, 0o640)
        os.symlink("../../venvs/" + os.path.basename(given["virtualenv"]), "venv", dir_fd=folder)
    finally:
        os.close(folder)
    return commands


def main():
    """Make the release, or say why it cannot be made."""
    module = AnsibleModule(
        argument_spec=APPLICATION
        | {name: {"type": "str", "required": True} for name in ("release", "mirror", "repository", "revision", "user", "group", "virtualenv")}
        | {
            "subdirectory": {"type": "str", "default": ""},
            "lfs": {"type": "bool", "default": False},
            "git_environment": {"type": "dict", "default": {}},
            "timeout_seconds": {"type": "int", "default": 3600},
            "environment": {"type": "str", "required": True, "no_log": True},
            "build_environment": {"type": "str", "required": True, "no_log": True},
            "lock": {"type": "path"},
        },
    )
    try:
        with alive(module.params["lock"]):
            commands = begin(module.params)
    except Failed as error:
        module.fail_json(**error.details)
    except (OSError, Refusal, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, commands=commands)


if __name__ == "__main__":
    main()
