"""What the visitor's tests share: the site as seen from outside, and an administrator's account on it."""

import dataclasses
import json
import os
import pathlib
import secrets
import subprocess

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[3]


@dataclasses.dataclass
class Site:
    """A site on a host of the inventory, which is asked for by its address."""

    host: str
    address: str
    app_name: str
    inventory: str

    @property
    def url(self):
        return f"https://{self.address}"

    def session(self):
        """Return a visitor who accepts the self-signed certificate, and whom no proxy of this machine serves."""
        session = requests.Session()
        session.trust_env = False
        session.verify = False
        return session

    def get(self, path, **arguments):
        with self.session() as session:
            return session.get(self.url + path, timeout=60, **arguments)

    def manage_shell(self, code, directory):
        """Run Python code on the host by the operator's command; the code travels on standard input, never in an argument."""
        playbook = [
            {
                "hosts": self.host,
                "gather_facts": False,
                "become": True,
                "tasks": [
                    {
                        "ansible.builtin.command": {
                            "argv": [f"/usr/local/bin/{self.app_name}-manage", "shell"],
                            "stdin": "{{ lookup('ansible.builtin.file', code) }}",
                        },
                    }
                ],
            }
        ]
        (directory / "code.py").touch(mode=0o600)
        (directory / "code.py").write_text(code)
        (directory / "playbook.json").write_text(json.dumps(playbook))
        result = subprocess.run(
            ["ansible-playbook", "-i", self.inventory, "-e", f"code={directory}/code.py", directory / "playbook.json"],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            # A browser that ran before leaves the tests' own input in a mode that Ansible refuses.
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stdout + result.stderr


@dataclasses.dataclass
class Account:
    name: str
    password: str


@pytest.fixture(scope="module")
def site(host, variables, request):
    return Site(
        host=host.backend.get_hostname(),
        address=variables["app_domains"][0],
        app_name=variables["app_name"],
        inventory=request.config.getoption("ansible_inventory"),
    )


@pytest.fixture(scope="module")
def administrator(site, tmp_path_factory):
    """Make an administrator of the site, with a new password."""
    account = Account("visitor", secrets.token_urlsafe(24))
    site.manage_shell(
        "from django.contrib.auth import get_user_model\n"
        "users = get_user_model().objects\n"
        f"user = users.filter(username={account.name!r}).first() or users.create_superuser({account.name!r})\n"
        f"user.set_password({account.password!r})\n"
        "user.save()\n",
        tmp_path_factory.mktemp("administrator"),
    )
    return account
