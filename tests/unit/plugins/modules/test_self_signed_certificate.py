"""When a self-signed certificate is made anew, and that what is made is what was asked for."""

import shutil
import subprocess

import pytest
from ansible_collections.selfhost.django.plugins.modules.self_signed_certificate import names_in, reason_to_make, request

TOLD = "X509v3 Subject Alternative Name: \n    DNS:a.example, DNS:*.a.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1\n"
BOTH = b"-----BEGIN CERTIFICATE-----\n-----BEGIN %s KEY-----\n" % b"PRIVATE"
NAMES = ["a.example", "*.a.example", "192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("content", "names", "ends_soon", "reason"),
    [
        (BOTH, NAMES, False, ""),
        (BOTH, ["A.example", *NAMES[1:]], False, ""),
        (BOTH, ["a.example"], False, "it is for other names, too"),
        (None, NAMES, False, "there is none"),
        (b"-----BEGIN CERTIFICATE-----\n", NAMES, False, "its key is not with it"),
        (BOTH, ["a.example", "b.example", "192.0.2.2"], False, "it is not for b.example, 192.0.2.2"),
        (BOTH, NAMES, True, "its end is near"),
    ],
)
def test_it_is_made_when_there_is_a_reason(content, names, ends_soon, reason):
    assert reason_to_make(content, names, TOLD, ends_soon) == reason


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_what_is_made_is_for_all_names(tmp_path):
    subprocess.run(request(NAMES, 30, str(tmp_path)), check=True, capture_output=True)
    ask = ["openssl", "x509", "-noout", "-in", tmp_path / "certificate"]
    told = subprocess.run([*ask, "-ext", "subjectAltName,basicConstraints"], check=True, capture_output=True, text=True).stdout
    assert names_in(told) == {("DNS", "a.example"), ("DNS", "*.a.example"), ("IP", "192.0.2.1"), ("IP", "2001:db8::1")}
    assert "CA:FALSE" in told and "CA:TRUE" not in told
    assert subprocess.run([*ask, "-checkend", str(31 * 86400)], check=False, capture_output=True).returncode == 1
