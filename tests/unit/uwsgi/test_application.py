"""What is open when workers are forked: closed by Django's own layer, or reason for each worker to load the application for itself."""

import os
import pathlib
import re
import runpy
import socket
import subprocess
import sys
import textwrap

import pytest

LOADER = pathlib.Path(__file__).resolve().parents[3] / "roles/uwsgi/files/application.py"
# Stands in for `app-serve RELEASE`: says what it was started with.
SERVE = "#!/bin/sh\necho began again: $1, lazy=$SELFHOST_LAZY, descriptors=$LISTEN_FDS, of uWSGI=$NOTIFY_SOCKET_FD$UWSGI_RELOADS, mine=$([ $LISTEN_PID = $$ ] && echo yes)\nls /proc/self/fd | wc -l\n"


@pytest.fixture
def start(tmp_path):
    """Return a function that loads an application as uWSGI does, and returns the finished process."""
    serve = tmp_path / "serve"
    serve.write_text(SERVE)
    serve.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run(code, name="shop:application", **environment):
            (tmp_path / "shop.py").write_text("import socket\nPORT = %d\n%s" % (server.getsockname()[1], textwrap.dedent(code)))
            # The socket that systemd hands over.
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(tmp_path / "app.sock"))
                listening.listen()
                number = listening.fileno()
                python = [sys.executable, "-c", f"import runpy; print('loaded', runpy.run_path({str(LOADER)!r})['application'])"]
                done = subprocess.run(
                    ["bash", "-c", f'exec 3<&{number} {number}<&-; exec "$@"', "bash", *python],
                    env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "SELFHOST_MODULE": name, "SELFHOST_SERVE": f"{serve} r1"} | environment,
                    capture_output=True, text=True, pass_fds=[number], cwd=tmp_path,
                )  # fmt: skip
            (tmp_path / "app.sock").unlink()
            return done

        yield run


@pytest.mark.parametrize(
    ("code", "name", "found"),
    [
        ("application = 'plain'", "shop:application", "plain"),
        ("application = 'by default'", "shop", "by default"),
        ("class serve:\n    wsgi = 'inside'", "shop:serve.wsgi", "inside"),
        ("def make():\n    return 'made'", "shop:make()", "made"),
    ],
)
def test_names_of_the_application(start, code, name, found):
    done = start(code, name)
    assert (done.returncode, done.stdout.split(maxsplit=1)[1].strip()) == (0, found), done.stderr


QUIET = {
    "a connection that was closed": "socket.create_connection(('127.0.0.1', PORT)).close()",
    "one that sends datagrams, as for a log": "log = socket.socket(type=socket.SOCK_DGRAM); log.connect(('127.0.0.1', 9))",
    "one that listens": "server = socket.create_server(('127.0.0.1', 0))",
    "a file": "file = open('/dev/null')",
}


@pytest.mark.parametrize("name", QUIET)
def test_workers_are_forked_after_loading(start, name):
    done = start(f"{QUIET[name]}\napplication = 'forked'")
    assert (done.stdout, done.stderr) == ("loaded forked\n", "")


def test_workers_look_for_no_garbage_in_what_they_share(start):
    done = start("import atexit, gc\natexit.register(lambda: print('frozen', gc.get_freeze_count() > 1000))\napplication = 'forked'")
    assert done.stdout == "loaded forked\nfrozen True\n"


PROJECT = """
from django.conf import settings
settings.configure(SECRET_KEY="x", ROOT_URLCONF="{urls}", TEMPLATES=[{{"BACKEND": "django.template.backends.django.DjangoTemplates",
                   "OPTIONS": {{"libraries": {{"tags": "shop_tags"}}}}}}])
import django
django.setup()
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application() and "django"
"""


def test_visitors_find_the_urlconf_and_the_templates_loaded(start, tmp_path):
    (tmp_path / "shop_urls.py").write_text("print('shop_urls')\nfrom django.urls import path\nimport shop_views\nurlpatterns = [path('', shop_views.start, name='start')]\n")
    (tmp_path / "shop_views.py").write_text("print('shop_views')\ndef start(request): pass\n")
    (tmp_path / "shop_tags.py").write_text("print('shop_tags')\nfrom django import template\nregister = template.Library()\n")
    done = start(PROJECT.format(urls="shop_urls"))
    assert done.returncode == 0, done.stderr
    assert {"shop_tags", "shop_urls", "shop_views"} <= set(done.stdout.splitlines())


def test_a_urlconf_that_does_not_load_is_no_release(start):
    done = start(PROJECT.format(urls="nowhere"))
    assert done.returncode != 0 and "No module named 'nowhere'" in done.stderr


