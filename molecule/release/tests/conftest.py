"""What the tests of releases share: the probe's repository, the playbooks, and a visitor."""

import importlib.util

import pytest
import requests
import testinfra
import urllib3
from playing import ROOT, SSH_CONFIG, finish, start

INVENTORY = ROOT / "inventories/molecule_release.yml"
ADDRESSES = {"debian13": "10.88.2.13", "debian12": "10.88.2.12"}

urllib3.disable_warnings()


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
    return start(INVENTORY, name, *arguments)


def play(name, *arguments):
    return finish(start_playbook(name, *arguments))


def get(host, path="/", **arguments):
    return requests.get(f"https://{ADDRESSES[host]}{path}", verify=False, allow_redirects=False, timeout=30, **arguments)


def versions():
    """What visitors of all hosts see."""
    return {host: get(host, "/status/").json()["version"] for host in ADDRESSES}
