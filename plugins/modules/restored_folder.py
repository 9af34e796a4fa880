#!/usr/bin/python
# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: restored_folder
short_description: Bring a folder of the application's files back
description:
  - Fetches what was taken out of a backup into a folder beside the one in use, C(<path>.restored), and on request puts it in its place; what
    was there is kept as C(<path>.before-<stamp>).
  - The application may write to the folders around. So nothing is followed there that is not root's, and files are made and handed over where
    only root can go; they take their place by their name alone. A run that was interrupted is taken up by the next one.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  path:
    description: Folder in use.
    type: path
    required: true
  source:
    description: What rsync fetches from, a folder of this host or of another one, with a slash at its end; without one nothing is fetched.
    type: str
  owner:
    description: User who gets what is brought.
    type: str
  group:
    description: Group that gets it.
    type: str
  mode:
    description: Mode of the folder itself; without one it gets that of the folder in use.
    type: str
  in_place:
    description: Whether what was fetched, now or earlier, takes the place of the folder in use.
    type: bool
    default: false
  stamp:
    description: Names what was there before; needed for O(in_place).
    type: str
  where_empty:
    description: Whether a folder in use that holds something is left as it is.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Bring the uploads back, beside those in use
  selfhost.django.restored_folder:
    path: /srv/shop/shared/media
    source: /var/lib/media-backup/restored/web1/
    owner: shop
    group: www-data
"""

RETURN = r"""
path:
  description: Where it is now; empty where nothing was brought.
  returned: success
  type: str
"""

import grp
import os
import pwd
import stat
import subprocess

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhost.django.plugins.module_utils.commands import Ended, hold
from ansible_collections.selfhost.django.plugins.module_utils.disks import flush
from ansible_collections.selfhost.django.plugins.module_utils.paths import DIRECTORY, UnsafePath, look, open_directory, remove

NEW = "new"
# What who hands files over may take, as its unit does, and of that without a word.
SECONDS = 12 * 3600
SILENT_SECONDS = 600
# More than rsync has to say; it may have a complaint for each file, of which the first ones are told.
MOST_BYTES = 1 << 20
MOST_LINES = 3


def building(parent, name):
    """Return a descriptor of the folder where only root can go, as a new one or as an interrupted run left it."""
    found = look(name, parent)
    if not found:
        os.mkdir(name, 0o700, dir_fd=parent)
    handle = os.open(name, DIRECTORY, dir_fd=parent)
    found = os.fstat(handle)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UnsafePath("%s stands in the way, which root did not make: remove it" % name)
    return handle


def fetch(source, owner, group, folder):
    """Have rsync fetch into a folder by its descriptor. Links that lead out of what is fetched are left out."""
    # Nothing is said of pipes and the like, of which there may be any number.
    words = ["-rlptog", "--info=nonreg0", "--sparse", "--delete", "--safe-links", "--timeout=%d" % SILENT_SECONDS, "--chown=%s:%s" % (owner, group)]
    try:
        done = hold(
            ["rsync", *words, source, "./%s/" % NEW], seconds=SECONDS, most=MOST_BYTES, cwd="/proc/self/fd/%d" % folder, stdin=subprocess.DEVNULL
        )  # fmt: skip
    except Ended as ended:
        raise UnsafePath("rsync %s" % ended) from None
    if done.returncode:
        raise UnsafePath("; ".join(done.stderr.strip().splitlines()[:MOST_LINES]) or "rsync ended with %d" % done.returncode)


def bring(parameters, name, parent):
    """Fetch it, and let it stand beside the folder in use."""
    restored, work = name + ".restored", ".%s.restoring" % name
    folder = building(parent, work)
    fetch(parameters["source"], parameters["owner"], parameters["group"], folder)
    new, used = os.open(NEW, DIRECTORY, dir_fd=folder), look(name, parent)
    mode = stat.S_IMODE(used.st_mode) if used and stat.S_ISDIR(used.st_mode) else 0o750
    os.fchown(new, pwd.getpwnam(parameters["owner"]).pw_uid, grp.getgrnam(parameters["group"]).gr_gid)
    os.fchmod(new, int(parameters["mode"], 8) if parameters["mode"] else mode)
    # What has the name is whole, whenever the power fails.
    flush(new)
    os.close(new)
    # Of an earlier restore.
    remove(restored, parent)
    os.rename(NEW, restored, src_dir_fd=folder, dst_dir_fd=parent)
    os.rmdir(work, dir_fd=parent)
    os.fsync(parent)


def swap(parameters, name, parent):
    """Put it in the place of the folder in use."""
    if not look(name + ".restored", parent):
        raise UnsafePath("there is no %s.restored" % name)
    if look(name, parent):
        os.rename(name, "%s.before-%s" % (name, parameters["stamp"]), src_dir_fd=parent, dst_dir_fd=parent)
    os.rename(name + ".restored", name, src_dir_fd=parent, dst_dir_fd=parent)
    os.fsync(parent)


def holds_something(name, parent):
    """Return whether a name stands for more than an empty folder."""
    if not look(name, parent):
        return False
    try:
        folder = os.open(name, DIRECTORY, dir_fd=parent)
    except OSError:
        return True
    try:
        return bool(os.listdir(folder))
    finally:
        os.close(folder)


def main():
    """Do it, or say what is in the way."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "source": {"type": "str"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "str"},
            "in_place": {"type": "bool", "default": False},
            "stamp": {"type": "str"},
            "where_empty": {"type": "bool", "default": False},
        },
        required_if=[("in_place", True, ["stamp"])],
        required_by={"source": ["owner", "group"]},
        supports_check_mode=True,
    )
    path = module.params["path"].rstrip("/")
    try:
        parent = open_directory(os.path.dirname(path))
        if module.params["where_empty"] and holds_something(os.path.basename(path), parent):
            module.exit_json(changed=False, path="")
        if module.params["source"] and not module.check_mode:
            bring(module.params, os.path.basename(path), parent)
        if module.params["in_place"] and not module.check_mode:
            swap(module.params, os.path.basename(path), parent)
    except (OSError, UnsafePath, KeyError) as error:
        module.fail_json(msg="%s is not brought back: %s" % (path, error))
    module.exit_json(changed=True, path=path if module.params["in_place"] else path + ".restored")


if __name__ == "__main__":
    main()
