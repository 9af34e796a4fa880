"""The program that asks for the visitors' certificate: when, what it makes of refusals, and what it lets be shown."""

import datetime
import importlib.machinery
import importlib.util
import json
import os
import pathlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROGRAM = pathlib.Path(__file__).resolve().parents[3] / "roles/acme/files/selfhost-acme"
DAY = 86400


def load():
    loader = importlib.machinery.SourceFileLoader("selfhost_acme", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("selfhost_acme", loader))
    loader.exec_module(module)
    return module


acme = load()


def certificate(*names, days=90, age_days=0, key=None):
    """Return a certificate and its key as one text."""
    key, begin = key or ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=age_days)
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    built = (
        x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(issuer).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )  # fmt: skip
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return built.public_bytes(serialization.Encoding.PEM).decode() + key.private_bytes(*form).decode()


# --- When -------------------------------------------------------------------------------------

WANTED = {"names": ["shop.se", "WWW.shop.se"], "key_type": "ecdsa", "directory": "https://ca/dir"}
HAVE = {"names": ["shop.se", "www.shop.se"], "key_type": "ecdsa", "from": 0, "until": 90 * DAY}


@pytest.mark.parametrize(
    ("have", "of", "now", "reason"),
    [
        (None, None, 0, "there is none yet"),
        (HAVE, "https://ca/dir", 0, ""),
        (HAVE, "https://ca/dir", 59 * DAY, ""),
        (HAVE, "https://ca/dir", 61 * DAY, "its end is near"),
        # One of six days is renewed after four.
        (HAVE | {"until": 6 * DAY}, "https://ca/dir", 3 * DAY, ""),
        (HAVE | {"until": 6 * DAY}, "https://ca/dir", 4 * DAY + 1, "its end is near"),
        (HAVE | {"names": ["shop.se"]}, "https://ca/dir", 0, "it is for other names"),
        (HAVE | {"names": ["old.se", *HAVE["names"]]}, "https://ca/dir", 0, "it is for other names"),
        (HAVE | {"key_type": "rsa"}, "https://ca/dir", 0, "its key is of another kind"),
        (HAVE, "https://staging/dir", 0, "it is of another authority"),
    ],
)
def test_when_one_is_asked_for(have, of, now, reason):
    assert acme.reason_to_ask(have, WANTED, of, now) == reason


# --- Domains ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leading", "sentence"),
    [
        ({"a.se": (["192.0.2.7"], [])}, ""),
        ({"a.se": ([], [])}, "No certificate is asked for while a.se leads to no address: make the record a.se. A 192.0.2.7."),
        (
            {"a.se": (["203.0.113.9"], ["203.0.113.9"])},
            "No certificate is asked for while a.se leads to 203.0.113.9, which is not this site: make the record a.se. A 192.0.2.7 and take away those of the "
            "wrong addresses.",
        ),
        # The right address is there, and a forgotten one beside it, which authorities ask first.
        (
            {"a.se": (["192.0.2.7", "2001:db8::1"], ["2001:db8::1"])},
            "No certificate is asked for while a.se leads to 2001:db8::1, which is not this site: take away those of the wrong addresses.",
        ),
        (
            {"a.se": ([], []), "b.se": (["192.0.2.7"], []), "c.se": ([], [])},
            "No certificate is asked for while a.se leads to no address, c.se leads to no address: make the records a.se. A 192.0.2.7, c.se. A 192.0.2.7.",
        ),
    ],
)
def test_domains_that_do_not_lead_here_are_told_with_the_records_to_make(leading, sentence):
    assert acme.astray(leading, ["192.0.2.7"]) == sentence


def test_without_a_known_address_no_record_is_made_up():
    assert acme.astray({"a.se": ([], [])}, []).endswith("make an A record with the address of this site.")
    assert acme.astray({"a.se": ([], [])}, ["2001:db8::7"]).endswith("make the record a.se. AAAA 2001:db8::7.")


# --- Refusals ---------------------------------------------------------------------------------

