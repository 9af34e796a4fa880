"""What is made of the hosts' answers: one that belongs to somebody else stops all, one that does not answer nobody."""

import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOBODY = {"applications": {}, "clusters": [], "databases": {}, "balanced": [], "backed_up": []}
CLUSTER = {"version": "15", "name": "main", "port": 5432, "active": True}
SITE = {"app_name": "shop", "app_repository": "https://git.example.org/shop.git", "app_domains": ["shop.example.org"], "postgresql_version": "17"}


@pytest.mark.parametrize(
    ("of_h2", "sentence"),
    [
        ({}, ""),
        ({"applications": {"shop": "/srv/shop"}}, ""),
        ({"applications": {"tiny": "/srv/tiny"}}, "h2 already serves tiny, and this inventory's app_name is shop"),
        ({"clusters": [CLUSTER]}, "h2 already has the PostgreSQL cluster 15/main, and postgresql_version is 17"),
        ({"databases": {"/etc/postgresql/17/main/pg_hba.conf": ["tiny"]}}, "The PostgreSQL server of h2 already serves the database tiny"),
        ({"balanced": ["tiny.example.org"]}, "h2 already is the balancer of another site"),
        ({"backed_up": ["192.0.2.9"]}, "h2 already keeps the backups of another site"),
    ],
)
def test_no_host_is_touched_where_one_is_refused(tmp_path, of_h2, sentence):
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    hosts = {"h1": local, "h2": local, "h3": {"ansible_ssh_executable": "/bin/false"}}
    # What hosts have is said here, and not looked at.
    (look,) = yaml.safe_load((ROOT / "playbooks/look.yml").read_text())
    seen = {"h1": NOBODY, "h2": NOBODY | of_h2}
    playbook = [
        {
            "hosts": "h1:h2", "gather_facts": False,
            "tasks": [{"ansible.builtin.set_fact": {"cacheable": True, "selfhost": {"neighbours": "{{ seen[inventory_hostname] }}"}}}],
        },
        look | {"tasks": look["tasks"][1:]},
        {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is touched"}}]},
    ]  # fmt: skip
    groups = {group: {"hosts": dict.fromkeys(hosts)} for group in ("web", "database", "balancer", "backup")}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": SITE | {"seen": seen}, "children": groups}}))
    (tmp_path / "playbook.yml").write_text(yaml.safe_dump(playbook))
    run = subprocess.run(
        ["ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "playbook.yml"],
        cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    touched = [host for host in hosts if f"{host} is touched" in run.stdout]
    assert run.returncode != 0 and touched == ([] if sentence else ["h1", "h2"]), run.stdout + run.stderr
    assert sentence in run.stdout + run.stderr
