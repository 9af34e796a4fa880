"""The parts of the health check: what it sends, what it makes of an answer, and what it says when there is none."""

import socket
import ssl
import struct
import threading
import time

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import health
from ansible_collections.selfhost.django.plugins.plugin_utils import reach
from conftest import make_certificate
from hypothesis import given
from hypothesis import strategies as st

CHECK = {"path": "/", "status": [200], "text": None, "absent": None, "host": None, "headers": {}}


def decode_request(packet):
    """Read a uwsgi packet as a server does."""
    modifier, size, _modifier2 = struct.unpack("<BHB", packet[:4])
    assert modifier == 0 and size == len(packet) - 4
    parts, position = [], 4
    while position < len(packet):
        (length,) = struct.unpack_from("<H", packet, position)
        parts.append(packet[position + 2 : position + 2 + length].decode())
        position += 2 + length
    return dict(zip(parts[::2], parts[1::2], strict=True))


@given(path=st.text(st.characters(codec="utf-8", exclude_characters="?#"), max_size=200), query=st.text(max_size=50))
def test_a_server_reads_back_what_was_asked(path, query):
    variables = decode_request(health.encode_request(f"/{path}?{query}", "example.org", True, {"X-Probe": "1"}))
    assert variables["PATH_INFO"] == f"/{path}"
    assert variables["QUERY_STRING"] == query
    assert variables["HTTP_HOST"] == "example.org"
    assert variables["HTTP_X_PROBE"] == "1"
    assert variables["HTTPS"] == "on"


@pytest.mark.parametrize(
    ("path", "script_name", "path_info"),
    [("/shop/cart/?a=1", "/shop", "/cart/"), ("/shop/", "/shop", "/"), ("/shopping/", "", "/shopping/"), ("/shop", "", "/shop")],
)
def test_the_prefix_of_an_application_is_told_apart(path, script_name, path_info):
    variables = decode_request(health.encode_request(path, "example.org", True, {}, "/shop"))
    assert (variables["SCRIPT_NAME"], variables["PATH_INFO"]) == (script_name, path_info)


@pytest.mark.parametrize(
    ("host", "header", "name"),
    [
        ("2001:db8:0::7", "[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]", "[2001:db8::7]", "2001:db8::7"),
        ("shop.example.org:8443", "shop.example.org:8443", "shop.example.org"),
    ],
)
def test_the_host_header_has_brackets_and_the_handshake_has_none(host, header, name, monkeypatch):
    sent = []

    def connect_web_server(port, host, proxy_protocol, seconds):
        sent.append(host)
        raise OSError("nobody there")

    def encode(path, host, headers):
        sent.append(host)

    monkeypatch.setattr(health, "connect_web_server", connect_web_server)
    monkeypatch.setattr(health, "encode_http_request", encode)
    parameters = {"socket": None, "port": 443, "proxy_protocol": False, "host": host, "checks": [CHECK], "static_url": None, "request_timeout_seconds": 1}
    assert health.Round(parameters).run() == "/ gave no connection to port 443: nobody there"
    assert sent == [header, name]


def test_plain_http_is_not_called_https():
    variables = decode_request(health.encode_request("/", "example.org", False, {}))
    assert "HTTPS" not in variables
    assert variables["UWSGI_SCHEME"] == "http"


@pytest.mark.parametrize(
    ("changes", "status", "body", "sentence"),
    [
        ({}, 200, "", None),
        ({}, 500, "", "answered 500 instead of 200"),
        ({}, 302, "", "answered 302 instead of 200"),
        ({"status": [301, 302]}, 302, "", None),
        ({"status": [301, 302]}, 200, "", "answered 200 instead of 301 or 302"),
        ({"text": "Welcome"}, 200, "<h1>Welcome</h1>", None),
        ({"text": "Welcome"}, 200, "nothing", "answered 200 without the text 'Welcome'"),
        ({"absent": "Traceback"}, 200, "Traceback (most recent", "answered 200 with the text 'Traceback'"),
        ({"absent": "Traceback"}, 200, "fine", None),
    ],
)
def test_what_passes(changes, status, body, sentence):
    assert health.fault(CHECK | changes, status, {}, body) == sentence


def test_a_redirect_is_said_with_where_it_leads():
    sentence = health.fault(CHECK, 301, {"Location": "https://example.org/"}, "")
    assert sentence == "answered 301 to https://example.org/ instead of 200"


def test_an_answer_is_a_status_and_a_body():
    status, headers, body = health.decode_response(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nno\r\n\r\nsuch")
    assert (status, headers["A"], body) == (404, "b", "no\r\n\r\nsuch")


def test_an_answer_in_chunks_is_put_together():
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert health.decode_response(raw)[2] == "abcde"


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ('<link rel="stylesheet" href="/static/site.0123456789ab.css">', "/static/site.0123456789ab.css"),
        ("<script src=/static/a.js?v=1&amp;b=2></script>", "/static/a.js"),
        ('<img src="/static/dot.svg"><script src="https://example.org/static/app.mjs">', "/static/app.mjs"),
        ('<link href="//example.org:8443/static/a&amp;b.css">', "/static/a&b.css"),
        ('<link href="https://elsewhere.org/static/a.css">', None),
        ('<link href="/other/a.css"><script data-base="/static/">', None),
        ("", None),
    ],
)
def test_the_static_file_that_a_page_names(page, file):
    assert health.find_static_file("/static/", "example.org", page) == file


