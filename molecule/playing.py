"""Runs playbooks of this collection as an operator would, for the tests of every scenario."""

import dataclasses
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
SSH_CONFIG = ROOT / ".cache/lab/ssh_config"


@dataclasses.dataclass
class Run:
    """What came of a playbook."""

    code: int
    output: str

    @property
    def text(self):
        """The output with its line breaks folded, to look for sentences in."""
        return " ".join(self.output.split())


def start(inventory, playbook, *arguments):
    """Start a playbook in a session of its own, so that all of it can be killed."""
    return subprocess.Popen(
        ["ansible-playbook", "-i", inventory, ROOT / "playbooks" / f"{playbook}.yml", *arguments],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "10000"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process, timeout_seconds=1800):
    """Wait for a playbook that was started."""
    output, _nothing = process.communicate(timeout=timeout_seconds)
    return Run(process.returncode, output)


def command(*words):
    """Return what one of Ansible's commands prints."""
    return subprocess.run(
        words, cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}, capture_output=True, text=True, check=True
    ).stdout
