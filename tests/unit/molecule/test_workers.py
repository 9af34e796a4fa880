"""A play ends as it does with a process for each task, whoever does the tasks."""

import os
import pathlib
import subprocess
import sys

import yaml

STRATEGY = pathlib.Path(__file__).resolve().parents[3] / "molecule/shared/strategy"
INCLUDED = [
    {"name": "Told to {{ told | default('nobody') }}", "debug": {"msg": "{{ told | default('nothing') }}"}},
    {"name": "Inside, and not done", "command": "false", "when": "told | default('b') == 'nobody'"},
]
TASKS = [
    {"name": "Not done", "command": "false", "when": "inventory_hostname == 'c'", "register": "not_done"},
    {"name": "Not done, and noted by whom", "command": "false", "when": "lookup('pipe', 'echo $PPID >>processes') == 'done'"},
    {"name": "Known as not done", "assert": {"that": ["not_done is skipped", "not not_done is changed"]}},
    {"name": "Not done but for one item", "debug": {"msg": "{{ item }}"}, "loop": [1, 2], "when": "item == 2"},
    {"name": "A condition that is none", "command": "true", "when": "nobody_has_this", "ignore_errors": True},
    {"name": "Included with a variable", "include_tasks": "included.yml", "vars": {"told": "{{ inventory_hostname }}"}},
    {"name": "Included by one", "include_tasks": "included.yml", "when": "inventory_hostname == 'a'"},
    {"name": "Included twice", "include_tasks": "included.yml", "loop": [1, 2], "loop_control": {"loop_var": "told"}},
    {"name": "Once, and not", "command": "false", "run_once": True, "when": False},
    {"name": "Of the other, and not", "command": "false", "delegate_to": "b", "when": ["true", "ansible_check_mode"]},
    {
        "block": [{"name": "Failed", "fail": {"msg": "it has to"}}],
        "rescue": [{"name": "Rescued", "debug": {"msg": "{{ ansible_failed_task.name }} of {{ ansible_failed_result.msg }}"}}],
        "when": "inventory_hostname == 'b'",
    },
    {"name": "Done", "debug": {"msg": "done"}, "changed_when": True, "notify": "Handled"},
    {"name": "Included from nowhere", "include_tasks": "nowhere.yml", "when": "inventory_hostname == 'a'"},
    {"name": "Still there", "debug": {"msg": "{{ ansible_play_hosts }}"}},
]  # fmt: skip


def play(folder, **environment):
    """Return how many processes noted themselves, how Ansible ended, and what it printed; with one process at a time it goes from host to host in order."""
    run = subprocess.run(
        [pathlib.Path(sys.executable).with_name("ansible-playbook"), "--inventory=hosts.yml", "play.yml"], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"ANSIBLE_CONFIG": "none.cfg", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORKS": "1", **environment}, check=False,
    )  # fmt: skip
    processes = folder / "processes"
    noted = len(set(processes.read_text().split()))
    processes.unlink()
    return noted, (run.returncode, run.stdout)


def test_what_asks_nobody_ends_as_it_would_in_a_process(tmp_path):
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {name: {"ansible_connection": "local"} for name in "ab"}}}))
    (tmp_path / "included.yml").write_text(yaml.safe_dump(INCLUDED))
    handler = {"name": "Handled", "debug": {"msg": "handled"}, "when": "inventory_hostname == 'b'"}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": TASKS, "handlers": [handler]}]))
    noted, usual = play(tmp_path)
    assert (noted, usual[0]) == (2, 2)
    assert "Still there" in usual[1]
    assert play(tmp_path, ANSIBLE_STRATEGY="quick", ANSIBLE_STRATEGY_PLUGINS=str(STRATEGY)) == (1, usual)
