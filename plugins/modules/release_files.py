#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_files
short_description: Write the files of a release, link what outlives it, and bring back what releases share
description:
  - In the place of each of O(links) a link to shared storage is put first. What the revision brings there becomes the first content of the shared
    folder; what is there already stays. One inside another is reached through that one's link. Nothing is removed but the release's own copy.
  - A file whose path is relative lies in the release. One with an absolute path, or below what outlives releases, is shared by all
    releases, and belongs to the one that serves.
  - Each release keeps what its shared files are in C(files.json) in its directory, which root alone reads. There it is kept, too, what was
    in the place of files that another release is about to write and this one, which serves, has not.
  - With O(undo) files that O(release) has not are again what they were before others wrote theirs, and one that was not there goes, if it still is what a
    release made it.
  - No link is followed that another account than root could have made.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  release:
    description: Directory of the release whose files are to be in place.
    type: path
    required: true
  serving:
    description: Directory of the release that serves meanwhile, of which is kept what was there; empty where there is none.
    type: str
    default: ""
  undo:
    description: Directory of the release that is given up.
    type: str
    default: ""
  files:
    description: Files of O(release), where it does not keep them yet.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path, or one relative to the folder of manage.py.
        type: str
        required: true
      content:
        description: What it holds, a text; a mapping or a list is written as JSON.
        type: raw
        required: true
      owner:
        description: Account that it belongs to.
        type: str
        default: root
      group:
        description: Group that it belongs to; by default O(group).
        type: str
      mode:
        description: Permissions, as an octal number.
        type: raw
        default: "0640"
  group:
    description: Group of files that name none.
    type: str
    default: root
  project:
    description: Folder of manage.py in the release. Without it no file of the release alone is written.
    type: str
    default: ""
  shared:
    description: Directory of what outlives releases.
    type: path
    required: true
  shared_paths:
    description: Paths, relative to the folder of manage.py, that are links to O(shared).
    type: list
    elements: str
    default: []
  code:
    description: Directory of the release's code, in which O(links) and O(seal) act.
    type: str
    default: ""
  folder:
    description: Folder of manage.py inside O(code); empty for O(code) itself.
    type: str
    default: ""
  links:
    description: Those of O(shared_paths) that are to become links now. Their directories in O(shared) are there already.
    type: list
    elements: str
    default: []
  seal:
    description: Account whose files in O(code) become root's in the end, as M(selfhost.django.release_seal) does it, for O(group) to read; empty for none.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says what it would do and does nothing.
  platform:
    support: full
    description: The platforms it runs on.
    platforms: posix
"""

EXAMPLES = r"""
- name: Write the files of the application
  selfhost.django.release_files:
    release: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d
    serving: /srv/shop/releases/9a8b7c6d5e4f-0a1b2c3d
    project: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/code
    code: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/code
    shared: /srv/shop/shared
    shared_paths: [media, var/log]
    links: [media, var/log]
    group: shop
    files:
      - {path: /etc/shop/payment.ini, content: "[payment]\n"}
"""

RETURN = r"""
linked:
  description: Paths that a link was put in the place of.
  type: list
  elements: str
  returned: always
paths:
  description: Files that were written or removed.
  type: list
  elements: str
  returned: always