LEFT = {
    "to a server": ("connection = socket.create_connection(('127.0.0.1', PORT))", "127.0.0.1:"),
    "in a thread of its own": (
        "import threading\nfound = []\n"
        "thread = threading.Thread(target=lambda: found.append(socket.create_connection(('127.0.0.1', PORT))))\nthread.start()\nthread.join()",
        "127.0.0.1:",
    ),
    "to a socket in the file system": ("connection = socket.socket(socket.AF_UNIX)\nconnection.connect('app.sock')", "app.sock"),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_open_is_named_and_each_worker_loads_for_itself(start, name):
    code, peer = LEFT[name]
    done = start(f"{code}\napplication = 'shared'", NOTIFY_SOCKET_FD="9", UWSGI_RELOADS="0")
    assert "loaded" not in done.stdout
    assert re.search(f"shop:application leaves connections open to .*{peer}", done.stderr)
    # The socket of the server goes along, and nothing else: 0, 1, 2, 3, and the directory that is listed.
    assert done.stdout.splitlines() == ["began again: r1, lazy=1, descriptors=1, of uWSGI=, mine=yes", "5"]


def test_a_worker_that_loads_for_itself_keeps_its_connection(start):
    done = start("connection = socket.create_connection(('127.0.0.1', PORT))\napplication = 'own'", SELFHOST_LAZY="1")
    assert (done.stdout, done.stderr) == ("loaded own\n", "")


DJANGO = """
import sys, types
class Connection:
    def __init__(self):
        self.socket = socket.create_connection(('127.0.0.1', PORT))
        self.pooled = socket.create_connection(('127.0.0.1', PORT))
        self.pool = object()
    def close(self):
        self.socket.close()
    def close_pool(self):
        self.pooled.close()
made = [Connection()]
database = types.ModuleType("django.db")
database.connections = types.SimpleNamespace(all=lambda initialized_only: made)
sys.modules["django.db"] = database
application = 'forked'
"""


def test_connections_of_django_are_closed_and_its_pools(start):
    done = start(DJANGO)
    assert (done.stdout, done.stderr) == ("loaded forked\n", "")


def test_what_does_not_load_says_why(start):
    done = start("raise RuntimeError('this revision does not load')")
    assert done.returncode != 0 and done.stderr.strip().endswith("RuntimeError: this revision does not load")


@pytest.mark.parametrize(("leave", "left"), [(None, False), (lambda peer: peer.shutdown(socket.SHUT_WR), False), (lambda peer: peer.close(), True)])
def test_a_request_whose_visitor_has_left_does_not_reach_the_application(leave, left):
    loader = runpy.run_path(str(LOADER))
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.sendall(b"a request")
        if leave:
            leave(peer)
        said = []
        serve = loader["for_those_who_wait"](lambda environ, start_response: ["answer"], ours.fileno, lambda: "1/1")
        assert serve({}, lambda status, headers: said.append(status)) == ([] if left else ["answer"])
        assert said == (["499 Client Closed Request"] if left else [])


def test_a_health_check_alone_is_told_which_worker_answers():
    def application(environ, start_response):
        start_response("200 OK", [("A", "b")])
        return ["answer"]

    worker = ("X-Selfhost-Worker", "2/4")
    ours, peer = socket.socketpair()
    with ours, peer:
        serve = runpy.run_path(str(LOADER))["for_those_who_wait"](application, ours.fileno, lambda: "2/4")
        for environ, further in (({}, []), ({"HTTP_SELFHOST_CHECK": "1"}, []), ({"SELFHOST_CHECK": "1"}, [worker])):
            said = []
            assert serve(environ, lambda status, headers: said.append((status, headers))) == ["answer"]
            assert said == [("200 OK", [("A", "b"), *further])]


def test_what_a_worker_does_after_its_fork_comes_after_what_the_application_does():
    loader, done = runpy.run_path(str(LOADER)), []
    loader["after"](None, lambda: done.append("ours"))()
    loader["after"](lambda: done.append("the application's"), lambda: done.append("ours"))()
    assert done == ["ours", "the application's", "ours"]


def test_the_application_hears_of_its_own_programs_as_it_asked_to():
    code = f"""
import ctypes, runpy, signal
restore = runpy.run_path({str(LOADER)!r})["heed_children_as_before"]
for handler in (signal.SIG_DFL, print):
    signal.signal(signal.SIGCHLD, handler)
    # As uWSGI does it, behind Python's back.
    ctypes.CDLL(None).signal(signal.SIGCHLD, ctypes.c_void_p(1))
    restore()
    print(signal.getsignal(signal.SIGCHLD) is handler, open("/proc/self/status").read().split("SigIgn:")[1].split()[0][-5] == "0")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True True\nTrue True\n"
