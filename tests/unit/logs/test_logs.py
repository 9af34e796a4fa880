"""What hosts send of their logs, and what becomes of it where it is kept: over real sockets and certificates, with a writer that only appends."""

import datetime
import importlib.util
import io
import json
import os
import pathlib
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parents[3]


def load(name):
    specification = importlib.util.spec_from_file_location(f"selfhost_logs_{name}", ROOT / f"roles/logs/files/{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


sending, keeping = load("sending"), load("keeping")


# --- The journal ----------------------------------------------------------------------------------


def exported(*messages, host="web1"):
    return b"".join(b"__CURSOR=c%d\n_HOSTNAME=%s\nMESSAGE=%s\n\n" % (number, host.encode(), message) for number, message in enumerate(messages, 1))


def binary(name, value):
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


LONG = b"x" * (sending.FIELD + 10)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"", []),
        (exported(b"a", b"b"), [exported(b"a"), exported(b"a", b"b")[len(exported(b"a")) :]]),
        (b"\n\n" + exported(b"a"), [exported(b"a")]),
        # What is of several lines, even empty ones, is of one field.
        (b"A=1\n" + binary(b"MESSAGE", b"one\n\ntwo=2\n") + b"\n", [b"A=1\n" + binary(b"MESSAGE", b"one\n\ntwo=2\n") + b"\n"]),
        # What is too long is left out, and all around it is there.
        (b"A=1\nMESSAGE=" + LONG + b"\nB=2\n\nC=3\n\n", [b"A=1\nB=2\n\n", b"C=3\n\n"]),
        (b"A=1\n" + binary(b"MESSAGE", LONG) + b"B=2\n\nC=3\n\n", [b"A=1\nB=2\n\n", b"C=3\n\n"]),
        # An entry that was cut off comes once more, whole.
        (exported(b"a") + b"MESSAGE=b", [exported(b"a")]),
    ],
)
def test_entries_of_a_journal(stream, expected):
    assert list(sending.entries(io.BytesIO(stream))) == expected


def test_an_entry_of_many_long_fields_is_cut():
    fields = b"".join(b"F%d=%s\n" % (number, b"x" * 200_000) for number in range(20))
    (entry,) = sending.entries(io.BytesIO(b"__CURSOR=c\n" + fields + b"\n"))
    assert len(entry) <= sending.ENTRY + 1 and sending.cursor(entry) == "c"
    assert sending.ENTRY + sending.BATCH <= keeping.MOST_BYTES


def test_where_an_entry_is():
    assert sending.cursor(exported(b"a")) == "c1"
    assert sending.cursor(b"MESSAGE=__CURSOR=c1\n\n") is None


