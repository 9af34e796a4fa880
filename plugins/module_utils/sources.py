# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What a release is to be built from, as the mirror of its repository says, or why it cannot be."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import subprocess


class Refusal(Exception):
    """One sentence on why a revision cannot be built."""


INCLUDE = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]*([^\s#]+)")
# A path has a slash before anything that a specifier or a URL has.
LOCAL = re.compile(r"\s*(?:(?:-e|--editable)[\s=]*)?(?:file:|\.|(?!-)[^\s:@;#\[]*/)")


def git(mirror, *words):
    """Return what a git command prints in the mirror; None where it fails."""
    result = subprocess.run(["git", "-C", mirror, *words], capture_output=True, text=True, errors="replace", check=False)
    return result.stdout if result.returncode == 0 else None


def fetch(mirror, origin):
    """Bring a mirror up to date with a URL or a bundle, making it where it is missing; return whether it changed, or raise Refusal."""
    words = ["fetch", "--force", "--prune", "--tags", origin, "+refs/heads/*:refs/remotes/origin/*"]
    if os.path.isfile(origin) and git(mirror, "ls-remote", origin, "HEAD"):
        # What is checked out may be on no branch.
        words.append("+HEAD:refs/carried/HEAD")
    for command in (["init", "--quiet", "--bare", "."], words):
        done = subprocess.run(["git", *command], cwd=mirror, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise Refusal(" / ".join([line.strip() for line in done.stderr.splitlines() if line.strip()][-4:]) or "git said nothing.")
    return "->" in done.stderr


def is_there(mirror, commit):
    """Return whether the mirror has a commit."""
    return git(mirror, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def commit_of(mirror, version, repository):
    """Return the commit that a branch, a tag or a commit's name stands for."""
    for name in (f"refs/remotes/origin/{version}", f"refs/tags/{version}", version):
        if revision := git(mirror, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"):
            return revision.strip()
    raise Refusal(f"app_version {version} is no branch, tag or commit of {repository}.")


def check_python(mirror, revision, directory, version):
    """Refuse an interpreter that the project says it cannot use, before minutes are spent on packages."""
    # Debian packages, which a host has once role django was there.
    import tomllib

    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    path = posixpath.normpath(posixpath.join(directory, "pyproject.toml"))
    try:
        wanted = tomllib.loads(git(mirror, "show", f"{revision}:{path}") or "").get("project", {}).get("requires-python", "")
        fits = SpecifierSet(wanted).contains(version, prereleases=True)
    except (tomllib.TOMLDecodeError, InvalidSpecifier):
        return
    if not fits:
        raise Refusal(
            f"The project asks for Python {wanted} ({path}) and this host's app_python is {version}: "
            "give app_python another interpreter, or ship a revision for this one."
        )


def follow(mirror, revision, path, seen):
    """Add a requirement file and those that it includes to `seen`."""
    path = posixpath.normpath(path)
    if path in seen or (text := git(mirror, "show", f"{revision}:{path}")) is None:
        return
    seen[path] = text
    for line in text.replace("\\\n", " ").splitlines():
        if include := INCLUDE.match(line):
            follow(mirror, revision, posixpath.join(posixpath.dirname(path), include[1]), seen)


def resolve(mirror, version, repository, subdirectory, python, requirements, arguments):
    """Return what a release is built from; Refusal where it cannot be.

    version is a branch, a tag or a commit; repository is how a sentence calls it; subdirectory holds manage.py; python is the version of the
    interpreter; requirements and arguments are lists of words for pip. The answer has `revision`; `digest` of every requirement file that
    is asked for; and `own`, whether code of the repository itself is installed, so that a virtualenv fits this one release only.
    """
    revision = commit_of(mirror, version, repository)
    for directory in sorted({"", subdirectory}):
        check_python(mirror, revision, directory, python)
    seen = {}
    code = [entry for entry in requirements if re.match(r"\.|-e|--editable", entry)]
    for path in (entry for entry in requirements if entry not in code):
        follow(mirror, revision, path, seen)
        if posixpath.normpath(path) not in seen:
            raise Refusal(f"app_requirements names {path}, which revision {revision[:12]} of {repository} does not have.")
    for path in re.findall(r"(?:^| )(?:-c|--constraint|-r|--requirement)[ =]*(\S+)", " ".join(arguments)):
        follow(mirror, revision, path, seen)
    lines = code + [line for text in seen.values() for line in text.splitlines()]
    digest = hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()
    return {"revision": revision, "digest": digest, "own": any(LOCAL.match(line) for line in lines)}
