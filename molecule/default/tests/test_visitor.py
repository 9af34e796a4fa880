"""What a visitor sees of the site, and what the web server keeps from one; asked from outside, without a browser."""

import http.client
import re
import secrets
import socket
import ssl

import pytest

testinfra_hosts = ["ansible://web"]
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")

MEGABYTE = 1_000_000
HASHED = r"/static/[^\"'?\s]+\.[0-9a-f]{12}\.%s"


def tls(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.TLSv1_3):
    """Return a context that trusts everything, and that would itself speak versions given up long ago."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest
    return context


def ask(site, method, path, headers=None, secure=True):
    """Send a request as it stands: no path is tidied up and no body follows. Return the response, read."""
    if secure:
        connection = http.client.HTTPSConnection(site.address, timeout=30, context=tls())
    else:
        connection = http.client.HTTPConnection(site.address, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    response.content = response.read()
    connection.close()
    return response


def handshake(site, version):
    with socket.create_connection((site.address, 443), timeout=30) as raw:
        with tls(version, version).wrap_socket(raw) as secured:
            return secured.version()


# --- The way in -------------------------------------------------------------------------------


def test_start_page_comes_by_https(site):
    response = site.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/", "/admin/login/?next=/admin/images/&x=%20y"])
def test_http_redirects_to_the_same_page(site, path):
    response = ask(site, "GET", path, secure=False)
    assert response.status in (301, 308)
    assert response.headers["Location"] == site.url + path


def test_certificate_is_for_the_address_in_the_url(site):
    pem = ssl.get_server_certificate((site.address, 443), timeout=30)
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with socket.create_connection((site.address, 443), timeout=30) as raw:
        with context.wrap_socket(raw, server_hostname=site.address) as secured:
            assert secured.getpeercert()


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_current_tls_is_spoken(site, version):
    assert handshake(site, ssl.TLSVersion[version]) == version.replace("_", ".")


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_tls_is_refused_by_the_server(site, version):
    with pytest.raises(ssl.SSLError) as refusal:
        handshake(site, ssl.TLSVersion[version])
    assert refusal.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_an_unknown_host_gets_no_answer(site, secure):
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
        ask(site, "GET", "/", headers={"Host": "unknown.example"}, secure=secure)


def test_security_headers_are_said_once_and_no_version_is(site):
    headers = ask(site, "GET", "/admin/login/").headers
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_all("Referrer-Policy") == ["same-origin"]
    assert len(headers.get_all("X-Frame-Options")) == 1
    assert headers.get_all("Server") == ["nginx"]
    # A browser that believed this could not be told to accept the self-signed certificate any more.
    assert "Strict-Transport-Security" not in headers


# --- Static files -----------------------------------------------------------------------------


def test_login_page_has_its_style(site):
    page = site.get("/admin/login/")
    assert page.status_code == 200
    styles = re.findall(HASHED % "css", page.text)
    assert styles, page.text
    for path in styles:
        style = site.get(path)
        assert style.status_code == 200, path
        assert style.headers["Content-Type"].startswith("text/css"), path
        assert style.headers["Content-Encoding"] == "gzip", path
        cache = style.headers["Cache-Control"].split(", ")
        assert "immutable" in cache and "max-age=31536000" in cache, path


def test_everything_that_the_login_page_names_is_there(site):
    names = set(re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", site.get("/admin/login/").text))
    assert names
    assert {name: site.get(name).status_code for name in names} == {name: 200 for name in names}


def test_a_name_without_a_hash_is_not_cached_for_long(site):
    path = re.search(HASHED % "css", site.get("/admin/login/").text)[0]
    response = site.get(re.sub(r"\.[0-9a-f]{12}\.css$", ".css", path))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "public, max-age=3600"


@pytest.mark.parametrize("path", ["/static/missing.css", "/static/missing.0123456789ab.css", "/media/missing.png"])
def test_a_missing_file_is_told_by_the_web_server_itself(site, path):
    response = site.get(path)
    assert response.status_code == 404
    assert "Cache-Control" not in response.headers
    # Django would have said this.
    assert "X-Frame-Options" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../etc/passwd",
        "/static/../../../../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc/passwd",
        "/static/%2e%2e/current/environment",
        "/static../current/environment",
        "/static/..%5c..%5cetc/passwd",
        "/media/../../current/environment",
        "/media../../current/environment",
        "/media/%2e%2e/%2e%2e/current/environment",
        "/static/",
        "/media/",
    ],
)
def test_nothing_but_the_files_is_served(site, path):
    response = ask(site, "GET", path)
    # The application may see such a path, and redirect it to one with a slash at its end.
    assert response.status in (301, 400, 403, 404), response.content[:500]
    assert b"root:" not in response.content
    assert b"SECRET_KEY" not in response.content
    assert b"Index of" not in response.content


# --- Uploads ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def editor(site, administrator):
    """Return a visitor who is logged in to Wagtail's admin."""
    with site.session() as session:
        post(session, f"{site.url}/admin/login/", username=administrator.name, password=administrator.password)
        assert session.get(f"{site.url}/admin/", timeout=60).url == f"{site.url}/admin/", "not logged in"
        yield session


