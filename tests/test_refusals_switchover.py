"""A switchover that cannot be meant is refused in one sentence, before any host is touched."""

import json
import os
import subprocess

import pytest
import yaml
from conftest import ROOT

ASKED = {"to": "", "force": False, "dead": "", "max_lag_mb": 16}
TWO, THREE = ["db1", "db2"], ["db1", "db2", "db3"]
BAD = [
    (["db1"], {}, "The group database has a single host: there is no standby to switch over to."),
    (TWO, {"to": "db9"}, "switchover_to is 'db9': give one of the database's hosts, db1, db2."),
    (THREE, {}, "switchover_to is not set: name the new primary, one of db1, db2, db3."),
    (TWO, {"force": "perhaps"}, "switchover_force is 'perhaps': give true for a dead primary, or leave it out."),
    (TWO, {"dead": "db1"}, "switchover_dead is 'db1': together with switchover_force=true, name those of the database's hosts (db1, db2)"),
    (TWO, {"force": "true", "dead": "db1,db9"}, "switchover_dead is 'db1,db9': together with switchover_force=true"),
    (TWO, {"max_lag_mb": "some"}, "switchover_max_lag_mb is 'some': give a number of MB."),
    # Nothing wrong but that the run does not reach these hosts.
    (TWO, {"to": "db2", "force": "true", "dead": "db1", "max_lag_mb": "1.5"}, "--limit leaves out db1, db2: a switchover has to ask every host"),
]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    """Return what is said about each row of BAD: one run over one host for each, since a run costs seconds."""
    directory = tmp_path_factory.mktemp("refusals")
    hosts = {
        f"case{number}": {"postgresql_hosts": hosts} | {f"__postgresql_switchover_{name}": value for name, value in (ASKED | asked).items()}
        for number, (hosts, asked, _sentence) in enumerate(BAD)
    }
    tasks = [{"import_role": {"name": str(ROOT / "roles/postgresql"), "tasks_from": "switchover/check"}}]
    (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (directory / "checks.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    result = subprocess.run(
        ["ansible-playbook", "-i", directory / "hosts.yml", directory / "checks.yml"],
        cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    said = {}
    for task in json.loads(result.stdout[result.stdout.index("{") :])["plays"][0]["tasks"]:
        for host, outcome in task["hosts"].items():
            said.setdefault(host, []).extend([outcome["msg"]] if outcome.get("failed") else [])
    return said


@pytest.mark.parametrize("number", range(len(BAD)), ids=[row[2][:40] for row in BAD])
def test_refusal(sentences, number):
    (said,) = sentences[f"case{number}"]
    assert said.startswith(BAD[number][2])


def test_what_was_asked_on_the_command_line_is_what_is_checked(preflight):
    groups = {"web": ["site1"], "database": ["site1", "site2"]}
    passwords = {f"vault_postgresql_{name}_password": "p" * 10 + "0123456789" for name in ("replication", "backup")}
    addresses = {"site1": "127.0.0.1", "site2": "127.0.0.2"}
    arguments = ["-e", "switchover_to=site9", "-e", "switchover_force=true", "-e", "switchover_dead=site1"]
    code, output = preflight(groups=groups, playbook="switchover", arguments=arguments, app_addresses=addresses, **passwords)
    assert code != 0, output
    assert "switchover_to is 'site9': give one of the database's hosts, site1, site2." in " ".join(output.split())
