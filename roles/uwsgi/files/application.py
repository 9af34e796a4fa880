"""Loads the application for uWSGI, before its workers are forked, so that no two of them share a connection.

What is open when workers are forked is open in each: two that read from one connection get each other's answers. Connections of
Django are closed after loading, and each worker opens its own. Where anything else has left a connection open, which only its own
code could close, this server begins again and lets each worker load the application for itself (uWSGI's `lazy-apps`): that takes
more memory, and gives nobody another visitor's answer.

A request whose visitor has left while it waited for a worker is dropped: a burst of slow requests is over when its visitors are, and
whoever comes then waits for nobody who is gone.

A health check, which names itself by a variable that no visitor can send, is told which of the workers has answered it.

    SELFHOST_MODULE       module and callable, as app_wsgi_module names them
    SELFHOST_SERVE        program and release that start this server
    SELFHOST_LAZY         set when each worker loads the application for itself
"""

import gc
import importlib
import os
import select
import signal
import socket
import stat
import sys


def connections():
    """Return the open stream connections of this process: addresses of the other side, by the kernel's name for the socket."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            information = os.fstat(int(name))
            if not stat.S_ISSOCK(information.st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as copy:
                if copy.type == socket.SOCK_STREAM:
                    found[information.st_ino] = address(copy)
        except OSError:
            # Closed meanwhile, or it listens.
            continue
    return found


def address(connection):
    """Return the other side of a connection in words; OSError where there is none."""
    peer = connection.getpeername()
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else os.fsdecode(peer) or "a socket without a name"


def close_django():
    """Close what Django's own database layer has open in this thread, pools included."""
    database = sys.modules.get("django.db")
    if database is None:
        return
    for connection in database.connections.all(initialized_only=True):
        connection.close()
        # Django 5.1 and later, where the settings ask for a pool.
        if getattr(connection, "pool", None):
            connection.close_pool()


def load(name):
    """Return the callable of `module:callable`; without one it is called `application`."""
    module, _colon, path = name.partition(":")
    found = importlib.import_module(module)
    for part in (path.removesuffix("()") or "application").split("."):
        found = getattr(found, part)
    return found() if path.endswith("()") else found


def warm():
    """Load what Django leaves to the first visitor: the URLconf with all views, and the engines of templates."""
    if "django.core.handlers.wsgi" not in sys.modules:
        return
    from django.conf import settings
    from django.template import engines
    from django.urls import get_resolver

    if getattr(settings, "ROOT_URLCONF", None):
        # Names of views are looked up there.
        get_resolver().reverse_dict
    engines.all()


def begin_again(serve):
    """Take the place of this process, with the socket that systemd handed over, and let each worker load the application."""
    # What uWSGI leaves for itself when it reloads: the descriptor with which it tells systemd that it is ready would be closed.
    for name in ("NOTIFY_SOCKET_FD", "UWSGI_RELOADS", "UWSGI_ORIGINAL_PROC_NAME"):
        os.environ.pop(name, None)
    os.environ |= {"SELFHOST_LAZY": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    os.set_inheritable(3, True)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    os.execv(serve[0], serve)


def prepare():
    """Return the application, loaded so that workers may be forked."""
    before = connections()
    application = load(os.environ["SELFHOST_MODULE"])
    warm()
    if "SELFHOST_LAZY" in os.environ:
        return application
    close_django()
    left = sorted({peer for inode, peer in connections().items() if inode not in before})
    if left:
        print(
            f"{os.environ['SELFHOST_MODULE']} leaves connections open to {', '.join(left)} when it is loaded, which all workers would share: "
            "each worker loads it for itself, which takes more memory. Open them with the first request instead.",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        begin_again(os.environ["SELFHOST_SERVE"].split())
    # What all workers have in common stays in memory that they share: none looks through it for garbage (Python manual, "gc.freeze").
    gc.freeze()
    return application


def has_left(connection):
    """Return whether the other side of a connection, by its descriptor, has closed it: the web server does when the visitor or its time has gone."""
    poll = select.poll()
    # A hang-up is told in any case; who only has no more to say is still there.
    poll.register(connection, 0)
    return bool(poll.poll(0))


def telling(start_response, worker):
    """Return a start_response that adds which worker answers, in words."""

    def start(status, headers, *error):
        return start_response(status, [*headers, ("X-Selfhost-Worker", worker)], *error)

    return start


def for_those_who_wait(application, connection, worker):
    """Return the application, which nobody's request reaches any more.

    connection() is the descriptor of the request at hand, worker() the number of this worker and of all, as `2/4`.
    """

    def serve(environ, start_response):
        if has_left(connection()):
            # As nginx calls it; nobody reads it, and without it the log would tell of an error.
            start_response("499 Client Closed Request", [])
            return []
        if "SELFHOST_CHECK" in environ:
            start_response = telling(start_response, worker())
        return application(environ, start_response)

    return serve


def heed_children_as_before():
    """Undo in a worker what has uWSGI's master woken by the end of one (uwsgi.ini): the end of a program of the application's interrupts nothing."""
    signal.signal(signal.SIGCHLD, signal.getsignal(signal.SIGCHLD) or signal.SIG_DFL)


def after(former, then):
    """Return a function that calls both; there may be no former one."""

    def call():
        if former:
            former()
        then()

    return call


if "SELFHOST_MODULE" in os.environ:
    application = prepare()
    # Inside of uWSGI alone there is such a module.
    if "uwsgi" in sys.modules:
        uwsgi = sys.modules["uwsgi"]
        # At once where a worker loads it.
        heed_children_as_before()
        uwsgi.post_fork_hook = after(getattr(uwsgi, "post_fork_hook", None), heed_children_as_before)
        application = for_those_who_wait(application, uwsgi.connection_fd, lambda: f"{uwsgi.worker_id()}/{uwsgi.numproc}")