"""

import base64
import glob
import json
import os
import posixpath

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.links import link_all
from ansible_collections.selfhost.django.plugins.module_utils.paths import (
    DIRECTORY, MOST_BYTES, UnsafePath, account, is_inside, open_directory, outermost, read_file, write_file,
)  # fmt: skip
from ansible_collections.selfhost.django.plugins.module_utils.seals import seal_all

RECORD = "files.json"
ABSENT = None
# Nobody has said what a file was.
UNKNOWN = object()


def place(path, project, shared, shared_paths):
    """Return where a file lies, and whether all releases share it."""
    if path.startswith("/"):
        return posixpath.normpath(path), True
    for outer in outermost(shared_paths):
        if is_inside(path, outer):
            return posixpath.join(shared, posixpath.normpath(path)), True
    return posixpath.join(project, posixpath.normpath(path)), False


def state_of(entry, group):
    """Return (content, owner, group, mode) of a file as the inventory gives it; a mapping or a list is written as JSON."""
    content, mode = entry["content"], entry["mode"]
    try:
        mode = mode if isinstance(mode, int) else int(mode, 8)
    except ValueError:
        raise ValueError(f"mode of {entry['path']} in app_files is '{mode}': give an octal number in quotes, such as '0640'.") from None
    text = content if isinstance(content, str) else json.dumps(content)
    return text.encode(), *account(entry["owner"], entry["group"] or group), mode


def make(above, name):
    """Make a directory that belongs to whom the one above it belongs."""
    os.mkdir(name, 0o755, dir_fd=above)
    descriptor, parent = os.open(name, DIRECTORY, dir_fd=above), os.fstat(above)
    os.fchown(descriptor, parent.st_uid, parent.st_gid)
    os.close(descriptor)


class Files:
    """Files of this host, reached without following a link of another account."""

    def __init__(self, check=False):
        self.check = check
        self.changed = []

    def read(self, path):
        """Return (content, owner, group, mode) of a file, ABSENT where there is none."""
        try:
            directory = open_directory(posixpath.dirname(path))
        except FileNotFoundError:
            return ABSENT
        try:
            state = read_file(directory, posixpath.basename(path))
        finally:
            os.close(directory)
        # It would be kept in part only.
        if state and len(state[0]) == MOST_BYTES:
            raise UnsafePath(f"{path} is a file of {MOST_BYTES >> 20} MB or more, which nothing of app_files is: move it away.")
        return state

    def write(self, path, state):
        """Let a file be what is said, or go."""
        if self.read(path) == state:
            return
        self.changed.append(path)
        if self.check:
            return
        directory = open_directory(posixpath.dirname(path), make)
        try:
            if state is ABSENT:
                os.unlink(posixpath.basename(path), dir_fd=directory)
                os.fsync(directory)
            else:
                write_file(directory, posixpath.basename(path), *state)
        finally:
            os.close(directory)


def load(release):
    """Return what a release keeps: its shared `files`, and what it `found` where others wrote theirs; None where it keeps nothing."""
    state = Files().read(posixpath.join(release, RECORD)) if release else ABSENT
    # One that is not root's was not written here.
    if state is ABSENT or state[1] != 0:
        return None
    return {
        part: {
            path: entry and (base64.b64decode(entry["content"]), entry["owner"], entry["group"], entry["mode"])
            for path, entry in entries.items()
        }
        for part, entries in json.loads(state[0]).items()
    }


def save(files, release, record):
    """Keep the shared files of a release, for root alone to read."""
    entries = {
        part: {
            path: state and {"content": base64.b64encode(state[0]).decode(), "owner": state[1], "group": state[2], "mode": state[3]}
            for path, state in sorted(states.items())
        }
        for part, states in record.items()
    }
    files.write(posixpath.join(release, RECORD), (json.dumps(entries, indent=1).encode() + b"\n", 0, 0, 0o600))


def found(now, kept, made):
    """Return what is kept of a file while another release is about to serve, which the release that serves has not written.

    `now` is what it is, `kept` what was kept of it earlier, `made` what other releases made of it: a run that was killed may
    have left that.
    """
    return kept if kept is not UNKNOWN and now in made else now


def states(files, paths, needed):
    """Yield each path, and what the file is; one that is none of app_files by now, a long one say, is left out where it is not needed."""
    for path in sorted(paths):
        try:
            yield path, files.read(path)
        except UnsafePath:
            if path in needed:
                raise


def siblings(release):
    """Return what the other releases keep, the one whose record was written last first."""
    paths = [path for path in glob.glob(posixpath.join(posixpath.dirname(release), "*", RECORD)) if posixpath.dirname(path) != release]
    return [kept for kept in (load(posixpath.dirname(path)) for path in sorted(paths, key=os.path.getmtime, reverse=True)) if kept]


def written(path, records):
    """Return what releases have made of a file, by what they keep."""
    return [kept["files"][path] for kept in records if path in kept["files"]]


def before(path, record, others):
    """Return what a file was while a release served that has none of it, by its record and those of the others: what somebody else than a release had
    there last; UNKNOWN where nobody has kept that.
    """
    if path in record["found"]:
        return record["found"][path]
    made = written(path, others)
    return next((kept["found"][path] for kept in others if path in kept["found"] and kept["found"][path] not in made), UNKNOWN)


def undone(now, was, made):
    """Return what a file has to be when releases are given up, which have `made` it something, and it `was` another before."""
    if was is UNKNOWN or (was is ABSENT and now not in made):
        # Somebody else's by now.
        return now
    return was


def apply(files, release, serving="", undo="", entries=(), group="root", project="", shared="", shared_paths=()):
    """Let the files of a release be in place."""
    record = load(release)
    if record is None:
        record = {"files": {}, "found": {}}
        for entry in entries:
            path, is_shared = place(entry["path"], project, shared, shared_paths)
            if is_shared:
                record["files"][path] = state_of(entry, group)
            elif project:
                files.write(path, state_of(entry, group))
        if record["files"]:
            save(files, release, record)
    mine = record["files"]
    if serving and serving != release:
        keeper, others = load(serving) or {"files": {}, "found": {}}, siblings(serving)
        for path, now in states(files, (mine.keys() | keeper["found"].keys()) - keeper["files"].keys(), mine):
            keeper["found"][path] = found(now, keeper["found"].get(path, UNKNOWN), written(path, others))
        if keeper["files"] or keeper["found"]:
            save(files, serving, keeper)
    wanted = dict(mine)
    if undo and undo != release:
        given_up, others = (load(undo) or {"files": {}})["files"], siblings(release)
        for path, now in states(files, (given_up.keys() | record["found"].keys()) - mine.keys(), given_up):
            made = written(path, others)
            # One that an earlier release has left there, too.
            if path in given_up or now in made:
                wanted[path] = undone(now, before(path, record, others), made)
    # One that root cannot write keeps none of the others from it.
    odd = []
    for path, state in wanted.items():
        try:
            files.write(path, state)
        except UnsafePath as error:
            odd.append(str(error))
        except OSError as error:
            odd.append(f"{path} is not written: {error.strerror}.")
    if odd:
        raise UnsafePath(" ".join(odd))


def main():
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "path", "required": True},
            "serving": {"type": "str", "default": ""},
            "undo": {"type": "str", "default": ""},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "raw", "required": True},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str"},
                    "mode": {"type": "raw", "default": "0640"},
                },
            },
            "group": {"type": "str", "default": "root"},
            "project": {"type": "str", "default": ""},
            "shared": {"type": "path", "required": True},
            **{name: {"type": "list", "elements": "str", "default": []} for name in ("shared_paths", "links")},
            **{name: {"type": "str", "default": ""} for name in ("code", "folder", "seal")},
        },
        supports_check_mode=True,
    )
    given = module.params
    parameters = {name: given[name] for name in ("release", "serving", "undo", "group", "project", "shared", "shared_paths")}
    files = Files(module.check_mode)
    os.umask(0o022)
    try:
        linked = link_all(given["code"], given["folder"], given["shared"], given["links"]) if not module.check_mode else []
        apply(files, entries=given["files"], **parameters)
        sealed = seal_all([given["code"]], given["seal"], given["group"]) if given["seal"] and not module.check_mode else 0
    except (UnsafePath, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    paths = [path for path in files.changed if posixpath.basename(path) != RECORD]
    module.exit_json(changed=bool(linked or files.changed or sealed), linked=linked, paths=paths)


if __name__ == "__main__":
    main()
