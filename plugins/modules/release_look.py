#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_look
short_description: Look which release a web host serves, and what another one would be built from
description:
  - Reads, in one round trip, what decides on a release. It changes nothing.
  - Runs as the application's account, whose folders it reads. What that account may have put in the place of a file is not followed and not waited for.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  root:
    description: Directory of the application, with C(current), C(releases) and C(venvs).
    type: str
    required: true
  service:
    description: Name that all units of the application begin with.
    type: str
    required: true
  mark:
    description: Line by which a unit of its processes and timers is known.
    type: str
    required: true
  release:
    description: Release that is about to be made; whether something of it is there is told.
    type: str
  virtualenv:
    description: Its virtualenv; whether it is complete is told.
    type: str
  mark_of_initial_data:
    description: File that stands until the initial data of a new database is in; whether it does is told.
    type: str
  source:
    description: What a release is to be built from. Without it that is not looked at.
    type: dict
    suboptions:
      mirror:
        description: Mirror of the repository.
        type: str
        required: true
      commit:
        description: Commit that the mirror has to have; where it does not, nothing is resolved. Empty where the mirror is up to date.
        type: str
        default: ""
      version:
        description: Branch, tag or commit to release.
        type: str
        required: true
      repository:
        description: The repository, as a sentence calls it.
        type: str
        required: true
      subdirectory:
        description: Folder of manage.py in it.
        type: str
        default: ""
      python:
        description: Interpreter of the release.
        type: str
        required: true
      requirements:
        description: Requirement files, and code of the repository that is installed.
        type: list
        elements: str
        default: []
      arguments:
        description: Further words for pip.
        type: list
        elements: str
        default: []
attributes:
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Look what serves
  selfhost.django.release_look:
    root: /srv/shop
    service: shop
    mark: X-Application=shop
  become: true
  become_user: shop
"""

RETURN = r"""
current:
  description: Release that serves; empty before the first one.
  type: str
  returned: always
running:
  description: Releases whose sockets systemd knows.
  type: list
  elements: str
  returned: always
units:
  description:
    - Units of processes and timers, by name, each with C(active); C(enabled); C(read), whether systemd has read its file as it is; and
      C(current), whether it runs the release that serves from that file.
  type: dict
  returned: always
is_left:
  description: Whether something of O(release) is there.
  type: bool
  returned: always
has_virtualenv:
  description: Whether O(virtualenv) is complete.
  type: bool
  returned: always
is_initial:
  description: Whether O(mark_of_initial_data) is there.
  type: bool
  returned: always
has_mirror:
  description: Whether there is a mirror.
  type: bool
  returned: when O(source) is given
resolved:
  description:
    - C(revision), C(digest) of the requirement files, C(own) for a virtualenv that fits this revision alone, and C(interpreter), a list of version, path,
      and C(system) or C(other).
    - Nothing where the mirror lacks O(source.commit).
  type: dict
  returned: when O(source) is given
"""

import glob
import os
import platform
import stat
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.sources import Refusal, is_there, resolve

SOURCE = {
    "mirror": {"type": "str", "required": True},
    "commit": {"type": "str", "default": ""},
    "version": {"type": "str", "required": True},
    "repository": {"type": "str", "required": True},
    "subdirectory": {"type": "str", "default": ""},
    "python": {"type": "str", "required": True},
    "requirements": {"type": "list", "elements": "str", "default": []},
    "arguments": {"type": "list", "elements": "str", "default": []},
}
# Version, and what it really is: Debian's application server fits Debian's interpreter only.
QUESTION = "import os, platform, sys; print(platform.python_version(), os.path.realpath(sys.executable), sep='\\n')"


def output(*words):
    """Return what a command prints; nothing of one that fails or cannot be run."""
    try:
        return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout
    except OSError:
        return ""


def note(path):
    """Return the text and the time of change of a small file; a link or a pipe is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "", 0
    with os.fdopen(descriptor, "rb") as file:
        information = os.fstat(descriptor)
        return (file.read(200).decode("utf-8", "replace").strip(), information.st_mtime_ns) if stat.S_ISREG(information.st_mode) else ("", 0)


