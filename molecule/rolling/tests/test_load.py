"""Nobody notices a deploy through the balancer, good or bad, nor a rollback, nor a changed configuration: under load all the time."""

import collections
import contextlib
import json
import os
import re
import shlex
import subprocess
import threading

import playing
from load import Load

testinfra_hosts = ["ansible://lb1"]

# Asks a web host's own nginx, in the words of the balancer, for each path that it reads; the port is closed to everybody else.
ASK = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
for path in sys.stdin:
    try:
        with socket.create_connection(("127.0.0.1", 443), timeout=30) as line:
            line.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 443\\r\\n")
            with context.wrap_socket(line) as secured:
                secured.sendall(f"GET {path.strip()} HTTP/1.0\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n".encode())
                answer = secured.makefile("rb").readline().split()
                print(answer[1].decode() if answer else "nothing", flush=True)
    except OSError as error:
        print(repr(error), flush=True)
"""


class Window:
    """Looks at what a web host itself serves: called with a path, it returns the status of the answer."""

    def __init__(self, site, name):
        user = site.variables["_meta"]["hostvars"][name]["ansible_user"]
        words = ["ssh", "-F", playing.SSH_CONFIG, f"{user}@{site.addresses[name]}", shlex.join(["python3", "-uc", ASK, site.address])]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lock = threading.Lock()

    def __call__(self, path):
        with self.lock:
            self.process.stdin.write(f"{path}\n")
            status = self.process.stdout.readline().strip()
            return int(status) if status.isdigit() else status

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


# What happens, and the version that serves after it.
STORY = [
    ("deploy", "a"),
    ("deploy", "b"),
    ("bad release (load)", "b"),
    ("rollback", "a"),
    ("change of nginx and uWSGI", "a"),
    ("change of HAProxy", "a"),
]
# Ten deploys and three rollbacks in all.
if os.environ.get("LONG"):
    STORY += [
        ("deploy", "c"),
        ("deploy", "d"),
        ("rollback", "c"),
        ("deploy", "e"),
        ("deploy", "f"),
        ("bad release (error)", "f"),
        ("deploy", "g"),
        ("deploy", "h"),
        ("rollback", "g"),
        ("deploy", "i"),
        ("deploy", "j"),
    ]
CHANGED = {"uwsgi_options": {"max-requests": 50}, "nginx_client_max_body_mb": 21}
PLAYS = {
    "deploy": ["deploy"],
    "bad release (load)": ["deploy"],
    "bad release (error)": ["deploy", "-e", "django_health_timeout_seconds=3"],
    "rollback": ["rollback"],
    "change of nginx and uWSGI": ["web", "--tags", "uwsgi,nginx", "-e", json.dumps(CHANGED)],
    "change of HAProxy": ["balancer", "--tags", "haproxy", "-e", "haproxy_keep_alive_seconds=11"],
}


def test_nobody_notices_deploys_rollbacks_bad_releases_and_changed_configurations(site, repository, figure):
    original = site.version()
    served, lost, serves = [], [], original
    try:
        with contextlib.ExitStack() as stack:
            mirrors = {name: stack.enter_context(Window(site, name)) for name in site.web}
            load = stack.enter_context(Load(site.url, mirrors=mirrors, slow=2, pause_seconds=0.3))
            for kind, version in STORY:
                before, serves = serves, version
                variant = re.search(r"\w+(?=\)$)", kind)
                if kind == "deploy" or variant:
                    repository.commit(variant.group() if variant else "good", "bad" if variant else version)
                load.phase = f"{kind}, {version} after it"
                run = site.play(*PLAYS[kind])
                assert (run.code != 0) == bool(variant), run.output[-4000:]
                served.append((load.phase, load.look(), {version}))
                load.check()
                # Who opened a page of the release before finds its assets still, wherever the balancer sends them.
                for asset in load.assets[before]:
                    lost.extend((load.phase, asset, name) for name, ask in mirrors.items() if ask(asset) != 200)
    finally:
        repository.commit("good", original)
        for playbook, tags in (("web", "uwsgi,nginx"), ("balancer", "haproxy")):
            site.apply(playbook, "--tags", tags)
        site.apply("deploy")

    counts = collections.Counter(kind for kind, _version in STORY)
    figure(f"through the balancer, {', '.join(f'{number} x {kind}' for kind, number in counts.items())}: {load.report()}")
    load.check()
    assert [row for row in served if row[1] != row[2]] == []
    assert lost == []
    # A release that was refused never answered a visitor.
    assert load.versions() == {original} | {version for _kind, version in STORY}
    site.healthy()
    assert site.version() == original
