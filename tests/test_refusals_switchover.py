"""A switchover that cannot be meant is refused in one sentence, before any host is touched."""

import pytest

TWO, THREE = ["db1", "db2"], ["db1", "db2", "db3"]
BAD = [
    (["db1"], {}, "The group database has a single host: there is no standby to switch over to."),
    (TWO, {"to": "db9"}, "switchover_to is 'db9': give one of the database's hosts, db1, db2."),
    (THREE, {}, "switchover_to is not set: name the new primary, one of db1, db2, db3."),
    (TWO, {"force": "perhaps"}, "switchover_force is 'perhaps': give true for a dead primary, or leave it out."),
    (TWO, {"dead": "db1"}, "switchover_dead is 'db1': together with switchover_force=true, name those of the database's hosts (db1, db2)"),
    (TWO, {"force": "true", "dead": "db1,db9"}, "switchover_dead is 'db1,db9': together with switchover_force=true"),
    (TWO, {"max_lag_mb": "some"}, "switchover_max_lag_mb is 'some': give a number of MB."),
]
GOOD = {"to": "db2", "force": "true", "dead": "db1", "max_lag_mb": "1.5"}


def words(asked):
    return {f"switchover_{name}": value for name, value in asked.items()}


@pytest.mark.parametrize(("hosts", "asked", "sentence"), BAD, ids=[row[2][:40] for row in BAD])
def test_refusal(sentences, hosts, asked, sentence):
    (said,) = sentences({"database": hosts}, ["switchover"], **words(asked))
    assert said.startswith(sentence)


def test_a_run_has_to_reach_all_hosts(sentences):
    assert sentences({"database": TWO}, ["switchover"], **words(GOOD)) == []
    (said,) = sentences({"database": TWO}, ["switchover"], ["db1"], **words(GOOD))
    assert said.startswith("--limit leaves out db2: a switchover has to ask every host")


def test_what_was_asked_on_the_command_line_is_what_is_checked(preflight):
    groups = {"web": ["site1"], "database": ["site1", "site2"]}
    passwords = {f"vault_postgresql_{name}_password": "p" * 10 + "0123456789" for name in ("replication", "backup")}
    addresses = {"site1": "127.0.0.1", "site2": "127.0.0.2"}
    arguments = ["-e", "switchover_to=site9", "-e", "switchover_force=true", "-e", "switchover_dead=site1"]
    code, output = preflight(groups=groups, playbook="switchover", arguments=arguments, app_addresses=addresses, **passwords)
    assert code != 0, output
    assert "switchover_to is 'site9': give one of the database's hosts, site1, site2." in " ".join(output.split())