def current_of(root):
    """Return the name of the release that serves; empty where none does."""
    try:
        return os.path.basename(os.readlink(os.path.join(root, "current")))
    except OSError:
        return ""


def releases_of(listing, service):
    """Return the releases in lines of `systemctl list-units` on sockets SERVICE@RELEASE.socket."""
    names = [word for line in listing.splitlines() for word in line.split() if word.startswith(service + "@") and word.endswith(".socket")]
    return [name[len(service) + 1 : -len(".socket")] for name in names]


def units_of(service, mark, current, units="/etc/systemd/system", run="/run"):
    """Return the units of processes and timers by name, and what is known of each."""
    files = {}
    for kind in ("service", "timer"):
        for path in sorted(glob.glob(os.path.join(units, "%s-*.%s" % (service, kind)))):
            try:
                with open(path, encoding="utf-8") as file:
                    if mark in file.read().splitlines():
                        files[os.path.basename(path)] = os.stat(path).st_mtime_ns
            except OSError:
                # Nobody's who has just gone.
                continue
    shown = output("systemctl", "show", "--property=ActiveState,NeedDaemonReload", *files).split("\n\n") if files else []
    found = {}
    for (name, changed), block in zip(files.items(), shown):
        release, started = note(os.path.join(run, os.path.splitext(name)[0], "release"))
        lines = block.splitlines()
        found[name] = {
            "active": "ActiveState=active" in lines,
            "enabled": bool(glob.glob(os.path.join(units, "*.wants", name))),
            "read": "NeedDaemonReload=no" in lines,
            "current": bool(release) and release == current and started >= changed,
        }
    return found


def interpreter_of(python):
    """Return version, path and `system` or `other` of an interpreter."""
    words = output(python, "-c", QUESTION).splitlines()
    if len(words) != 2:
        raise Refusal("app_python %s does not run on %s: give the path of an interpreter that is installed there." % (python, platform.node()))
    return words + ["system" if words[1] == os.path.realpath("/usr/bin/python3") else "other"]


def look_at_source(source):
    """Return what a release would be built from."""
    if not os.path.isdir(source["mirror"]):
        return {"has_mirror": False, "resolved": {}}
    if source["commit"] and not is_there(source["mirror"], source["commit"]):
        return {"has_mirror": True, "resolved": {}}
    interpreter = interpreter_of(source["python"])
    answer = resolve(
        source["mirror"], source["commit"] or source["version"], source["repository"], source["subdirectory"],
        interpreter[0], source["requirements"], source["arguments"],
    )  # fmt: skip
    return {"has_mirror": True, "resolved": answer | {"interpreter": interpreter}}


def main():
    """Look, and tell."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True},
            "service": {"type": "str", "required": True},
            "mark": {"type": "str", "required": True},
            "release": {"type": "str"},
            "virtualenv": {"type": "str"},
            "mark_of_initial_data": {"type": "str"},
            "source": {"type": "dict", "options": SOURCE},
        },
        supports_check_mode=True,
    )
    root, service, release, virtualenv, initial = map(module.params.get, ("root", "service", "release", "virtualenv", "mark_of_initial_data"))
    current = current_of(root)
    try:
        found = look_at_source(module.params["source"]) if module.params["source"] else {}
        found |= {
            "current": current,
            "running": releases_of(output("systemctl", "list-units", "--plain", "--no-legend", service + "@*.socket"), service),
            "units": units_of(service, module.params["mark"], current),
            "is_left": bool(release) and os.path.lexists(os.path.join(root, "releases", release)),
            "has_virtualenv": bool(virtualenv) and os.path.lexists(os.path.join(virtualenv, ".complete")),
            "is_initial": bool(initial) and os.path.lexists(initial),
        }
    except (OSError, Refusal) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
