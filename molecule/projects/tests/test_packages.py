"""Packages that a lock names, an index that wants a password, and another Python. Every test leaves the release that it found."""

import base64
import hashlib
import io
import json
import zipfile

import pytest
from playing import fresh

testinfra_hosts = ["ansible://probe"]

TOKEN = "swordfish-7"
PORT = 8097
# What every Django of the probe's range fulfils, and an older one than the newest.
PROJECT = '[project]\nname = "probe"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["Django~=5.2.0", "psycopg[binary]~=3.2"]\n'
LOCK = """
cd $(mktemp -d)
printf %s "$1" >pyproject.toml
UV_SYSTEM_CERTS=1 $(echo /srv/probe/build/uv-*.venv)/bin/uv lock --quiet --upgrade-package django==5.2.3
cat uv.lock
"""
# Only who knows the token gets an answer.
INDEX = f"""
import base64, http.server
TOKEN = open("token").read().strip()
class Index(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        sent = base64.b64decode(self.headers.get("Authorization", "Basic ")[6:]).decode()
        if sent.endswith(":" + TOKEN):
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", {PORT}), Index).serve_forever()
"""
# Notes, a hundred times a second, what has the token among its arguments.
WATCH = """
import glob, time
TOKEN, seen = open("token", "rb").read().strip(), open("seen", "wb", 0)
while True:
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            text = open(path, "rb").read()
        except OSError:
            continue
        if TOKEN in text:
            seen.write(text)
    time.sleep(0.01)
"""


def wheel():
    """A package of one module, as a wheel in base64."""
    files = {
        "probeown.py": "answer = 42\n",
        "probeown-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: probeown\nVersion: 1.0\n",
        "probeown-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: probe\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = [base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=") for text in files.values()]
    rows = [f"{name},sha256={digest},{len(text)}" for (name, text), digest in zip(files.items(), digests)]
    files["probeown-1.0.dist-info/RECORD"] = "\n".join([*rows, "probeown-1.0.dist-info/RECORD,,\n"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(autouse=True)
def before(site, repository):
    """The version that serves, which does so again after the test."""
    version = site.version()
    yield version
    repository.commit("good", version)
    site.apply("deploy")
    assert site.version() == version


def django(site):
    return set(site.each("probe-run python -c 'import django; print(django.__version__)'").values())


def test_a_lock_is_taken_as_one_and_a_stale_one_is_refused(site, repository, before):
    lock = next(iter(site.each("sh -euc %s lock %s", LOCK, PROJECT).values()))
    assert 'name = "django"\nversion = "5.2.3"\n' in lock

    def locked(project, wanted=PROJECT):
        (project / "requirements.txt").unlink()
        (project / "uv.lock").write_text(lock + "\n")
        (project / "pyproject.toml").write_text(wanted)

    version = fresh("locked")
    site.ship(version, locked)
    assert django(site) == {"5.2.3"}

    def stale(project):
        locked(project, PROJECT.replace("Django~=5.2.0", "Django~=5.2.5"))

    repository.commit(stale, fresh("stale"))
    run = site.play("deploy")
    assert run.code != 0
    assert "The release failed in step 'virtualenv'" in run.text and "The lockfile at `uv.lock` needs to be updated" in run.text, run.output[-4000:]
    assert site.version() == version and django(site) == {"5.2.3"}


def test_a_token_reaches_the_installer_and_nobody_else(site, repository, before):
    def private(project):
        with (project / "requirements.txt").open("a") as file:
            file.write(f"--extra-index-url http://x:${{INDEX_TOKEN}}@127.0.0.1:{PORT}/simple/\nprobeown==1.0\n")

    site.each("mkdir -p /srv/index/simple/probeown && echo %s | base64 -d >/srv/index/simple/probeown/probeown-1.0-py3-none-any.whl", wheel())
    site.each("echo %s >/srv/index/token", TOKEN)
    for unit, program in (("probe-index", INDEX), ("probe-watch", WATCH)):
        site.each(f"systemd-run --quiet --collect --unit={unit} --working-directory=/srv/index python3 -c %s", program)
    try:
        version = fresh("private")
        repository.commit(private, version)
        for token, is_right in (("another-word", False), (TOKEN, True)):
            run = site.play("deploy", "-vvv", "-e", json.dumps({"app_build_environment": {"INDEX_TOKEN": token}}))
            assert (run.code == 0) is is_right, run.output[-4000:]
            assert [line for line in run.output.splitlines() if token in line] == []
        assert site.version() == version
        assert set(site.each("probe-run python -c 'import probeown; print(probeown.answer)'").values()) == {"42"}
        assert set(site.each("cat /srv/index/seen").values()) == {""}
        site.each("sh -c 'sleep 1' %s", TOKEN)
        assert TOKEN in site.each("tr '\\0' ' ' </srv/index/seen")[site.web[0]], "it is seen where it is shown"
    finally:
        site.each("systemctl stop probe-watch probe-index; rm -r /srv/index")
