# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What a web host serves and runs of an application, as seen by the application's account."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import stat
import subprocess

from .commands import ask
from .paths import UnsafePath, is_inside, open_directory, walk, write_file

# Of an application, as plugins/doc_fragments/application.py describes it.
APPLICATION = {"root": {"type": "str", "required": True}, "service": {"type": "str", "required": True}}
UNITS = {"mark": {"type": "str", "required": True}}
RELEASE = {name: {"type": "str", "default": ""} for name in ("release", "virtualenv", "maintenance")}
STATIC = {name: {"type": "str", "default": ""} for name in ("run", "program", "store")}
UNIT_FOLDER = "/etc/systemd/system"
# What says of a release, and of a virtualenv, that it is whole.
RECORD, COMPLETE = "release.json", ".complete"
# Names the folder of static files that was taken for this application, where that is none of its own directory.
STORE = "static-store"
# Stands from the first migration of an empty database until its initial data is in, so that a killed run is made good.
FIRST_RELEASE = "first-release-pending"


def digest(*parts):
    """Return a digest of values; the order of a mapping makes no difference."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def named(resolved, inputs, of_virtualenv):
    """Return the id of a release and the name of its virtualenv: the same input has the same names, other input others.

    resolved is what the revision says of itself and of what it is installed with (see sources.resolve), and `interpreter`, as a list;
    inputs is a digest of what the inventory gives the release, of_virtualenv are values that decide on what is installed. A virtualenv is
    shared by all releases that ask for the same; where the repository's own code is installed, it belongs to that release.
    """
    virtualenv = digest(of_virtualenv, resolved["interpreter"], resolved["digest"])
    release = "%s-%s" % (resolved["revision"][:12], digest(inputs, virtualenv)[:8])
    return release, release if resolved["own"] else virtualenv[:12]


def output(*words):
    """Return what a command prints; nothing of one that fails or cannot be run."""
    try:
        return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout
    except OSError:
        return ""


def note(path):
    """Return the text and the time of change of a small file; a link or a pipe is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "", 0
    with os.fdopen(descriptor, "rb") as file:
        information = os.fstat(descriptor)
        return (file.read(200).decode("utf-8", "replace").strip(), information.st_mtime_ns) if stat.S_ISREG(information.st_mode) else ("", 0)


def current_of(root):
    """Return the name of the release that serves; empty where none does."""
    try:
        return os.path.basename(os.readlink(os.path.join(root, "current")))
    except OSError:
        return ""


def releases_of(listing, service, kind="socket"):
    """Return the releases in lines of `systemctl list-units` on units SERVICE@RELEASE.KIND."""
    names = [word for line in listing.splitlines() for word in line.split() if word.startswith(service + "@") and word.endswith("." + kind)]
    return [name[len(service) + 1 : -len(kind) - 1] for name in names]


def units_of(service, mark, current, units=UNIT_FOLDER, run="/run"):
    """Return the units of processes and timers by name, and what is known of each."""
    files = {}
    for kind in ("service", "timer"):
        for path in sorted(glob.glob(os.path.join(units, "%s-*.%s" % (service, kind)))):
            try:
                with open(path, encoding="utf-8") as file:
                    if mark in file.read().splitlines():
                        files[os.path.basename(path)] = os.stat(path).st_mtime_ns
            except OSError:
                # Nobody's who has just gone.
                continue
    shown = output("systemctl", "show", "--property=ActiveState,NeedDaemonReload", *files).split("\n\n") if files else []
    found = {}
    for (name, changed), block in zip(files.items(), shown):
        release, started = note(os.path.join(run, os.path.splitext(name)[0], "release"))
        lines = block.splitlines()
        found[name] = {
            "active": "ActiveState=active" in lines,
            "enabled": bool(glob.glob(os.path.join(units, "*.wants", name))),
            "read": "NeedDaemonReload=no" in lines,
            "current": bool(release) and release == current and started >= changed,
        }
    return found


def applied(root):
    """Return what a host was set up with, digests of inputs by name: by `web.yml`, and by `site.yml`; empty where that is not known."""
    found = {}
    for part in ("web", "site"):
        try:
            with open(os.path.join(root, "inputs-%s.json" % part), encoding="utf-8") as file:
                found[part] = json.load(file)
        except (OSError, ValueError):
            found[part] = {}
    return found


