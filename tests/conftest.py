"""Fixtures of the tests that need no host."""

import contextlib
import copy
import datetime
import os
import pathlib
import signal
import subprocess

import jinja2
import pytest
import yaml
from ansible._internal._templating._jinja_bits import _TemplateCompileContext
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Before the first module of a collection is imported; filters and tests of others are found by it.
init_plugin_loader([str(ROOT / ".collections")])

from ansible_collections.selfhost.django.plugins.plugin_utils.inputs import INVENTORY, mistakes  # noqa: E402
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import read  # noqa: E402

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
GROUPS = {"web": ["site1"], "database": ["site1"]}


@pytest.fixture(autouse=True)
def umask():
    """Some programs under test set it for good, and the next test would make its files by it."""
    mask = os.umask(0o022)
    os.umask(mask)
    yield
    os.umask(mask)


class Disk:
    """A file system of its own, on which the power can be cut."""

    def __init__(self, directory):
        self.directory, self.image = directory / "disk", directory / "image"

    def mount(self):
        return subprocess.run(["mount", "-o", "loop", self.image, self.directory], capture_output=True, check=False).returncode == 0

    def unmount(self):
        return subprocess.run(["umount", "--lazy", self.directory], capture_output=True, check=False).returncode == 0

    def cut(self, after_others=True):
        """Let it be what it is after a power cut, by default one that follows what somebody else wanted to have on it, a database say."""
        if after_others:
            with open(self.directory / "wal", "w", encoding="utf-8") as file:
                file.write("x")
                file.flush()
                os.fsync(file.fileno())
        then = self.image.with_name("then")
        subprocess.run(["cp", "--sparse=always", self.image, then], check=True)
        assert self.unmount()
        os.replace(then, self.image)
        assert self.mount()


@pytest.fixture
def powered(tmp_path):
    """Return a file system of its own, at `directory`, whose power can be `cut`."""
    disk = Disk(tmp_path)
    disk.directory.mkdir()
    with open(disk.image, "wb") as file:
        file.truncate(64 * 1024**2)
    with contextlib.suppress(OSError):
        subprocess.run(["mkfs.ext4", "-q", disk.image], check=True)
        if disk.mount():
            yield disk
            disk.unmount()
            return
    pytest.skip("no file system can be mounted here")


@pytest.fixture
def disk(powered):
    """A file system of its own, which everybody may write to."""
    powered.directory.chmod(0o777)
    return powered.directory


@pytest.fixture
def deep():
    """Return a function that puts folders one in another, more than a program goes through that calls itself. What is left of them goes by rm(1)."""
    made = []

    def make(path, levels=1100):
        made.append(path)
        subprocess.run(["mkdir", "--parents", os.path.join(path, *"d" * levels)], check=True)

    yield make
    subprocess.run(["rm", "--recursive", "--force", *made], check=True)


@pytest.fixture
def in_time():
    """Fail a test that waits for what never comes."""

    def give_up(*_signal):
        raise AssertionError("it waits for what never comes")

    former = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


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


@pytest.fixture(scope="session")
def same_code():
    """Have Jinja make the code of a text once, and not for each site anew: that is a third of a table's time."""
    made, make = {}, jinja2.Environment.compile

    def once(self, source, *arguments, **options):
        context = _TemplateCompileContext.current(optional=True)
        text = (type(self), source, context and context.escape_backslashes, arguments, tuple(options.items()))
        return made.get(text) or made.setdefault(text, make(self, source, *arguments, **options))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", once)
        yield


class Controller:
    """What Ansible makes of an inventory, without a process for each: the sentences with which a site is refused."""

    def __init__(self, directory):
        self.source = directory / "hosts.yml"
        self.loader = DataLoader()

    def sites(self, groups, variables, run=None):
        """Return what is known of each host of groups: lists of names, or mappings of names to what a host has besides the variables of all."""
        children = {group: {"hosts": hosts if isinstance(hosts, dict) else dict.fromkeys(hosts)} for group, hosts in groups.items()}
        hosts = sorted({host for names in groups.values() for host in names})
        self.source.write_text(yaml.safe_dump({"all": {"children": children, "vars": variables}}))
        inventory = InventoryManager(self.loader, sources=[str(self.source)])
        hostvars = HostVars(inventory, VariableManager(self.loader, inventory), self.loader)
        play = {"ansible_check_mode": False, **dict.fromkeys(("ansible_play_hosts_all", "ansible_play_hosts", "ansible_play_batch"), run or hosts)}
        return read(hosts, hostvars, Templar(self.loader, {}), self.loader, play)

    def sentences(self, groups, variables, checks=None, run=None):
        """Return what is said of these hosts; checks are names, by default of the whole inventory."""
        sites = self.sites(groups, variables, run)
        return list(dict.fromkeys(sentence for site in sites for sentence in mistakes(site, INVENTORY if checks is None else checks)))


@pytest.fixture(scope="session")
def controller(tmp_path_factory, same_code):
    return Controller(tmp_path_factory.mktemp("controller"))


@pytest.fixture(scope="session")
def sentences(controller):
    """Return a function that returns the sentences with which a site is refused: its groups, its variables over those of a good one."""

    def run(groups=None, checks=None, run=None, **variables):
        values = {name: value for name, value in (copy.deepcopy(GOOD) | variables).items() if value is not None}
        said = controller.sentences(groups or GROUPS, values, checks, run)
        assert not [sentence for sentence in said if "swordfish" in sentence], "a secret is told"
        return said

    return run


@pytest.fixture(scope="session")
def refuse(sentences):
    """Return a function that asserts a refusal with one sentence that begins with `beginning`."""

    def run(beginning, groups=None, **variables):
        (sentence,) = sentences(groups, **variables)
        assert " ".join(sentence.split()).startswith(beginning)

    return run


@pytest.fixture(scope="session")
def each_is_refused(sentences):
    """Return a function that asserts that each bad case (variables, beginning of its sentence) is refused in one sentence, and no good one.

    checks are the roles or playbooks whose inputs are looked at.
    """

    def run(bad, *checks, good=(), groups=None, run=None, **variables):
        heard = [(case, sentences(groups, checks, run, **(variables | case)), sentence) for case, sentence in bad]
        wrong = [row for row in heard if len(row[1]) != 1 or not " ".join(row[1][0].split()).startswith(row[2])]
        assert wrong == []
        assert [case for case in good if sentences(groups, checks, run, **(variables | case))] == []

    return run
