#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: health_check
short_description: Ask a web application whether it is healthy, on its own socket or through this host's web server
description:
  - Speaks the uwsgi protocol to the socket of an application server, so that a release can be asked before the web
    server sends it a single visitor; or asks the web server of this host as a visitor would, by HTTPS on the loopback.
  - Every check has to pass in one round; the round is repeated until it does or the time is over.
  - Redirects are not followed. A redirect is an answer like any other and passes only if its status is asked for.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  socket:
    description: Path of the Unix socket. Give either this or O(port).
    type: path
  port:
    description:
      - Port of the web server of this host, which is asked by HTTPS on the loopback.
      - Its certificate is not verified, since it is that of the visitors' name, not of the loopback.
    type: int
  proxy_protocol:
    description: Whether the web server expects the PROXY protocol, as it does behind a balancer. For O(port).
    type: bool
    default: false
  static_url:
    description:
      - URL prefix of the static files. The first style sheet or script below it that one of the answers names has to be there too.
      - Answers that name none pass. For O(port), since an application server has no static files.
    type: str
  host:
    description: Name or address of the site, and value of the Host header unless a check has its own; an IPv6 address gets its brackets.
    type: str
    required: true
  https:
    description: Whether the application is told that the visitor came over HTTPS. For O(socket).
    type: bool
    default: true
  prefix:
    description:
      - URL prefix of the application, without a slash at the end. It is told apart from the rest of a path, as the web server does. For O(socket).
    type: str
    default: ""
  checks:
    description: What is asked, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Path and query; begins with a slash.
        type: str
        required: true
      status:
        description: Statuses that pass.
        type: list
        elements: int
        default: [200]
      text:
        description: Text that the body has to contain.
        type: str
      absent:
        description: Text that the body must not contain.
        type: str
      host:
        description: Value of the Host header.
        type: str
      headers:
        description: Further request headers.
        type: dict
        default: {}
  timeout_seconds:
    description: Time for all rounds together.
    type: int
    default: 90
  request_timeout_seconds:
    description: Time for one request.
    type: int
    default: 20
  lock:
    description: Lock of the release that is asked, whose holder is alive meanwhile.
    type: path
attributes:
  check_mode:
    description: Only asks, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
seealso:
  - name: The uwsgi protocol
    description: What is sent over the socket.
    link: https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
  - name: The PROXY protocol
    description: What is sent ahead of the TLS handshake.
    link: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

EXAMPLES = r"""
- name: Ask a release before any visitor does
  selfhost.django.health_check:
    socket: /srv/shop/releases/4f1c2d3e5a6b-0a1b2c3d/app.sock
    host: shop.example.org
    checks:
      - path: /
      - path: /admin/login/
        text: csrfmiddlewaretoken

- name: Ask as a visitor would
  selfhost.django.health_check:
    port: 443
    host: shop.example.org
    static_url: /static/
    checks:
      - path: /
"""

RETURN = r"""
rounds:
  description: How many times all checks were asked.
  returned: always
  type: int
workers:
  description:
    - Under C(asked) the numbers of the workers of an application server that have answered, under C(of) how many there are. A fast one may take the
      requests of another.
  returned: success
  type: dict
  sample: {"asked": [1, 2, 3], "of": 3}
answers:
  description: What the last round was answered.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "/", "status": 200, "seconds": 0.12}]
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.health import answer
from ansible_collections.selfhost.django.plugins.module_utils.locks import alive


def main():
    """Repeat the round until all is well or the time is over."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path"},
            "port": {"type": "int"},
            "proxy_protocol": {"type": "bool", "default": False},
            "static_url": {"type": "str"},
            "host": {"type": "str", "required": True},
            "https": {"type": "bool", "default": True},
            "prefix": {"type": "str", "default": ""},
            "checks": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "str", "required": True},
                    "status": {"type": "list", "elements": "int", "default": [200]},
                    "text": {"type": "str"},
                    "absent": {"type": "str"},
                    "host": {"type": "str"},
                    "headers": {"type": "dict", "default": {}},
                },
            },
            "timeout_seconds": {"type": "int", "default": 90},
            "request_timeout_seconds": {"type": "int", "default": 20},
            "lock": {"type": "path"},
        },
        required_one_of=[("socket", "port")],
        mutually_exclusive=[("socket", "port"), ("socket", "static_url")],
        supports_check_mode=True,
    )
    with alive(module.params["lock"]):
        repeat(module)


def repeat(module):
    """Ask in rounds until one passes, and end the module."""
    deadline = time.monotonic() + module.params["timeout_seconds"]
    rounds = 0
    while True:
        rounds += 1
        found = answer(module.params)
        wrong = found.pop("msg", None)
        if not wrong:
            module.exit_json(changed=False, rounds=rounds, **found)
        if time.monotonic() + 1 > deadline:
            module.fail_json(msg="%s (asked %d times)." % (wrong, rounds), rounds=rounds, answers=found["answers"])
        time.sleep(1)


if __name__ == "__main__":
    main()
