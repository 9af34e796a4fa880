"""What is made of the hosts' answers: one that belongs to somebody else stops all, one that does not answer nobody."""

import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
SENTENCE = "h2 already serves tiny."


@pytest.mark.parametrize("variable", ["__app_look", "__postgresql_look"])
@pytest.mark.parametrize("refusal", ["", SENTENCE])
def test_no_host_is_touched_where_one_is_refused(tmp_path, variable, refusal):
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    hosts = {
        "h1": local | {variable: {"refusal": ""}},
        "h2": local | {variable: {"refusal": refusal}},
        "h3": {"ansible_ssh_executable": "/bin/false"},
    }
    playbook = [
        {"ansible.builtin.import_playbook": str(ROOT / "playbooks/look.yml")},
        {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is touched"}}]},
    ]
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"web": {"hosts": hosts}}))
    (tmp_path / "playbook.yml").write_text(yaml.safe_dump(playbook))
    run = subprocess.run(
        ["ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "playbook.yml", "--start-at-task", "Refuse hosts that belong to somebody else"],
        cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    touched = [host for host in hosts if f"{host} is touched" in run.stdout]
    assert run.returncode != 0 and touched == ([] if refusal else ["h1", "h2"]), run.stdout + run.stderr
    assert (SENTENCE in run.stdout + run.stderr) == bool(refusal)
