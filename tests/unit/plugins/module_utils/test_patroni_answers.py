"""What is made of Patroni's answers."""

import types

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.etcd import Voters
from ansible_collections.selfhost.django.plugins.module_utils.patroni import Patroni, Silent, difference, follows, leader_of, until

MEMBERS = {
    "db1": {"name": "db1", "role": "leader", "state": "running", "timeline": 2},
    "db2": {"name": "db2", "role": "quorum_standby", "state": "streaming", "lag": 0},
    "db3": {"name": "db3", "role": "replica", "state": "starting", "lag": "unknown"},
}


def test_who_leads_and_who_follows():
    assert leader_of(MEMBERS) == "db1"
    assert leader_of(MEMBERS | {"db1": MEMBERS["db1"] | {"state": "stopping"}}) == ""
    assert [name for name, row in MEMBERS.items() if follows(row)] == ["db2"]
    # As version 3 tells.
    assert follows({"role": "replica", "state": "running", "lag": 16})


def test_what_differs_is_changed_and_what_nobody_speaks_of_stays():
    current = {"ttl": 30, "pause": True, "slots": {"db1": {"type": "physical"}, "db9": {"type": "physical"}},
               "postgresql": {"use_slots": True, "pg_hba": ["x"], "parameters": {"max_connections": "100", "wal_level": "logical"}}}  # fmt: skip
    wanted = {"ttl": 20, "slots": {"db1": {"type": "physical"}}, "postgresql": {"use_slots": True, "parameters": {"max_connections": "200"}}}
    assert difference(current, wanted) == {
        "ttl": 20, "slots": {"db9": None}, "postgresql": {"parameters": {"max_connections": "200", "wal_level": None}},
    }  # fmt: skip
    assert difference(wanted, wanted) == {}
    assert difference({}, wanted) == wanted
    assert [difference(current, {"pause": None}), difference({}, {"pause": None})] == [{"pause": None}, {}]


def test_workers_are_as_many_as_the_largest_host_asks_for():
    assert difference({"parameters": {"max_worker_processes": "16"}}, {"parameters": {"max_worker_processes": "8"}}) == {}
    assert difference({"parameters": {"max_worker_processes": "8"}}, {"parameters": {"max_worker_processes": "16"}}) == {
        "parameters": {"max_worker_processes": "16"}
    }


@pytest.mark.parametrize("there", ["\u00b2", "9" * 5000, "many", None])
def test_what_is_no_number_of_workers_is_put_right(there):
    wanted = {"parameters": {"max_worker_processes": "8"}}
    assert difference({"parameters": {"max_worker_processes": there}}, wanted) == wanted


class Endless:
    """An answer that has no end; whoever asks for all of it waits for ever."""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def read(self, size=-1):
        assert size > 0, "it is read to its end"
        return b"[" * size


def test_an_answer_without_an_end_is_none():
    """Patroni is the postgres account's, and root asks it."""
    patroni, voters = object.__new__(Patroni), object.__new__(Voters)
    patroni.base, patroni.login, patroni.opener = "https://db1:8008", "", types.SimpleNamespace(open=lambda *_words, **_more: Endless())
    assert patroni.ask("config").startswith("[[[")
    voters.endpoints, voters.token, voters.opener = ["db1:2379"], None, patroni.opener
    with pytest.raises((RecursionError, ValueError)):
        voters.ask("cluster/member/list")


def test_one_that_does_not_answer_is_asked_again():
    answers = [Silent(), "", "there"]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert until(ask, 5, 0) == "there"
    assert until(lambda: "", 0, 0) is None
