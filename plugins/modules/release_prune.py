#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_prune
short_description: Remove the releases and virtualenvs that nobody goes back to
description:
  - Keeps the release that serves, those that served last before it, and whatever a process or a job of a timer still runs.
  - Releases that never served go, too, whatever an interrupted run left of them. Virtualenvs go with the last release that links to them.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: selfhost.django.application
options:
  keep:
    description: How many releases to keep beside the one that serves.
    type: int
    required: true
attributes:
  check_mode: {support: full, description: "Says which releases it would remove."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Remove what nobody goes back to
  selfhost.django.release_prune:
    root: /srv/shop
    service: shop
    keep: 3
"""

RETURN = r"""
removed:
  description: Releases that were removed, or would be in check mode.
  type: list
  elements: str
  returned: always
"""

import contextlib
import glob
import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, current_of, note


def doomed(releases, current, used, keep):
    """Return the names of releases to remove, sorted: `releases` are the times at which each came into service, None for one that never did."""
    served = sorted((name for name in releases if releases[name] is not None and name != current), key=lambda name: (releases[name], name), reverse=True)
    return sorted(set(releases) - {current, *used, *served[:keep]})


def served_since(path):
    """Return when a release came into service, as its record's time of change; None where it never did."""
    try:
        return os.lstat(os.path.join(path, "release.json")).st_mtime_ns
    except OSError:
        return None


def remove(path):
    """Remove a folder, or whatever stands in its place. The record goes first: what lacks it is never taken for a whole release."""
    if os.path.isdir(path) and not os.path.islink(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, "release.json"))
        shutil.rmtree(path)
    else:
        os.unlink(path)


def prune(root, service, keep, dry=False, run="/run"):
    """Remove releases, and virtualenvs that none of the others links to; return the releases. OSError says what cannot be removed."""
    releases, venvs = os.path.join(root, "releases"), os.path.join(root, "venvs")
    current = current_of(root)
    if not os.path.isdir(os.path.join(releases, current or "none")):
        raise OSError("No release of %s serves, so it is not known which ones are old." % root)
    since = {name: served_since(os.path.join(releases, name)) for name in os.listdir(releases)}
    # A job of a timer may still run an older release, of which it left a note.
    used = {note(path)[0] for path in glob.glob(os.path.join(run, service + "-*", "release"))}
    removed = doomed(since, current, used, keep)
    if dry:
        return removed
    for name in removed:
        remove(os.path.join(releases, name))
    links = (os.path.join(releases, name, "venv") for name in os.listdir(releases))
    linked = {os.path.basename(os.readlink(link)) for link in links if os.path.islink(link)}
    for name in set(os.listdir(venvs)) - linked:
        remove(os.path.join(venvs, name))
    return removed


def main():
    """Remove, and tell."""
    module = AnsibleModule(
        argument_spec=APPLICATION | {"keep": {"type": "int", "required": True}},
        supports_check_mode=True,
    )
    try:
        removed = prune(module.params["root"], module.params["service"], module.params["keep"], module.check_mode)
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(removed), removed=removed)


if __name__ == "__main__":
    main()
