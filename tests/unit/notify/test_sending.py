"""What waits is sent in order, later where it has to be, and without a word of a secret."""

import contextlib
import http.server
import json
import os
import socket
import threading

import pytest
from notify_program import looking, sending, spool

NOW = 1_800_000_000
MAIL = {"to": [], "from": "shop@example.org", "relay": "127.0.0.1", "port": 1, "tls": "none", "user": "", "password": "", "ca": ""}
SETTINGS = {"mail": MAIL | {"to": ["ops@example.org"]}, "urls": ["https://a.example.org", "slack://b"], "heartbeat": ""}
MESSAGE = {"site": "shop", "host": "web1", "at": NOW, "level": "problem", "title": "shop, web1: it burns", "text": "Problem: it burns", "problems": []}


@pytest.fixture
def box(tmp_path):
    (tmp_path / "spool").mkdir()
    return spool.Spool(str(tmp_path / "spool"))


def message(number):
    return MESSAGE | {"text": str(number)}


def sent(box, settings=SETTINGS, away=(), now=NOW):
    """Send all; return what each way got, and what failed."""
    got = {}

    def deliver(way, _settings, message):
        if way in away:
            raise sending.NotSent("away")
        if message["text"] == "poison":
            raise KeyError("text")
        got.setdefault(way, []).append(sending.text_of(message).splitlines()[0])

    return got, sending.send_all(box, settings, now, deliver)


def test_what_cannot_be_sent_by_one_way_waits_for_it_and_for_no_other(box):
    ways = sending.ways(SETTINGS)
    assert ways == ["mail", "url1", "url2"]
    box.put(message(1), ways)
    box.put(message(2), ways)
    got, failures = sent(box, away=["mail"])
    assert got == {"url1": ["1", "2"], "url2": ["1", "2"]}
    assert failures == box.failures() == {"mail": {"text": "away", "since": NOW}}
    assert sent(box, away=["mail"], now=NOW + 600)[1] == {"mail": {"text": "away", "since": NOW}}
    assert sent(box) == ({"mail": ["1", "2"]}, {})
    assert sent(box) == ({}, {}) and box.failures() == {}


def test_too_many_that_wait_are_counted(box, monkeypatch):
    monkeypatch.setattr(spool, "MOST_WAITING", 3)
    for number in range(10):
        box.put(message(number), ["mail"])
    assert len(box.waiting("mail")) == 3
    assert sent(box)[0] == {"mail": ["7 messages before this one were not kept: too many waited.", "8", "9"]}


def test_what_cannot_be_sent_at_all_keeps_nothing_back(box):
    box.put(message("poison"), ["mail"])
    box.put(message(2), ["mail"])
    box.write("00000000000000000000.mail.json", ["no message"])
    assert sent(box) == ({"mail": ["2"]}, {"mail": {"text": "KeyError in a message, which is left out", "since": NOW}})
    assert box.waiting("mail") == []


def test_a_way_that_is_set_no_more_keeps_nothing(box):
    box.put(message(1), ["mail", "url1", "url2"])
    assert sent(box, {"mail": MAIL, "urls": ["https://a.example.org"]})[0] == {"url1": ["1"]}
    assert os.listdir(box.folder) == [spool.FAILURES]


def test_links_and_pipes_in_the_spool_are_nothing(box, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(message("secret")))
    (tmp_path / "spool/0.mail.json").symlink_to(secret)
    os.mkfifo(tmp_path / "spool/1.mail.json")
    assert sent(box) == ({}, {}) and secret.exists() and box.waiting("mail") == []
    (tmp_path / "spool" / spool.FAILURES).unlink()
    (tmp_path / "spool" / spool.FAILURES).symlink_to(secret)
    box.note({})
    assert json.loads(secret.read_text())["text"] == "secret"


