# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What a virtualenv gets: how the entries of app_requirements are read, what they depend on, and what a revision has without them."""

from __future__ import annotations

import posixpath
import re


class Refusal(Exception):
    """One sentence on why a revision cannot be built."""


# Files that only some tool can read, with the options that an entry may have after them, in uv's words: those with a value, and those without.
KINDS = {
    "uv.lock": (["--extra", "--group", "--package"], ["--no-install-project"]),
    "poetry.lock": (["--extra", "--group"], []),
    "pylock.toml": (["--extra", "--group"], []),
    "pyproject.toml": (["--extra", "--group"], []),
}
LOCKS = ["uv.lock", "poetry.lock", "pylock.toml"]
# What app_requirements is until it is set; where a revision has no such file, what it has instead is taken.
DEFAULT = ["requirements.txt"]
# What may be found in its place, but is not taken unasked.
LIKELY = re.compile(r"(.*/)?(requirements[^/]*\.(txt|in)|requirements/[^/]+\.(txt|in)|Pipfile\.lock|pdm\.lock|(uv|poetry)\.lock|pylock\.toml|setup\.py)")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
# A version of Python, where a path or a command could stand.
PYTHON = re.compile(r"3\.[0-9]{1,2}(\.[0-9]{1,2})?")
INCLUDE = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]*([^\s#]+)")
# A path has a slash before anything that a specifier or a URL has.
LOCAL = re.compile(r"\s*(?:(?:-e|--editable)[\s=]*)?(?:file:|\.|(?!-)[^\s:@;#\[]*/)")
# What installers read of their environment.
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# git gets the whole address as an argument.
SHOWN = re.compile(r"[^#\n]*git\+https?://[^/\s]*\$\{")


def parse(entry):
    """Return kind, path and options of an entry, the options as a list of lists; Refusal where an option is not known.

    The kind is a key of KINDS, `project` for code of the repository, or `requirements.txt` for any other file.
    """
    if re.match(r"\.|-e|--editable", entry):
        return "project", entry, []
    path, *words = re.sub(r"(--[a-z-]+)=", r"\1 ", entry).split() or [""]
    name = posixpath.basename(path)
    kind = "pylock.toml" if re.fullmatch(r"pylock\.[^.]+\.toml", name) else name
    if kind not in KINDS:
        return "requirements.txt", entry, []
    valued, bare = KINDS[kind]
    options = []
    while words:
        option = [words.pop(0)]
        if option[0] in valued and words and NAME.fullmatch(words[0]):
            option.append(words.pop(0))
        elif option[0] not in bare:
            known = [f"{name} NAME" for name in valued] + bare
            raise Refusal(f"app_requirements has '{entry}': after {path} may stand {', '.join(known[:-1])} and {known[-1]}, separated by spaces.")
        options.append(option)
    return kind, path, options


def table(text):
    """Return a TOML text as a dict, empty where it is none: what is wrong with it says the tool that reads it."""
    # Python 3.9 has no such module, and a host has another.
    import tomllib

    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        return {}


def taken(requirements, show, paths, subdirectory, revision):
    """Return the entries that hold; Refusal where that cannot be said.

    show returns the text of a file of the revision or None; paths are its files; revision is how a sentence calls it.
    """
    if list(requirements) != DEFAULT:
        return list(requirements)
    for names in (DEFAULT, LOCKS, ["pyproject.toml"]):
        for folder in dict.fromkeys(["", subdirectory]):
            found = [path for name in names if (text := show(path := posixpath.normpath(posixpath.join(folder, name)))) is not None
                     and (name != "pyproject.toml" or "dependencies" in table(text).get("project", {}))]  # fmt: skip
            if len(found) > 1:
                raise Refusal(f"{revision[:1].upper()}{revision[1:]} has {' and '.join(found)}, and no requirements.txt: name one of them in app_requirements.")
            if found:
                return found
    likely = [path for path in paths if LIKELY.fullmatch(path)][:4]
    raise Refusal(
        f"app_requirements names requirements.txt, which {revision} does not have, nor a lock file or a pyproject.toml with dependencies in its place: "
        + (f"it has {', '.join(likely)}; name there what holds its packages." if likely else "name what holds its packages, or give app_pip_packages.")
    )


def follow(path, show, seen):
    """Add a requirement file and those that it includes to `seen`."""
    path = posixpath.normpath(path)
    if path in seen or (text := show(path)) is None:
        return
    seen[path] = text
    for line in text.replace("\\\n", " ").splitlines():
        if include := INCLUDE.match(line):
            follow(posixpath.join(posixpath.dirname(path), include[1]), show, seen)


def leads_here(value):
    """Return whether anything in a lock or in a table of sources is a path of the repository."""
    if isinstance(value, dict):
        here = any(value.get(key) for key in ("path", "directory", "editable", "workspace")) or value.get("type") in ("directory", "file")
        return here or any(leads_here(part) for part in value.values())
    return isinstance(value, list) and any(leads_here(part) for part in value)


def is_own(kind, text, options):
    """Return whether a lock or a pyproject.toml has code of the repository installed."""
    read = table(text)
    if kind == "pyproject.toml":
        return leads_here(read.get("tool", {}).get("uv", {}).get("sources", {})) or bool(re.search(r"@\s*file:", text))
    packages = read.get("packages" if kind == "pylock.toml" else "package", [])
    if ["--no-install-project"] in options:
        packages = [package for package in packages if package.get("source") not in ({"editable": "."}, {"directory": "."})]
    return leads_here(packages)


def depends(requirements, arguments, show, revision):
    """Return the files that a virtualenv depends on, a dict of texts, and whether code of the repository itself is installed.

    arguments are further words of the installer; Refusal where a file is missing, or where one would show a token.
    """
    seen, own = {}, False
    for entry in requirements:
        kind, path, options = parse(entry)
        if kind == "project":
            own = True
            continue
        if kind in KINDS:
            files = {name: show(name) for name in (posixpath.normpath(path), posixpath.normpath(posixpath.join(posixpath.dirname(path), "pyproject.toml")))}
            seen |= {name: text for name, text in files.items() if text is not None}
            own |= is_own(kind, seen.get(posixpath.normpath(path), ""), options)
        else:
            follow(path, show, seen)
        if posixpath.normpath(path) not in seen:
            raise Refusal(f"app_requirements names {path}, which {revision} does not have.")
    for path in re.findall(r"(?:^| )(?:-c|--constraint|-r|--requirement)[ =]*(\S+)", " ".join(arguments)):
        follow(path, show, seen)
    for path, text in seen.items():
        lines = text.splitlines() if parse(path)[0] == "requirements.txt" else []
        own |= any(LOCAL.match(line) for line in lines)
        if any(SHOWN.match(line) for line in lines):
            raise Refusal(
                f"{path} has a variable in the address of a Git repository, which every list of processes would show: give an SSH address, "
                "or the token by http.<url>.extraHeader in app_build_environment (GIT_CONFIG_COUNT, GIT_CONFIG_KEY_0, GIT_CONFIG_VALUE_0)."
            )
    return seen, own


def check_variables(texts, withheld):
    """Refuse requirement files (dict of texts) that read a variable which is the application's alone; withheld are the names of these."""
    for path, text in texts.items():
        lines = text.splitlines() if parse(path)[0] == "requirements.txt" else []
        named = [name for line in lines for name in VARIABLE.findall(line.partition("#")[0]) if name in withheld]
        if named:
            raise Refusal(f"{path} reads {named[0]}, which the installer does not get from app_environment: give it in app_build_environment.")
