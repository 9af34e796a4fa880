# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What a release is to be built from, as the mirror of its repository says, or why it cannot be."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import posixpath
import shutil
import subprocess
import time

from ansible_collections.selfhost.django.plugins.module_utils.commands import run
from ansible_collections.selfhost.django.plugins.module_utils.paths import open_directory, remove
from ansible_collections.selfhost.django.plugins.module_utils.requirements import Refusal, check_variables, depends, table, taken

# How a pointer begins that stands for a file of Git LFS.
POINTER = "version https://git-lfs.github.com/spec/v1"
# What is fetched is on the disk before a name leads to it, in one file for all of it; and nothing goes on in a mirror when its run has ended.
DURABLE = ["-c", "core.fsync=all", "-c", "fetch.unpackLimit=1", "-c", "gc.autoDetach=false"]
# In a mirror: where it is made anew, and what Git LFS keeps in it, as the checkouts are told.
ANEW, LFS = "anew", "lfs"
# How long others who are at work in a mirror are waited for, and whatever an origin answers.
WAIT_SECONDS, ANSWER_SECONDS = 300, 60


def git(mirror, *words):
    """Return what a git command prints in the mirror; None where it fails."""
    result = subprocess.run(["git", "-C", mirror, *words], capture_output=True, text=True, errors="replace", check=False)
    return result.stdout if result.returncode == 0 else None


def is_held(descriptor, kind, sleep=time.sleep):
    """Wait for a lock of the kind on an open mirror (flock(2)), with none meanwhile; return whether it is ours in time."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    for _second in range(WAIT_SECONDS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        sleep(1)
    return False


@contextlib.contextmanager
def at_work(mirror):
    """Be at work in a mirror, beside others. Gives a descriptor for commands to inherit: one that outlives its run is still at work."""
    descriptor = open_directory(mirror)
    try:
        if not is_held(descriptor, fcntl.LOCK_SH):
            raise Refusal(f"Another run has been making {mirror} anew for {WAIT_SECONDS} seconds: wait until its git has ended, or end it.")
        yield descriptor
    finally:
        os.close(descriptor)


def answers(origin):
    """Return whether there is something to be fetched from a URL or a bundle."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.run(["git", "ls-remote", origin], cwd="/", timeout=ANSWER_SECONDS, check=False, **quiet).returncode == 0
    return False


def fetch(mirror, origin, is_whole=True):
    """Bring a mirror up to date with a URL or a bundle, making it where it is missing; return whether it changed, or raise Refusal.

    Branches that are not there are gone, unless is_whole tells that origin has not all of them. A mirror that stands in the way itself, with what a
    power cut or a git that was killed has left in it, is made anew: it is nobody's work.
    """
    with at_work(mirror) as descriptor:
        try:
            return fetched(mirror, origin, is_whole, descriptor)
        except Refusal as refusal:
            # A mirror may lack what a part goes on from.
            if not is_whole or not answers(origin):
                raise
            if not is_held(descriptor, fcntl.LOCK_EX):
                raise Refusal(f"{refusal} / {mirror} cannot be made anew while another git is at work in it.") from None
        try:
            # Somebody else may have been in the way, or have made it anew.
            return fetched(mirror, origin, is_whole, descriptor)
        except Refusal:
            return made_anew(mirror, origin, descriptor)


def fetched(mirror, origin, is_whole, descriptor):
    """Do what `fetch` says, in the mirror as it is."""
    words = ["fetch", "--force", *["--prune"] * is_whole, "--tags", origin, "+refs/heads/*:refs/remotes/origin/*"]
    if os.path.isfile(origin) and git("/", "ls-remote", origin, "HEAD"):
        # What is checked out may be on no branch.
        words.append("+HEAD:refs/carried/HEAD")
    for command in (["init", "--quiet", "--bare", "."], words):
        # Of what a server says, which may have no end, the last.
        done = run(["git", *DURABLE, *command], cwd=mirror, pass_fds=[descriptor])
        if done.returncode:
            raise Refusal(" / ".join([line.strip() for line in done.stderr.splitlines() if line.strip()][-4:]) or "git said nothing.")
    return "->" in done.stderr


