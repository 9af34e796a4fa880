# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Tells all that stands in the way of a site; its documentation is that of the module of this name."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time

from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.module_utils.requirements import Refusal
from ansible_collections.selfhost.django.plugins.module_utils.sources import check_python
from ansible_collections.selfhost.django.plugins.plugin_utils import doctor
from ansible_collections.selfhost.django.plugins.plugin_utils.deciding import Deciding
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs import mistakes
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import read
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.values import Unreadable

SPEC = {
    "looks": {"type": "list", "elements": "str", "required": True},
    "memory_mb": {"type": "int", "required": True},
    "disk_mb": {"type": "int", "required": True},
}
GIT_SECONDS = 120


def addresses_of(name):
    """Return the addresses of a name (set of str) as this machine resolves it."""
    try:
        return {row[4][0] for row in socket.getaddrinfo(name, None)}
    except OSError:
        return set()


class Repository:
    """An application's repository, read as its hosts will: by its own key, and from the server that has one of these keys."""

    def __init__(self, url, key, host_keys):
        self.url = url
        self.folder = tempfile.TemporaryDirectory()
        for name, text in (("key", key), ("host_keys", "\n".join(host_keys))):
            with open(os.open(f"{self.folder.name}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(text.rstrip("\n") + "\n")
        ssh = ["ssh", "-o BatchMode=yes -o ConnectTimeout=15 -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null"]
        ssh.append(f"-o UserKnownHostsFile={self.folder.name}/host_keys" + (f" -o IdentitiesOnly=yes -o IdentityFile={self.folder.name}/key" if key else ""))
        self.environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": " ".join(ssh), "LC_ALL": "C"}

    def git(self, *words):
        """Return what a git command printed, and what it said where it failed (two str)."""
        try:
            done = subprocess.run(
                ["git", "-C", self.folder.name, *words], env=self.environment, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, errors="replace", timeout=GIT_SECONDS,
            )  # fmt: skip
        except FileNotFoundError:
            return "", "git is not installed on this machine"
        except subprocess.TimeoutExpired:
            return "", f"no answer within {GIT_SECONDS} seconds"
        return done.stdout, done.stderr or "git said nothing" if done.returncode else ""

    def wrong(self, version, python):
        """Return why a version cannot be shipped for an interpreter (its version, str); empty where it can."""
        listing, said = self.git("ls-remote", self.url)
        if said:
            return doctor.unreadable(self.url, said)
        if wrong := doctor.version(version, listing, self.url):
            return wrong
        self.git("init", "--quiet", "--bare", "repository")
        # Of a commit that is no branch's end, not every server gives away one alone.
        self.git("-C", "repository", "fetch", "--quiet", "--depth=1", self.url, version)
        text, _said = self.git("-C", "repository", "show", "FETCH_HEAD:pyproject.toml")
        try:
            if python:
                check_python(text, "pyproject.toml", python)
        except Refusal as refusal:
            return str(refusal)
        return ""


class ActionModule(Deciding):
    """The task `doctor`."""

    SPEC = SPEC

    def decide(self, given, task_vars):
        """Return what may be meant; raise with what stands in the way."""
        hostvars, hosts = task_vars["hostvars"], task_vars["ansible_play_hosts_all"]
        of_play = {name: task_vars[name] for name in ("ansible_check_mode", "ansible_play_hosts", "ansible_play_hosts_all")}
        sites = {site.host: site for site in read(hosts, hostvars, self._templar, self._loader, of_play)}
        problems = [sentence for site in sites.values() for sentence in mistakes(site)]
        looks = {}
        for host in hosts:
            asked = [hostvars[host].get(name) or {} for name in given["looks"]]
            looks[host] = doctor.told("".join(one.get("said", "") for one in asked))
            if looks[host]:
                problems += doctor.machine(host, looks[host], time.time(), given["memory_mb"], given["disk_mb"])
            else:
                problems.append(self._unentered(sites[host], " ".join(one.get("why", "") for one in asked)))
        try:
            found, notes = self._of_site(sites, looks)
        except (Unreadable, TypeError, ValueError):
            # The inputs are at fault, and were told of.
            found, notes = [], []
        problems += found
        if problems:
            raise AnsibleActionFail("\n".join(dict.fromkeys([*problems, *notes])))
        return {"notes": notes}

    @staticmethod
    def _unentered(site, said):
        known = {name: str(site.get(name, default)) for name, default in (
            ("ansible_host", site.host), ("ansible_port", 22), ("ansible_user", "you"), ("doctor_bootstrap_user", "root")
        )}  # fmt: skip
        return doctor.login(site.host, known["ansible_host"], known["ansible_port"], known["ansible_user"], known["doctor_bootstrap_user"], said)

    @staticmethod
    def _of_site(sites, looks):
        web = [site for site in sites.values() if site.is_in("web")]
        if not web:
            return [], []
        first = web[0]
        entrances = first["app_balancer_hosts"] or first["app_web_hosts"]
        reached = {
            host: addresses_of(str(sites[host].get("ansible_host", host))) | set(looks[host].get("address", [])) for host in entrances if host in sites
        }
        resolved = {name: addresses_of(name) for name in first["app_domains"] if doctor.is_public(name)}
        problems, notes = doctor.names(resolved, reached)
        pythons = {looks[site.host]["python"][-1] for site in web if looks[site.host].get("python")}
        python = str(first["app_python"]) if str(first["app_python"])[:2] == "3." else min(pythons, default="") if first["app_python"] == "python3" else ""
        repository = Repository(first["app_repository"], first["app_repository_key"], first["app_repository_host_keys"])
        problems.append(repository.wrong(str(first["__app_version"]), python))
        return list(filter(None, problems)), notes