def test_a_page_without_an_end_is_read_in_a_moment():
    """The application writes it, and a deploy waits for whoever reads it."""
    page = "href=/static/" * 1_200_000
    started = time.monotonic()
    assert health.find_static_file("/static/", "example.org", page) is None
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1", b"SSH-2.0-OpenSSH", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_answer(raw):
    with pytest.raises(health.NoAnswer):
        health.decode_response(raw)


def ask(path, seconds):
    return health.ask(path, lambda seconds: health.connect_socket(path, seconds), b"x", seconds)


@pytest.fixture
def server(tmp_path):
    """Return a function that serves one connection with a function of its own, and the path of the socket."""
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()

        def serve(answer):
            def once():
                connection, _address = listener.accept()
                with connection:
                    answer(connection)

            threading.Thread(target=once, daemon=True).start()
            return path

        yield serve


def test_an_answer_in_pieces_is_put_together(server):
    def answer(connection):
        connection.recv(65536)
        for piece in (b"HTTP/1.1 200", b" OK\r\n\r\n", b"a" * 100_000):
            connection.sendall(piece)

    status, _headers, body = health.decode_response(ask(server(answer), 5))
    assert (status, len(body)) == (200, 100_000)


def test_silence_is_given_up(server):
    released = threading.Event()
    with pytest.raises(health.NoAnswer, match="no answer within 1 s"):
        ask(server(lambda _connection: released.wait(10)), 1)
    released.set()


def test_a_socket_that_is_not_there_is_named(tmp_path):
    path = str(tmp_path / "none.sock")
    with pytest.raises(health.NoAnswer, match=r"no connection to .*none\.sock: No such file"):
        ask(path, 1)


# --- through the web server ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return a file with a certificate that nobody trusts, and its key."""
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_text("".join(make_certificate()))
    return file


@pytest.fixture
def web_server(certificate):
    """Return a function that serves pages by their paths; it returns the port, and what was asked."""
    listeners = []

    def serve(pages, proxy_protocol=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        asked = []
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer():
            while True:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return
                with connection:
                    if proxy_protocol:
                        line = b""
                        while not line.endswith(b"\r\n"):
                            line += connection.recv(1)
                        asked.append(line.decode())
                    with context.wrap_socket(connection, server_side=True) as secure:
                        request = secure.recv(65536).decode()
                        asked.append(request)
                        status, body = pages.get(request.split()[1], (404, ""))
                        secure.sendall(f"HTTP/1.1 {status} Fine\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

        threading.Thread(target=answer, daemon=True).start()
        return listener.getsockname()[1], asked

    yield serve
    for listener in listeners:
        listener.close()


def test_a_site_is_reached_where_any_place_answers_whatever_it_says(web_server):
    port, asked = web_server({})
    assert reach.visit("127.0.0.1", port, "example.org", "/", 5) == 404
    assert asked[0] == "example.org"
    free = socket.create_server(("127.0.0.1", 0))
    nowhere = free.getsockname()[1]
    free.close()

    def visit_one(place):
        return reach.visit("127.0.0.1", {"here": port, "there": nowhere}[place], "example.org", "/", 5)

    assert reach.unreached(["there", "here"], visit_one) == ""
    assert reach.unreached(["there", "there"], visit_one) == f"there (no connection to port {nowhere}: Connection refused)"


def run_round(port, **changes):
    parameters = {
        "socket": None, "port": port, "proxy_protocol": False, "static_url": "/static/", "host": "example.org", "https": True, "prefix": "",
        "checks": [CHECK], "request_timeout_seconds": 5,
    }  # fmt: skip
    this_round = health.Round(parameters | changes)
    return this_round.run(), [(answer["path"], answer["status"]) for answer in this_round.answers]


PAGE = (200, '<link rel="stylesheet" href="/static/a.css">')


def test_a_page_and_its_static_file_are_asked_for_as_a_visitor_would(web_server):
    port, asked = web_server({"/": PAGE, "/static/a.css": (200, "")})
    assert run_round(port) == (None, [("/", 200), ("/static/a.css", 200)])
    assert asked[0] == "example.org"
    assert asked[1].startswith("GET / HTTP/1.1\r\nHost: example.org\r\n")


def test_a_static_file_that_is_not_there_is_named(web_server):
    port, _asked = web_server({"/": PAGE})
    assert run_round(port)[0] == "/ names /static/a.css, which answered 404 instead of 200"
    assert run_round(port, static_url=None)[0] is None


def test_a_check_brings_its_own_host_and_headers(web_server):
    port, asked = web_server({"/": (200, "")})
    check = CHECK | {"host": "other.example.org:8443", "headers": {"Accept": "text/html", "X-Probe": "1"}}
    assert run_round(port, checks=[check])[0] is None
    assert asked[0] == "other.example.org"
    lines = asked[1].split("\r\n")
    assert {"Host: other.example.org:8443", "Accept: text/html", "X-Probe: 1"} < set(lines)
    assert sum(line.startswith("Accept:") for line in lines) == 1


def test_a_web_server_behind_a_balancer_is_told_who_asks(web_server):
    port, asked = web_server({"/": (200, "")}, proxy_protocol=True)
    assert run_round(port, proxy_protocol=True)[0] is None
    words = asked[0].split()
    assert words[:4] == ["PROXY", "TCP4", "127.0.0.1", "127.0.0.1"] and words[5] == str(port)


def test_a_web_server_that_is_not_there_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert run_round(port)[0] == f"/ gave no connection to port {port}: Connection refused"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (200, None),
        (404, "/ names /static/a.css, which answered 404 instead of 200"),
        (health.NoAnswer("no answer within 5 s"), "/ names /static/a.css, which gave no answer within 5 s"),
    ],
)
def test_a_static_file_that_is_not_served_is_blamed_and_not_the_page_that_names_it(monkeypatch, answer, fault):
    check = {"path": "/", "host": None, "headers": {}, "status": [200], "text": None, "absent": None}
    this_round = health.Round({"checks": [check], "host": "example.org", "static_url": "/static/"})

    def ask(path, _host, _headers):
        if path == "/":
            return 200, {}, '<link href="/static/a.css">'
        if isinstance(answer, Exception):
            raise answer
        return answer, {}, ""

    monkeypatch.setattr(this_round, "ask", ask)
    assert this_round.run() == fault


