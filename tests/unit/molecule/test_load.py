"""The load of the scenarios' tests has to be able to fail: a tiny site that is bad in one way at a time, and what the visitors say of it."""

import http.server
import importlib.util
import json
import pathlib
import re
import socket
import struct
import threading
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[3] / "molecule/load.py"
spec = importlib.util.spec_from_file_location("load", SOURCE)
load = importlib.util.module_from_spec(spec)
spec.loader.exec_module(load)

PAGE = '<link href="/static/a.css"><dd id="version">1</dd><dd id="release">r1</dd>'
FILES = {"/": PAGE, "/static/a.css": 'h1 { background: url("dot.svg") }', "/static/dot.svg": "<svg/>"}


class Site(http.server.ThreadingHTTPServer):
    """Answers as the probe does, until told to do harm on a path."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.harm, self.path = None, None

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def respond(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        if self.server.harm and path == self.server.path:
            return getattr(self, self.server.harm)()
        if path == "/slow/":
            time.sleep(0.05)
        body = FILES.get(path) or json.dumps({"version": "1", "release": "r1"})
        return self.answer(201 if path == "/upload/" else 200, body)

    do_GET = do_POST = respond

    def answer(self, code, body, length=None):
        self.send_response(code)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments):
        pass

    def error(self):
        self.answer(500, "broken")

    def unavailable(self):
        self.answer(503, "away")

    def missing(self):
        self.answer(404, "no such page")

    def moved(self):
        self.send_response(302)
        self.send_header("Location", "/static/a.css")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reset(self):
        """Close with a reset instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def close(self):
        """Close without a word."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def cut(self):
        """Promise more than is sent."""
        self.answer(200, PAGE, 100_000)
        self.close_connection = True

    def tear(self):
        """Reset in the middle of an answer."""
        self.answer(200, PAGE, 100_000)
        self.wfile.flush()
        time.sleep(0.1)
        self.reset()

    def hang(self):
        time.sleep(5)
        self.close_connection = True

    def trickle(self):
        """Answer a byte at a time, and never come to an end."""
        self.answer(200, "{", 100_000)
        while self.server.harm:
            time.sleep(0.1)
            self.wfile.write(b" ")

    def garbage(self):
        self.answer(200, "<no JSON>")

    def nameless(self):
        self.answer(200, "{}")


@pytest.fixture
def site():
    server = Site()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def visitors(site, pause_seconds=0.02, **arguments):
    return load.Load(site.url, slow_seconds=0, upload_mb=0, timeout_seconds=2, pause_seconds=pause_seconds, **arguments)


def test_a_good_site_gives_no_reason_to_complain(site):
    asked = []
    with visitors(site, slow=2, mirrors={"other": lambda path: asked.append(path) or 200}) as visit:
        assert visit.wait(3)
    visit.check()
    assert visit.versions() == {"1"} and visit.releases() == {"r1"}
    assert set(visit.worst) == visit.kinds and len(visit.kinds) == 9
    assert "0 failed, 0 repeated" in visit.report()
    # The page, its style sheet, and what that names.
    assert visit.requests["page, kept connection"] % 3 == 0
    assert set(asked) == {"/static/a.css", "/static/dot.svg"}


@pytest.mark.parametrize(
    "harm, path, complaint",
    [
        ("error", "/", "answered 500 instead of 200"),
        ("unavailable", "/status/", "answered 503 instead of 200"),
        ("missing", "/static/a.css", "answered 404 instead of 200"),
        ("missing", "/static/dot.svg", "answered 404 instead of 200"),
        ("moved", "/status/", "answered 302 instead of 200"),
        ("error", "/upload/", "answered 500 instead of 201"),
        ("reset", "/", "(Connection|RemoteDisconnected)"),
        ("reset", "/write/", "(Connection|RemoteDisconnected)"),
        ("close", "/write/", "(Connection|RemoteDisconnected)"),
        ("close", "/slow/", "(Connection|RemoteDisconnected)"),
        ("cut", "/", "IncompleteRead"),
        ("tear", "/", "ConnectionResetError"),
        ("hang", "/write/", "timed out"),
        ("hang", "/slow/", "timed out"),
        ("nameless", "/status/", "does not say which version"),
    ],
)
def test_harm_is_told_with_its_kind_and_its_moment(site, harm, path, complaint):
    with visitors(site) as visit:
        assert visit.wait(1)
        visit.phase, since = "the harm", time.time()
        site.harm, site.path = harm, path
        deadline = time.monotonic() + 20
        while not visit.failures and time.monotonic() < deadline:
            time.sleep(0.02)
        site.harm = None
    assert visit.failures
    kind = "page" if path == "/" or path.startswith("/static/") else path.strip("/")
    for failure in visit.failures:
        assert failure.kind.startswith(kind) and re.search(complaint, failure.text) and failure.phase == "the harm"
        assert since <= failure.when <= time.time()
    with pytest.raises(AssertionError, match=complaint):
        visit.check()


def test_a_request_without_end_is_told(site):
    """No single byte of it is late, and yet the visitor waits for ever."""
    with visitors(site) as visit:
        assert visit.wait(1)
        site.harm, site.path = "trickle", "/slow/"
        assert not visit.wait(2, seconds=2)
    assert {(failure.kind, failure.text) for failure in visit.failures} == {("slow, kept connection", "was never answered")}


def test_a_visitor_who_stumbles_is_a_failure(site):
    """What the load did not expect is told as well, instead of a visitor less."""
    with visitors(site) as visit:
        site.harm, site.path = "garbage", "/status/"
        assert visit.wait(2)
    assert {failure.kind for failure in visit.failures} == {"status, kept connection"}


def test_an_asset_missing_on_one_host_alone_is_told(site):
    with visitors(site, mirrors={"web1": lambda path: 200, "web2": lambda path: 404 if path.endswith(".svg") else 200}) as visit:
        pass
    assert {failure.text for failure in visit.failures} == {"/static/dot.svg on web2: answered 404 instead of 200"}


def test_a_kept_connection_that_is_closed_while_idle_is_opened_again(site):
    """By the server's good right, after any answer. A request for which there is no answer on a new connection is a failure."""
    original = Handler.answer

    def answer_and_close(self, code, body, length=None):
        original(self, code, body, length)
        self.close_connection = True

    Handler.answer = answer_and_close
    try:
        # Long enough for the server's end of it to arrive on a busy machine, too.
        with visitors(site, pause_seconds=0.1) as visit:
            assert visit.wait(2)
    finally:
        Handler.answer = original
    visit.check()
    assert visit.connections >= sum(visit.requests.values()) * 0.9


def test_a_load_in_which_nobody_of_a_kind_was_answered_shows_nothing(site):
    with visitors(site) as visit:
        pass
    visit.requests["upload, kept connection"] = 0
    with pytest.raises(AssertionError, match="nobody was answered of: upload, kept connection"):
        visit.check()
