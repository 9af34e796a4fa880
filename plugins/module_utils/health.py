# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Asks a site as a visitor or a web server does, and says what is wrong with its answers."""

from __future__ import annotations

import html
import http.client
import io
import re
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor

from .hosts import host_in_url, host_without_port

BODY_LIMIT = 16 * 1024 * 1024
# Of what further workers answer this much is read, since so many are asked at once.
FURTHER_LIMIT = 256 * 1024
# Of a page so much is looked through for a file that it names.
LETTERS_LIMIT = 1024 * 1024
USER_AGENT = "selfhost.django health check"
# How often all workers are asked at once, before those that nobody has heard of are given up: a fast one takes the requests of others.
WORKER_ROUNDS = 10
# The application could say any number of workers: no more are asked at once.
MOST_AT_ONCE = 16


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


def connect_web_server(port, host, proxy_protocol, seconds, address="127.0.0.1"):
    """Connect to a web server, by default that of this host, which shows the certificate of a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = socket.create_connection((address, port), timeout=seconds)
    try:
        if proxy_protocol:
            line = "PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (connection.getsockname()[1], port)
            connection.sendall(line.encode("ascii"))
        return context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def ask(target, connect, request, seconds, most=BODY_LIMIT):
    """Send a request and return the raw answer, of one that is longer than `most` bytes the beginning. The target is what a message calls the server."""
    deadline = time.monotonic() + seconds
    answer = bytearray()
    try:
        with connect(seconds) as connection:
            connection.sendall(request)
            while len(answer) < most:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = connection.recv(65536)
                if not chunk:
                    break
                answer += chunk
    except (socket.timeout, TimeoutError):
        raise NoAnswer("no answer within %d s" % seconds) from None
    except OSError as error:
        raise NoAnswer("no connection to %s: %s" % (target, error.strerror or error)) from None
    return bytes(answer)


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
    # Bounded, since an application may write a page that is one name.
    pattern = r"""\b(?:href|src)\s{0,9}=\s{0,9}["']?(?:(?:https?:)?//%s(?::\d{1,5})?)?(%s[^"'\s>?#]{1,500}\.(?:css|js|mjs))(?=["'\s>?#])"""
    found = re.search(pattern % (re.escape(host), re.escape(static_url)), page[:LETTERS_LIMIT], re.IGNORECASE)
    return html.unescape(found.group(1)) if found else None


class Round:
    """Every check, asked once."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.answers = []

    def ask(self, path, host, headers):
        """Ask for one path; note and return the answer."""
        return self.begin(path, host, headers, BODY_LIMIT)[0]

    def begin(self, path, host, headers, most):
        """Ask for one path; note and return the answer as far as `most` bytes of it tell, and whether they are all."""
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
            raw = ask(target, connect, request, parameters["request_timeout_seconds"], most)
            answer = decode_response(raw)
            status = answer[0]
        finally:
            self.answers.append({"path": path, "status": status, "seconds": round(time.monotonic() - started, 3)})
        return answer, len(raw) < most

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
        host = host_in_url(check["host"] or self.parameters["host"])
        try:
            (status, headers, body), is_whole = self.begin(check["path"], host, check["headers"] or {}, FURTHER_LIMIT)
        except NoAnswer as error:
            return None, "%s gave %s" % (check["path"], error)
        # What is asked for may stand in the rest of a long page, as it did in the first answer.
        found, wrong = worker_of(headers), fault(check if is_whole else check | {"text": None}, status, headers, body)
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
    found = re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})", headers.get("X-Selfhost-Worker") or "")
    return (int(found[1]), int(found[2])) if found else None


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
        at_once = min(count, MOST_AT_ONCE)
        with ThreadPoolExecutor(at_once) as pool:
            for found, wrong in pool.map(lambda _number: ask_one(), range(at_once)):
                if wrong:
                    return sorted(heard), count, wrong
                heard |= {found[0]} if found else set()
    return sorted(heard), count, None


def answer(parameters):
    """Ask for every check once; return `msg` with the first fault, if any, the `answers`, and of an application server the `workers`."""
    this_round = Round(parameters)
    wrong, heard, count = this_round.run(), [], 0
    if not wrong and parameters["socket"]:
        heard, count, wrong = ask_workers(this_round.run_once)
    return {"answers": this_round.answers, "workers": {"asked": heard, "of": count}} | ({"msg": wrong} if wrong else {})
