"""Static files as visitors get them, and the store they come from over several releases. The tests build on each other, in this order."""

import base64
import gzip
import json
import re

import pytest

from conftest import ADDRESSES, get, play, versions

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


def ask(name, path, encoding):
    """Return the answer and its body as it travelled."""
    answer = get(name, path, headers={"Accept-Encoding": encoding}, stream=True)
    return answer, answer.raw.read(decode_content=False)


def unpack(host, encoding, body):
    if encoding == "gzip":
        return gzip.decompress(body).decode()
    if encoding == "br":
        program = "import base64, brotli, sys; sys.stdout.buffer.write(brotli.decompress(base64.b64decode(sys.argv[1])))"
        return host.run("python3 -c %s %s", program, base64.b64encode(body).decode()).stdout
    return body.decode()


def assert_plain_files_are_of(version, hosts):
    """In every form that a visitor may ask for."""
    for name, host in zip(ADDRESSES, hosts):
        for encoding in ENCODINGS:
            answer, body = ask(name, "/static/pages/app.css", encoding)
            assert unpack(host, answer.headers.get("Content-Encoding"), body) == content("app.css", version), (name, encoding)


@pytest.fixture(scope="module", autouse=True)
def the_next_deploy_is_good(repository):
    yield
    repository.commit("good", "static")


def test_every_visitor_gets_the_form_that_he_accepts(repository, hosts):
    repository.commit(assets, "s1")
    run = play("deploy")
    assert run.code == 0, run.output[-4000:]
    for name, host in zip(ADDRESSES, hosts):
        paths = hashed(host)
        for file, kind in TYPES.items():
            packed = file.partition(".")[2] not in ("avif", "webp", "woff2")
            for accepted, encoding in ENCODINGS.items():
                for path, cache in ((f"pages/{file}", "public, max-age=3600"), (paths[f"pages/{file}"], "public, max-age=31536000, immutable")):
                    answer, body = ask(name, f"/static/{path}", accepted)
                    assert answer.status_code == 200
                    assert answer.headers["Content-Type"] == kind
                    assert answer.headers["Cache-Control"] == cache
                    assert answer.headers.get("Content-Encoding") == (encoding if packed else None), (path, accepted)
                    assert answer.headers.get("Vary") == ("Accept-Encoding" if packed else None)
                    assert int(answer.headers["Content-Length"]) == len(body)
                    assert unpack(host, answer.headers.get("Content-Encoding"), body) == content(file, "s1")
        assert ask(name, "/static/pages/own.css", "gzip")[1] == OWN_GZIP, "what the project brought was replaced"
        assert ask(name, "/static/pages/own.css", "br")[0].headers["Content-Encoding"] == "br"


def test_files_stay_as_long_as_a_release_that_has_them(repository, hosts):
    """Of the releases before, the deploy of s2 leaves s1 alone."""
    old = {name: hashed(host)["pages/app.css"] for name, host in zip(ADDRESSES, hosts)}
    library = {name: get(name, "/static/pages/library.css").headers for name in ADDRESSES}
    before = {name: re.findall(r'href="(/static/[^"]+)"', get(name).text) for name in ADDRESSES}
    styles = {name: host.check_output("cd /srv/probe/static && ls pages/probe.*.css").split() for name, host in zip(ADDRESSES, hosts)}
    repository.commit(assets, "s2")
    run = play("deploy", "-e", "django_keep_releases=1")
    assert run.code == 0, run.output[-4000:]
    assert_plain_files_are_of("s2", hosts)
    for name, host in zip(ADDRESSES, hosts):
        # A page of s1 finds its assets, in all forms; the releases before it are gone with theirs.
        assert before[name] and all(get(name, path).status_code == 200 for path in before[name])
        for accepted, encoding in ENCODINGS.items():
            answer, body = ask(name, f"/static/{old[name]}", accepted)
            assert answer.headers.get("Content-Encoding") == encoding
            assert unpack(host, encoding, body) == content("app.css", "s1")
        gone = [file for file in styles[name] if f"/static/{file}" not in before[name]]
        assert gone and {get(name, f"/static/{file}").status_code for file in gone} == {404}
        # Exactly what the two releases have is there.
        stored = "cd /srv/probe/static && find . -type f | sort"
        kept = "cd /srv/probe/releases && for release in *; do (cd $release/static && find . -type f); done | sort -u"
        assert host.check_output(stored) == host.check_output(kept)
        # What did not change was not written again: a visitor's copy of it is still good.
        again = get(name, "/static/pages/library.css", headers={"If-None-Match": library[name]["ETag"]})
        assert again.status_code == 304


def test_plain_files_come_back_when_a_release_is_put_back(repository, hosts):
    repository.commit(assets, "s3")
    nonsense = '{"nginx_health_checks": [{"path": "/status/", "text": "no such text"}], "nginx_health_timeout_seconds": 2}'
    run = play("deploy", "-e", nonsense)
    assert run.code != 0
    assert "without the text" in run.text and "serves again" in run.text, run.output[-4000:]
    assert set(versions().values()) == {"s2"}
    assert_plain_files_are_of("s2", hosts)


def test_plain_files_come_back_with_a_rollback(hosts):
    run = play("rollback")
    assert run.code == 0, run.output[-4000:]
    assert set(versions().values()) == {"s1"}
    assert_plain_files_are_of("s1", hosts)
