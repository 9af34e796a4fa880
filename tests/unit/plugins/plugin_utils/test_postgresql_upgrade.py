"""What an upgrade of PostgreSQL has to do, and what speaks against it."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.postgresql_upgrade import postgresql_backup_is_of_another, postgresql_upgrade_groups
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_upgrade import patroni_state
from ansible_collections.selfhost.django.plugins.plugin_utils.postgresql_upgrade import plan

SERVER = {"standby": False, "checksums": True, "next": 900, "prepared": 0, "slots": {}, "standbys": {}, "tablespaces": 0}


def cluster(version, active=True):
    return {"version": version, "name": "main", "port": 5432, "active": active}


def look(*clusters, **change):
    rows = [cluster(*row) if isinstance(row, tuple) else cluster(row) for row in clusters or ("15",)]
    return {"clusters": rows, "journal": {}, "server": SERVER, "patroni": {}, "offered": True, "size_mb": {"15": 100, "17": 100}, "free_mb": 9000, **change}


UPGRADED = {"old": "15", "new": "17", "phase": "upgraded"}
FINISHED = {"old": "15", "new": "17", "phase": "finished", "next": 880}
BOTH = (("15", False), ("17", True))


@pytest.mark.parametrize(
    ("seen", "wanted", "words", "what", "old"),
    [
        (look(), "17", {}, "copy", "15"),
        (look(), 17, {"clone": True}, "copy", "15"),
        (look(), "15", {}, "", "15"),
        (look(*BOTH, journal=FINISHED), "17", {}, "", "17"),
        # Killed after the copy, whether the server was started or not.
        (look(*BOTH, journal=UPGRADED), "17", {}, "finish", "15"),
        (look(*BOTH, journal=UPGRADED, server=None), "17", {}, "finish", "15"),
        # Killed within it: what is not finished is no cluster.
        (look("15"), "17", {}, "copy", "15"),
        # The way back.
        (look(*BOTH, journal={**FINISHED, "next": 900}), "15", {"back": "true"}, "back", "17"),
        (look(*BOTH, journal=FINISHED), "15", {"back": "lose"}, "back", "17"),
        (look(*BOTH, journal=FINISHED, server=None), "15", {"back": "lose"}, "back", "17"),
        # The application was not started between.
        (look(*BOTH, journal=UPGRADED, server=None), "15", {"back": "true"}, "back", "17"),
        (look(("15", True), ("17", False), journal={**UPGRADED, "old": "17", "new": "15"}), "15", {"back": "true"}, "finish", "17"),
        (look(*BOTH, journal=FINISHED), "17", {"removed": "15/main"}, "remove", "17"),
        (look("17", journal=FINISHED), "17", {}, "", "17"),
        # Patroni runs the server, has left it to an upgrade that failed, or has been paused in one that was killed behind the copy.
        (look(patroni={"15": "runs"}), "17", {}, "copy", "15"),
        (look(patroni={"15": ""}), "17", {}, "copy", "15"),
        (look(*BOTH, journal=UPGRADED, patroni={"15": "", "17": "paused"}), "17", {}, "finish", "15"),
        (look(*BOTH, journal={**FINISHED, "next": 900}, patroni={"17": "runs"}), "15", {"back": "true"}, "back", "17"),
        # An older upgrade leaves its journal.
        (look("17", journal={**FINISHED, "phase": "finished"}), "18", {}, "copy", "17"),
    ],
)
def test_what_is_to_be_done(seen, wanted, words, what, old):
    planned = plan({"h": seen}, ["h"], wanted, **words)
    assert (planned["refusals"], planned["action"], planned["old"], planned["primary"]) == ([], what, old, "h")


@pytest.mark.parametrize(
    ("seen", "wanted", "words", "sentence"),
    [
        (look("17"), "15", {}, "h: it serves PostgreSQL 17, and postgresql_version is 15: there is no way to an older one."),
        (look("17"), "15", {"back": "true"}, "h: it serves PostgreSQL 17, and postgresql_version is 15: there is no way"),
        (look(*BOTH, journal=FINISHED), "15", {"back": "true"}, "h: 20 transactions since the upgrade would be lost: say -e upgrade_back=lose"),
        # What nobody can tell is not nothing.
        (
            look(*BOTH, journal=FINISHED, server=None), "15", {"back": "true"},
            "h: nobody can tell how many transactions since the upgrade would be lost (its server does not answer): say -e upgrade_back=lose if all of them",
        ),
        (look(*BOTH), "15", {"back": "true"}, "h: nobody can tell how many transactions since the upgrade would be lost (when it ended is not noted): say"),
        (look(*BOTH, journal={**FINISHED, "new": "16"}), "15", {"back": "true"}, "h: nobody can tell how many transactions"),
        (look(*BOTH, journal=FINISHED, server={**SERVER, "standby": True, "next": 0}), "15", {"back": "lose"}, "h: it is a standby, and no server says"),
        (look(server={**SERVER, "standby": True, "next": 0}), "17", {}, "h: it is a standby, and no server says that it is the primary: start that one first."),
        (look(offered=False), "17", {}, "h: apt has no package postgresql-17"),
        (look(server=None), "17", {}, "h: its server does not answer"),
        (look(server={**SERVER, "prepared": 2}), "17", {}, "h: 2 prepared transactions wait"),
        (look(server={**SERVER, "tablespaces": 1}), "17", {}, "h: it has tablespaces"),
        (look(server={**SERVER, "slots": {"cdc": "logical"}}), "17", {}, "h: the replication slot cdc is not carried over"),
        (look(server={**SERVER, "slots": {"mine": "physical"}}), "17", {}, "h: the replication slot mine is not carried over"),
        (look(patroni={"15": "paused"}), "17", {}, "h: Patroni is paused: end that first (patronictl resume)."),
        (look(patroni={"15": "silent"}), "17", {}, "h: its Patroni hears nothing of the voters: see first"),
        (look(*BOTH, journal=FINISHED, patroni={"17": "paused"}), "15", {"back": "lose"}, "h: Patroni is paused"),
        (look(*BOTH, journal=FINISHED, patroni={"17": "silent"}), "15", {"back": "lose"}, "h: its Patroni hears nothing"),
        (look(free_mb=599), "17", {}, "h: a copy of the cluster takes 600 MB, and 599 are free."),
        (look(("15", True), ("17", False)), "17", {}, "h: it has a cluster 17/main that serves nobody: remove it first, by -e upgrade_remove=17/main"),
        (look(*BOTH, journal=FINISHED), "17", {"removed": "17/main"}, "h: upgrade_remove is '17/main', which serves."),
        (look("17"), "17", {"removed": "15/main"}, "h: upgrade_remove is '15/main', and no former cluster is kept."),
        (look(*BOTH, journal=FINISHED), "17", {"removed": "16/main"}, "h: upgrade_remove is '16/main', and kept is 15/main."),
        (look(*BOTH, journal=UPGRADED), "17", {"removed": "15/main"}, "h: the upgrade is not finished"),
        (look(clusters=[]), "17", {}, "No host has a cluster: database.yml makes one."),
    ],
)
def test_what_is_refused(seen, wanted, words, sentence):
    (said,) = plan({"h": seen}, ["h"], wanted, **words)["refusals"]
    assert said.startswith(sentence)


def test_slots_of_ours_are_made_anew():
    server = {**SERVER, "slots": {"standby_db2": "physical", "backup_b1": "physical"}, "standbys": {"standby_db2": "streaming", "pg_receivewal": "streaming"}}
    pair = {"db1": look(server=server), "db2": look(server={**SERVER, "standby": True, "next": 0})}
    planned = plan(pair, ["db1", "db2"], "17")
    assert (planned["refusals"], planned["primary"], planned["standbys"]) == ([], "db1", ["db2"])
    assert postgresql_upgrade_groups(planned, "db1") == ["copy", "begun"] and postgresql_upgrade_groups(planned, "db2") == ["standby", "begun"]


def test_slots_that_patroni_names_by_its_members_are_made_anew():
    server = {**SERVER, "slots": {"db_2": "physical", "backup_b1": "physical"}, "standbys": {"db-2": "streaming"}}
    pair = {"db1": look(server=server), "db-2": look(server={**SERVER, "standby": True, "next": 0})}
    assert plan(pair, ["db1", "db-2"], "17")["refusals"] == []
    pair["db1"]["server"] = {**server, "slots": {"db_3": "physical"}}
    (said,) = plan(pair, ["db1", "db-2"], "17")["refusals"]
    assert said.startswith("db1: the replication slot db_3 is not carried over")


def test_the_way_back_begins_where_the_upgrade_was_made():
    """A standby's copy of the former cluster lacks the last rows, and nobody counts there what would be lost."""
    standby = {**SERVER, "standby": True, "next": 0}
    pair = {"db1": look(*BOTH, journal=FINISHED, server=standby), "db2": look(*BOTH)}
    (said,) = plan(pair, ["db1", "db2"], "15", back="lose")["refusals"]
    assert said == "db2: it is the primary, and the cluster to go back to is that of db1, where the upgrade was made: make that the primary first (switchover.yml)."
    pair = {"db1": look(*BOTH, journal=FINISHED), "db2": look(*BOTH, server=standby)}
    assert plan(pair, ["db1", "db2"], "15", back="lose")["refusals"] == []


