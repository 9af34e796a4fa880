# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Carries what the mirror lacks of a repository on the controller, as a bundle, before the module of this name looks at it."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# What travels with the question, so that most releases need no second one.
RECENT_COMMITS = 20
RECENT_BYTES = 128 * 1024


def git(repository, *words):
    """Return what a git command prints in a repository; empty where it fails."""
    try:
        done = subprocess.run(["git", "-C", repository, *words], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise AnsibleActionFail(f"app_repository is a path on this machine, where git does not run: {error.strerror}.") from error
    return done.stdout.strip() if done.returncode == 0 else ""


def bundle(repository, path, *beside):
    """Write a bundle with all branches and tags of a repository, and what is checked out where that is on no branch.

    beside are further words for `git rev-list`, as of what the other side has.
    """
    shallow = git(repository, "rev-parse", "--is-shallow-repository")
    if not shallow:
        raise AnsibleActionFail(f"app_repository {repository} is no Git repository on this machine: give its absolute path here, or a URL.")
    if shallow != "false":
        raise AnsibleActionFail(f"app_repository {repository} is a shallow clone: complete it with git fetch --unshallow.")
    head = ["HEAD"] if git(repository, "rev-parse", "--verify", "HEAD") else []
    done = subprocess.run(
        ["git", "-C", repository, "bundle", "create", "--quiet", path, "--branches", "--tags", *head, *beside],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise AnsibleActionFail(f"app_repository {repository} cannot be bundled: {' '.join(done.stderr.split())}")


def recent(repository, commit):
    """Return the newest commits of a repository up to one of them as a bundle, in Base64; empty where they are many bytes, or commit is."""
    if not commit:
        return ""
    older = git(repository, "rev-parse", "--verify", f"{commit}~{RECENT_COMMITS}")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recent.bundle")
        bundle(repository, path, *([f"^{older}"] if older else []))
        with open(path, "rb") as file:
            content = file.read(RECENT_BYTES + 1)
    return base64.b64encode(content).decode() if len(content) <= RECENT_BYTES else ""


class ActionModule(ActionBase):
    """The task `release_fetch`."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returns."""
        super().run(tmp, task_vars)
        return self._told(self._fetched(task_vars), task_vars)

    @staticmethod
    def _told(result, task_vars):
        """Return the result with the name of the variable that gave the version, which the host does not know."""
        message = str(result.get("msg", ""))
        if result.get("failed") and message.startswith("app_version ") and "deploy_version" in task_vars:
            result["msg"] = "deploy_version" + message.removeprefix("app_version")
        return result

    def _fetched(self, task_vars):
        repository = self._task.args.get("repository", "")
        if not repository.startswith("/"):
            return self._ask(task_vars)
        commit = git(repository, "rev-parse", "--verify", f"{self._task.args.get('version')}^{{commit}}")
        result = self._ask(task_vars, commit=commit, recent=recent(repository, commit))
        if result.get("failed") or result.get("unreachable") or result.get("resolved"):
            return result
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "repository.bundle")
            bundle(repository, path)
            return self._ask(task_vars, commit=commit, bundle=self._carried(path))

    def _ask(self, task_vars, **further):
        return self._execute_module(module_args=self._task.args | further, task_vars=task_vars)

    def _carried(self, path):
        """Return where a file of the controller lies on the host, for the account of the task to read, until the task ends."""
        folder = self._make_tmp_path()
        there = self._connection._shell.join_path(folder, os.path.basename(path))
        self._transfer_file(path, there)
        self._fixup_perms2((folder, there))
        return there
