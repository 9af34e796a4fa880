"""A browser that knows of HTTP/3 uses it, and the application sees nothing of that."""

import base64
import hashlib
import shutil
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import sync_playwright

testinfra_hosts = ["ansible://probe"]


@pytest.fixture
def visit(site, tmp_path):
    """Return a function that opens a path by HTTP/3, and returns the protocol, the text and the answer's headers."""
    address = site.addresses[site.web[0]]
    certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate((address, 443)).encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    flags = [
        "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server", "--disable-background-networking", "--enable-quic",
        f"--origin-to-force-quic-on={address}:443",
        # By QUIC no other certificate is let pass that nobody vouches for.
        f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(key).digest()).decode()}",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(tmp_path, executable_path=shutil.which("chromium") or "/usr/bin/chromium", args=flags)
        page = browser.new_page()

        def visit(path):
            answer = page.goto(f"https://{address}{path}")
            return page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), answer.text(), answer.headers

        yield visit
        browser.close()


def test_a_browser_comes_by_http3(site, visit):
    protocol, text, headers = visit("/number/7/")
    assert protocol == "h3" and '"number": 7' in text
    assert headers["alt-svc"] == 'h3=":443"; ma=86400'
    # The host that was asked for is known by it, as by others.
    assert visit("/status/")[0] == "h3"
    host = site.hosts[site.web[0]]
    site.wait("its line in the log", lambda: "GET /number/7/ HTTP/3.0" in host.check_output("tail -n 20 /var/log/nginx/access.log"), seconds=20)
    # Others go on by TCP, and are told of it.
    assert site.get("/status/").headers["Alt-Svc"] == 'h3=":443"; ma=86400'
    # Two workers share the port, and after a reload there are new ones, to which it comes at once.
    host.check_output("systemctl reload nginx")
    assert [visit("/status/")[0] for _time in range(3)] == ["h3"] * 3
