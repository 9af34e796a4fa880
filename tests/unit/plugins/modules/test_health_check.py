"""The parts of the health check: what it sends, what it makes of an answer, and what it says when there is none."""

import importlib.util
import pathlib
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = pathlib.Path(__file__).parents[4] / "plugins/modules/health_check.py"
spec = importlib.util.spec_from_file_location("health_check", FILE)
health_check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(health_check)

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
    variables = decode_request(health_check.encode_request(f"/{path}?{query}", "example.org", True, {"X-Probe": "1"}))
    assert variables["PATH_INFO"] == f"/{path}"
    assert variables["QUERY_STRING"] == query
    assert variables["HTTP_HOST"] == "example.org"
    assert variables["HTTP_X_PROBE"] == "1"
    assert variables["HTTPS"] == "on"


def test_plain_http_is_not_called_https():
    variables = decode_request(health_check.encode_request("/", "example.org", False, {}))
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
    assert health_check.fault(CHECK | changes, status, body) == sentence


def test_an_answer_is_a_status_and_a_body():
    assert health_check.decode_response(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nno\r\n\r\nsuch") == (404, "no\r\n\r\nsuch")


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1", b"SSH-2.0-OpenSSH", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_answer(raw):
    with pytest.raises(health_check.NoAnswer):
        health_check.decode_response(raw)


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

    status, body = health_check.decode_response(health_check.ask(server(answer), b"x", 5))
    assert (status, len(body)) == (200, 100_000)


def test_silence_is_given_up(server):
    released = threading.Event()
    with pytest.raises(health_check.NoAnswer, match="no answer within 1 s"):
        health_check.ask(server(lambda _connection: released.wait(10)), b"x", 1)
    released.set()


def test_a_socket_that_is_not_there_is_named(tmp_path):
    path = str(tmp_path / "none.sock")
    with pytest.raises(health_check.NoAnswer, match=r"no connection to .*none\.sock: No such file"):
        health_check.ask(path, b"x", 1)
