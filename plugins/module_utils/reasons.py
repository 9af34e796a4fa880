# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Why a task of a release failed, in few words."""

from __future__ import annotations

import re

LINES_AT_THE_END = 4
# Indented lines say where, but for those that name a cause.
DETAIL = re.compile(r"\s(?! *cause: )|$")
NOT_FETCHED = "cause: Failed to fetch"
# As uv and pip say it of a package that comes without a wheel.
NOT_BUILT = re.compile(r"error: Failed to build |ERROR: Failed building |did not run successfully|build backend returned an error")
# What a compiler, a linker or a script of a package says first; the commands that failed with it are named after that.
FATAL = re.compile(r"\bfatal error: ")
OWN = re.compile(
    r"\b[eE]rror: |Exception: |not found\b|not installed|[cC]annot find|[cC]an( not|not|'t) find|could not be found|No such file or directory", re.ASCII
)
OF_COMMANDS = re.compile(r"subprocess-exited|exit (code|status)|non-zero|Failed (to build|building)")
# Of Django's system checks, which are grouped from the worst on, those that fail; warnings follow, and would be all that is told.
CHECKS = re.compile(
    r"SystemCheckError: .*?^(?:CRITICALS|ERRORS):\n(.+?)(?=^(?:WARNINGS|INFOS|DEBUGS):$|^System check identified \d|\Z)", re.DOTALL | re.MULTILINE
)
# As Django says it where no installed application brings the command, which is so in a project without django.contrib.staticfiles.
NO_COLLECTSTATIC = re.compile(r"Unknown command: '?collectstatic\b")
STATIC = "A project without django.contrib.staticfiles sets app_collectstatic to false and app_static_served_by to elsewhere."
PACKAGES = "app_build_packages is for the Debian packages that it is compiled with (gcc, libc6-dev, python3-dev, libpq-dev, …)."


def lacks_settings(command, output, withheld):
    """Return what is said after the output of a build command that failed for lack of a setting, on a line of its own; else an empty text.

    withheld are the names of variables that it did not get.
    """
    names = [name for name in withheld if re.search(r"\b%s\b" % re.escape(name), output)]
    if not names and "ImproperlyConfigured" not in output:
        return ""
    missing = "it has no %s" % names[0] if names else "it has none of the application's variables"
    line = command.strip().splitlines()[0]
    return "\nWhere it imports the settings, write {command: %s, imports_settings: true} in app_build_commands: %s.\n" % (line, missing)


def failure_reason(result):
    """Return why a task failed; documented above."""
    failed = [item for item in result.get("results") or [] if item.get("failed")]
    result = failed[0] if failed else result
    if not result:
        return "another host failed"
    output = next((text for text in (str(result.get(name) or "").strip() for name in ("stderr", "stdout")) if text), "")
    if not output:
        return str(result.get("msg") or "no reason was given")
    checks = CHECKS.search(output)
    lines = (checks[1] if checks else output).splitlines()
    told = [line.strip() for line in lines if not DETAIL.match(line)]
    parts = [line for line in told if line.startswith(NOT_FETCHED)][:1]
    if NOT_BUILT.search(output):
        parts += [*_built(lines), PACKAGES]
    else:
        parts += told[-LINES_AT_THE_END:]
        parts += [STATIC] if NO_COLLECTSTATIC.search(output) else []
    return " / ".join(dict.fromkeys(parts)) or lines[-1].strip()


def _built(lines):
    """Yield what could not be built, and the first that a compiler, or else a script, said of it."""
    lines = [line.strip() for line in lines]
    yield from [line for line in lines if re.match("error: Failed to build |ERROR: Failed building ", line, re.IGNORECASE)][:1]
    errors = [line for line in lines if OWN.search(line) and not OF_COMMANDS.search(line)]
    last = [line for line in lines if line and not line.startswith(("hint: ", "note: "))][-1:]
    yield from ([line for line in lines if FATAL.search(line)] or errors or last)[:1]
