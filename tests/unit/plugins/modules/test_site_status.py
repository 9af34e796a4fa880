"""What a host tells of itself, where it has to be read out of a program's words."""

import contextlib
import json
import os
import pathlib
import re
import socket
import socketserver
import subprocess
import threading
import time
import types

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import site_look

STAT = """# pxname,svname,qcur,scur,status,lastchg,check_status,
web,FRONTEND,,3,OPEN,,,
site,web1,0,2,UP,120,L7OK,
site,web2,0,0,DRAIN,5,L7OK,
site,BACKEND,0,2,UP,120,,
"""


def host(**parameters):
    return site_look.Host({"timeout_seconds": 1, "units": [], "log": None, "maintenance": None} | parameters)


def test_the_servers_of_a_balancer():
    assert [(row["backend"], row["server"], row["state"], row["seconds"]) for row in site_look.servers(STAT)] == [
        ("site", "web1", "UP", 120),
        ("site", "web2", "DRAIN", 5),
    ]


def test_moments():
    assert site_look.moment("@1800000000") == 1_800_000_000
    assert site_look.moment("@0") is site_look.moment("") is site_look.moment("n/a") is None
    # So a timer's next run is written, whatever --timestamp says.
    assert site_look.moment("Fri 2027-01-15 08:00:00 UTC") == 1_800_000_000


@pytest.mark.parametrize(
    ("said", "rivals"),
    [
        ('{"db2": {"alive": true, "recovery": false}, "db3": {"alive": true, "recovery": true}, "db4": {"alive": false, "error": "refused"}}', ["db2"]),
        ("{}", []), ("", []), ("[1]", []),
    ],
)  # fmt: skip
def test_other_primaries_are_those_that_the_guard_hears(monkeypatch, tmp_path, said, rivals):
    asked, known = host(database_port=5432), []
    monkeypatch.setattr(site_look, "GUARDED", str(tmp_path / "guard.json"))
    monkeypatch.setattr(asked, "output", lambda *words: known.append(words) or said)
    # Without a standby there is no guard.
    assert asked.rivals() == [] == known
    (tmp_path / "guard.json").touch()
    assert asked.rivals() == rivals and known == [("/usr/local/sbin/postgresql-guard", "peers")]


def test_a_guard_that_does_not_know_the_word_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(site_look, "GUARDED", str(tmp_path))
    monkeypatch.setattr(site_look, "GUARD", "/bin/false")
    assert host().rivals() == []


