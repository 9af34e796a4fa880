"""Static files as visitors get them, and the store they come from over several releases."""

import base64
import dataclasses
import gzip
import json
import re

import pytest

OWN_GZIP = gzip.compress(b"body { color: black }\n" * 200, 1)
TYPES = {
    "app.css": "text/css",
    "app.js": "application/javascript",
    "module.mjs": "text/javascript",
    "program.wasm": "application/wasm",
    "site.webmanifest": "application/manifest+json",
    "photo.avif": "image/avif",
    "photo.webp": "image/webp",
    "font.woff2": "font/woff2",
}
ENCODINGS = {"identity": None, "gzip": "gzip", "br": "br", "gzip, deflate, br": "br"}


def content(name, version):
    return f"/* {name} of version {version} */\n" * 200


def assets(project):
    """Add files of many types; all but the library and the project's own compressed one are others in each version."""
    version, directory = (project / "VERSION").read_text().strip(), project / "pages/static/pages"
    for name in TYPES:
        (directory / name).write_text(content(name, version))
    (directory / "library.css").write_text("/* the same in all versions */\n" * 200)
    (directory / "own.css").write_bytes(gzip.decompress(OWN_GZIP))
    (directory / "own.css.gz").write_bytes(OWN_GZIP)


def hashed(host):
    """By plain path, the path with a hash of each file of the current release."""
    return json.loads(host.check_output("cat /srv/probe/current/code/static/staticfiles.json"))["paths"]


def ask(site, name, path, encoding):
    """Return the answer and its body as it travelled."""
    answer = site.get(path, name, headers={"Accept-Encoding": encoding}, stream=True)
    return answer, answer.raw.read(decode_content=False)


def unpack(host, encoding, body):
    if encoding == "gzip":
        return gzip.decompress(body).decode()
    if encoding == "br":
        program = "import base64, brotli, sys; sys.stdout.buffer.write(brotli.decompress(base64.b64decode(sys.argv[1])))"
        return host.run("python3 -c %s %s", program, base64.b64encode(body).decode()).stdout
    return body.decode()


def assert_plain_files_are_of(version, site):
    """In every form that a visitor may ask for."""
    for name, host in site.hosts.items():
        for encoding in ENCODINGS:
            answer, body = ask(site, name, "/static/pages/app.css", encoding)
            assert unpack(host, answer.headers.get("Content-Encoding"), body) == content("app.css", version), (name, encoding)


@pytest.fixture(scope="module")
def s1(site, repository):
    """The first release with these assets. The next deploy after these tests is good."""
    site.ship("s1", assets)
    yield
    repository.commit("good", "static")


@dataclasses.dataclass
class Held:
    """What a visitor holds of the release before, and which style sheets there were then."""

    app: str
    library: str
    named: list
    styles: list


@pytest.fixture(scope="module")
def s2(site, s1):
    """The second one, which of the releases before leaves the first alone; returned is what visitors of that one held, by host."""
    styles = site.each("cd /srv/probe/static && ls pages/probe.*.css")
    held = {}
    for name, host in site.hosts.items():
        named = re.findall(r'href="(/static/[^"]+)"', site.get(host=name).text)
        library = site.get("/static/pages/library.css", name).headers["ETag"]
        held[name] = Held(hashed(host)["pages/app.css"], library, named, styles[name].split())
    site.ship("s2", assets, "-e", "django_keep_releases=1")
    return held


def test_every_visitor_gets_the_form_that_he_accepts(site, s1):
    for name, host in site.hosts.items():
        paths = hashed(host)
        for file, kind in TYPES.items():
            packed = file.partition(".")[2] not in ("avif", "webp", "woff2")
            for accepted, encoding in ENCODINGS.items():
                for path, cache in ((f"pages/{file}", "public, max-age=3600"), (paths[f"pages/{file}"], "public, max-age=31536000, immutable")):
                    answer, body = ask(site, name, f"/static/{path}", accepted)
                    assert answer.status_code == 200
                    assert answer.headers["Content-Type"] == kind
                    assert answer.headers["Cache-Control"] == cache
                    assert answer.headers.get("Content-Encoding") == (encoding if packed else None), (path, accepted)
                    assert answer.headers.get("Vary") == ("Accept-Encoding" if packed else None)
                    assert int(answer.headers["Content-Length"]) == len(body)
                    assert unpack(host, answer.headers.get("Content-Encoding"), body) == content(file, "s1")
        assert ask(site, name, "/static/pages/own.css", "gzip")[1] == OWN_GZIP, "what the project brought was replaced"
        assert ask(site, name, "/static/pages/own.css", "br")[0].headers["Content-Encoding"] == "br"


