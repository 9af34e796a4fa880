# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What root has the account do that builds, outside the sandbox of builds: there nothing is read that a build may have written."""

from __future__ import annotations

import json
import os
import select
import time

from .commands import end
from .paths import UnsafePath
from .requirements import Refusal

# Nobody but root could make it. What a program looks for at home, a build may have left in the account's own folder: Python's .pth, git's attributes.
HOME = "/nonexistent"
SETTINGS = {
    # A folder that the account writes to may have some by the time that git is there.
    "core.hooksPath": "/dev/null",
    # Bytes a second, and for how many seconds there may be fewer: a server that has a pack made sends as many, so that it is waited for.
    "http.lowSpeedLimit": "1", "http.lowSpeedTime": "120",
}  # fmt: skip


def configured(environment, settings):
    """Return variables with which git has some settings, beside those that it has by them already (git-config(1), "GIT_CONFIG_COUNT")."""
    first = int(environment.get("GIT_CONFIG_COUNT", 0))
    pairs = [pair for number, row in enumerate(settings.items(), first) for pair in zip((f"GIT_CONFIG_KEY_{number}", f"GIT_CONFIG_VALUE_{number}"), row)]
    return environment | dict(pairs) | {"GIT_CONFIG_COUNT": str(first + len(settings))}


def variables(further, inherited):
    """Return the environment of what runs there: none of root's own, but for the way out of the host."""
    proxies = {name: value for name, value in inherited.items() if name.lower().endswith("_proxy")}
    return configured(proxies | {"HOME": HOME, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"} | further, SETTINGS)


def become(uid, gid, environment):
    """Be the account from here on, in a session of its own."""
    os.setsid()
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.umask(0o022)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir("/")


def heard(reader, until):
    """Return what is written into a pipe; TimeoutError where nobody has closed it by a moment of time.monotonic()."""
    waiting, text = select.poll(), b""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        waiting.register(pipe)
        while waiting.poll(1000 * max(0, until - time.monotonic())):
            piece = pipe.read(1 << 16)
            if not piece:
                return text
            text += piece
    raise TimeoutError


def act(uid, gid, environment, seconds, function, *arguments):
    """Return what a function returns that runs as an account, which is anything that JSON can tell; Refusal says why it does not.

    The interpreter stays root's: one that the account starts reads what lies in its home. What takes longer than some seconds is ended with all that
    it has started.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            become(uid, gid, environment)
            answer = {"value": function(*arguments)}
        except (OSError, Refusal, UnsafePath, ValueError) as error:
            answer = {"refusal": str(error)}
        # Whatever it is, root has to hear of it.
        except BaseException as error:
            answer = {"refusal": f"{type(error).__name__}: {error}"}
        try:
            with os.fdopen(writer, "w", encoding="utf-8") as pipe:
                json.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    try:
        answer = json.loads(heard(reader, time.monotonic() + seconds) or '{"refusal": "Git was killed."}')
    except TimeoutError:
        end(child)
        answer = {"refusal": f"Git was stopped after {seconds} seconds (django_step_timeout_seconds): whom it asks says nothing, or too little at a time."}
    finally:
        os.waitpid(child, 0)
    if "refusal" in answer:
        raise Refusal(answer["refusal"])
    return answer["value"]