class Listener(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_POST(self):
        self.server.got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.do_GET()

    def do_GET(self):
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def listener():
    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        server.got = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_message_is_posted_as_json(listener):
    sending.send("url1", {"urls": [f"http://127.0.0.1:{listener.server_port}/token/200"]}, MESSAGE)
    ((path, body),) = listener.got
    assert path == "/token/200" and body["title"] == MESSAGE["title"]
    assert body["text"] == "Problem: it burns\n\n2027-01-15 08:00 UTC, told by web1 of shop."


@pytest.mark.parametrize(("status", "reason"), [(500, "answered 500"), (404, "answered 404"), (302, "answered 302"), (307, "answered 307")])
def test_who_does_not_take_it_is_named_without_the_url(listener, status, reason):
    with pytest.raises(sending.NotSent, match=f"^{reason}$"):
        sending.post(f"http://127.0.0.1:{listener.server_port}/token/{status}", MESSAGE)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/token", "http://token.invalid/token", "http://[token/", "http://127.0.0.1:token/"])
def test_who_cannot_be_reached_is_named_without_the_url(url):
    with pytest.raises(sending.NotSent) as error:
        sending.post(url, MESSAGE)
    assert str(error.value) and "token" not in str(error.value)


def test_a_relay_that_is_away_is_named():
    with pytest.raises(sending.NotSent, match="^127.0.0.1, port 1: Connection refused$"):
        sending.send("mail", SETTINGS, MESSAGE)


def test_no_word_of_a_url_is_told():
    url = "slack://T0123/B4567/hunter22?channel=ops-room"
    assert sending.without(url, "Failed to reach hunter22 of T0123 in ops-room: 403") == "Failed to reach … of … in …: 403"


def test_a_host_that_has_not_looked_is_silent(listener):
    settings = {"heartbeat": f"http://127.0.0.1:{listener.server_port}/500"}
    sending.heartbeat(settings, NOW - 301, NOW)
    sending.heartbeat({"heartbeat": ""}, NOW, NOW)
    with pytest.raises(sending.NotSent):
        sending.heartbeat(settings, NOW - 60, NOW)


# --- Looking ----------------------------------------------------------------------------------

HOST = {"site": "shop", "host": "web1", "application": "shop", "tells_deploys": True, "ways": ["mail"], "hosts": {}}


def test_a_look_remembers_and_tells():
    reboot = [{"about": "machine/reboot", "level": "warn", "text": "A reboot is required."}]
    known = {"application": {"deploys": [{"what": "deploy", "version": "v1", "by": "ops", "verdict": "ok"}]}, "database": {"standby": False}}
    state, said = looking.tell({}, HOST, reboot, known, NOW, True)
    # What was there before somebody looked is nobody's news.
    assert said is None and state["role"] == "primary" and len(state["deploys"]) == 1
    state, said = looking.tell(json.loads(json.dumps(state)), HOST, reboot, known, NOW + 60, True)
    assert said["title"] == "shop, web1: A reboot is required."
    # A look that failed forgets nothing.
    after, said = looking.tell(state, HOST, [], {}, NOW + 120, False)
    assert after == state and said is None
    newer = {"application": {"deploys": [{"what": "deploy", "version": "v2", "by": "ops", "verdict": "ok"}]}}
    assert looking.tell(state, HOST, reboot, newer, NOW + 180, True)[1]["text"] == "Deploy of v2 by ops succeeded."
    assert looking.tell(state, HOST | {"tells_deploys": False}, reboot, newer, NOW + 180, True)[1] is None


@pytest.mark.parametrize(
    ("alive", "told"), [("web1 web2 db1", []), ("web1 db1", ["neighbour/web2"]), ("web1 web2", []), ("web1", ["cut_off"])]
)  # fmt: skip
def test_the_next_host_is_watched(alive, told):
    settings = HOST | {"hosts": {name: {} for name in ("web1", "web2", "db1")}}
    # By name, db1 comes first, then web1, and web2 is the one after it.
    assert [problem["about"] for problem in looking.watched(settings, lambda name: name in alive.split())] == told
    assert looking.watched(HOST) == looking.watched(HOST | {"hosts": {"web1": {}}}) == []


def test_a_host_that_refuses_is_alive_and_one_without_a_name_is_not():
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        assert looking.answers("127.0.0.1", free.getsockname()[1])
    assert not looking.answers("nobody.invalid", 22)
