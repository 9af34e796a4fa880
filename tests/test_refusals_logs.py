"""Bad input about the host that keeps the logs is refused in one sentence, before any host is touched."""

import pytest

GROUPS = {"web": ["site1"], "database": ["site2"], "logs": ["site2"]}
SITE = {"app_addresses": {"site1": "192.0.2.1", "site2": "192.0.2.2"}}

BAD = [
    ({"logs_port": 0}, "logs_port is '0': give a port number from 1 to 65535"),
    ({"logs_max_mb": 10}, "logs_max_mb is '10': give a whole number of at least 100"),
    ({"logs_max_days": "90day"}, "logs_max_days is '90day': give a whole number of at least 1"),
    ({"logs_hosts": "site2"}, "logs_hosts has to be a list"),
    ({"logs_max_day": 7}, "logs_max_day is no variable of this collection, and logs_max_days is one"),
]


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "firewall", "logs", good=[{}, {"logs_port": 9532, "logs_max_mb": 5000}], groups=GROUPS, **SITE)


def test_what_is_sent_is_where_the_sender_sees_it(each_is_refused):
    bad = [({"app_release_log": "/home/ops/x.jsonl"}, "app_release_log is '/home/ops/x.jsonl', and its units see nothing of /home (ProtectHome=)")]
    each_is_refused(bad, "app", "logs", groups=GROUPS, **SITE)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        (GROUPS | {"logs": ["site1", "site2"]}, "The group logs has 2 hosts: give one, which keeps what all of them log, or none."),
        (GROUPS | {"logs": ["site3"]}, "The group logs names site3, which is in no other part of the site: give a host of web, database"),
        ({"web": ["site1"], "database": ["site1"], "logs": ["site1"]}, "The group logs names site1, which is the whole site: its log is there anyway."),
    ],
)
def test_who_keeps_them(sentences, groups, sentence):
    (said,) = sentences(groups, ["logs"], **SITE)
    assert said.startswith(sentence)


@pytest.mark.parametrize("port", [22, 443, 5432, 8432])
def test_its_port_is_its_own(sentences, port):
    (said,) = sentences(GROUPS, ["app"], app_logs_port=port, **SITE)
    assert said.startswith(f"app_logs_port is {port}, as is that of ")
