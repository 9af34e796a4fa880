"""The lab and the user share a checkout, and are not in each other's way."""

import os
import pathlib
import re
import shlex
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this checkout with what the README has the user make: a virtualenv, and secrets that are encrypted."""
    directory = tmp_path_factory.mktemp("checkout")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", ":!group_vars/all", ":!.venv"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    # What is deleted and not yet committed is listed, too.
    names = b"\0".join(name for name in listed if name and os.path.lexists(ROOT / os.fsdecode(name)))
    archive = subprocess.run(["tar", "--create", "--null", "--files-from=-"], cwd=ROOT, input=names, capture_output=True, check=True).stdout
    subprocess.run(["tar", "--extract"], cwd=directory, input=archive, check=True)
    (directory / ".venv").mkdir()
    (directory / ".venv/mine").touch()
    (directory / "group_vars/all").mkdir(parents=True)
    # The second is a name that nothing else can set again.
    (directory / "group_vars/all/mine.yml").write_text(yaml.safe_dump({"app_domains": ["mine.example.org"], "mine": "mine.example.org"}))
    vault = directory / "group_vars/all/vault.yml"
    vault.write_text("vault_app_secret_key: swordfish\n")
    (directory / "password").write_text("open sesame\n")
    subprocess.run(["ansible-vault", "encrypt", "--vault-password-file", directory / "password", vault], check=True, capture_output=True)
    return directory


def say(checkout, *words):
    """Return what a command prints that is run in the user's checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MAKE"))}
    done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(checkout, *targets):
    """Return the commands that make would run, without running any."""
    return say(checkout, "make", "--dry-run", *targets).replace("\\\n", " ").splitlines()


def test_neither_the_demo_nor_a_scenario_reads_anything_of_the_users(checkout):
    told = [line for arguments in (["demo"], ["demo-down"], ["demo", "LAB=vm"]) for line in commands(checkout, *arguments)]
    demos = {name for line in told for name in re.findall(r"--inventory (\S+)", line)}
    assert len(demos) == 2
    names = {path.parent.name for path in checkout.glob("molecule/*/molecule.yml")}
    settings = yaml.safe_load((checkout / ".config/molecule/config.yml").read_text())
    template = settings["verifier"]["options"]["ansible-inventory"].replace("${MOLECULE_PROJECT_DIRECTORY}", str(checkout))
    inventories = sorted(demos) + [template.replace("${MOLECULE_SCENARIO_NAME}", name) for name in sorted(names)]
    # All in one process: what is read beside one of them is read.
    listing = say(checkout, "ansible-inventory", "--list", *(word for inventory in inventories for word in ("--inventory", inventory)))
    assert "lab_name" in listing and "mine.example.org" not in listing


def test_the_users_inventory_reads_what_is_beside_it(checkout):
    listing = say(checkout, "ansible-inventory", "--list", "--vault-password-file", "password")
    assert "mine.example.org" in listing and "swordfish" in listing


def test_lint_has_nothing_against_the_users_secrets(checkout):
    say(checkout, "yamllint", "--strict", "group_vars", "inventories", ".config")


@pytest.mark.parametrize("target", ["demo", "demo-down", "lint", "static", "scenarios", "collection", "clean"])
def test_make_leaves_the_users_virtualenv_alone(checkout, target):
    for line in commands(checkout, target):
        words = shlex.split(line)
        if words[:1] == ["rm"]:
            subprocess.run(words, cwd=checkout, check=True)
        assert not [word for word in words if word.startswith(".venv")], line
    assert (checkout / ".venv/mine").exists()
