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
OURS = {"h1": {}, "h2": {"applications": {"shop": "/srv/shop"}}}
OTHERS = {
    "h3": ({"applications": {"tiny": "/srv/tiny"}}, "h3 already serves tiny, and this inventory's app_name is shop"),
    "h4": ({"clusters": [CLUSTER]}, "h4 already has the PostgreSQL cluster 15/main, and postgresql_version is 17"),
    "h5": ({"databases": {"/etc/postgresql/17/main/pg_hba.conf": ["tiny"]}}, "The PostgreSQL server of h5 already serves the database tiny"),
    "h6": ({"balanced": ["tiny.example.org"]}, "h6 already is the balancer of another site"),
    "h7": ({"backed_up": ["192.0.2.9"]}, "h7 already keeps the backups of another site"),
}


@pytest.fixture
def run(tmp_path):
    """Return a function that looks at hosts of which each has what is said, and at one more that does not answer; it returns the code of the
    run, its output, and the hosts that were touched."""

    def run(found):
        local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        hosts = dict.fromkeys(found, local) | {"silent": {"ansible_ssh_executable": "/bin/false"}}
        # What hosts have is said here, and not looked at.
        (look,) = yaml.safe_load((ROOT / "playbooks/look.yml").read_text())
        seen = {host: NOBODY | of_host for host, of_host in found.items()}
        playbook = [
            {
                "hosts": "all:!silent", "gather_facts": False,
                "tasks": [{"ansible.builtin.set_fact": {"cacheable": True, "selfhost": {"neighbours": "{{ seen[inventory_hostname] }}"}}}],
            },
            look | {"tasks": look["tasks"][1:]},
            {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is touched"}}]},
        ]  # fmt: skip
        groups = {group: {"hosts": dict.fromkeys(hosts)} for group in ("web", "database", "balancer", "backup")}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": SITE | {"seen": seen}, "children": groups}}))
        (tmp_path / "playbook.yml").write_text(yaml.safe_dump(playbook))
        done = subprocess.run(
            ["ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "playbook.yml"],
            cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        output = done.stdout + done.stderr
        return done.returncode, output, [host for host in hosts if f"{host} is touched" in output]

    return run


def test_a_sites_own_hosts_are_touched_though_one_is_silent(run):
    code, output, touched = run(OURS)
    assert code != 0 and touched == ["h1", "h2"], output


def test_no_host_is_touched_where_one_is_refused_and_each_is_told(run):
    code, output, touched = run(OURS | {host: found for host, (found, _sentence) in OTHERS.items()})
    assert code != 0 and touched == [], output
    assert [sentence for _found, sentence in OTHERS.values() if sentence not in output] == [], output