def made_anew(mirror, origin, descriptor):
    """Fetch all into a new mirror, and let that take the place of what is in the one that is there; nobody else is at work in it."""
    remove(ANEW, descriptor)
    os.mkdir(ANEW, 0o700, dir_fd=descriptor)
    try:
        changed = fetched(os.path.join(mirror, ANEW), origin, True, descriptor)
        for name in set(os.listdir(descriptor)) - {ANEW, LFS}:
            remove(name, descriptor)
        with os.scandir(os.path.join(mirror, ANEW)) as entries:
            for entry in list(entries):
                os.rename(entry.path, entry.name, dst_dir_fd=descriptor)
    finally:
        remove(ANEW, descriptor)
    return changed


def is_there(mirror, commit):
    """Return whether the mirror has a commit."""
    return git(mirror, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def commit_of(mirror, version, repository):
    """Return the commit that a branch, a tag or a commit's name stands for."""
    for name in (f"refs/remotes/origin/{version}", f"refs/tags/{version}", version):
        if revision := git(mirror, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"):
            return revision.strip()
    raise Refusal(f"app_version {version} is no branch, tag or commit of {repository}.")


def check_python(text, path, version):
    """Refuse an interpreter that a pyproject.toml says it cannot use, before minutes are spent on packages."""
    # A Debian package, which a host has once role django was there.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    wanted = table(text).get("project", {}).get("requires-python", "")
    # Of a version without its last number, uv takes the newest.
    versions = [version, version + ".99"] if version.count(".") == 1 else [version]
    try:
        fits = any(SpecifierSet(wanted).contains(one, prereleases=True) for one in versions)
    except InvalidSpecifier:
        return
    if not fits:
        raise Refusal(
            f"The project asks for Python {wanted} ({path}) and this host's app_python is {version}: "
            "give app_python another interpreter, or ship a revision for this one."
        )


def check_code(mirror, revision, repository):
    """Return whether a checkout has to bring files of Git LFS; Refusal where it cannot bring all."""
    carried = repository.startswith("/")
    if carried and git(mirror, "cat-file", "-e", f"{revision}:.gitmodules") is not None:
        raise Refusal("The revision has submodules, which do not travel with a repository on the controller: give app_repository as a URL.")
    # Only what is told to be kept there is a pointer: a text may quote one.
    if git(mirror, "grep", "--quiet", "--fixed-strings", "filter=lfs", revision, "--", ":(glob)**/.gitattributes") is None:
        return False
    pointers = (git(mirror, "grep", "--files-with-matches", f"^{POINTER}", revision) or "").splitlines()
    kept = f"Revision {revision[:12]} keeps {len(pointers)} file{'s' if len(pointers) > 1 else ''} in Git LFS"
    if pointers and carried:
        raise Refusal(f"{kept}, which do not travel with a repository on the controller: give app_repository as a URL.")
    if pointers and not shutil.which("git-lfs"):
        raise Refusal(f"{kept}: add git-lfs to app_system_packages.")
    return bool(pointers)


def resolve(mirror, version, repository, subdirectory, python, requirements, arguments, withheld=()):
    """Return what a release is built from; Refusal where it cannot be.

    version is a branch, a tag or a commit; repository is how a sentence calls it; subdirectory holds manage.py; python is the version of the
    interpreter; requirements are entries of app_requirements; arguments are a list of words for pip; withheld are names of variables
    that the installer does not get. The answer has `revision`;
    `requirements`, the entries that hold; `digest` of every file that they depend on; `own`, whether code of the repository itself is
    installed, so that a virtualenv fits this one release only; `lfs`, whether files are in Git LFS.
    """
    revision = commit_of(mirror, version, repository)

    def show(path):
        return git(mirror, "show", f"{revision}:{path}")

    for directory in sorted({"", subdirectory}):
        path = posixpath.normpath(posixpath.join(directory, "pyproject.toml"))
        check_python(show(path), path, python)
    lfs = check_code(mirror, revision, repository)
    called = f"revision {revision[:12]} of {repository}"
    paths = (git(mirror, "ls-tree", "-r", "--name-only", "-z", revision) or "").split("\0")
    entries = taken(requirements, show, paths, subdirectory, called)
    seen, own = depends(entries, arguments, show, called)
    check_variables(seen, withheld)
    digest = hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()
    return {"revision": revision, "requirements": entries, "digest": digest, "own": own, "lfs": lfs}
