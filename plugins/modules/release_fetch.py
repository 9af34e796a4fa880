#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_fetch
short_description: Bring the mirror of a repository up to date, and tell what a release would be built from
description:
  - The mirror is nobody's work tree; to bring it up to date changes nothing that runs. So it is done in check mode, too. Where it stands in the way itself,
    as after a power cut, it is made anew, once nobody else is at work in it.
  - A repository on the controller travels as a bundle of its branches, its tags and what is checked out, and only to a mirror that lacks the commit.
  - Git runs as the account that builds, whose mirror it is, and reads nothing that a build has written.
  - Tells all that M(selfhost.django.release_look) tells.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.application, selfhost.django.application.units]
options:
  mirror:
    description: Directory of the mirror, which is there.
    type: str
    required: true
  repository:
    description: The repository's URL, or its absolute path on the controller.
    type: str
    required: true
  version:
    description: Branch, tag or commit to release.
    type: str
    required: true
  subdirectory:
    description: Folder of manage.py in the repository.
    type: str
    default: ""
  user:
    description: Account that builds, whose group has its name.
    type: str
    required: true
  git_environment:
    description: Variables of git, beside C(HOME), C(PATH), C(LANG) and those that name a proxy.
    type: dict
    default: {}
  timeout_seconds:
    description: Seconds that git may take for all of it.
    type: int
    default: 3600
  python:
    description: Interpreter of the release, as a command, a path, or a version.
    type: str
    required: true
  installer:
    description: What builds virtualenvs. Of these, uv provides an interpreter of a version that the host does not have.
    type: str
    choices: [uv, pip]
    default: uv
  requirements:
    description: Entries as in O(selfhost.django.app#role:main:app_requirements).
    type: list
    elements: str
    default: []
  arguments:
    description: Further words for pip.
    type: list
    elements: str
    default: []
  withheld:
    description: Names of the application's variables that the installer does not get. A requirement file that reads one of them is refused.
    type: list
    elements: str
    default: []
  packages:
    description: Further packages of the virtualenv.
    type: list
    elements: str
    default: []
  server_requirement:
    description: Application server from PyPI, which a virtualenv gets whose interpreter is not the distribution's.
    type: str
    default: ""
  inputs:
    description: Digest of what the inventory gives the release. It is a part of the release's id, so that other input makes another release.
    type: str
    default: ""
  maintenance:
    description: File that is there while visitors see another page.
    type: str
    default: ""
  schedules:
    description: Schedules of timers. The host's systemd has the last word on them, before anything is made.
    type: list
    elements: str
    default: []
  key:
    description: Private key that the repository's host lets in. Without it, the one at O(key_path) is removed.
    type: str
    default: ""
  key_path:
    description: Where it is kept, for nobody else to read.
    type: str
    required: true
  host_keys:
    description: Keys of the repository's host, as lines of C(known_hosts).
    type: list
    elements: str
    default: []
  host_keys_path:
    description: Where they are kept.
    type: str
    required: true
  commit:
    description: Commit that the controller has under O(version). Given by the action of this name.
    type: str
    default: ""
  recent:
    description: Bundle of the newest commits, in Base64, which is fetched from where O(commit) is missing. Given by the action of this name.
    type: str
    default: ""
  bundle:
    description: Bundle on the host to fetch from. Given by the action of this name.
    type: str
    default: ""
attributes:
  check_mode: {support: full, description: "Fetches in check mode, too."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Fetch what is to be released
  selfhost.django.release_fetch:
    root: /srv/shop
    service: shop
    mark: X-Application=shop
    mirror: /srv/shop/build/repository.git
    repository: https://git.example.org/shop.git
    version: main
    user: shop-build
    python: python3
    requirements: [requirements.txt]
    key_path: /srv/shop/build/repository_key
    host_keys_path: /srv/shop/build/repository_host_keys
  become: true
"""

RETURN = r"""
resolved:
  description:
    - C(revision); C(requirements), the entries that hold; C(digest) of the files that they depend on; C(own) for a virtualenv that fits this revision
      alone; C(lfs) where files are in Git LFS.
    - C(interpreter), a list of version, path or once more the version where uv provides it, and C(system) or C(other).
    - C(release), the id of the release; C(virtualenv), the name of its virtualenv; C(packages), what that gets further; and C(version), as it was given.
    - Nothing where the mirror lacks O(commit), and O(recent) does not lead to it, and there is no O(bundle).
  type: dict
  returned: always
current:
  description: This and what follows is told as by M(selfhost.django.release_look).
  type: str
  returned: always
running:
  description: Releases whose sockets systemd knows.
  type: list
  elements: str
  returned: always
units:
  description: Units of processes and timers.
  type: dict
  returned: always
"""

import base64
import contextlib
import os
import platform
import shutil
import subprocess
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.building import act, variables
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath, account, open_directory, read_file, remove, write_file
from ansible_collections.selfhost.django.plugins.module_utils.paths import look as look_at
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, UNITS, look, named, output
from ansible_collections.selfhost.django.plugins.module_utils.requirements import PYTHON, Refusal
from ansible_collections.selfhost.django.plugins.module_utils.sources import at_work, fetch, is_there, resolve

LISTS = ("requirements", "packages", "arguments", "withheld", "schedules", "host_keys")
# Version, and what it really is: Debian's application server fits Debian's interpreter only.
QUESTION = "import os, platform, sys; print(platform.python_version(), os.path.realpath(sys.executable), sep='\\n')"


def interpreter_of(python, installer="uv"):
    """Return version, path and `system` or `other` of an interpreter; of one that uv is to provide, its version twice and `other`."""
    number = PYTHON.fullmatch(python)
    # It is asked without what an account has for its Python at home, or in the folder that it is in.
    words = output("python%s.%s" % tuple(python.split(".")[:2]) if number else python, "-I", "-c", QUESTION).splitlines()
    if number and (len(words) != 2 or not (words[0] + ".").startswith(python + ".")):
        if installer == "uv":
            return [python, python, "other"]
        raise Refusal("app_python %s is not on %s: install it there, or let uv download it by django_installer: uv." % (python, platform.node()))
    if len(words) != 2:
        raise Refusal("app_python %s does not run on %s: give the path of an interpreter that is installed there." % (python, platform.node()))
    return words + ["system" if words[1] == os.path.realpath("/usr/bin/python3") else "other"]


def keep(path, text):
    """Let a file that nobody else reads have a text, or be gone; return whether it had another one."""
    folder, name = open_directory(os.path.dirname(path)), os.path.basename(path)
    try:
        # A pipe or a folder in its place, which a build may have left, is neither waited for nor in the way.
        there, found = look_at(name, folder), read_file(folder, name)
        if text.encode() == (found[0] if found else b"") and bool(there) == bool(text):
            return False
        if not found:
            remove(name, folder)
        if text:
            write_file(folder, name, text.encode(), os.geteuid(), os.getegid(), 0o600)
        elif found:
            remove(name, folder)
    finally:
        os.close(folder)
    return True


def carried(mirror, commit, recent):
    """Bring a mirror up to a commit by a bundle of the newest ones, in Base64; return whether anything changed, None where that does not lead to it."""
    if commit and is_there(mirror, commit):
        return False
    if not recent:
        return None
    with tempfile.NamedTemporaryFile(suffix=".bundle") as file:
        file.write(base64.b64decode(recent))
        file.flush()
        try:
            fetch(mirror, file.name, is_whole=False)
        except Refusal:
            # The mirror lacks what these follow.
            return None
    return True if is_there(mirror, commit) else None


def bring(mirror, repository, commit, recent, bundle, key, key_path, host_keys, host_keys_path, **_others):
    """Bring the mirror up to date; return whether anything changed, or None where a bundle is needed first."""
    if repository.startswith("/") and not bundle:
        return carried(mirror, commit, recent)
    changed = [
        keep(key_path, key.strip() + "\n" if key else ""),
        keep(host_keys_path, "".join(line.strip() + "\n" for line in host_keys)),
        fetch(mirror, bundle or repository),
    ]
    return any(changed)


@contextlib.contextmanager
def handed(bundle, uid):
    """Give the path by which an account reads a file that lies where it may not look; an empty one of no file."""
    if not bundle:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="selfhost-bundle-", dir="/var/tmp") as folder:
        path = os.path.join(folder, "repository.bundle")
        os.chmod(folder, 0o711)
        try:
            os.link(bundle, path)
        except OSError:
            # Another file system.
            shutil.copyfile(bundle, path)
        os.chown(path, uid, -1)
        yield path


def check_schedules(schedules):
    """Refuse a schedule that systemd does not read (systemd-analyze(1), "calendar")."""
    for schedule in schedules:
        done = subprocess.run(["systemd-analyze", "calendar", "--", schedule], capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = " ".join(done.stderr.split()) or "it says nothing."
            raise Refusal("app_timers has the schedule '%s', which systemd on %s does not read: %s" % (schedule, platform.node(), said))


def named_and_resolved(given):
    """Return what the release is built from, with its names; given are the module's options."""
    interpreter = interpreter_of(given["python"], given["installer"])
    with at_work(given["mirror"]):
        resolved = resolve(
            given["mirror"], given["commit"] or given["version"], given["repository"], given["subdirectory"],
            interpreter[0], given["requirements"], given["arguments"], given["withheld"],
        ) | {"interpreter": interpreter}  # fmt: skip
    packages = given["packages"] + [given["server_requirement"]] * ("other" in interpreter)
    release, virtualenv = named(resolved, given["inputs"], [given["installer"], given["requirements"], packages, given["arguments"]])
    return resolved | {"version": given["version"], "packages": packages, "release": release, "virtualenv": virtualenv}


def brought(given):
    """Return whether the mirror has changed, None where a bundle is needed first, and what the release is built from."""
    changed = bring(**given)
    return changed, {} if changed is None else named_and_resolved(given)


def fetched(given):
    """Return the same, by the account that builds."""
    uid, gid = account(given["user"], given["user"])
    with handed(given["bundle"], uid) as bundle:
        return act(uid, gid, variables(given["git_environment"], os.environ), given["timeout_seconds"], brought, given | {"bundle": bundle})


def main():
    """Fetch, look, and tell."""
    texts = ("mirror", "repository", "version", "user", "python", "key_path", "host_keys_path")
    module = AnsibleModule(
        argument_spec=APPLICATION
        | UNITS
        | {
            **{name: {"type": "str", "required": True, "no_log": False} for name in texts},
            **{name: {"type": "str", "default": ""} for name in ("subdirectory", "commit", "recent", "bundle", "inputs", "maintenance", "server_requirement")},
            **{name: {"type": "list", "elements": "str", "default": [], "no_log": False} for name in LISTS},
            "key": {"type": "str", "default": "", "no_log": True},
            "installer": {"type": "str", "choices": ["uv", "pip"], "default": "uv"},
            "git_environment": {"type": "dict", "default": {}},
            "timeout_seconds": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        check_schedules(given["schedules"])
        changed, resolved = fetched(given)
        names = {name: resolved.get(name, "") for name in ("release", "virtualenv")} | {"maintenance": given["maintenance"]}
        module.exit_json(changed=bool(changed), resolved=resolved, **look(given["root"], given["service"], given["mark"], **names))
    except (OSError, Refusal, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
