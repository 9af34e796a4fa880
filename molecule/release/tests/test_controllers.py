"""Controllers with other versions of Python and Ansible, without this checkout and its settings, as an operator sees them."""

import io
import pathlib
import re
import subprocess
import sysconfig
import tarfile
import time

import pytest
import yaml
from playing import ROOT, SSH_CONFIG, Run, Site

testinfra_hosts = ["ansible://probe"]
pytestmark = pytest.mark.long

INVENTORY = ROOT / "molecule/inventories/controllers.yml"
CONTROLLERS = yaml.safe_load(INVENTORY.read_text())["lab"]["hosts"]
# What an operator's SSH has to know. All else is as Debian ships it, and so the locale travels along.
SSH = """
Include /etc/ssh/ssh_config
IdentityFile ~/.cache/lab/id_ed25519
StrictHostKeyChecking accept-new
"""
# What docs/first-hour.md recommends to whom none of our settings reach.
RECOMMENDED = """
[defaults]
stdout_callback = selfhost.django.calm
callback_result_format = yaml
interpreter_python = /usr/bin/python3
[inventory]
host_pattern_mismatch = ignore
[ssh_connection]
pipelining = True
"""
# Where that is tried; all else goes without settings.
SETTINGS = dict.fromkeys([("controller13", "deploy"), ("controller13", "site")], "ANSIBLE_CONFIG=recommended.cfg")
# Ansible's own, of everybody who names no interpreter.
EXPECTED = re.compile(r"\[WARNING\]: Host '\w+' is using the discovered Python interpreter")


@pytest.fixture(scope="module", autouse=True)
def booted(site, tmp_path_factory):
    directory = tmp_path_factory.mktemp("controllers")
    subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", directory, ROOT], check=True, capture_output=True)
    Site(str(INVENTORY)).apply("../molecule/shared/controllers", "-e", f"lab_home={furnished(site, directory)}")


def furnished(site, directory):
    """Pack the home of an operator: the collection as it is built, those that it depends on, the inventory, its secrets and the key."""
    (built,), inventory = directory.glob("*.tar.gz"), pathlib.Path(site.inventory)
    packages = pathlib.Path(sysconfig.get_path("purelib"))
    kept = [inventory, inventory.parent / "group_vars", SSH_CONFIG.parent / site.repository.directory.name]
    kept += [ROOT / "requirements.txt", *SSH_CONFIG.parent.glob("id_ed25519*")]
    with tarfile.open(directory / "home.tar", "w") as home:
        home.add(built, "selfhost-django.tar.gz")
        # From where the lab has them: it does without Galaxy.
        name = "ansible_collections/community/postgresql"
        home.add(packages / name, f".ansible/collections/{name}")
        for path in kept:
            home.add(path, path.relative_to(ROOT))
        home.add(SSH_CONFIG.parent / "id_ed25519.pub", ".ssh/authorized_keys")
        for path, text in ((SSH_CONFIG.relative_to(ROOT), SSH), ("recommended.cfg", RECOMMENDED)):
            member = tarfile.TarInfo(str(path))
            member.size = len(text)
            home.addfile(member, io.BytesIO(text.encode()))
    return home.name


def on(controller, words, **arguments):
    """Run a command as the operator of a controller."""
    result = subprocess.run(
        ["ssh", "-F", SSH_CONFIG, f"operator@{CONTROLLERS[controller]['ansible_host']}", words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **{"stdin": subprocess.DEVNULL} | arguments,
    )  # fmt: skip
    return Run(result.returncode, result.stdout)


def carry(repository, controller):
    """Bring the application's repository to a controller, as `git pull` would."""
    packed = subprocess.Popen(["tar", "--create", f"--directory={ROOT}", repository.directory.relative_to(ROOT)], stdout=subprocess.PIPE)
    with packed:
        run = on(controller, "tar --extract", stdin=packed.stdout)
    assert run.code == packed.returncode == 0, run.output


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_another_controller_ships_changes_nothing_more_and_is_not_warned(controller, site, figure):
    revision = site.repository.commit("good", controller)
    carry(site.repository, controller)
    locale = f"{CONTROLLERS[controller]['lab_locale']}.UTF-8"
    inventory = pathlib.Path(site.inventory).relative_to(ROOT)
    said, took = {}, {}
    # Shipped first: whatever other tests have shipped, nothing is left for site.yml.
    for playbook in ("deploy", "site", "status"):
        started = time.monotonic()
        environment = f"LC_ALL={locale} {SETTINGS.get((controller, playbook), '')}"
        said[playbook] = on(controller, f"{environment} venv/bin/ansible-playbook -i {inventory} selfhost.django.{playbook}")
        took[playbook] = f"{playbook}.yml {time.monotonic() - started:.0f} s"
    core, python = re.search(r"core ([\d.]+).*python version = ([\d.]+)", on(controller, "venv/bin/ansible --version").output, re.DOTALL).groups()
    figure(f"ansible-core {core} on Python {python} in {locale}: {', '.join(took.values())}")
    for run in said.values():
        assert run.code == 0, run.output[-4000:]
        assert not re.search(r"\[[A-Z ]*WARNING\]", EXPECTED.sub("", run.text)), run.output
    assert site.version() == controller
    assert set(re.findall(r"changed=(\d+)", said["site"].output)) == {"0"}, said["site"].output
    # The page can be read without our settings, too.
    assert re.search(rf'^ +"debian13 +{revision[:12]}-[^"]+ yes, ', said["status"].output, re.MULTILINE), said["status"].output


def test_a_key_that_deploys_does_nothing_else(site, tmp_path):
    """As a job of a CI has it: on a machine that runs the playbooks, behind a forced command."""
    controller, version = "controller13", "by-a-job"
    site.repository.commit("good", version)
    carry(site.repository, controller)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    folder = ".ansible/collections/ansible_collections/selfhost/django/bin"
    gate = f"/home/operator/venv/bin/python3 /home/operator/{folder}/selfhost-gate /home/operator"
    settings = f"[defaults]\ninventory = {pathlib.Path(site.inventory).relative_to(ROOT)}\n{RECOMMENDED.split('[defaults]')[1]}"
    on(controller, "cat >ansible.cfg", stdin=None, input=settings)
    on(controller, "cat >>.ssh/authorized_keys", stdin=None, input=f'restrict,command="{gate}" {(tmp_path / "key.pub").read_text()}')

    def job(words):
        way = ["ssh", "-F", "/dev/null", "-i", tmp_path / "key", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no"]
        way += ["-o", f"UserKnownHostsFile={tmp_path}/known", f"operator@{CONTROLLERS[controller]['ansible_host']}", words]
        return subprocess.run(way, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert site.version() != version
    done = job("deploy main")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert site.version() == version
    for words in ("id", "site", "deploy --check", "deploy 'main; id'", "manage flush"):
        done = job(words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert "selfhost-gate: " in done.stderr
    assert job("status").returncode == 0
