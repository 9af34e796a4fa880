"""A browser that knows of HTTP/3 uses it, and the application sees nothing of that."""

import base64
import hashlib
import shutil
import ssl
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import sync_playwright

testinfra_hosts = ["ansible://probe"]


@pytest.fixture
def visit(site, tmp_path):
    """Return a function by which a new visitor opens a path by HTTP/3 and nothing else; it returns the protocol, the text and the answer's headers."""
    address = site.addresses[site.web[0]]
    certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate((address, 443)).encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    flags = [
        "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server", "--disable-background-networking", "--enable-quic",
        f"--origin-to-force-quic-on={address}:443",
        # By QUIC no other certificate is let pass that nobody vouches for.
        f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(key).digest()).decode()}",
    ]  # fmt: skip

    def visit(path):
        with sync_playwright() as playwright, tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            program = shutil.which("chromium") or "/usr/bin/chromium"
            with playwright.chromium.launch_persistent_context(folder, executable_path=program, args=flags) as browser:
                page = browser.new_page()
                answer = page.goto(f"https://{address}{path}")
                return page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), answer.text(), answer.headers

    return visit


def test_a_browser_comes_by_http3(site, visit):
    host = site.hosts[site.web[0]]
    protocol, text, headers = visit("/number/7/")
    assert protocol == "h3" and '"number": 7' in text
    assert headers["alt-svc"] == 'h3=":443"; ma=86400'
    site.wait("its line in the log", lambda: "GET /number/7/ HTTP/3.0" in host.check_output("tail -n 20 /var/log/nginx/access.log"), seconds=20)
    # Others come by TCP, and are told of it.
    assert site.get("/status/").headers["Alt-Svc"] == 'h3=":443"; ma=86400'


def test_after_a_reload_new_visitors_come_by_it(site, visit):
    site.hosts[site.web[0]].check_output("systemctl reload nginx")
    assert [visit("/status/")[0] for _visitor in range(2)] == ["h3"] * 2
