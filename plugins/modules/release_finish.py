#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_finish
short_description: Stop and remove what a release has replaced, write down what came of it, and let other releases in
description:
  - Where another one has the lock by now, nothing is done.
  - Whatever fails, it is written down, and the lock is let go of.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.application, selfhost.django.application.static]
options:
  stop:
    description: Releases to stop, once nobody waits for them.
    type: list
    elements: str
    default: []
  drain_seconds:
    description: Seconds that those who wait for them may wait. Then they are stopped all the same, and a warning says so.
    type: int
    default: 60
  keep:
    description: How many releases stay beside the one that serves, to go back to. Without it none is removed.
    type: int
  static_roots:
    description: Folders into which all releases collect their static files; what is in these stays in the store, too.
    type: list
    elements: str
    default: []
  forget:
    description: Release that nobody is to go back to.
    type: str
    default: ""
  log:
    description: Log of releases, which group C(adm) may read.
    type: path
    required: true
  entry:
    description: What is written there, as one line of JSON, with C(at), the time. What fails here makes its C(verdict) C(failed).
    type: dict
    required: true
  failure:
    description: What the module fails with in the end, where something else has failed before.
    type: str
    default: ""
  lock:
    description: The lock that M(selfhost.django.release_begin) has taken.
    type: path
    required: true
  token:
    description: What this said when it was taken.
    type: str
    required: true
attributes:
  check_mode: {support: full, description: "There is no release in a dry run, so nothing is done but to fail with O(failure)."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Retire what was replaced
  selfhost.django.release_finish:
    root: /srv/shop
    service: shop
    stop: [0123456789ab-01234567]
    keep: 4
    log: /var/log/shop/releases.log
    entry: {by: Ann, what: release, verdict: ok}
    lock: /run/selfhost/shop/release.lock
    token: "{{ begun.token }}"
"""

RETURN = r"""
removed:
  description: Releases that were removed.
  type: list
  elements: str
  returned: always
step:
  description: What failed, C(drain) or C(prune).
  type: str
  returned: failure
"""

import contextlib
import datetime
import grp
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.commands import ask
from ansible_collections.selfhost.django.plugins.module_utils.locks import alive, keep, release
from ansible_collections.selfhost.django.plugins.module_utils.reasons import failure_reason
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, STATIC, forget, static_files
from ansible_collections.selfhost.django.plugins.module_utils.retiring import prune, retire


def write(path, entry):
    """Add an entry to the log, a line of JSON, in a folder of root's; on a line of its own, whatever a crash has left of the one before."""
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    with open(descriptor, "a", encoding="utf-8") as file:
        with contextlib.suppress(KeyError):
            os.fchown(descriptor, -1, grp.getgrnam("adm").gr_gid)
        last = os.pread(descriptor, 1, max(0, os.fstat(descriptor).st_size - 1))
        file.write(("" if last in (b"", b"\n") else "\n") + json.dumps({"at": at} | entry) + "\n")


def finish(given):
    """Do what is left to do; return what the module returns, and where something failed `failed` and the `step`."""
    lock, token, root, service = map(given.get, ("lock", "token", "root", "service"))
    if not keep(lock, token):
        return {"changed": False, "removed": []}
    step, done, entry = "drain", {"changed": True, "removed": []}, given["entry"]
    try:
        with alive(lock):
            # Also of one that cannot be stopped.
            if given["forget"]:
                forget(os.path.join(root, "releases", given["forget"]))
            done["late"] = retire(ask, root, service, given["stop"], given["drain_seconds"])
            if given["keep"] is not None:
                step = "prune"
                done["removed"] = prune(root, service, given["keep"])
                # An absolute STATIC_ROOT is shared by all releases: what is in it may be any's.
                roots = given["static_roots"]
                static_files(given, "prune", given["store"], os.path.join(root, "releases"), *roots, writable=roots, taking=False)
    # Whatever it is: what other accounts have in their folders, and what their code prints, brings on more than commands that fail.
    except Exception as error:
        done |= {"failed": True, "step": step} | getattr(error, "details", {"msg": str(error) or type(error).__name__})
        entry = entry | {"verdict": "failed", "step": step, "reason": failure_reason(done)}
    try:
        write(given["log"], entry)
    finally:
        # A disk that is full keeps nobody out.
        release(lock, token)
    return done


def main():
    """Do what is left to do, write down what came of it, and let others in."""
    module = AnsibleModule(
        argument_spec=APPLICATION
        | STATIC
        | {
            "stop": {"type": "list", "elements": "str", "default": []},
            "drain_seconds": {"type": "int", "default": 60},
            "keep": {"type": "int"},
            "static_roots": {"type": "list", "elements": "str", "default": []},
            "forget": {"type": "str", "default": ""},
            "log": {"type": "path", "required": True},
            "entry": {"type": "dict", "required": True},
            "failure": {"type": "str", "default": ""},
            "lock": {"type": "path", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    try:
        done = {"changed": False, "removed": []} if module.check_mode else finish(module.params)
    except OSError as error:
        module.fail_json(msg=str(error))
    for sentence in done.pop("late", []):
        module.warn(sentence)
    if module.params["failure"]:
        module.fail_json(**done | {"msg": module.params["failure"]})
    if done.pop("failed", False):
        module.fail_json(**done)
    module.exit_json(**done)


if __name__ == "__main__":
    main()
