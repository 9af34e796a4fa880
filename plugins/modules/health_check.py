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

import html
import http.client
import io
import re
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.hosts import host_in_url, host_without_port
from ansible_collections.selfhost.django.plugins.module_utils.locks import alive

BODY_LIMIT = 16 * 1024 * 1024
USER_AGENT = "selfhost.django health check"
# How often all workers are asked at once, before those that nobody has heard of are given up: a fast one takes the requests of others.
WORKER_ROUNDS = 10


class NoAnswer(Exception):
    """The server did not answer; the message says why."""


def encode_request(path, host, https, headers, prefix=""):
    """Encode a GET request as a uwsgi packet: modifier 0, then length-prefixed names and values, little endian."""
    path_info, _separator, query = path.partition("?")
    prefix = prefix if path_info.startswith(prefix + "/") else ""
    variables = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": path,
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path_info[len(prefix) :],
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": host,
        "SERVER_PORT": "443" if https else "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "0",
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "",
        "HTTP_HOST": host,
        "HTTP_USER_AGENT": USER_AGENT,
        "UWSGI_SCHEME": "https" if https else "http",
        # What nobody can send through a web server: the answer tells which worker it is from.
        "SELFHOST_CHECK": "1",
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


def encode_http_request(path, host, headers):
    """Encode a GET request as HTTP/1.1, after which the server closes the connection."""
    fields = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    given = {name.lower() for name in headers}
    fields = {name: value for name, value in fields.items() if name.lower() not in given} | headers
    lines = ["GET %s HTTP/1.1" % path] + ["%s: %s" % (name, value) for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


def decode_response(raw):
    """Split a raw answer into its status, its headers and its body."""
    response = http.client.HTTPResponse(Bytes(raw))
    try:
        response.begin()
        body = response.read()
    except http.client.IncompleteRead as error:
        body = error.partial
    except (http.client.HTTPException, ValueError):
        raise NoAnswer("the connection was closed without an answer" if not raw else "the answer is no HTTP") from None
    return response.status, response.headers, body.decode("utf-8", "replace")


class Bytes:
    """What was received, in the form in which http.client reads it."""

    def __init__(self, raw):
        self.raw = raw

    def makefile(self, _mode):
        return io.BytesIO(self.raw)


def connect_socket(path, seconds):
    """Connect to an application server."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_web_server(port, host, proxy_protocol, seconds):
    """Connect to the web server of this host, which shows the certificate of a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = socket.create_connection(("127.0.0.1", port), timeout=seconds)
    try:
        if proxy_protocol:
            line = "PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (connection.getsockname()[1], port)
            connection.sendall(line.encode("ascii"))
        return context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def ask(target, connect, request, seconds):
    """Send a request and return the raw answer. The target is what a message calls the server."""
    deadline = time.monotonic() + seconds
    answer = b""
    try:
        with connect(seconds) as connection:
            connection.sendall(request)
            while len(answer) < BODY_LIMIT:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = connection.recv(65536)
                if not chunk:
                    break
                answer += chunk
    except (socket.timeout, TimeoutError):
        raise NoAnswer("no answer within %d s" % seconds) from None
    except OSError as error:
        raise NoAnswer("no connection to %s: %s" % (target, error.strerror or error)) from None
    return answer


def fault(check, status, headers, body):
    """Say what is wrong with an answer; nothing when it passes."""
    if status not in check["status"]:
        led = " to %s" % headers["Location"] if headers.get("Location") else ""
        return "answered %d%s instead of %s" % (status, led, " or ".join(str(code) for code in check["status"]))
    if check["text"] and check["text"] not in body:
        return "answered %d without the text '%s'" % (status, check["text"])
    if check["absent"] and check["absent"] in body:
        return "answered %d with the text '%s'" % (status, check["absent"])
    return None


def find_static_file(static_url, host, page):
    """Return the first style sheet or script of the site that a page names; none where it names none."""
    pattern = r"""\b(?:href|src)\s*=\s*["']?(?:(?:https?:)?//%s(?::\d+)?)?(%s[^"'\s>?#]+\.(?:css|js|mjs))(?=["'\s>?#])"""
    found = re.search(pattern % (re.escape(host), re.escape(static_url)), page, re.IGNORECASE)
    return html.unescape(found.group(1)) if found else None


class Round:
    """Every check, asked once."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.answers = []

    def ask(self, path, host, headers):
        """Ask for one path; note and return the answer."""
        parameters = self.parameters
        if parameters["socket"]:
            target = parameters["socket"]
            request = encode_request(path, host, parameters["https"], headers, parameters["prefix"])

            def connect(seconds):
                return connect_socket(parameters["socket"], seconds)
        else:
            target = "port %d" % parameters["port"]
            request = encode_http_request(path, host, headers)

            def connect(seconds):
                return connect_web_server(parameters["port"], host_without_port(host), parameters["proxy_protocol"], seconds)

        started = time.monotonic()
        status = None
        try:
            answer = decode_response(ask(target, connect, request, parameters["request_timeout_seconds"]))
            status = answer[0]
        finally:
            self.answers.append({"path": path, "status": status, "seconds": round(time.monotonic() - started, 3)})
        return answer

    def fault_of_static_file(self, path, host):
        """Return what is wrong with a file that a page names, which is not the page's own fault; nothing when it is served."""
        try:
            status, _headers, _body = self.ask(path, host, {})
        except NoAnswer as error:
            return "names %s, which gave %s" % (path, error)
        return "names %s, which answered %d instead of 200" % (path, status) if status != 200 else None

    def run_once(self):
        """Ask for the first check alone; return which worker has answered, and what is wrong."""
        check = self.parameters["checks"][0]
        try:
            status, headers, body = self.ask(check["path"], host_in_url(check["host"] or self.parameters["host"]), check["headers"] or {})
        except NoAnswer as error:
            return None, "%s gave %s" % (check["path"], error)
        found, wrong = worker_of(headers), fault(check, status, headers, body)
        who = " (worker %d of %d)" % found if found else ""
        return found, "%s %s%s" % (check["path"], wrong, who) if wrong else None

    def run(self):
        """Return the first fault; nothing when all is well."""
        static_file = None
        for check in self.parameters["checks"]:
            host = host_in_url(check["host"] or self.parameters["host"])
            try:
                status, headers, body = self.ask(check["path"], host, check["headers"] or {})
                wrong = fault(check, status, headers, body)
                if not wrong and not static_file and self.parameters["static_url"]:
                    static_file = find_static_file(self.parameters["static_url"], host, body)
                    if static_file:
                        wrong = self.fault_of_static_file(static_file, host)
            except NoAnswer as error:
                wrong = "gave %s" % error
            if wrong:
                return "%s %s" % (check["path"], wrong)
        return None


def worker_of(headers):
    """Return the number of the worker that answered, and that of all; nothing where the server does not say."""
    number, _slash, of = (headers.get("X-Selfhost-Worker") or "").partition("/")
    return (int(number), int(of)) if number.isdigit() and of.isdigit() else None


def ask_workers(ask_one, rounds=WORKER_ROUNDS):
    """Ask until each worker has answered. Return the numbers of those that have, how many there are, and the first fault.

    ask_one asks once, and returns the pair of worker_of and what is wrong, if anything. Without a number there is one server.
    """
    found, wrong = ask_one()
    if wrong or found is None:
        return [], 0, wrong
    heard, count = {found[0]}, found[1]
    for _round in range(rounds):
        if len(heard) >= count:
            break
        # As many at once as there are, since each is busy with one.
        with ThreadPoolExecutor(count) as pool:
            for found, wrong in pool.map(lambda _number: ask_one(), range(count)):
                if wrong:
                    return sorted(heard), count, wrong
                heard |= {found[0]} if found else set()
    return sorted(heard), count, None


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
        this_round = Round(module.params)
        wrong, heard, count = this_round.run(), [], 0
        if not wrong and module.params["socket"]:
            heard, count, wrong = ask_workers(this_round.run_once)
        if not wrong:
            module.exit_json(changed=False, rounds=rounds, answers=this_round.answers, workers={"asked": heard, "of": count})
        if time.monotonic() + 1 > deadline:
            module.fail_json(msg="%s (asked %d times)." % (wrong, rounds), rounds=rounds, answers=this_round.answers)
        time.sleep(1)


if __name__ == "__main__":
    main()
