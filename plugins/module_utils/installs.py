# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""The commands that make a virtualenv, in order: pure functions of what is asked for and of what is there."""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex

from ansible_collections.selfhost.django.plugins.module_utils.requirements import KINDS, parse

# Poetry's words for uv's.
POETRY = {"--extra": "--extras", "--group": "--with"}
# Before `python -m`, which takes a module of the folder that it is called in for Python's own: a repository may have a calendar or an email.
OUTSIDE = ["env", "--chdir=/"]


def of_tool(path, create, install, requirement, old, scratch):
    """Return the command, and its standard input, that puts a tool into a virtualenv of its own; old are paths that it replaces. It is one, since each
    command of a build is a unit of its own.

    create and install are words before the path of a virtualenv and before what is installed; path is the virtualenv's.
    """
    new = f"{path}.new"
    lines = [
        ["rm", "-rf", *old, path, new],
        [*create, new],
        # Another account's pipe can be read, but not opened by the name /dev/stdin.
        ["dd", f"of={scratch}", "status=none"],
        [*[word.replace("@", new) for word in install], "--quiet", "--require-hashes", f"--requirement={scratch}"],
        # What is called is no script, or by `python -m`: so it may move.
        ["mv", new, path],
    ]
    return ["sh", "-euc", "\n".join(map(shlex.join, lines))], requirement


def of_creation(installer, uv, python, virtualenv):
    """Return the command that creates a virtualenv in an empty directory; python is the path of an interpreter, or a version for uv."""
    if installer == "pip":
        return [*OUTSIDE, python, "-m", "venv", virtualenv]
    return [f"{uv}/bin/uv", "venv", "--quiet", "--seed", "--python", python, virtualenv]


def plain(entry):
    """Return what pip and uv take for a requirement file, or for code of the repository."""
    if parse(entry)[0] == "requirements.txt":
        return f"--requirement={entry}"
    return re.sub("^(-e|--editable)[ =]*", "--editable=", entry)


def of_lock(kind, path, options, uv, poetry, code, virtualenv, install, scratch):
    """Return the commands for one entry of KINDS; install is what `pip install` begins with, scratch is a file of nobody else's."""
    folder = posixpath.join(code, posixpath.dirname(path)).rstrip("/")
    words = [word for option in options for word in option]
    if kind == "uv.lock":
        # The tool's default but for `dev`, unless that is asked for. What else is in the virtualenv stays: pip, and what other entries brought.
        without = [] if ["--group", "dev"] in options else ["--no-dev"]
        return [[f"{uv}/bin/uv", "sync", "--quiet", "--compile-bytecode", "--locked", "--inexact", *without, *words,
                 "--python", f"{virtualenv}/bin/python", "--project", folder]]  # fmt: skip
    if kind == "poetry.lock":
        words = [word for option in options for word in (POETRY[option[0]], option[1])]
        return [
            # Nobody is there to unlock a keyring.
            [*OUTSIDE, "POETRY_KEYRING_ENABLED=false", f"{poetry}/bin/python", "-m", "poetry", "export", "--no-interaction", "--with-credentials",
             "--directory", folder, "--output", scratch, *words],
            [*install, "--no-deps", f"--requirement={scratch}"],
            ["rm", scratch],
        ]  # fmt: skip
    if kind == "pylock.toml":
        return [[*install, "--preview-features=pylock", f"--requirement={path}", *words]]
    words = [word for option in options for word in (option[0], f"{path}:{option[1]}" if option[0] == "--group" else option[1])]
    return [[*install, f"--requirement={path}", *words]]


def of_pip(wheel, system):
    """Return the words that create a virtualenv, and pip's for that of @. From Debian's wheel it runs as it is: put into the virtualenv, which needs it
    once, it takes longer than all that is installed there."""
    if not wheel:
        return [*OUTSIDE, system, "-m", "venv"], ["@/bin/pip"]
    return [*OUTSIDE, system, "-m", "venv", "--without-pip"], [*OUTSIDE, f"PYTHONPATH={wheel}", "@/bin/python", "-m", "pip"]


def installs(
    *, installer, uv, uv_requirement, poetry, poetry_requirement, there, wheel, python, virtualenv, code, scratch, requirements, arguments, packages
):
    """Return what makes a virtualenv: a list of commands, each a list of words and its standard input.

    installer is `uv` or `pip`; uv and poetry are the folders that these tools are kept in, and what to install them from; there lists the
    tools' folders that exist; wheel is the path of pip's, or empty; python is a path, or a version for uv; code is the release's; scratch is a
    file that nobody else reads; requirements, arguments and packages are lists as app_requirements, app_pip_arguments and app_pip_packages.
    """
    pip, system = ["install", "--disable-pip-version-check", "--no-input"], "/usr/bin/python3"
    asked = [parse(entry) for entry in requirements]
    create, run_pip = of_pip(wheel, system)
    tools = [(uv, uv_requirement, create, [*run_pip, *pip])] if installer == "uv" else []
    if "poetry.lock" in [kind for kind, _path, _options in asked]:
        tools.append((poetry, poetry_requirement, [f"{uv}/bin/uv", "venv", "--quiet", "--python", system], [f"{uv}/bin/uv", "pip", "install", "--python", "@"]))
    commands = []
    for path, requirement, create, install in tools:
        if path not in there:
            name = path.rpartition("-")[0]
            commands.append(of_tool(path, create, install, requirement, [old for old in there if old.startswith(f"{name}-")], scratch))
    commands.append((of_creation(installer, uv, python, virtualenv), ""))
    begin = {
        "pip": [f"{virtualenv}/bin/pip", *pip, "--quiet"],
        "uv": [f"{uv}/bin/uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", virtualenv],
    }[installer]
    install = [*begin, *arguments]
    # Files and code that stand together are resolved together.
    for is_lock, group in itertools.groupby(zip(asked, requirements), lambda pair: pair[0][0] in KINDS):
        if is_lock:
            locked = (of_lock(*entry, uv, poetry, code, virtualenv, install, scratch) for entry, _text in group)
            commands += [(command, "") for several in locked for command in several]
        else:
            commands.append(([*install, *(plain(text) for _entry, text in group)], ""))
    if packages:
        commands.append(([*install, *packages], ""))
    return commands
