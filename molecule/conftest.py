"""Fixtures of every scenario's tests."""

import json
import os
import pathlib
import subprocess

import playing
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIGURES = []


def pytest_configure(config):
    # Every certificate of the lab is self-signed.
    config.addinivalue_line("filterwarnings", "ignore::urllib3.exceptions.InsecureRequestWarning")


def pytest_collection_modifyitems(config, items):
    """Leave out what takes long, unless LONG=1 asks for it."""
    if not os.environ.get("LONG"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(scope="session")
def figure():
    """Return a function that takes a sentence with what was measured; it is printed at the end, also where all went well."""
    return FIGURES.append


def pytest_terminal_summary(terminalreporter):
    for sentence in FIGURES:
        terminalreporter.write_line(f"figure: {sentence}")


@pytest.fixture(scope="session")
def inventory(request):
    """Return the path of the inventory of the hosts under test."""
    return str(pathlib.Path(request.config.getoption("ansible_inventory")).resolve())


@pytest.fixture(scope="session")
def kind():
    """Return the class of the site under test; a scenario whose hosts are of another kind overrides it."""
    return playing.Site


@pytest.fixture(scope="session")
def site(kind, inventory):
    """Return the site under test, after it has been seen in health."""
    site = kind(inventory)
    site.healthy()
    return site


@pytest.fixture(scope="session")
def repository(site):
    """Return the repository that the site is deployed from."""
    return site.repository


def smallest_file(role):
    """Return what names a file of a role's tasks, one of few tasks; nothing for a role without any."""
    files = sorted((ROOT / "roles" / role / "tasks").glob("*.yml"), key=lambda path: path.stat().st_size)
    return {"tasks_from": files[0].name} if files else {}


@pytest.fixture(scope="session")
def all_variables(inventory, tmp_path_factory):
    """Return, by host, the value of every role's inputs as the playbooks saw them: role defaults, group_vars and facts together."""
    directory = tmp_path_factory.mktemp("variables")
    inputs = {
        path.parent.parent.name: list(yaml.safe_load(path.read_text()) or {})
        for path in sorted(ROOT.glob("roles/*/defaults/main.yml"))
    }
    names = [name for role in inputs.values() for name in role] + ["app_name", "app_repository"]
    play = {
        "hosts": "all",
        "become": True,
        "tasks": [
            # Never run, yet read: a role that is imported gives its defaults to the play, whatever file of it is named.
            *({"import_role": {"name": role} | smallest_file(role), "when": False} for role in inputs),
            {
                "copy": {
                    "dest": f"{directory}/{{{{ inventory_hostname }}}}.json",
                    "content": f"{{{{ dict({names} | zip(lookup('vars', *{names}, wantlist=True))) | to_json }}}}",
                    "mode": "0600",
                },
                "become": False,
                "delegate_to": "localhost",
                "no_log": True,
            },
        ],
    }
    playbook = directory / "variables.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False, width=100_000))
    result = subprocess.run(
        ["ansible-playbook", "--inventory", inventory, playbook],
        cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return {path.stem: json.loads(path.read_text()) for path in directory.glob("*.json")}


@pytest.fixture(scope="module")
def variables(host, all_variables):
    """Return this host's variables."""
    return all_variables[host.backend.get_hostname()]


@pytest.fixture(scope="session")
def artifacts():
    """Return the directory for what a test wants to show: screenshots, pages, reports."""
    directory = ROOT / ".cache" / "artifacts"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