def test_batches_are_of_bounded_size():
    assert [len(batch) for batch in sending.batches([b"x" * (sending.BATCH // 2)] * 5)] == [2, 2, 1]


# --- Files ----------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path):
    """A file of two lines, of which the first was sent, and what is known of it."""
    path = tmp_path / "access.log"
    path.write_text("one\ntwo\n")
    return path, [path.stat().st_ino, 4]


def read(path, known):
    """Return the lines that are yet to be sent of a file."""
    return [line.decode() for part, begin in sending.unread(str(path), known) for batch, _end in sending.lines(part, begin) for line in batch]


def test_a_file_grows(log):
    path, known = log
    assert read(path, known) == ["two"]
    assert read(path, None) == ["one", "two"]
    with path.open("a") as file:
        file.write("three\nhalf a li")
    assert read(path, known) == ["two", "three"]


def test_a_file_is_moved_away_and_the_rest_of_it_comes_first(log):
    path, known = log
    path.rename(f"{path}.1")
    assert read(path, known) == [], "there is no new one yet"
    path.write_text("three\n")
    assert read(path, known) == ["two", "three"]
    # In the middle of the rest, and after it.
    assert read(path, [known[0], 8]) == ["three"]


def test_a_file_is_copied_and_emptied(log):
    path, known = log
    pathlib.Path(f"{path}.1").write_text(path.read_text())
    path.write_text("3\n")
    assert path.stat().st_ino == known[0]
    assert read(path, known) == ["two", "3"]


def test_a_file_is_lost_and_the_new_one_is_read_from_its_beginning(log):
    path, _known = log
    pathlib.Path(f"{path}.1").write_text("another\nanother\n")
    assert read(path, [1, 4]) == ["one", "two"]
    path.unlink()
    assert read(path, [1, 4]) == []


def test_links_and_folders_are_no_files(tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "linked.log").symlink_to("secret")
    (tmp_path / "folder.log").mkdir()
    assert read(tmp_path / "linked.log", None) == [] and read(tmp_path / "folder.log", None) == []


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "nothing"])
def test_what_has_become_something_else_since_it_was_looked_at_is_not_waited_for(log, in_time, what):
    """PostgreSQL's log is the postgres account's."""
    path, known = log
    parts = sending.unread(str(path), known)
    path.unlink()
    {"pipe": os.mkfifo, "link": lambda path: path.symlink_to("/etc/passwd"), "folder": os.mkdir, "nothing": lambda _path: None}[what](path)
    assert [list(sending.lines(part, begin)) for part, begin in parts] == [[]]


def test_a_line_is_an_entry_whatever_is_in_it():
    entry = sending.entry_of(b"GET /\x00\xff MESSAGE=x _HOSTNAME=web2", "nginx", "/var/log/nginx/access.log", "b", "web1")
    (parsed,) = sending.entries(io.BytesIO(entry))
    assert parsed == entry
    assert b"\nMESSAGE=GET /\x00\xff MESSAGE=x _HOSTNAME=web2\n" in entry and b"\n_HOSTNAME=web1\n" in entry
    assert len(sending.entry_of(LONG, "nginx", "p", "b", "web1")) < sending.LINE + 300


# --- Over the network -----------------------------------------------------------------------------


def certify(folder, names, authority=None):
    """Write a certificate for names, of an authority (certificate, key) or of itself; return it with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Whatever a host asks to be called.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web2" if names else "authority")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .issuer_name(authority[0].subject if authority else name)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )  # fmt: skip
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    certificate = builder.sign(authority[1] if authority else key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    folder.mkdir(exist_ok=True)
    (folder / "host.crt").write_bytes(certificate.public_bytes(pem))
    (folder / "host.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """The folders with certificates of the site's hosts, of a stranger of the same authority, and of an authority of somebody else's."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = certify(directory / "authority", [])
    for host in ("backup1", "web1", "web2", "stranger"):
        certify(directory / host, [host], authority)
    certify(directory / "both", ["web1", "web2"], authority)
    certify(directory / "forged", ["web1"])
    for host in ("backup1", "web1", "web2", "stranger", "both", "forged"):
        (directory / host / "ca.crt").write_bytes((directory / "authority/host.crt").read_bytes())
    return directory


@pytest.fixture
def kept(tmp_path, certificates, monkeypatch):
    """A host that keeps logs: its folder, and the port that it listens to."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "writer").write_text('#!/bin/sh\n[ ! -e "$(dirname "$0")/full" ] || exit 1\nexec cat >>"${1#--output=}"\n')
    (programs / "journalctl").write_text('#!/bin/sh\necho "$@" >>"$(dirname "$0")/vacuumed"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    folder = tmp_path / "kept"
    folder.mkdir()
    store = keeping.Store(folder, 100, 30, str(programs / "writer"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = keeping.Server(listening, ["web1", "web2", "backup1"], str(certificates / "backup1"), store)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield folder, listening.getsockname()[1], programs
        server.shutdown()


@pytest.fixture
def sender(tmp_path, certificates, kept):
    """Return a function that makes the sender of a host, whose journal and files are in a folder of its own."""

    def make(host="web1", files=True, port=None):
        folder = tmp_path / f"host-{host}"
        folder.mkdir(exist_ok=True)
        journal = folder / "journalctl"
        # From a cursor on: the number in it is how many were before.
        journal.write_text(f'#!/bin/sh\ncase "$1" in --after-cursor=c*) n="${{1#*=c}}" ;; *) n=0 ;; esac\ntail --lines=+$((n * 4 + 1)) "{folder}/journal"\n')
        journal.chmod(0o755)
        (folder / "journal").touch()
        keeper = sending.Keeper("backup1", "127.0.0.1", port or kept[1], str(certificates / host))
        return sending.Sender(keeper, folder / "sent.json", {"nginx": f"{folder}/*.log"} if files else {}, [str(journal)]), folder

    return make


def content(folder):
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("*/*"))}


def test_journal_and_files_are_kept_once_and_by_the_certificates_name(kept, sender):
    first, folder = sender()
    (folder / "journal").write_bytes(exported(b"one", b"two", host="web2"))
    (folder / "access.log").write_text("GET /\n")
    first.send_all()
    assert list(content(kept[0])) == ["web1"], "whatever it calls itself"
    assert b"MESSAGE=one\n" in content(kept[0])["web1"] and b"_SELFHOST_LOG=nginx\n" in content(kept[0])["web1"]
    once = content(kept[0])
    first.send_all()
    assert content(kept[0]) == once
    # After a reboot, too.
    again, folder = sender()
    (folder / "journal").write_bytes(exported(b"one", b"two", b"three", host="web2"))
    (folder / "access.log").write_text("GET /\nPOST /\n")
    again.send_all()
    text = content(kept[0])["web1"]
    assert [text.count(word) for word in (b"=one\n", b"=two\n", b"=three\n", b"=GET /\n", b"=POST /\n")] == [1] * 5
    sender("web2")[1].joinpath("journal").write_bytes(exported(b"four"))
    sender("web2", files=False)[0].send_all()
    assert b"=four\n" in content(kept[0])["web2"] and b"=four\n" not in content(kept[0])["web1"]


def test_what_files_held_before_is_left_where_it_is(kept, sender, tmp_path):
    folder = tmp_path / "host-web1"
    folder.mkdir()
    (folder / "access.log").write_text("long ago\n")
    made, _folder = sender()
    with (folder / "access.log").open("a") as file:
        file.write("now\n")
    made.send_all()
    assert b"=now\n" in content(kept[0])["web1"] and b"long ago" not in content(kept[0])["web1"]


@pytest.mark.parametrize("host", ["stranger", "both", "forged"])
def test_nobody_else_leaves_anything(kept, sender, host):
    made, folder = sender(host)
    (folder / "journal").write_bytes(exported(b"one"))
    with pytest.raises(OSError):
        made.send_all()
    assert content(kept[0]) == {}


def test_who_shows_no_certificate_leaves_nothing(kept, certificates):
    context = ssl.create_default_context(cafile=str(certificates / "backup1/ca.crt"))
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", kept[1]), timeout=10) as connection:
        with context.wrap_socket(connection, server_hostname="backup1") as channel:
            channel.sendall(b"1\nx")
            assert channel.recv(16) == b""
            raise ConnectionError
    assert content(kept[0]) == {}


def test_nothing_is_sent_to_who_is_not_the_host_that_keeps(kept, certificates, sender):
    made, folder = sender()
    made.keeper.name = "web2"
    (folder / "journal").write_bytes(exported(b"one"))
    with pytest.raises(ssl.SSLError):
        made.send_all()


def test_what_cannot_be_sent_is_sent_later(kept, sender):
    folder, port, programs = kept
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    away, own = sender(port=closed)
    (own / "journal").write_bytes(exported(b"one"))
    (own / "access.log").write_text("GET /\n")
    with pytest.raises(OSError):
        away.send_all()
    # There, and without room.
    (programs / "full").touch()
    made, own = sender()
    with pytest.raises(OSError, match="keeps nothing"):
        made.send_all()
    assert json.loads((own / "sent.json").read_text())["cursor"] is None
    (programs / "full").unlink()
    made.send_all()
    assert b"=one\n" in content(folder)["web1"] and b"=GET /\n" in content(folder)["web1"]


def test_many_short_lines_are_kept(kept, sender):
    made, own = sender()
    (own / "access.log").write_text("x\n" * 30_000)
    made.send_all()
    assert content(kept[0])["web1"].count(b"MESSAGE=x\n") == 30_000


def test_a_file_without_end_keeps_no_other_from_its_turn(kept, sender, monkeypatch):
    made, own = sender()
    monkeypatch.setattr(sending, "MOST_BATCHES", 2)
    monkeypatch.setattr(sending, "BATCH", 100)
    (own / "a.log").write_text("".join(f"a{number:04}\n" for number in range(100)))
    (own / "b.log").write_text("b\n")
    made.send_all()
    text = content(kept[0])["web1"]
    assert (text.count(b"MESSAGE=a"), text.count(b"MESSAGE=b\n")) == (32, 1)
    # What was moved away is sent to its end before the new one is.
    (own / "a.log").rename(own / "a.log.1")
    (own / "a.log").write_text("new\n")
    for _round in range(4):
        made.send_all()
    text = content(kept[0])["web1"]
    assert [text.count(word) for word in (b"MESSAGE=a0099\n", b"MESSAGE=a", b"MESSAGE=new\n", b"MESSAGE=b\n")] == [1, 100, 1, 1]


def test_a_journal_that_cannot_be_read_is_told(sender):
    made, _folder = sender()
    made.journal = ["false"]
    with pytest.raises(OSError, match="journal cannot be read"):
        made.send_all()


def test_room_is_made_for_each_host_alone(kept, sender):
    folder, _port, programs = kept
    made, own = sender(files=False)
    for number in range(1, 4):
        (own / "journal").write_bytes(exported(*[b"x"] * number))
        made.send_all()
    # Where a file was begun; not for each batch.
    assert (programs / "vacuumed").read_text() == f"--quiet --directory={folder}/web1 --vacuum-size=100M --vacuum-time=30d\n"


def test_the_disk_is_not_filled(kept, sender, monkeypatch):
    made, own = sender(files=False)
    (own / "journal").write_bytes(exported(b"one"))
    with monkeypatch.context() as patch:
        patch.setattr(keeping.shutil, "disk_usage", lambda path: keeping.shutil._ntuple_diskusage(1000, 901, 99))
        with pytest.raises(OSError, match="keeps nothing"):
            made.send_all()
    assert content(kept[0]) == {}
    made.send_all()
    assert b"=one\n" in content(kept[0])["web1"]


def test_what_is_no_batch_ends_the_connection(kept, certificates):
    for said in (b"-1\n", b"999999999\n", b"abc\n", b"\n"):
        keeper = sending.Keeper("backup1", "127.0.0.1", kept[1], str(certificates / "web1"))
        keeper.connect()
        keeper.channel.sendall(said)
        assert keeper.channel.recv(16) == b""
        keeper.close()
    assert content(kept[0]) == {}