REFUSED = """Saving debug log to /var/lib/selfhost-acme/logs/letsencrypt.log
Requesting a certificate for shop.se

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: shop.se
  Type:   unauthorized
  Detail: The key authorization file from the server did not match.

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
UNEXPECTED = """Saving debug log to /x
An unexpected error occurred:
There were too many requests of a given type :: Error creating new order
Ask for help or search for solutions at https://community.letsencrypt.org.
"""


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (REFUSED, "The authority refuses shop.se: The key authorization file from the server did not match."),
        (UNEXPECTED, "The authority gives no certificate: There were too many requests of a given type :: Error creating new order"),
        ("Saving debug log to /x\nAccount could not be made\n", "The authority gives no certificate: Account could not be made"),
        ("", "The authority gives no certificate: certbot says nothing"),
    ],
)
def test_a_refusal_is_one_sentence(output, sentence):
    assert acme.refusal(output) == sentence


# --- What is shown ----------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A host's folders, with a systemctl that writes down how it was called, and a self-signed certificate that is shown."""
    for name in ("state", "certificates", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "certificates/site.pem").symlink_to("/etc/nginx/shop/certificate.pem")
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n[ "$1" != reload ] || exit $(cat {tmp_path}/code 2>/dev/null || echo 0)\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return {
        "state": str(tmp_path / "state"), "certificates": str(tmp_path / "certificates"), "service": "nginx.service", "names": ["shop.se"],
        "directory": "https://ca/dir", "key_type": "ecdsa", "patience_seconds": 720, "dns": True, "addresses": ["192.0.2.7"], "options": "/x", "webroot": "",
    }  # fmt: skip


def shown(settings):
    folder = pathlib.Path(settings["certificates"])
    return os.readlink(folder / "site.pem"), (folder / "trusted.map").exists()