def test_an_upgrade_is_finished_where_it_was_begun():
    standby = {**SERVER, "standby": True, "next": 0}
    pair = {"db1": look(*BOTH, journal=UPGRADED, server=standby), "db2": look(*BOTH)}
    (said,) = plan(pair, ["db1", "db2"], "17")["refusals"]
    assert said == "db1: the upgrade is to be finished there, and db2 is the primary by now: make db1 the primary first (switchover.yml)."


@pytest.mark.parametrize(
    ("is_managed", "said", "state"),
    [(False, "", ""), (True, "", "silent"), (True, "loop_wait: 5\nttl: 20\n", "runs"), (True, "loop_wait: 5\npause: true\n", "paused"), (True, "pause: false\n", "runs")],
)
def test_what_patroni_is_to_a_cluster(is_managed, said, state):
    assert patroni_state(is_managed, said) == state


def test_a_standby_that_is_away_is_mended_first():
    pair = {"db1": look(), "db2": look(server=None)}
    (said,) = plan(pair, ["db1", "db2"], "17")["refusals"]
    assert said == "db1: db2 does not stream from it: mend that first."
    (said,) = plan({"db1": look(server={**SERVER, "standbys": {"standby_db2": "streaming"}})}, ["db1", "db2"], "17")["refusals"]
    assert said == "db2 cannot be asked: an upgrade needs every host of the database."


