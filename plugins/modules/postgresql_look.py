#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_look
short_description: Look what a PostgreSQL server is, primary or standby, and wait until it is
description:
  - A server that runs is asked. One that does not, or does not answer, is read from its data directory.
  - A host without a server, or without its packages, is told of like any other.
  - Runs as root, and looks into the data directory as C(postgres), whose it is.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.server]
options:
  version:
    description: Major version of the server.
    type: str
    required: true
  name:
    description: Name of its cluster.
    type: str
    required: true
  state:
    description:
      - What is waited for. V(any) is any, V(serving) is a primary that answers or a standby that streams, V(streaming) is such a standby.
      - V(lowered) is a standby that has replayed that its primary runs with no more than O(settings).
    type: str
    choices: [any, serving, streaming, lowered]
    default: any
  settings:
    description: Settings of a primary, of which those count that a standby needs as much of.
    type: dict
    default: {}
  wait_seconds:
    description: How long it is waited for. It fails where the state is not reached by then.
    type: int
    default: 0
attributes:
  check_mode: {support: full, description: "Only reads. A dry run waits for nothing, since it has changed nothing."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Wait until it streams
  selfhost.django.postgresql_look:
    version: "17"
    name: main
    state: streaming
    wait_seconds: 120
"""

RETURN = r"""
server:
  description: What the server is.
  returned: always
  type: dict
  contains:
    exists: {description: Whether there is data that was made to its end., type: bool, returned: always}
    running: {description: Whether it answers., type: bool, returned: always}
    primary: {description: "Whether it is a primary, or its data is no standby's where it does not answer.", type: bool, returned: always}
    timeline: {description: Timeline that its data is on., type: int, returned: always}
    heard: {description: "Newest timeline that it knows of, which of a standby may be newer than that of its data.", type: int, returned: always}
    system: {description: "Number that its cluster was given when it was made and that its copies have, too.", type: str, returned: always}
    fenced: {description: Whether its data is given up., type: bool, returned: always}
    unfinished: {description: Whether a copy of its primary was begun and not finished., type: bool, returned: always}
    streaming: {description: Whether it receives its primary's log., type: bool, returned: always}
    upstream: {description: Where it receives it from., type: str, returned: always}
    standbys: {description: Names of those that stream from it., type: list, returned: always}
    limits: {description: Settings of which a standby needs as much as its primary has., type: dict, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import SOCKETS, Server, Unreadable

AWAITED = {
    "serving": "is no primary that answers, and no standby that streams",
    "streaming": "does not stream from its primary",
    "lowered": "has not replayed that its primary runs with less",
}


def main():
    """Look, and tell."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "default": SOCKETS},
            "port": {"type": "int", "default": 5432},
            "version": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["any", *AWAITED], "default": "any"},
            "settings": {"type": "dict", "default": {}},
            "wait_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    given = module.params
    state = "any" if module.check_mode else given["state"]
    server = Server.of(given["version"], given["name"], given["port"], given["socket"])
    try:
        seen, reached = server.wait(state, given["wait_seconds"], given["settings"])
    except Unreadable as error:
        module.fail_json(msg="The data directory %s does not say what it is: %s" % (server.data, error))
    if not reached:
        module.fail_json(
            msg="The server of %s %s after %d seconds: its journal says why." % (server.data, AWAITED[state], given["wait_seconds"]), server=seen
        )
    module.exit_json(changed=False, server=seen)


if __name__ == "__main__":
    main()
