"""What is made of Patroni's answers."""

from ansible_collections.selfhost.django.plugins.module_utils.patroni import Silent, difference, follows, leader_of, until

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


def test_one_that_does_not_answer_is_asked_again():
    answers = [Silent(), "", "there"]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert until(ask, 5, 0) == "there"
    assert until(lambda: "", 0, 0) is None
