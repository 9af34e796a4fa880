"""Says what a release is to be built from, or why it cannot be.

    resolve.py VERSION REPOSITORY SUBDIRECTORY PYTHON REQUIREMENTS ARGUMENTS      in the mirror; the last two as JSON

Prints the revision, a digest of every requirement file that it asks for, and `own` where code of the repository itself is
installed, else `shared`: whether a virtualenv fits this one release or every release that asks for the same.
"""

import hashlib
import json
import posixpath
import re
import subprocess
import sys
import tomllib

from packaging.specifiers import InvalidSpecifier, SpecifierSet

INCLUDE = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]*([^\s#]+)")
# A path has a slash before anything that a specifier or a URL has.
LOCAL = re.compile(r"\s*(?:(?:-e|--editable)[\s=]*)?(?:file:|\.|(?!-)[^\s:@;#\[]*/)")


def git(*words):
    result = subprocess.run(["git", *words], capture_output=True, text=True, errors="replace")
    return result.stdout if result.returncode == 0 else None


def resolve(version, repository):
    for name in (f"refs/remotes/origin/{version}", f"refs/tags/{version}", version):
        if revision := git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"):
            return revision.strip()
    sys.exit(f"app_version {version} is no branch, tag or commit of {repository}.")


def check_python(revision, directory, version):
    """Refuse an interpreter that the project says it cannot use, before minutes are spent on packages."""
    path = posixpath.normpath(posixpath.join(directory, "pyproject.toml"))
    try:
        wanted = tomllib.loads(git("show", f"{revision}:{path}") or "").get("project", {}).get("requires-python", "")
        fits = SpecifierSet(wanted).contains(version, prereleases=True)
    except (tomllib.TOMLDecodeError, InvalidSpecifier):
        return
    if not fits:
        sys.exit(
            f"The project asks for Python {wanted} ({path}) and this host's app_python is {version}: "
            "give app_python another interpreter, or ship a revision for this one."
        )


def follow(revision, path, seen):
    """Add a requirement file and those that it includes to `seen`."""
    path = posixpath.normpath(path)
    if path in seen or (text := git("show", f"{revision}:{path}")) is None:
        return
    seen[path] = text
    for line in text.replace("\\\n", " ").splitlines():
        if include := INCLUDE.match(line):
            follow(revision, posixpath.join(posixpath.dirname(path), include[1]), seen)


def main(version, repository, subdirectory, python, requirements, arguments):
    revision = resolve(version, repository)
    for directory in sorted({"", subdirectory}):
        check_python(revision, directory, python)
    requirements, seen = json.loads(requirements), {}
    code = [entry for entry in requirements if re.match(r"\.|-e|--editable", entry)]
    for path in (entry for entry in requirements if entry not in code):
        follow(revision, path, seen)
        if posixpath.normpath(path) not in seen:
            sys.exit(f"app_requirements names {path}, which revision {revision[:12]} of {repository} does not have.")
    for path in re.findall(r"(?:^| )(?:-c|--constraint|-r|--requirement)[ =]*(\S+)", " ".join(json.loads(arguments))):
        follow(revision, path, seen)
    lines = code + [line for text in seen.values() for line in text.splitlines()]
    print(revision)
    print(hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest())
    print("own" if any(LOCAL.match(line) for line in lines) else "shared")


if __name__ == "__main__":
    main(*sys.argv[1:])
