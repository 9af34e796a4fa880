"""An upgrade that cannot be meant is refused in one sentence, before any host is touched."""

import pytest

ONE, TWO = ["db1"], ["db1", "db2"]
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBE\n-----END PGP PUBLIC KEY BLOCK-----\n"
REPOSITORY = {"uri": "https://postgresql.example.org/apt", "key": KEY}
BAD = [
    ({"upgrade_back": "perhaps"}, "upgrade_back is 'perhaps': give true, or lose where"),
    ({"upgrade_remove": "15"}, "upgrade_remove is '15': give the former cluster as version/main, such as 15/main."),
    ({"upgrade_remove": "15/other"}, "upgrade_remove is '15/other': give"),
    ({"upgrade_back": "true", "upgrade_remove": "15/main"}, "upgrade_back and upgrade_remove are given: give one of them."),
]
WRONG = [
    ({"postgresql_repository": "https://postgresql.example.org"}, "postgresql_repository has to be a mapping"),
    ({"postgresql_repository": {**REPOSITORY, "uri": "postgresql"}}, "postgresql_repository has the uri 'postgresql': give the address"),
    ({"postgresql_repository": {"uri": REPOSITORY["uri"]}}, "postgresql_repository has no key that signs it"),
    ({"postgresql_repository": {**REPOSITORY, "url": "x"}}, "postgresql_repository holds url: known are"),
    ({"postgresql_repository": {**REPOSITORY, "suite": "a b"}}, "postgresql_repository has the suite 'a b'"),
    ({"postgresql_repository": {**REPOSITORY, "components": "main"}}, "postgresql_repository has the components"),
    ({"hardening_upgrade_sources": "/etc/apt/sources.list.d/x.list"}, "hardening_upgrade_sources is"),
    ({"hardening_upgrade_sources": ["x.list"]}, "hardening_upgrade_sources is"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD, ids=[row[1][:40] for row in BAD])
def test_refusal(sentences, words, sentence):
    (said,) = sentences({"database": ONE}, ["upgrade_postgresql"], **words)
    assert said.startswith(sentence)


@pytest.mark.parametrize("words", [{}, {"upgrade_back": "true"}, {"upgrade_back": "lose"}, {"upgrade_remove": "15/main"}])
def test_what_is_meant_is_taken(sentences, words):
    assert sentences({"database": TWO}, ["upgrade_postgresql"], **words) == []


def test_a_run_has_to_reach_all_hosts(sentences):
    (said,) = sentences({"database": TWO}, ["upgrade_postgresql"], ["db1"])
    assert said == "--limit leaves out db2: an upgrade needs every host of the database."


def test_where_there_are_voters_the_words_are_the_same(sentences):
    groups = {"database": TWO, "etcd": ["db1", "db2", "web1"], "web": ["web1"]}
    for words in ({}, {"upgrade_back": "lose"}, {"upgrade_remove": "15/main"}):
        assert sentences(groups, ["upgrade_postgresql"], **words) == []
    (said,) = sentences(groups, ["upgrade_postgresql"], ["web1", "db1"])
    assert said == "--limit leaves out db2: an upgrade needs every host of the database."


def test_so_it_is_on_hosts_of_two_debians(sentences):
    (said,) = sentences({"database": TWO, "etcd": ["db1", "db2", "web1"], "web": ["web1"]}, ["upgrade_debian"])
    assert said.startswith("The group etcd is there: Patroni 4 of Debian 13 works reliably with 3.1 or later, Debian 12 has 3.0")
    assert said.endswith("Take the site back to a plain pair (README of the role postgresql, Automatic failover, Back), upgrade one host after the other, and add "
                         "the group again.")
    assert sentences({"database": TWO, "web": ["web1"]}, ["upgrade_debian"]) == []


@pytest.mark.parametrize(("inputs", "sentence"), WRONG, ids=[row[1][:50] for row in WRONG])
def test_refused_inputs(sentences, inputs, sentence):
    (said,) = sentences({"web": ["site1"], "database": ["site1"]}, None, **inputs)
    assert said.startswith(sentence)


def test_a_repository_that_is_whole(sentences):
    inputs = {"postgresql_repository": {**REPOSITORY, "suite": "trixie-pgdg", "components": ["main", "18"]}}
    assert sentences({"web": ["site1"], "database": ["site1"]}, None, **inputs) == []
