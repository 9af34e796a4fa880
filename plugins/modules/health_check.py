#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: health_check
short_description: Ask a WSGI application on a Unix socket whether it is healthy
description:
  - Speaks the uwsgi protocol to the socket of an application server, so that a release can be asked before the web
    server sends it a single visitor.
  - Every check has to pass in one round; the round is repeated until it does or the time is over.
  - Redirects are not followed. A redirect is an answer like any other and passes only if its status is asked for.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  socket:
    description: Path of the Unix socket.
    type: path
    required: true
  host:
    description: Value of the Host header, unless a check has its own.
    type: str
    required: true
  https:
    description: Whether the application is told that the visitor came over HTTPS.
    type: bool
    default: true
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
"""

RETURN = r"""
rounds:
  description: How many times all checks were asked.
  returned: always
  type: int
answers:
  description: What the last round was answered.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "/", "status": 200, "seconds": 0.12}]
"""

import socket
import struct
import time

from ansible.module_utils.basic import AnsibleModule

BODY_LIMIT = 16 * 1024 * 1024


class NoAnswer(Exception):
    """The server did not answer; the message says why."""


def encode_request(path, host, https, headers):
    """Encode a GET request as a uwsgi packet: modifier 0, then length-prefixed names and values, little endian."""
    path_info, _separator, query = path.partition("?")
    variables = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": path,
        "PATH_INFO": path_info,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": host,
        "SERVER_PORT": "443" if https else "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "0",
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "",
        "HTTP_HOST": host,
        "HTTP_USER_AGENT": "selfhost.django health check",
        "UWSGI_SCHEME": "https" if https else "http",
    }
    if https:
        variables["HTTPS"] = "on"
        variables["HTTP_X_FORWARDED_PROTO"] = "https"
    for name, value in headers.items():
        variables["HTTP_" + name.upper().replace("-", "_")] = str(value)
    body = b"".join(
        struct.pack("<H", len(part)) + part
        for name, value in variables.items()
        for part in (name.encode("latin-1"), value.encode("utf-8"))
    )
    return struct.pack("<BHB", 0, len(body), 0) + body


def decode_response(raw):
    """Split a raw answer into its status and its body."""
    head, _separator, body = raw.partition(b"\r\n\r\n")
    parts = head.split(b"\r\n", 1)[0].split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        raise NoAnswer("the connection was closed without an answer" if not raw else "the answer is no HTTP")
    return int(parts[1]), body.decode("utf-8", "replace")


def ask(path_of_socket, packet, seconds):
    """Send a packet and return the raw answer."""
    deadline = time.monotonic() + seconds
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(path_of_socket)
            connection.sendall(packet)
            while len(answer) < BODY_LIMIT:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = connection.recv(65536)
                if not chunk:
                    break
                answer += chunk
    except (socket.timeout, TimeoutError):
        raise NoAnswer("no answer within %d s" % seconds) from None
    except OSError as error:
        raise NoAnswer("no connection to %s: %s" % (path_of_socket, error.strerror or error)) from None
    return answer


def fault(check, status, body):
    """Say what is wrong with an answer; nothing when it passes."""
    if status not in check["status"]:
        return "answered %d instead of %s" % (status, " or ".join(str(code) for code in check["status"]))
    if check["text"] and check["text"] not in body:
        return "answered %d without the text '%s'" % (status, check["text"])
    if check["absent"] and check["absent"] in body:
        return "answered %d with the text '%s'" % (status, check["absent"])
    return None


def run_round(parameters):
    """Ask every check once. Returns the answers and the first fault."""
    answers = []
    for check in parameters["checks"]:
        packet = encode_request(
            check["path"], check["host"] or parameters["host"], parameters["https"], check["headers"] or {}
        )
        started = time.monotonic()
        try:
            status, body = decode_response(ask(parameters["socket"], packet, parameters["request_timeout_seconds"]))
            wrong = fault(check, status, body)
        except NoAnswer as error:
            status, wrong = None, "gave %s" % error
        answers.append({"path": check["path"], "status": status, "seconds": round(time.monotonic() - started, 3)})
        if wrong:
            return answers, "%s %s" % (check["path"], wrong)
    return answers, None


def main():
    """Repeat the round until all is well or the time is over."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "https": {"type": "bool", "default": True},
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
        },
        supports_check_mode=True,
    )
    deadline = time.monotonic() + module.params["timeout_seconds"]
    rounds = 0
    while True:
        rounds += 1
        answers, wrong = run_round(module.params)
        if not wrong:
            module.exit_json(changed=False, rounds=rounds, answers=answers)
        if time.monotonic() + 1 > deadline:
            module.fail_json(msg="%s (asked %d times)." % (wrong, rounds), rounds=rounds, answers=answers)
        time.sleep(1)


if __name__ == "__main__":
    main()
