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
from ansible_collections.selfhost.django.plugins.module_utils.paths import DIRECTORY, UnsafePath, outermost


def own_parent(code, path):
    """Return a descriptor of the directory in which a path of the release lies, made where it is missing; no link leads to it."""
    descriptor, seen = os.open(code, DIRECTORY), []
    try:
        for name in [part for part in posixpath.dirname(path).split("/") if part]:
            seen.append(name)
            try:
                os.mkdir(name, 0o755, dir_fd=descriptor)
            except FileExistsError:
                pass
            try:
                following = os.open(name, DIRECTORY, dir_fd=descriptor)
            except OSError:
                raise UnsafePath(f"{path} outlives the release, and {'/'.join(seen)} of the revision is no folder: give the path that it leads to.") from None
            os.close(descriptor)
            descriptor = following
        return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def bring(source, target):
    """Copy what a folder has and another lacks; links are copied as links."""
    for name in sorted(os.listdir(source)):
        here, there = os.path.join(source, name), os.path.join(target, name)
        if os.path.isdir(here) and not os.path.islink(here):
            if not os.path.lexists(there):
                os.mkdir(there)
                shutil.copymode(here, there)
            if os.path.isdir(there):
                bring(here, there)
        elif not os.path.lexists(there):
            shutil.copy2(here, there, follow_symlinks=False)


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
            bring(os.path.join(code, path), target)
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
