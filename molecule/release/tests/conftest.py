"""What the tests of releases share: the probe's repository, the playbooks, and a visitor."""

import contextlib
import pathlib

import playing
import pytest
import requests
import testinfra
import yaml
from load import Load
from playing import SSH_CONFIG, finish, probe_repository, start

# Of the hosts, by name; each is a site of its own.
ADDRESSES = {}


def pytest_configure(config):
    global INVENTORY, LAB
    INVENTORY = pathlib.Path(config.getoption("ansible_inventory")).resolve()
    lab = yaml.safe_load(INVENTORY.read_text())["lab"]
    LAB = lab["vars"]["lab_name"]
    ADDRESSES.update({name: host["ansible_host"] for name, host in lab["hosts"].items()})


@pytest.fixture(scope="session")
def repository():
    return probe_repository(LAB)


@pytest.fixture(scope="session")
def hosts():
    """All hosts at once, for what happens to all at once."""
    backends = [f"ansible://{name}" for name in ADDRESSES]
    return testinfra.get_hosts(backends, ansible_inventory=str(INVENTORY), ssh_config=str(SSH_CONFIG), sudo=True)


def start_playbook(name, *arguments):
    """Start a playbook over all hosts of the scenario."""
    return start(INVENTORY, name, *arguments)


def play(name, *arguments):
    return playing.play(INVENTORY, name, *arguments)


def get(host, path="/", **arguments):
    return requests.get(f"https://{ADDRESSES[host]}{path}", verify=False, allow_redirects=False, timeout=30, **arguments)


@contextlib.contextmanager
def visitors(pause_seconds=0.3):
    """Visitors of all hosts, by host, of whom nobody may be disappointed."""
    loads = {name: Load(f"https://{address}", pause_seconds=pause_seconds) for name, address in ADDRESSES.items()}
    with contextlib.ExitStack() as stack:
        for load in loads.values():
            stack.enter_context(load)
        yield loads
    for load in loads.values():
        load.check()


def versions():
    """What visitors of all hosts see."""
    return {host: get(host, "/status/").json()["version"] for host in ADDRESSES}
