#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_upgrade
short_description: Install the packages of the next Debian
description:
  - Names the next Debian in apt's sources, then upgrades as its release notes have it, first what needs no other package, then all. Nothing is
    asked; of configuration files that somebody changed, those on the host stay.
  - The upgrade runs in a unit of its own, so a connection that breaks does not end it, and another run waits for it. One that was ended goes on
    where it was.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  named:
    description: Files of other people's package sources that go along.
    type: list
    elements: path
    default: []
  next:
    description: What the host's mark says once all packages are there.
    type: str
    required: true
attributes:
  check_mode: {support: full, description: "Shows what changes of the sources, and says that the packages would be upgraded."}
  diff_mode: {support: full, description: "Shows what changes of the sources."}
"""

EXAMPLES = r"""
- name: Install the packages of the next Debian
  selfhost.django.debian_upgrade:
    next: reboot
"""

RETURN = r"""
log:
  description: File in which apt's words are.
  type: str
  returned: always
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils import apt_sources
from ansible_collections.selfhost.django.plugins.module_utils.debian import MARK, NEW, OLD, ask

UNIT = "selfhost-debian-upgrade.service"
LOG = "/var/log/selfhost-debian-upgrade.log"
OPTIONS = "-o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --yes"
# Release notes of Debian 13, "Upgrading packages"; first what an interrupted one left.
SCRIPT = """set -eu
dpkg --force-confdef --force-confold --configure --pending
apt-get {options} --fix-broken install
apt-get {options} update
apt-get {options} --without-new-pkgs upgrade
apt-get {options} --no-install-recommends full-upgrade
""".format(options=OPTIONS)
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical", "NEEDRESTART_SUSPEND": "1", "APT_LISTCHANGES_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1", "LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}  # fmt: skip


def write(path, text):
    """Write a file of root's in one step; what is beside it is gone after a crash, or whole."""
    mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
    with open(path + ".selfhost", "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".selfhost", path)


def state():
    """Return what systemd says of the unit; while systemd itself is being upgraded it may not answer."""
    code, out, _err = ask("systemctl", "show", "--property=LoadState,ActiveState,Result", "--", UNIT)
    row = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    return row if code == 0 and "ActiveState" in row else {"ActiveState": "activating", "Result": ""}


def settled(seconds=2):
    """Wait for the unit to end; return what came of it."""
    while (row := state())["ActiveState"] in ("active", "activating", "deactivating", "reloading"):
        time.sleep(seconds)
    return row


def start():
    """Start the upgrade; return whether systemd took it."""
    ask("systemctl", "reset-failed", "--", UNIT)
    properties = ["--property=StandardOutput=append:" + LOG, "--property=StandardError=append:" + LOG]
    words = ["--setenv=%s=%s" % pair for pair in ENVIRONMENT.items()]
    return ask("systemd-run", "--quiet", "--unit=" + UNIT, *properties, *words, "/bin/sh", "-c", SCRIPT)


def main():
    """Upgrade, and tell."""
    module = AnsibleModule(
        argument_spec={"named": {"type": "list", "elements": "path", "default": []}, "next": {"type": "str", "required": True}}, supports_check_mode=True
    )
    given = module.params
    sources = apt_sources.files()
    wanted = {path: apt_sources.upgraded(path, text, OLD[1], NEW[1], path in given["named"]) for path, text in sources.items()}
    changes = {path: new for path, new in wanted.items() if new != sources[path]}
    diff = [{"before_header": path, "after_header": path, "before": sources[path], "after": new} for path, new in changes.items()]
    if not module.check_mode:
        write(MARK, "packages\n")
        for path, new in changes.items():
            write(os.path.realpath(path), new)
        settled()
        code, _out, err = start()
        if code:
            module.fail_json(msg="systemd does not start the upgrade: %s" % err.strip())
        if (row := settled())["Result"] != "success":
            _code, tail, _err = ask("tail", "--lines=15", LOG)
            module.fail_json(msg="The upgrade ended with %s; the next run goes on with it. The end of %s:\n%s" % (row["Result"], LOG, tail))
        write(MARK, given["next"] + "\n")
    module.exit_json(changed=True, diff=diff, log=LOG)


if __name__ == "__main__":
    main()
