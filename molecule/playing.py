"""Runs playbooks of this collection as an operator would, for the tests of every scenario."""

import contextlib
import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import subprocess
import time

import requests
import testinfra
import urllib3

urllib3.disable_warnings()

ROOT = pathlib.Path(__file__).resolve().parent.parent
SSH_CONFIG = ROOT / ".cache/lab/ssh_config"


@dataclasses.dataclass
class Run:
    """What came of a playbook."""

    code: int
    output: str

    @property
    def text(self):
        """The output with its line breaks folded, to look for sentences in."""
        return " ".join(self.output.split())


def start(inventory, playbook, *arguments):
    """Start a playbook in a session of its own, so that all of it can be killed."""
    # What these refuse is tested without hosts; they are run a hundred times here, and that would be a fifth of each.
    quick = ["--skip-tags", "preflight"] if playbook in ("deploy", "rollback") else []
    return subprocess.Popen(
        ["ansible-playbook", "-i", inventory, ROOT / "playbooks" / f"{playbook}.yml", *quick, *arguments],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "10000"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process, timeout_seconds=1800):
    """Wait for a playbook that was started."""
    output, _nothing = process.communicate(timeout=timeout_seconds)
    return Run(process.returncode, output)


def command(*words):
    """Return what one of Ansible's commands prints."""
    return subprocess.run(
        words, cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}, capture_output=True, text=True, check=True
    ).stdout


def repositories():
    """The module that makes the repositories of the tests' projects."""
    specification = importlib.util.spec_from_file_location("probe_repository", ROOT / "molecule/shared/probe_repository.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def probe_repository(name):
    """The repository of the probe that a lab deploys from."""
    return repositories().Repository(ROOT / ".cache/probe" / name)


@dataclasses.dataclass
class Site:
    """The hosts of an inventory, as an operator and a visitor see them."""

    inventory: str

    @functools.cached_property
    def variables(self):
        """What the inventory says, by host."""
        return json.loads(command("ansible-inventory", "-i", self.inventory, "--list", "--vars"))

    @functools.cached_property
    def groups(self):
        return {name: group.get("hosts", []) for name, group in self.variables.items() if name != "_meta"}

    @functools.cached_property
    def addresses(self):
        return {name: values["ansible_host"] for name, values in self.variables["_meta"]["hostvars"].items()}

    @functools.cached_property
    def hosts(self):
        """Every host, by name, with root's rights."""
        options = {"ansible_inventory": self.inventory, "ssh_config": str(SSH_CONFIG), "sudo": True}
        return {name: testinfra.get_host(f"ansible://{name}", **options) for name in self.addresses}

    @functools.cached_property
    def repository(self):
        """The probe's, whose revisions are deployed."""
        (name,) = {values["lab_name"] for values in self.variables["_meta"]["hostvars"].values()}
        return probe_repository(name)

    # --- Playbooks ----------------------------------------------------------------------------

    def start(self, playbook, *arguments):
        return start(self.inventory, playbook, *arguments)

    def play(self, playbook, *arguments):
        return finish(self.start(playbook, *arguments))

    # --- Hosts --------------------------------------------------------------------------------

    def reboot(self, name):
        """Reboot a host, and wait until it takes commands again."""
        before = self.boot(name)
        assert before
        with contextlib.suppress(RuntimeError):
            self.hosts[name].run("systemctl reboot")
        self.wait(f"{name} after its reboot", lambda: self.boot(name) not in (before, None), seconds=600)

    def boot(self, name):
        """The identifier of the boot that a host is in; None while it takes no commands."""
        with contextlib.suppress(RuntimeError):
            # A container keeps its kernel's; its first process is another one.
            return self.hosts[name].check_output("cat /proc/sys/kernel/random/boot_id; cut -d ' ' -f 22 /proc/1/stat")

    # --- Visitor ------------------------------------------------------------------------------

    @property
    def address(self):
        """Where visitors arrive."""
        return self.addresses[(self.groups.get("balancer") or self.groups["web"])[0]]

    def get(self, path="/", **arguments):
        return self.request("GET", path, **arguments)

    def post(self, path, **arguments):
        return self.request("POST", path, **arguments)

    def request(self, method, path, timeout=30, **arguments):
        return requests.request(method, f"https://{self.address}{path}", verify=False, allow_redirects=False, timeout=timeout, **arguments)

    # --- Time ---------------------------------------------------------------------------------

    @staticmethod
    def wait(what, predicate, seconds=120, every=1):
        """Wait until something holds, and return its value."""
        deadline = time.monotonic() + seconds
        while not (value := predicate()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
            time.sleep(every)
        return value
