#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_drain
short_description: Stop releases that were replaced, once nobody waits for them any more
description:
  - Nobody new comes to the socket of a release that was replaced. Who waits in its queue is still answered, and so is whoever a worker is busy with.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: selfhost.django.application
options:
  releases:
    description: Releases to stop.
    type: list
    elements: str
    required: true
  timeout_seconds:
    description: How long their queues may take to empty. One that does not is an error, and its release goes on.
    type: int
    required: true
  lock:
    description: Lock of the release that replaced them, whose holder is alive meanwhile.
    type: path
attributes:
  check_mode: {support: full, description: "Says what it would stop."}
  diff_mode: {support: none, description: "What it changes is no text."}
"""

EXAMPLES = r"""
- name: Stop what was replaced
  selfhost.django.release_drain:
    root: /srv/shop
    service: shop
    releases: [0123456789ab-01234567]
    timeout_seconds: 30
"""

RETURN = r"""
stopped:
  description: Releases that were stopped, or would be in check mode.
  type: list
  elements: str
  returned: always
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.locks import alive
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION

# A short one is not waited out for longer than it is there.
PAUSE_SECONDS = 0.2


def waiting(listing):
    """Return how many connections wait in the queue of a socket: the third column of `ss --listening` (ss(8)), none where it is not there."""
    columns = listing.split()
    return int(columns[2]) if len(columns) > 2 else 0


def drained(ask, timeout_seconds, clock=time.monotonic, sleep=time.sleep):
    """Wait until nobody waits any more; return whether that came to be in time. `ask` returns what `ss` says."""
    end = clock() + timeout_seconds
    while waiting(ask()):
        if clock() >= end:
            return False
        sleep(PAUSE_SECONDS)
    return True


def retire(module, root, service, releases, timeout_seconds):
    """Stop releases once nobody waits for them."""
    for release in releases:
        socket = "%s/releases/%s/app.sock" % (root, release)
        question = ["ss", "--no-header", "--listening", "--unix", "src", socket]
        if not drained(lambda: module.run_command(question, check_rc=True)[1], timeout_seconds):
            module.fail_json(msg="After %d s visitors still wait for release %s." % (timeout_seconds, release), stopped=[])
    units = ["%s@%s.%s" % (service, release, kind) for release in releases for kind in ("socket", "service")]
    module.run_command(["systemctl", "stop", *units], check_rc=True)


def main():
    """Wait, and stop."""
    module = AnsibleModule(
        argument_spec=APPLICATION
        | {
            "releases": {"type": "list", "elements": "str", "required": True},
            "timeout_seconds": {"type": "int", "required": True},
            "lock": {"type": "path"},
        },
        supports_check_mode=True,
    )
    root, service, releases, timeout_seconds = map(module.params.get, ("root", "service", "releases", "timeout_seconds"))
    if releases and not module.check_mode:
        with alive(module.params["lock"]):
            retire(module, root, service, releases, timeout_seconds)
    module.exit_json(changed=bool(releases), stopped=releases)


if __name__ == "__main__":
    main()
