# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What a host says of its Debian, and what apt would do to make the next one of it. Reads, but for what lies in a folder of its own."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile

from . import apt_sources

# What is left to do of an upgrade that has begun, in a word (plugin_utils/debian_upgrade.py); of root's alone.
MARK = "/var/lib/selfhost-debian-upgrade"
# From which Debian to which: numbers and code names.
OLD, NEW = ("12", "bookworm"), ("13", "trixie")
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1, "GB": 1e3}
PLACES = ("/", "/boot", "/usr", "/var", "/var/cache/apt/archives")


def read(path):
    """Return the text of a file, and nothing where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def release(text):
    """Return number and name of a Debian, from os-release."""
    fields = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)"?$', text))
    return fields.get("VERSION_ID", ""), fields.get("VERSION_CODENAME", "")


def ask(*words, **options):
    """Return code, output and errors of a command, in English."""
    done = subprocess.run(
        words, capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL, env=os.environ | {"LC_ALL": "C"}, **options
    )
    return done.returncode, done.stdout, done.stderr


def is_busy(paths=("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")):
    """Return whether another program is installing something."""
    for path in paths:
        with open(path, "ab") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
    return False


def megabytes(text, words):
    """Return the number that apt gives between these words (a pattern with one group); 0 where it gives none."""
    match = re.search(words % r"([\d.,]+) (B|kB|MB|GB)", text)
    return round(float(match[1].replace(",", "")) * UNITS[match[2]]) if match else 0


def simulated(text):
    """Return what apt says that a full upgrade would take, in MB, and the packages that it would remove."""
    removed = re.search(r"will be REMOVED:\n((?: +.*\n)+)", text)
    return {
        "download_mb": megabytes(text, r"Need to get %s"),
        "added_mb": megabytes(text, r"After this operation, %s of additional"),
        "removed": [name.rstrip("*") for name in removed[1].split()] if removed else [],
    }


def simulate(sources):
    """Return what apt would do with these sources, texts by path; nothing of it stays. With `error` where it cannot."""
    with tempfile.TemporaryDirectory(prefix="selfhost-apt-") as directory:
        # apt fetches as an account of its own.
        os.chmod(directory, 0o755)
        for path, text in sources.items():
            place = os.path.join(directory, path.lstrip("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        os.makedirs(os.path.join(directory, "lists/partial"))
        etc = os.path.join(directory, "etc/apt")
        given = {"Dir::Etc::sourcelist": etc + "/sources.list", "Dir::Etc::sourceparts": etc + "/sources.list.d", "Dir::State::lists": directory + "/lists"}
        options = [word for name, value in {**given, "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": ""}.items() for word in ("-o", "%s=%s" % (name, value))]
        code, out, err = ask("apt-get", *options, "-o", "APT::Update::Error-Mode=any", "update")
        if code:
            return {"error": " ".join(line for line in (err or out).splitlines() if line[:2] in ("E:", "W:"))[:600]}
        _code, out, err = ask("apt-get", *options, "--assume-no", "--no-install-recommends", "full-upgrade")
        wrong = [line for line in err.splitlines() if line.startswith("E:")]
        return {"error": " ".join(wrong)} if wrong else {"error": "", **simulated(out)}


def room():
    """Return free MB by the place of a file system; of places on the same one, the first."""
    found = {}
    for place in PLACES:
        if os.path.isdir(place):
            space = os.statvfs(place)
            found.setdefault(os.stat(place).st_dev, (place, space.f_bavail * space.f_frsize >> 20))
    return dict(found.values())


def look(named):
    """Return what a host says that is to become the next Debian; named are files of sources that go along."""
    number, name = release(read("/etc/os-release"))
    sources = apt_sources.files()
    found = {
        "number": number, "name": name, "mark": read(MARK).strip(), "room_mb": room(),
        "held": ask("apt-mark", "showhold")[1].split(),
        "broken": ask("dpkg", "--audit")[1].strip().splitlines()[:1] + [line for line in ask("apt-get", "check")[2].splitlines() if line.startswith("E:")],
        "is_busy": is_busy(), "has_kernel": any(entry.startswith("vmlinuz") for entry in os.listdir("/boot")),
        "strange": {path: rows for path, text in sources.items() if path not in named and (rows := apt_sources.strange(path, text, (OLD[1], NEW[1])))},
        "simulation": None,
    }  # fmt: skip
    if number == OLD[0] and not found["mark"]:
        found["simulation"] = simulate({path: apt_sources.upgraded(path, text, OLD[1], NEW[1], path in named) for path, text in sources.items()})
    return found