def post(session, url, files=None, **fields):
    """Fill in the form of a page, as a browser does, and send it."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', session.get(url, timeout=60).text)[1]
    data = fields | {"csrfmiddlewaretoken": token}
    return session.post(url, data=data, files=files, headers={"Referer": url}, timeout=120)


def test_an_upload_of_ten_megabytes_comes_back(site, editor):
    name, content = f"big_{secrets.token_hex(8)}.zip", secrets.token_bytes(10 * MEGABYTE)
    response = post(editor, f"{site.url}/admin/documents/add/", files={"file": (name, content)}, title=name)
    assert response.url == f"{site.url}/admin/documents/", "the form was shown again"
    response = site.get(f"/media/documents/{name}")
    assert response.status_code == 200
    assert response.content == content


def test_an_upload_over_the_limit_is_refused_before_it_is_sent(site, variables):
    limit = variables["nginx_client_max_body_mb"] * 1024 * 1024
    response = ask(site, "POST", "/admin/documents/add/", headers={"Content-Length": str(limit + 1)})
    assert response.status == 413


@pytest.fixture(scope="module")
def folder(manage):
    """Put files among the uploads that Wagtail would not take from an editor; return their folder."""
    folder = f"visitor_{secrets.token_hex(4)}"
    manage(
        "from django.core.files.base import ContentFile\n"
        "from django.core.files.storage import default_storage\n"
        "content = b'<html xmlns=\"http://www.w3.org/1999/xhtml\"><script>alert(1)</script></html>'\n"
        "for suffix in ('html', 'svg', 'xhtml', 'php', 'webp', 'avif', 'pdf'):\n"
        f"    default_storage.save('{folder}/page.' + suffix, ContentFile(content))\n"
    )
    return folder


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("html", "text/html"),
        ("svg", "image/svg+xml"),
        ("xhtml", "application/xhtml+xml"),
        ("php", "application/octet-stream"),
    ],
)
def test_an_uploaded_page_does_not_run_as_one_of_the_site(site, folder, suffix, kind):
    response = site.get(f"/media/{folder}/page.{suffix}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == kind
    assert response.headers["Content-Disposition"] == "attachment"
    assert response.headers["Content-Security-Policy"] == "sandbox"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("suffix", "kind"), [("webp", "image/webp"), ("avif", "image/avif"), ("pdf", "application/pdf")])
def test_an_uploaded_image_or_pdf_is_shown_as_what_its_name_says(site, folder, suffix, kind):
    response = site.get(f"/media/{folder}/page.{suffix}")
    assert response.headers["Content-Type"] == kind
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Disposition" not in response.headers