def test_words_are_nobodys_language_and_times_of_no_place(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert host().output("date", "--date=@1800000000", "+%a %H").split() == ["Fri", "08"]


def test_the_last_deploys_come_first_and_a_torn_line_is_left_out(tmp_path):
    log = tmp_path / "deploys.jsonl"
    log.write_text("".join(json.dumps({"at": number}) + "\n" for number in range(15)) + '{"at": 15, "ver')
    assert [row["at"] for row in host(log=str(log)).deploys()] == list(range(14, 4, -1))
    log.write_text('1\nnull\n"ok"\n[{"at": 1}]\n{"at": 2}\n')
    assert host(log=str(log)).deploys() == [{"at": 2}]
    assert host(log=str(tmp_path / "none")).deploys() == []


def test_a_command_that_fails_or_hangs_is_a_sentence():
    for words, sentence in ((["false"], "exit status 1"), (["sleep", "9"], "sleep took longer than 1 s"), (["/no/such"], "/no/such: No such file")):
        try:
            host().output(*words)
        except site_look.Unknown as error:
            assert str(error).startswith(sentence)
        else:
            raise AssertionError(words)


def test_an_application_that_prints_much_is_heard_and_one_that_prints_without_an_end_is_a_sentence(monkeypatch):
    printing = host(run="/bin/sh", timeout_seconds=20)
    monkeypatch.setattr(printing, "output", lambda *_words: site_look.Host.output(printing, "sh", "-c", "yes | head --bytes=1M; echo '[ ]  shop.0001_initial'"))
    assert printing.migrations() == ["shop.0001_initial"]
    monkeypatch.setattr(site_look, "MOST_BYTES", 1 << 20)
    assert printing.migrations() == "sh printed more than 1 MB"


def test_a_host_that_tells_somebody_has_all_that_the_look_is_made_of():
    utilities = pathlib.Path(site_look.__file__).parent
    installed = set(re.findall(r"__status_utilities }}/(\w+)\.py", (utilities.parents[1] / "roles/status/tasks/install.yml").read_text()))
    needed = {name for path in installed for name in re.findall(r"(?m)^from \.(\w+) import", (utilities / f"{path}.py").read_text())}
    assert "site_look" in installed and needed <= installed


def test_a_file_that_is_no_mapping_is_nothing(tmp_path):
    for content in ("", "[]", "{torn"):
        (tmp_path / "release.json").write_text(content)
        assert site_look.load(str(tmp_path / "release.json")) is None


def test_a_file_of_the_application_is_read_and_nothing_that_it_leads_to(tmp_path):
    (tmp_path / "secret").write_text("root's")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    os.truncate(os.open(tmp_path / "sparse", os.O_CREAT | os.O_WRONLY), 10**12)
    assert [site_look.read(tmp_path / name) for name in ("secret", "link", "pipe", "nothing")] == ["root's", "", "", ""]
    assert len(site_look.read("/proc/self/stat")) > 10
    assert len(site_look.read(tmp_path / "sparse")) == site_look.MOST_BYTES


def test_of_a_log_that_is_too_long_the_end_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(site_look, "MOST_BYTES", 100)
    log = tmp_path / "deploys.jsonl"
    log.write_text("".join(json.dumps({"at": number}) + "\n" for number in range(50)))
    assert [row["at"] for row in host(log=str(log)).deploys()][:3] == [49, 48, 47]


def test_of_what_a_process_notes_a_line_is_told(monkeypatch):
    """The note is the application's, and each look of each minute carries it."""
    monkeypatch.setattr(site_look.glob, "glob", lambda _pattern: ["/etc/systemd/system/shop-mail.service"])
    files = {"/etc/systemd/system/shop-mail.service": "# ours\n"}
    monkeypatch.setattr(site_look, "read_text", lambda path, most, last=False: files.get(path, "x" * 10**6)[:most])
    asked = host(service="shop", mark="# ours")
    monkeypatch.setattr(asked, "unit", lambda _name: {})
    (row,) = asked.units()
    assert row["name"] == "mail" and len(row["release"]) <= 200


@pytest.mark.parametrize("content", [b"[" * (5 << 20), b"x" * (5 << 20), b""])
def test_an_answer_that_has_no_end_or_makes_no_sense_is_a_sentence(content):
    """Patroni is the postgres account's."""
    with socketserver.TCPServer(("127.0.0.1", 0), type("Answer", (socketserver.StreamRequestHandler,), {"handle": lambda self: say(self, content)})) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(site_look.Unknown, match="no answer that can be read"):
            host().page(f"http://127.0.0.1:{server.server_address[1]}/cluster")


def say(handler, content):
    """Answer a request of HTTP."""
    while handler.rfile.readline().strip():
        pass
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    try:
        handler.wfile.write(content)
    except OSError:
        # Whoever asked has heard enough.
        pass


def test_what_a_program_prints_without_end_is_a_sentence():
    with pytest.raises(site_look.Unknown, match="yes printed more than 4 MB"):
        host(timeout_seconds=60).output("yes")


def test_memory_that_can_be_had_is_not_in_use():
    meminfo = "MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  200 kB\nSwapTotal:  1000 kB\nSwapFree:  900 kB\nHugePages_Total:  0\n"
    assert site_look.memory_percent(meminfo) == 45
    assert site_look.memory_percent("") is None


def test_a_disk_is_full_of_bytes_or_of_files(tmp_path, monkeypatch):
    image, point = tmp_path / "image", tmp_path / "point"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    point.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-N", "64", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    asked = host(paths=[str(point)])
    monkeypatch.setattr(asked, "output", lambda *words: "")
    try:
        with contextlib.suppress(OSError):
            for number in range(100):
                (point / str(number)).touch()
        (disk,) = asked.machine()["disks"]
    finally:
        subprocess.run(["umount", point], check=True)
    assert (disk["files_percent"], disk["files_free"]) == (100, 0) and disk["used_percent"] < 5


def test_a_disk_that_counts_no_files_is_never_full_of_them(monkeypatch):
    counts = types.SimpleNamespace(f_blocks=100, f_bfree=50, f_bavail=50, f_frsize=1, f_files=0, f_favail=0)
    monkeypatch.setattr(site_look.os, "statvfs", lambda _path: counts)
    assert site_look.disk("/")["files_percent"] == 0
    counts.f_blocks = counts.f_bfree = counts.f_bavail = 0
    assert site_look.disk("/")["used_percent"] == 0


def test_security_upgrades_that_wait():
    text = """Inst libssl3t64 [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
Inst base-files [13.8] (13.8+deb13u1 Debian:13.1/stable [amd64])
Conf libssl3t64 (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
"""
    assert site_look.security_upgrades(text) == ["libssl3t64"]
    assert site_look.security_upgrades("") == []


def test_tables_of_somebody_else():
    text = "table inet selfhost\ntable inet selfhost_visitors\ntable inet f2b-table\ntable ip nat\ntable inet filter\n"
    assert site_look.foreign_tables(text) == ["ip nat", "inet filter"]
    assert site_look.foreign_tables("") == []


def test_the_last_automatic_upgrade():
    begin, error = "2027-01-15 06:00:00,000 INFO Starting unattended upgrades script\n", "2027-01-15 06:01:00,000 ERROR Installing the upgrades failed!\n"
    assert site_look.upgrade_error(begin + error + error) == "Installing the upgrades failed!"
    assert site_look.upgrade_error(begin + error + begin) == site_look.upgrade_error("") == ""


def test_how_long_nothing_logged_has_reached_its_keeper(tmp_path):
    reached = tmp_path / "reached"
    # Since the boot.
    assert host(logs=str(reached)).logs() == int(float(pathlib.Path("/proc/uptime").read_text().split()[0]))
    reached.touch()
    os.utime(reached, (0, time.time() - 90))
    assert 89 <= host(logs=str(reached)).logs() <= 92


# --- Odd answers ------------------------------------------------------------------------------


def serve(raw):
    """Answer one visitor with these bytes; return where."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer():
        with listening, listening.accept()[0] as visitor:
            visitor.recv(4096)
            visitor.sendall(raw)

    threading.Thread(target=answer, daemon=True).start()
    return "127.0.0.1:%d" % listening.getsockname()[1]


def http(body, status="200 OK", more=0):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body) + more, body)


QUESTIONS = dict.fromkeys([*filter(None, site_look.SUBJECTS.values()), "maintenance", "run", "release", "visitor", "port", "log"]) | {
    "paths": [], "certificates": [], "timeout_seconds": 3, "unkept": ["/nowhere"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (http(b'{"health": "true"}'), None), (http(b'{"health": "true"}', "503 Service Unavailable"), None),
        *((raw, "no answer that can be read") for raw in (http(b'{"hea', more=100), http(b"ok"), http(b"[]"), http(b"\xff\xfe"))),
        *((raw, "no answer that can be read") for raw in (http(b"<x>", "503 X"), http(b"<x", "503 X", 9))), (b"", "closed"), (b"\x15\x03\x01\x00", "/health: "),
    ],
    ids=["well", "ill", "half", "no JSON", "a list", "no text", "a page", "half a page", "nothing", "no HTTP"],
)  # fmt: skip
def test_a_voter_that_answers_oddly_hides_nothing_else(monkeypatch, raw, words):
    monkeypatch.setattr(site_look.Host, "machine", lambda _host: {"known": True})
    status = site_look.look(QUESTIONS | {"voter": serve(raw)})["status"]
    assert status["machine"] == {"known": True} and status["unkept"] == []
    assert status["voter"] == {"healthy": True} if words is None else words in status["voter"], status["voter"]


@pytest.mark.parametrize("said", ["", '{"ver', "[]", "null"])
def test_a_server_that_answers_oddly_is_a_sentence(monkeypatch, said):
    monkeypatch.setattr(site_look.Host, "output", lambda _host, *words: said)
    assert site_look.look(QUESTIONS | {"database_port": 5432, "database_hosts": []})["status"]["database"] == "the server gives no answer that can be read"


SERVER = {"name": "db1", "role": "leader", "state": "running", "timeline": 3, "host": "10.0.0.1"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"members": [SERVER]}, {"paused": False, "members": [{"name": "db1", "role": "leader", "state": "running", "timeline": 3}]}),
        ({"members": [{"name": "db1"}], "pause": True}, {"paused": True, "members": [{"name": "db1", "role": "", "state": ""}]}),
        ({"members": []}, {"paused": False, "members": []}),
        ({"detail": "x"}, "Patroni names no servers"),
        *(({"members": odd}, "Patroni names no servers") for odd in (None, {}, ["db1"], [{"role": "leader"}])),
    ],
)  # fmt: skip
def test_what_patroni_says_of_the_servers(monkeypatch, said, told):
    monkeypatch.setattr(site_look.ssl, "create_default_context", lambda **_more: types.SimpleNamespace(load_cert_chain=lambda *_files: None))
    monkeypatch.setattr(site_look.Host, "page", lambda *_words: said)
    assert site_look.look(QUESTIONS | {"patroni": "db1:8008", "patroni_certificates": "/etc"})["status"]["failover"] == told


PATRONIS = {"db2": "192.0.2.2:8008", "db3": "[2001:db8::3]:8008"}


@pytest.mark.parametrize(
    ("said", "rivals"),
    [
        ({"192.0.2.2:8008": {"state": "running", "role": "primary"}, "[2001:db8::3]:8008": {"state": "running", "role": "replica"}}, ["db2"]),
        # Patroni 3 has another word for it.
        ({"[2001:db8::3]:8008": {"state": "running", "role": "master"}}, ["db3"]),
        ({"192.0.2.2:8008": {"state": "stopped", "role": "primary"}, "[2001:db8::3]:8008": {"state": "running", "role": "uninitialized"}}, []),
        ({"192.0.2.2:8008": {"role": ["primary"]}, "[2001:db8::3]:8008": {"state": {}}}, []), ({}, []),
    ],
)  # fmt: skip
def test_other_primaries_beside_patroni_are_those_of_which_their_patroni_says_so(monkeypatch, tmp_path, said, rivals):
    """A server that its own Patroni has lost hears nothing from there, and no guard is beside it."""
    monkeypatch.setattr(site_look, "GUARDED", str(tmp_path / "none"))
    monkeypatch.setattr(site_look.ssl, "create_default_context", lambda **_more: types.SimpleNamespace(load_cert_chain=lambda *_files: None))

    def page(_host, url, _context, seconds):
        assert seconds <= 5, "one that hangs keeps the others waiting"
        if (found := said.get(url.removeprefix("https://").removesuffix("/patroni"))) is None:
            raise site_look.Unknown("refused")
        return found

    monkeypatch.setattr(site_look.Host, "page", page)
    given = {"patroni": "192.0.2.1:8008", "patroni_certificates": "/etc", "patroni_others": PATRONIS}
    assert host(**given).rivals() == rivals
    assert host(**given | {"patroni_others": {}}).rivals() == []
    # Questions that an earlier run has written down.
    assert host(patroni="192.0.2.1:8008", patroni_certificates="/etc").rivals() == []


def test_a_host_without_certificates_hears_of_nobody():
    assert "certificates in /none" in site_look.look(
        QUESTIONS | {"database_port": 1, "database_hosts": [], "patroni": "x:1", "patroni_certificates": "/none", "patroni_others": PATRONIS}
    )["status"]["rivals"]


@pytest.mark.parametrize("subject", site_look.SUBJECTS)
def test_whatever_goes_wrong_with_a_subject_is_told_of_it_alone(monkeypatch, subject):
    for name in site_look.SUBJECTS:
        monkeypatch.setattr(site_look.Host, name, lambda _host: "well")
    monkeypatch.setattr(site_look.Host, subject, lambda _host: [][0])
    status = site_look.look(QUESTIONS | dict.fromkeys(filter(None, site_look.SUBJECTS.values()), "asked"))["status"]
    assert status.pop("now") and status.pop(subject) == "IndexError: list index out of range"
    assert set(status.values()) == {"well"}


def test_a_health_check_that_cannot_be_made_is_one_that_failed(monkeypatch):
    monkeypatch.setattr(site_look, "answer", lambda _question: [][0])
    monkeypatch.setattr(site_look.Host, "balancer", lambda _host: [])
    asked = site_look.look(QUESTIONS | {"balancer": "/run/x", "visitor": {"checks": []}})
    assert asked["visitor"] == {"msg": "IndexError: list index out of range", "answers": []} and asked["status"]["balancer"] == []


@pytest.mark.parametrize("text", ['{"kinds": []}', '{"kinds": null, "places": null}', '{"kinds": {"full": null}, "places": []}', "[]", "torn"])
def test_a_status_of_the_backups_that_is_none_tells_of_no_backup(tmp_path, text):
    (tmp_path / "status.json").write_text(text)
    asked = host(backup=str(tmp_path / "status.json"))
    assert asked.backup() == {} == asked.places() == asked.awaited()


def test_what_is_awaited_is_a_kind_and_a_time(tmp_path):
    (tmp_path / "status.json").write_text('{"awaited": {"drill": 1000, "media": null, "logical": "x"}}')
    assert host(backup=str(tmp_path / "status.json")).awaited() == {"drill": 1000}


def test_what_keeps_messages_is_a_text_whoever_wrote_it(tmp_path):
    (tmp_path / "notify.json").write_text(json.dumps({"ways": ["mail"], "spool": str(tmp_path)}))
    (tmp_path / "failures").write_text('{"mail": {"text": "refused"}, "url1": null, "url2": {"text": ["x"]}}')
    assert host(notify=str(tmp_path / "notify.json")).told()["failures"] == {"mail": {"text": "refused"}}


def test_one_certificate_that_cannot_be_read_hides_no_other(tmp_path, monkeypatch):
    own = signed(tmp_path, "-subj", "/CN=shop.se")
    run = subprocess.run

    def hang(words, check, **options):
        if "hangs" in words[-1]:
            raise subprocess.TimeoutExpired(words, 1)
        return run(words, check=check, **options)

    (tmp_path / "hangs").touch()
    monkeypatch.setattr(site_look.subprocess, "run", hang)
    rows = host(port=None, certificates=[str(tmp_path / "hangs"), own]).certificates()
    assert [row.get("error", "") for row in rows] == ["openssl gives no answer", ""]


def test_releases_are_in_order_whatever_their_records_lack(tmp_path, monkeypatch):
    for name, record in (("a", {"release": "a", "released_at": "2027-01-15"}), ("b", {"release": "b", "released_at": None}), ("c", {})):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "release.json").write_text(json.dumps(record))
    asked = host(root=str(tmp_path), service="shop", mark="x", run=None)
    monkeypatch.setattr(asked, "output", lambda *_words: "")
    assert [release.get("release") for release in asked.application()["releases"]][0] == "a"


def test_who_is_told(tmp_path):
    settings = tmp_path / "notify.json"
    assert host(notify=str(settings)).told() == {"ways": [], "failures": {}}
    settings.write_text(json.dumps({"ways": ["mail"], "spool": str(tmp_path)}))
    (tmp_path / "failures").write_text(json.dumps({"mail": {"text": "refused"}}))
    assert host(notify=str(settings)).told() == {"ways": ["mail"], "failures": {"mail": {"text": "refused"}}}


def signed(folder, *arguments):
    """Make a certificate and its key in a folder by openssl; return its path."""
    path = str(folder / f"{len(arguments)}.pem")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-keyout", f"{path}.key", "-out", path]
    subprocess.run([*words, *arguments], check=True, capture_output=True)
    return path


def test_a_certificate_says_whose_it_is_and_who_vouches_for_it(tmp_path):
    own = signed(tmp_path, "-subj", "/CN=shop.se", "-addext", "subjectAltName=DNS:shop.se,IP:192.0.2.7")
    seen = host().end(own, None)
    assert seen["self_signed"] and seen["names"] == ["shop.se", "192.0.2.7"] and seen["issuer"] == "shop.se"
    assert 8 * 86400 < seen["end"] - pathlib.Path(own).stat().st_mtime < 10 * 86400
    authority = signed(tmp_path, "-subj", "/O=Let's Encrypt/CN=R11")
    # As some authorities do it, without a subject.
    other = signed(tmp_path, "-subj", "/", "-addext", "subjectAltName=DNS:www.shop.se", "-CA", authority, "-CAkey", f"{authority}.key")
    seen = host().end(None, pathlib.Path(other).read_text())
    assert not seen["self_signed"] and seen["names"] == ["www.shop.se"] and seen["issuer"] == "Let's Encrypt, R11"
    assert host().end(None, "nothing") == {"error": "no certificate can be read"}