@pytest.mark.parametrize(("claimed", "at_once", "in_all"), [(4, 4, 41), (999, 16, 161)])
def test_however_many_workers_an_application_claims_to_have_no_more_are_asked_at_once(claimed, at_once, in_all):
    """Whoever asks is root, each minute."""
    lock, asked, now, most = threading.Lock(), [], [], []

    def ask_one():
        with lock:
            asked.append(1)
            now.append(1)
            most.append(len(now))
        time.sleep(0.002)
        with lock:
            now.pop()
        return (1, claimed), None

    assert health.ask_workers(ask_one) == ([1], claimed, None)
    assert (max(most) <= at_once, len(asked)) == (True, in_all)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [(b"Welcome", None), (b"x", "without the text"), (b"x" * 9_000_000, None), (b"Traceback" + b"x" * 9_000_000, "with the text")],
    ids=["well", "wrong", "long", "long and wrong"],
)
def test_of_what_further_workers_answer_no_more_is_read_than_tells_whether_it_is_well(server, body, wrong):
    sent = []

    def answer(connection):
        connection.recv(65536)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Selfhost-Worker: 1/2\r\n\r\n")
            for begin in range(0, len(body), 65536):
                connection.sendall(body[begin : begin + 65536])
                sent.append(begin)
        except OSError:
            pass

    parameters = {"socket": server(answer), "host": "example.org", "https": True, "prefix": "", "request_timeout_seconds": 5}
    this_round = health.Round(parameters | {"checks": [CHECK | {"text": "Welcome", "absent": "Traceback"}]})
    found, said = this_round.run_once()
    assert found == (1, 2) and (wrong in said if wrong else said is None)
    # And what was on its way already.
    assert sum(1 for _piece in sent) * 65536 < 2 * health.FURTHER_LIMIT + (1 << 20)


@pytest.mark.parametrize(
    ("text", "worker"),
    [("2/4", (2, 4)), *((text, None) for text in (None, "", "2", "a/b", "\u00b2/4", "1/99999999", "-1/4", "1/4\n"))],
)
def test_a_server_may_say_which_worker_it_was(text, worker):
    assert health.worker_of({"X-Selfhost-Worker": text} if text is not None else {}) == worker


@pytest.mark.parametrize(
    ("answers", "heard"),
    [
        # Each one's number, as it comes; a round asks all at once.
        ([(1, 1)], ([1], 1, None)),
        ([(1, 3), (1, 3), (2, 3), (2, 3), (3, 3), (1, 3), (1, 3)], ([1, 2, 3], 3, None)),
        ([(1, 2)] * 9, ([1], 2, None)),
        ([None], ([], 0, None)),
        ([(1, 2), (1, 2), "/ answered 500 instead of 200"], ([1], 2, "/ answered 500 instead of 200")),
        (["/ gave no answer"], ([], 0, "/ gave no answer")),
    ],
)
def test_each_worker_is_asked_or_it_is_told_that_one_was_not(answers, heard):
    answers = iter(answers)

    def ask_one():
        answer = next(answers, (1, 2))
        return (None, answer) if isinstance(answer, str) else (answer, None)

    assert health.ask_workers(ask_one, rounds=4) == heard
