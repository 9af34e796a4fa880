"""Bad input about a restore is refused in one sentence, before any host is touched."""

import json
import os
import subprocess

import pytest
import yaml
from conftest import GOOD, ROOT

BAD = [
    ({"restore_target_time": "2026-01-04 03:15:00"}, "restore_target_time is '2026-01-04 03:15:00': give a moment with its time zone, such as"),
    ({"restore_target_time": "2999-01-01 00:00:00+00"}, "restore_target_time is '2999-01-01 00:00:00+00', which is in the future."),
    ({"restore_target_time": "2026-01-04 03:15Z", "restore_target_name": "x"}, "restore_target_time and restore_target_name are given: give one"),
    ({"restore_dump": "latest", "restore_remove": True}, "restore_dump and restore_remove are given: give one"),
    ({"restore_in_place": True}, "restore_in_place is 'True': to put what is restored in the place of what runs, name it: shop/main."),
    ({"restore_in_place": "shop/main", "restore_dump": "latest"}, "restore_in_place is 'shop/main': to put what is restored in the place of"),
    ({"restore_target_name": "x'; DROP"}, "restore_target_name is 'x'; DROP': give the name of a restore point"),
    ({"restore_target_timeline": "0"}, "restore_target_timeline is '0': give latest, current or the number"),
    ({"restore_backup_label": "../x"}, "restore_backup_label is '../x': give the label of a backup"),
    ({"restore_dump": "dumps/shop"}, "restore_dump is 'dumps/shop': give latest, or the absolute path"),
    ({"restore_database": "shop; x"}, "restore_database is 'shop; x': give the name of a database"),
    ({"postgresql_backup_restore_headroom_mb": "much"}, "postgresql_backup_restore_headroom_mb is 'much': give a whole number"),
    ({"postgresql_backup_restore_port": 5432}, "postgresql_backup_restore_port is 5432, which the server itself listens on"),
]

CHECKS = [
    {
        "hosts": "all",
        "gather_facts": False,
        "roles": ["app"],
        "tasks": [{"ansible.builtin.import_role": {"name": "postgresql_backup", "tasks_from": "restore/check"}}],
    }
]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    """Return what is said about each row of BAD: one run over one host for each, since a run costs seconds."""
    directory = tmp_path_factory.mktemp("refusals")
    hosts = {f"case{number}": wishes for number, (wishes, _sentence) in enumerate(BAD)}
    (directory / "hosts.yml").write_text(yaml.safe_dump({"database": {"hosts": hosts, "vars": GOOD}}))
    (directory / "checks.yml").write_text(yaml.safe_dump(CHECKS))
    result = subprocess.run(
        ["ansible-playbook", "-i", directory / "hosts.yml", directory / "checks.yml"],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = {}
    for task in json.loads(result.stdout[result.stdout.index("{") :])["plays"][0]["tasks"]:
        for host, outcome in task["hosts"].items():
            failed = [row["msg"] for row in outcome.get("results", [outcome]) if row.get("failed")]
            said.setdefault(host, []).extend(failed)
    return said


@pytest.mark.parametrize(("number", "sentence"), [(number, row[1]) for number, row in enumerate(BAD)], ids=[row[1][:50] for row in BAD])
def test_a_wish_that_cannot_be(sentences, number, sentence):
    (said,) = sentences[f"case{number}"]
    assert said.startswith(sentence)


def test_the_playbook_refuses_before_it_connects(preflight):
    code, output = preflight(playbook="restore", arguments=["-e", "restore_in_place=shop"])
    assert code != 0
    assert "restore_in_place is 'shop': to put what is restored in the place of what runs, name it: shop/main." in " ".join(output.split())
