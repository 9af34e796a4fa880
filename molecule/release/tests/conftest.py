"""What the tests of releases share: the probe's repository, the playbooks, and a visitor."""

import dataclasses
import importlib.util
import os
import pathlib
import subprocess

import pytest
import requests
import testinfra
import urllib3

ROOT = pathlib.Path(__file__).resolve().parents[3]
INVENTORY = ROOT / "inventories/molecule_release.yml"
SSH_CONFIG = ROOT / ".cache/lab/ssh_config"
ADDRESSES = {"debian13": "10.88.2.13", "debian12": "10.88.2.12"}

urllib3.disable_warnings()


@dataclasses.dataclass
class Run:
    code: int
    output: str

    @property
    def text(self):
        """The output with its line breaks folded, to look for sentences in."""
        return " ".join(self.output.split())


@pytest.fixture(scope="session")
def repository():
    spec = importlib.util.spec_from_file_location("probe_repository", ROOT / "molecule/shared/probe_repository.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Repository(ROOT / ".cache/probe/release")


@pytest.fixture(scope="session")
def hosts():
    """All hosts at once, for what happens to all at once."""
    backends = [f"ansible://{name}" for name in ADDRESSES]
    return testinfra.get_hosts(backends, ansible_inventory=str(INVENTORY), ssh_config=str(SSH_CONFIG), sudo=True)


def start_playbook(name, *arguments):
    """Start a playbook over all hosts of the scenario."""
    return subprocess.Popen(
        ["ansible-playbook", "-i", INVENTORY, ROOT / "playbooks" / f"{name}.yml", *arguments],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "10000"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process):
    output, _nothing = process.communicate(timeout=900)
    return Run(process.returncode, output)


def play(name, *arguments):
    return finish(start_playbook(name, *arguments))


def get(host, path="/", **arguments):
    return requests.get(f"https://{ADDRESSES[host]}{path}", verify=False, allow_redirects=False, timeout=30, **arguments)


def versions():
    """What visitors of all hosts see."""
    return {host: get(host, "/status/").json()["version"] for host in ADDRESSES}
