"""What these tests share: a host as an administrator, or an intruder, reaches it from here; and an account on its site."""

import dataclasses
import functools
import secrets
import shlex
import subprocess

import pytest


@dataclasses.dataclass
class Reach:
    """Logins to one host, each on a connection of its own."""

    name: str
    address: str
    port: int
    user: str
    arguments: list

    def ssh(self, command, *options, user=None, stdin=""):
        """Run a command as a user, by default the administrator; return the finished process."""
        return subprocess.run(
            ["ssh", *options, *self.arguments, "-o", "BatchMode=yes", "-o", "ControlPath=none", "-p", str(self.port),
             f"{user or self.user}@{self.address}", command],
            input=stdin, capture_output=True, text=True, timeout=900,
        )  # fmt: skip

    def root(self, command, stdin=""):
        """Run a command as root, which has to succeed; return what it printed."""
        result = self.ssh(f"sudo -n sh -c {shlex.quote(command)}", stdin=stdin)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def reach(host):
    # Asked of Ansible: the inventory's values are templates.
    name, address, port, user, arguments = host.ansible(
        "ansible.builtin.debug",
        "msg='{{ [inventory_hostname, ansible_host | default(inventory_hostname), ansible_port | default(22), ansible_user,"
        ' ansible_ssh_args] }}\'',
        check=False,
    )["msg"]
    return Reach(name, address, int(port), user, shlex.split(arguments))


@pytest.fixture(scope="module")
def manage(reach, variables):
    """Return a function that runs Python code on the host by the operator's command; it travels on standard input, never in an argument."""
    return functools.partial(reach.root, f"/usr/local/bin/{variables['app_name']}-manage shell")


@dataclasses.dataclass
class Account:
    name: str
    password: str


@pytest.fixture(scope="module")
def administrator(manage):
    """Make an administrator of the site, with a new password."""
    account = Account("visitor", secrets.token_urlsafe(24))
    manage(
        "from django.contrib.auth import get_user_model\n"
        "users = get_user_model().objects\n"
        f"user = users.filter(username={account.name!r}).first() or users.create_superuser({account.name!r})\n"
        f"user.set_password({account.password!r})\n"
        "user.save()\n"
    )
    return account