def test_files_stay_as_long_as_a_release_that_has_them(site, s2):
    assert_plain_files_are_of("s2", site)
    for name, held in s2.items():
        host = site.hosts[name]
        # A page of s1 finds its assets, in all forms; the releases before it are gone with theirs.
        assert held.named and all(site.get(path, name).status_code == 200 for path in held.named)
        for accepted, encoding in ENCODINGS.items():
            answer, body = ask(site, name, f"/static/{held.app}", accepted)
            assert answer.headers.get("Content-Encoding") == encoding
            assert unpack(host, encoding, body) == content("app.css", "s1")
        gone = [file for file in held.styles if f"/static/{file}" not in held.named]
        assert gone and {site.get(f"/static/{file}", name).status_code for file in gone} == {404}
        # Exactly what the two releases have is there.
        stored = "cd /srv/probe/static && find . -type f | sort"
        kept = "cd /srv/probe/releases && for release in *; do (cd $release/static && find . -type f); done | sort -u"
        assert host.check_output(stored) == host.check_output(kept)
        # What did not change was not written again: a visitor's copy of it is still good.
        again = site.get("/static/pages/library.css", name, headers={"If-None-Match": held.library})
        assert again.status_code == 304


def test_plain_files_come_back_when_a_release_is_put_back(repository, site, s2):
    repository.commit(assets, "s3")
    nonsense = '{"nginx_health_checks": [{"path": "/status/", "text": "no such text"}], "nginx_health_timeout_seconds": 2}'
    run = site.play("deploy", "-e", nonsense)
    assert run.code != 0
    assert "without the text" in run.text and "serves again" in run.text, run.output[-4000:]
    assert site.version() == "s2"
    assert_plain_files_are_of("s2", site)


def test_plain_files_come_back_with_a_rollback(site, s2):
    site.apply("rollback")
    assert site.version() == "s1"
    assert_plain_files_are_of("s1", site)


BUCKET = """from django.core.files.storage import Storage


class Bucket(Storage):
    def _save(self, name, content):
        return name

    def exists(self, name):
        return False

    def url(self, name):
        return "https://static.example.org/" + name
"""


def bucket(project):
    """Keep the static files in a bucket, and sources of theirs in a folder named as STATIC_ROOT."""
    (project / "pages/bucket.py").write_text(BUCKET)
    with (project / "probe/settings.py").open("a") as file:
        file.write('\nSTATIC_URL = "https://static.example.org/"\nSTORAGES["staticfiles"] = {"BACKEND": "pages.bucket.Bucket"}\n')
    (project / "static").mkdir()
    (project / "static/source.scss").write_text("source {}")


def test_static_files_of_a_bucket_are_neither_kept_nor_published_here(repository, site):
    repository.commit(bucket, "bucket")
    before = site.version()
    run = site.play("deploy")
    assert run.code != 0 and "set app_static_served_by to elsewhere" in run.text and site.version() == before, run.output[-4000:]
    elsewhere = ("-e", "app_static_served_by=elsewhere")
    try:
        site.apply("deploy", *elsewhere)
        site.apply("web", "--tags", "nginx", *elsewhere)
        for name, host in site.hosts.items():
            assert "https://static.example.org/pages/" in site.get(host=name).text
            assert site.get("/static/source.scss", name).status_code == 404
            assert host.check_output("find /srv/probe/current/static /srv/probe/static/source.scss -type f 2>/dev/null || true") == ""
    finally:
        repository.commit("good", "static")
        site.apply("web", "--tags", "nginx")
        site.apply("deploy")
    assert all(site.get("/", name).status_code == 200 for name in site.hosts)