def forget(path):
    """Let a folder count as no whole release or virtualenv any more, before anything of it goes."""
    for mark in (RECORD, COMPLETE):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(os.path.join(path, mark))


def is_kept(root, release, virtualenv):
    """Whether a release is whole: it was built, checked and put into service once, and nothing of it was removed since.

    The record is written when all hosts have built it and it has answered its checks, goes when it is put back, and is the first that goes when
    a release is removed.
    """
    path = os.path.join(root, "releases", release)
    return (
        os.path.isfile(os.path.join(path, RECORD))
        and os.path.lexists(os.path.join(virtualenv, COMPLETE))
        and os.path.realpath(os.path.join(path, "venv")) == os.path.realpath(virtualenv)
    )


def records(root):
    """Return what is known of each release that was put into service and is kept: their records, the last one first, each with `release`.

    One that cannot be read is none: nobody goes back to it.
    """
    found = []
    for path in glob.glob(os.path.join(root, "releases", "*", RECORD)):
        try:
            with open(path, encoding="utf-8") as file:
                found.append((os.stat(path).st_mtime_ns, json.load(file) | {"release": os.path.basename(os.path.dirname(path))}))
        except (OSError, TypeError, ValueError):
            continue
    return [record for _since, record in sorted(found, key=lambda row: row[0], reverse=True)]


def look(root, service, mark, release="", virtualenv="", maintenance=""):
    """Return what the module release_look returns; its options are the arguments."""
    current = current_of(root)
    path = os.path.join(root, "venvs", virtualenv)
    return {
        "current": current,
        "running": releases_of(output("systemctl", "list-units", "--plain", "--no-legend", service + "@*.socket"), service),
        "units": units_of(service, mark, current),
        "applied": applied(root),
        "is_kept": bool(release and virtualenv) and is_kept(root, release, path),
        "has_virtualenv": bool(virtualenv) and os.path.lexists(os.path.join(path, COMPLETE)),
        "is_in_maintenance": bool(maintenance) and os.path.lexists(maintenance),
        "is_initial": os.path.lexists(os.path.join(root, FIRST_RELEASE)),
    }


def files_below(path):
    """Return the names of all files below a folder, which another account may write to; none of one that is not there. No link is followed."""
    try:
        return {os.path.normpath(os.path.join(above, name)) for above, _folders, files, _descriptor in walk(path) for name in files}
    except FileNotFoundError:
        return set()
    except UnsafePath as error:
        raise OSError(str(error)) from error


def is_own_store(root, store):
    """Whether a folder of static files is this application's: it lies in its directory, was taken for it, or has all that the release in service has."""
    if is_inside(store, root) or note(os.path.join(root, STORE))[0] == store:
        return True
    served = files_below(os.path.join(root, "releases", current_of(root) or "none", "static"))
    return bool(served) and served <= files_below(store)


def take_store(root, store):
    """Take a folder for the static files of all releases, and note it; OSError with a sentence where it has files that no release has.

    From then on what no release has is cleared there, and a name that a release has becomes its file.
    """
    known = set().union(*(files_below(path) for path in glob.glob(os.path.join(root, "releases", "*", "static"))))
    if strange := sorted(files_below(store) - known):
        shown = ", ".join(strange[:3]) + (", …" if len(strange) > 3 else "")
        raise OSError("app_static_store is %s, which has files of somebody else (%s): give a folder of its own, or move them away." % (store, shown))
    folder = open_directory(root)
    try:
        write_file(folder, STORE, (store + "\n").encode(), 0, 0, 0o644)
    finally:
        os.close(folder)


def static_files(given, command, *paths, release="", writable=(), taking=True):
    """Run the program of the static files as the application and return what it says, as a dict; nothing is done without a store.

    given are the options of STATIC and APPLICATION; release is the one in whose environment it runs, by default the one that serves; writable
    are further folders that it may write to; taking tells whether a store may be taken for the application, else nothing is done to one that is not.
    """
    root, store = given["root"], given["store"]
    if not store:
        return {}
    if not is_own_store(root, store):
        if not taking:
            return {}
        take_store(root, store)
    # Names of one file are links to it, which no border between two mounts may part.
    folders = [part for path in (root, store, *writable) for part in ("--write", path)]
    words = [given["run"], *(["--release", release] if release else []), *folders, "/usr/bin/python3", "-I", "-", command, *paths]
    return json.loads(ask(*words, data=given["program"]))