def test_what_was_obtained_is_shown_by_a_reload(settings, tmp_path):
    (tmp_path / "state/site.pem").write_text("a line of somebody's\n" + certificate("shop.se"))
    acme.install(settings)
    assert shown(settings) == ("acme.pem", True)
    kept = (tmp_path / "certificates/acme.pem").read_text()
    assert "somebody" not in kept and kept.count("-----BEGIN") == 2
    assert (tmp_path / "certificates/acme.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "calls").read_text().splitlines()[-1] == "reload nginx.service"
    (tmp_path / "calls").unlink()
    acme.install(settings)
    assert not (tmp_path / "calls").exists(), "reloaded for nothing"


def test_a_server_that_refuses_it_goes_on_with_what_it_had(settings, tmp_path):
    (tmp_path / "state/site.pem").write_text(certificate("shop.se"))
    (tmp_path / "code").write_text("1")
    with pytest.raises(acme.Wrong, match="refuses the new certificate"):
        acme.install(settings)
    assert shown(settings) == ("/etc/nginx/shop/certificate.pem", False)
    (tmp_path / "code").write_text("0")
    acme.install(settings)
    first = (tmp_path / "certificates/acme.pem").read_text()
    (tmp_path / "state/site.pem").write_text(certificate("shop.se"))
    (tmp_path / "code").write_text("1")
    with pytest.raises(acme.Wrong):
        acme.install(settings)
    assert shown(settings) == ("acme.pem", True) and (tmp_path / "certificates/acme.pem").read_text() == first


def test_root_takes_no_link_no_pipe_and_no_key_of_another(settings, tmp_path):
    place, good = tmp_path / "state/site.pem", tmp_path / "elsewhere.pem"
    good.write_text(certificate("shop.se"))
    place.symlink_to(good)
    acme.install(settings)
    place.unlink()
    os.mkfifo(place)
    acme.install(settings)
    place.unlink()
    assert shown(settings)[0] != "acme.pem"
    one, other = certificate("shop.se"), certificate("shop.se")
    marker = "-----BEGIN PRIVATE"
    for text in (one.split(marker)[0] + marker + other.split(marker)[1], one.split(marker)[0], "nothing", one + other):
        place.write_text(text)
        with pytest.raises(acme.Wrong):
            acme.install(settings)
    assert shown(settings)[0] != "acme.pem"


# --- Asking -----------------------------------------------------------------------------------


def answer(monkeypatch, tmp_path, settings, text):
    """Have a program in certbot's place that writes down that it was called, and gives a certificate or refuses."""
    live = tmp_path / "state/config/live/site"
    live.mkdir(parents=True, exist_ok=True)
    if not text.startswith("refuse"):
        cut = text.index("-----BEGIN PRIVATE")
        (live / "fullchain.pem").write_text(text[:cut])
        (live / "privkey.pem").write_text(text[cut:])
    certbot = tmp_path / "bin/certbot"
    certbot.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\n" + ("echo Refused by us; exit 1\n" if text.startswith("refuse") else ""))
    certbot.chmod(0o755)


def asked(tmp_path):
    return (tmp_path / "asked").read_text().count("asked") if (tmp_path / "asked").exists() else 0


def said(settings):
    return acme.status(settings)["sentence"]


def test_an_authority_that_refuses_is_left_alone_for_a_while_and_asked_for_other_names_at_once(settings, tmp_path, monkeypatch):
    answer(monkeypatch, tmp_path, settings, "refuse")
    acme.obtain(settings)
    acme.obtain(settings)
    assert asked(tmp_path) == 1 and said(settings) == "The authority gives no certificate: Refused by us"
    acme.obtain(settings | {"names": ["other.se"]})
    assert asked(tmp_path) == 2
    acme.obtain(settings | {"patience_seconds": 0})
    assert asked(tmp_path) == 3
    answer(monkeypatch, tmp_path, settings, certificate("shop.se"))
    acme.obtain(settings | {"patience_seconds": 0})
    assert said(settings) == "" and acme.reason(settings) == ""
    acme.obtain(settings)
    assert asked(tmp_path) == 4


def test_a_clock_that_was_ahead_keeps_nobody_from_asking(settings, tmp_path, monkeypatch):
    answer(monkeypatch, tmp_path, settings, "refuse")
    with monkeypatch.context() as clock:
        clock.setattr(acme.time, "time", lambda: 4_000_000_000)
        acme.obtain(settings)
    acme.obtain(settings)
    assert asked(tmp_path) == 2


def test_an_authority_is_not_asked_while_a_domain_does_not_lead_here(settings, tmp_path, monkeypatch):
    answer(monkeypatch, tmp_path, settings, certificate("shop.se"))
    settings |= {"dns": False, "webroot": str(tmp_path / "webroot")}
    monkeypatch.setattr(acme, "addresses", lambda name: ["203.0.113.9"])
    monkeypatch.setattr(acme, "answers", lambda name, address, path, token: False)
    acme.obtain(settings)
    assert asked(tmp_path) == 0 and "203.0.113.9, which is not this site" in said(settings)
    # An address that the host does not know as its own, and that leads here: behind somebody's NAT.
    monkeypatch.setattr(acme, "answers", lambda name, address, path, token: (tmp_path / "webroot" / path[1:]).read_text() == token)
    acme.obtain(settings)
    assert asked(tmp_path) == 1 and said(settings) == ""
    assert not list((tmp_path / "webroot/.well-known/acme-challenge").iterdir())


def test_a_former_certificate_stays_where_one_for_more_names_is_refused(settings, tmp_path, monkeypatch):
    (tmp_path / "state/site.pem").write_text(certificate("shop.se"))
    acme.install(settings)
    before = (tmp_path / "certificates/acme.pem").read_text()
    answer(monkeypatch, tmp_path, settings, "refuse")
    acme.obtain(settings | {"names": ["shop.se", "www.shop.se"]})
    acme.install(settings)
    assert (tmp_path / "certificates/acme.pem").read_text() == before


def test_what_it_tells_the_module(settings, tmp_path, capsys):
    acme.look(settings)
    assert json.loads(capsys.readouterr().out) | {"directory": ""} == {
        "reason": "there is none yet", "sentence": "", "to_install": False, "until": None, "directory": "",
    }  # fmt: skip
    (tmp_path / "state/site.pem").write_text(certificate("shop.se"))
    acme.look(settings)
    assert json.loads(capsys.readouterr().out)["to_install"]
    acme.install(settings)
    acme.look(settings)
    assert not json.loads(capsys.readouterr().out)["to_install"]