STANDBY = look(server={**SERVER, "standby": True, "next": 0})


@pytest.mark.parametrize(
    ("streams", "lacking"),
    [
        ({"standby_db_2": "streaming", "standby_db3": "streaming"}, []),
        ({"db-2": "streaming", "DB3": "streaming"}, []),
        ({"standby_db3": "streaming"}, ["db-2"]),
        ({"standby_db_2": "streaming", "standby_db3": "catchup"}, ["DB3"]),
        ({"pg_receivewal": "streaming", "standby_db_2": "streaming"}, ["DB3"]),
        ({}, ["db-2", "DB3"]),
    ],
)
def test_each_standby_has_to_stream(streams, lacking):
    """By the name of its slot, or under Patroni by that of its member."""
    looks = {"db1": look(server={**SERVER, "standbys": streams}), "db-2": STANDBY, "DB3": STANDBY}
    planned = plan(looks, list(looks), "17")
    assert planned["refusals"] == [f"db1: {host} does not stream from it: mend that first." for host in lacking]


@pytest.mark.parametrize(("wanted", "words"), [("17", {}), ("14", {"back": "true"}), ("14", {"back": "lose"})])
def test_of_two_primaries_none_is_given_up_in_silence(wanted, words):
    """The other one would be taken for a standby, and built anew."""
    server = {**SERVER, "standbys": {"standby_db3": "streaming"}}
    ours = look(("14", False), ("15", True), server=server, journal={**FINISHED, "old": "14", "new": "15", "next": 900})
    (said,) = plan({"db1": ours, "db2": look(), "db3": STANDBY}, ["db1", "db2", "db3"], wanted, **words)["refusals"]
    assert said == "db1: db2 accepts writes, too: stop the one whose data is not to be kept, then rebuild it."


def test_an_upgrade_is_not_finished_over_what_was_written_elsewhere_since():
    pair = {"db1": look(*BOTH, journal=UPGRADED, server=None), "db2": look()}
    (said,) = plan(pair, ["db1", "db2"], "17")["refusals"]
    assert said == "db1: the upgrade is to be finished there, and db2 accepts writes in PostgreSQL 15: stop that one, if what was written there may be lost."


def test_a_killed_run_knows_its_primary_though_no_server_answers():
    pair = {"db2": look(*BOTH, journal=UPGRADED, server=None), "db1": look(server=None)}
    planned = plan(pair, ["db1", "db2"], "17")
    assert (planned["primary"], planned["action"], planned["standbys"], planned["refusals"]) == ("db2", "finish", ["db1"], [])


@pytest.mark.parametrize(
    ("repository", "is_due"),
    [
        ({"db": [{"id": 1, "repo-key": 1}], "backup": [{"database": {"id": 1, "repo-key": 1}}]}, False),
        ({"db": [{"id": 2, "repo-key": 1}, {"id": 1, "repo-key": 1}], "backup": [{"database": {"id": 1, "repo-key": 1}}]}, True),
        ({"db": [{"id": 1, "repo-key": 1}], "backup": [{"database": {"id": 1, "repo-key": 1}, "error": True}]}, True),
        ({"db": [{"id": 2, "repo-key": 1}, {"id": 2, "repo-key": 2}], "backup": [{"database": {"id": 2, "repo-key": 1}}]}, True),
    ],
)
def test_every_repository_has_a_backup_of_the_new_server(repository, is_due):
    assert postgresql_backup_is_of_another(repository) is is_due
