#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_links
short_description: Link what outlives a release from the release into shared storage
description:
  - Puts a link to shared storage in the place of each path of a release. What the revision brings there becomes the first content of the
    shared folder; what is there already stays.
  - The paths are planned as a set. One inside another is reached through that one's link and not linked again.
  - Nothing is removed but the release's own copy. A path is the release's own when no link leads to it.
  - Runs as root, over folders of the account that builds and of the one that serves, and follows no link of theirs.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  code:
    description: Directory of the release's code.
    type: path
    required: true
  folder:
    description: Folder of manage.py inside O(code); empty for O(code) itself.
    type: str
    default: ""
  shared:
    description: Directory of the shared storage. The paths' directories in it are there already.
    type: path
    required: true
  paths:
    description: Paths of directories, relative to the folder of manage.py.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: none
    description: There is no release in a dry run.
  platform:
    support: full
    description: The platforms it runs on.
    platforms: posix
"""

EXAMPLES = r"""
- name: Link what outlives the release
  selfhost.django.release_links:
    code: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/code
    shared: /srv/shop/shared
    paths: [media, var/log]
"""

RETURN = r"""
linked:
  description: Paths that a link was put in the place of.
  type: list
  elements: str
  returned: always
"""

import os
import posixpath
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.paths import DIRECTORY, UnsafePath, look, open_directory, outermost


def make(above, name):
    """Make a directory that belongs to whom the one above it belongs, and return a descriptor of it."""
    parent = os.fstat(above)
    os.mkdir(name, 0o700, dir_fd=above)
    descriptor = os.open(name, DIRECTORY, dir_fd=above)
    os.fchown(descriptor, parent.st_uid, parent.st_gid)
    os.fchmod(descriptor, 0o755 | parent.st_mode & stat.S_ISGID)
    return descriptor


def own_parent(code, path):
    """Return a descriptor of the directory in which a path of the release lies, made where it is missing; no link leads to it."""
    descriptor, seen = os.open(code, DIRECTORY), []
    try:
        for name in [part for part in posixpath.dirname(path).split("/") if part]:
            seen.append(name)
            try:
                following = make(descriptor, name) if look(name, descriptor) is None else os.open(name, DIRECTORY, dir_fd=descriptor)
            except OSError:
                raise UnsafePath(f"{path} outlives the release, and {'/'.join(seen)} of the revision is no folder: give the path that it leads to.") from None
            os.close(descriptor)
            descriptor = following
        return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def copy(name, source, target):
    """Copy a file from one open folder into another, where it belongs to whom that folder belongs."""
    here = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    there = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
    with open(here, "rb") as original, open(there, "wb") as made:
        was, folder = os.fstat(here), os.fstat(target)
        shutil.copyfileobj(original, made)
        os.fchown(there, folder.st_uid, folder.st_gid)
        os.fchmod(there, was.st_mode & 0o777)
        made.flush()
        os.utime(there, ns=(was.st_atime_ns, was.st_mtime_ns))


def bring(source, target):
    """Copy what an open folder has and another lacks; links are copied as links, and none is followed."""
    folder = os.fstat(target)
    for name in sorted(os.listdir(source)):
        here, there = look(name, source).st_mode, look(name, target)
        if stat.S_ISDIR(here) and (there is None or stat.S_ISDIR(there.st_mode)):
            inner = [os.open(name, DIRECTORY, dir_fd=source), make(target, name) if there is None else os.open(name, DIRECTORY, dir_fd=target)]
            try:
                bring(*inner)
            finally:
                for descriptor in inner:
                    os.close(descriptor)
        elif there is None and stat.S_ISLNK(here):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, folder.st_uid, folder.st_gid, dir_fd=target, follow_symlinks=False)
        elif there is None and stat.S_ISREG(here):
            copy(name, source, target)


def link(code, path, target):
    """Let a path of the release be a link to a directory; return whether it was none before."""
    parent, name = own_parent(code, path), posixpath.basename(path)
    try:
        try:
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None and stat.S_ISLNK(mode):
            if os.readlink(name, dir_fd=parent) == target:
                return False
            os.unlink(name, dir_fd=parent)
        elif mode is not None and stat.S_ISDIR(mode):
            ends = os.open(name, DIRECTORY, dir_fd=parent), open_directory(target)
            try:
                bring(*ends)
            finally:
                for descriptor in ends:
                    os.close(descriptor)
            shutil.rmtree(name, dir_fd=parent)
        elif mode is not None:
            raise UnsafePath(f"{path} outlives the release, and is a file in the revision: give the folder that such files lie in.")
        os.symlink(target, name, dir_fd=parent)
        return True
    finally:
        os.close(parent)


def main():
    module = AnsibleModule(
        argument_spec={
            "code": {"type": "path", "required": True},
            "folder": {"type": "str", "default": ""},
            "shared": {"type": "path", "required": True},
            "paths": {"type": "list", "elements": "str", "required": True},
        },
    )
    code, folder, shared = (module.params[name] for name in ("code", "folder", "shared"))
    os.umask(0o022)
    try:
        linked = [
            path for path in outermost(module.params["paths"]) if link(code, posixpath.join(folder, path), posixpath.join(shared, path))
        ]  # fmt: skip
    except (UnsafePath, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(linked), linked=linked)


if __name__ == "__main__":
    main()
