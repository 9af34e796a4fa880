"""The log of releases has a line for each, whatever is said in it."""

import grp
import json
import os
import pathlib
import subprocess

import pytest
import yaml

TASKS = pathlib.Path(__file__).resolve().parents[3] / "roles/django/tasks/release/log.yml"


@pytest.mark.skipif(os.getuid() != 0 or not [group for group in grp.getgrall() if group.gr_name == "adm"], reason="the log is group adm's")
def test_an_entry_is_one_line(tmp_path):
    (task,) = yaml.safe_load(TASKS.read_text())
    words = task["ansible.builtin.command"]["argv"][:4]
    entries = [{"reason": "pages.0002 drops a column.\nA second finding: \\n \\c"}, {"reason": ""}]
    for entry in entries:
        subprocess.run([*words, tmp_path / "log", json.dumps(entry)], check=True)
    assert [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()] == entries
