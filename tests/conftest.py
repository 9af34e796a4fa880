"""Fixtures of the tests that need no host."""

import copy
import datetime
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A site that nothing is wrong with: one host in every group.
GOOD = {
    "app_name": "shop",
    "app_repository": "https://git.example.org/shop.git",
    "app_domains": ["shop.example.org"],
    "app_secret_key": "k" * 30 + "0123456789" * 3,
    "app_database_password": "p" * 10 + "0123456789",
    "ansible_user": "ops",
    "hardening_admins": [{"name": "ops", "keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC0PSmnvD4tRuHNcXQgA ops"]}],
}
# The same for one of many hosts that are each a site of its own.
GOOD_HOST = GOOD | {"app_web_hosts": ["{{ inventory_hostname }}"], "app_database_hosts": ["{{ inventory_hostname }}"]}
GROUPS = {"web": ["site1"], "database": ["site1"]}


def make_certificate():
    """Return a self-signed certificate and its key, as PEM texts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example.org")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate.public_bytes(pem).decode(), key.private_bytes(pem, pkcs8, plain).decode()


@pytest.fixture
def preflight(tmp_path):
    """Return a function that runs the preflight playbook over one host and returns (return code, output).

    The host's ssh is a script that leaves a mark: a test fails if anything so much as tries to connect.
    """

    def run(groups=None, playbook="preflight", arguments=(), **variables):
        values = copy.deepcopy(GOOD) | variables
        values = {name: value for name, value in values.items() if value is not None}
        mark = tmp_path / "connected"
        ssh = tmp_path / "ssh"
        ssh.write_text(f"#!/bin/sh\ntouch {mark}\nexit 255\n")
        ssh.chmod(0o755)
        inventory = {
            "all": {
                "hosts": {"site1": {"ansible_host": "127.0.0.1", "ansible_ssh_executable": str(ssh)}},
                "vars": values,
                "children": {
                    group: {"hosts": {host: None for host in hosts}} for group, hosts in (groups or GROUPS).items()
                },
            }
        }
        source = tmp_path / "inventory.yml"
        source.write_text(yaml.safe_dump(inventory))
        result = subprocess.run(
            ["ansible-playbook", "-i", source, ROOT / "playbooks" / f"{playbook}.yml", *arguments],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not mark.exists(), "a connection was tried"
        return result.returncode, result.stdout + result.stderr

    return run


@pytest.fixture
def refuse(preflight):
    """Return a function that asserts a refusal with one sentence that begins with `name`, and returns the sentence."""

    def run(name, groups=None, **variables):
        code, output = preflight(groups=groups, **variables)
        assert code != 0, output
        sentences = re.findall(r"^\[ERROR\]: Task failed: Action failed: (.*(?:\n(?!Origin:).+)*)", output, re.MULTILINE)
        assert len(sentences) == 1, output
        sentence = " ".join(sentences[0].split())
        assert sentence.startswith(name), sentence
        return sentence

    return run


@pytest.fixture(scope="session")
def sentences(tmp_path_factory):
    """Return a function that returns the sentences with which each of many cases is refused.

    A case is the variables of a host of its own, None for one that is not set. All go through the checks (role, file of tasks)
    in one run, since a run costs seconds.
    """

    def run(cases, *checks, **variables):
        directory = tmp_path_factory.mktemp("refusals")
        hosts = {
            f"case{number}": {name: value for name, value in (variables | case).items() if value is not None}
            for number, case in enumerate(cases)
        }
        tasks = [{"ansible.builtin.import_role": {"name": role, "tasks_from": file}} for role, file in checks]
        (directory / "hosts.yml").write_text(yaml.safe_dump({"database": {"hosts": hosts}, **dict.fromkeys(("web", "balancer", "backup"), {})}))
        (directory / "checks.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        result = subprocess.run(
            ["ansible-playbook", "-i", directory / "hosts.yml", directory / "checks.yml"],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert "swordfish" not in result.stdout + result.stderr, "a secret is told"
        said = {host: [] for host in hosts}
        for task in json.loads(result.stdout[result.stdout.index("{") :])["plays"][0]["tasks"]:
            for host, outcome in task["hosts"].items():
                said[host] += [row["msg"] for row in outcome.get("results", [outcome]) if row.get("failed")]
        return list(said.values())

    return run


@pytest.fixture(scope="session")
def each_is_refused(sentences):
    """Return a function that asserts that each bad case (variables, beginning of its sentence) is refused in one sentence, and no good one.

    In a sentence `site1` stands for the host's name.
    """

    def run(bad, *checks, good=(), **variables):
        said = sentences([*(case for case, _sentence in bad), *good], *checks, **variables)
        heard = [(number, [" ".join(words.split()) for words in said[number]], sentence) for number, (_case, sentence) in enumerate(bad)]
        wrong = [row for row in heard if len(row[1]) != 1 or not row[1][0].startswith(row[2].replace("site1", f"case{row[0]}"))]
        assert wrong == []
        assert said[len(bad) :] == [[]] * len(good)

    return run
