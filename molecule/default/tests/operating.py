"""What the operator's tests share: a host as an administrator, or an intruder, reaches it from here."""

import dataclasses
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
    inventory: str

    def ssh(self, command, *options, user=None):
        """Run a command as a user, by default the administrator; return the finished process."""
        return subprocess.run(
            ["ssh", *options, *self.arguments, "-n", "-o", "BatchMode=yes", "-o", "ControlPath=none", "-p", str(self.port),
             f"{user or self.user}@{self.address}", command],
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip

    def root(self, command):
        """Run a command as root, which has to succeed; return what it printed."""
        result = self.ssh(f"sudo -n sh -c {shlex.quote(command)}")
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def reach(host, request):
    # Asked of Ansible: the inventory's values are templates.
    name, address, port, user, arguments = host.ansible(
        "ansible.builtin.debug",
        "msg='{{ [inventory_hostname, ansible_host | default(inventory_hostname), ansible_port | default(22), ansible_user,"
        ' ansible_ssh_args] }}\'',
        check=False,
    )["msg"]
    return Reach(
        name=name,
        address=address,
        port=int(port),
        user=user,
        arguments=shlex.split(arguments),
        inventory=request.config.getoption("ansible_inventory"),
    )
