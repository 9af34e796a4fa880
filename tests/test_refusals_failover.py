"""Bad input about automatic failover is refused in one sentence, before any host is touched."""

import pytest

PASSWORD = "a-password-of-24-letters"
# Three hosts that nothing is wrong with.
HOSTS = ["site1", "site2", "site3"]
GROUPS = {"web": ["site1"], "database": ["site1", "site2"], "backup": ["site3"], "etcd": HOSTS}
SITE = {
    "app_addresses": {host: f"192.0.2.{number}" for number, host in enumerate(HOSTS, 1)},
    **{f"vault_{name}_password": PASSWORD for name in ("postgresql_replication", "postgresql_backup", "postgresql_failover", "etcd", "etcd_root")},
}
CHECKS = ("firewall", "etcd", "certificates", "postgresql")

BAD = [
    ({"vault_etcd_root_password": ""}, "etcd_root_password is not set: put a random one of at least 16 characters into the vault as vault_etcd_root"),
    ({"vault_etcd_password": "swordfish"}, "etcd_password is no line of at least 16 characters: put a random one"),
    ({"vault_postgresql_failover_password": ""}, "postgresql_failover_password is not set: put a random one of at least 16 characters"),
    ({"etcd_port": 0}, "etcd_port is '0'"),
    ({"etcd_election_ms": 600}, "etcd_heartbeat_ms is '250' and etcd_election_ms '600': give whole numbers, the second one at least five times"),
    ({"etcd_prefix": "shop"}, "etcd_prefix is 'shop': give words with slashes between them"),
    ({"postgresql_failover_ttl_seconds": 10}, "postgresql_failover_ttl_seconds is '10', with '5' between looks and '7' for an answer: give"),
    ({"postgresql_failover_loop_seconds": 10}, "postgresql_failover_ttl_seconds is '20', with '10' between looks and '7' for an answer: give"),
    ({"postgresql_failover_retry_seconds": 4}, "postgresql_failover_retry_seconds is 4 and etcd_election_ms 2500: give at least twice the time"),
    ({"postgresql_max_connections": 20}, "postgresql_max_connections is 20: with the group etcd give 25 or more"),
]


def test_each_is_refused_in_one_sentence_and_good_voters_are_not(each_is_refused):
    slow = {"postgresql_failover_ttl_seconds": 40, "postgresql_failover_retry_seconds": 15, "etcd_election_ms": 5000, "etcd_heartbeat_ms": 500}
    each_is_refused(BAD, *CHECKS, good=[{}, slow], groups=GROUPS, **SITE)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ({"etcd": HOSTS[:2]}, "The group etcd has 2 hosts: give an odd number of the site's hosts, three or more"),
        ({"etcd": HOSTS[:1]}, "The group etcd has 1 host: give an odd number"),
        ({"backup": []}, "The group etcd names site3, which is in no other part of the site: give hosts of web, database"),
        ({"database": ["site1"], "web": HOSTS}, "The group etcd is there, and the group database has a single host: there is nobody"),
    ],
)
def test_who_votes(sentences, groups, sentence):
    (said,) = sentences(GROUPS | groups, CHECKS, **SITE)
    assert said.startswith(sentence)


def test_what_is_done_by_hand_elsewhere(sentences):
    (said,) = sentences(GROUPS, ["switchover"], switchover_force="true", **SITE)
    assert said.startswith("switchover_force and switchover_dead are for a site without voters")
    (said,) = sentences(GROUPS, ["restore"], postgresql_backup_rebuilt="true", **SITE)
    assert said.startswith("The playbook rebuild is for a site without voters")
    assert sentences(GROUPS, ["restore"], restore_in_place="shop/main", **SITE) == []
