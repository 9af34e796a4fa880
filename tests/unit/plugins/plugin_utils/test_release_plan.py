"""What a release or a rollback has to do on each host."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.release_plan import Refusal, batches, choose, every_file, plan, release_steps, step_files

STEPS = ["build", "collectstatic", "commands", "migrate", "check"]
HOOKS = {"before_build": "/a.yml", "after_build": "/b.yml", "after_migrate": "/c.yml", "after_switch": "/d.yml"}
# In the order in which they served, the last one first: release, previous, version.
SERVED = [("cccccccccccc-1", "bbbbbbbbbbbb-1", "main"), ("bbbbbbbbbbbb-1", "aaaaaaaaaaaa-1", "main"), ("aaaaaaaaaaaa-1", "", "v1")]
RECORDS = [{"release": release, "previous": previous, "version": version, "revision": release[:12] + "0" * 28} for release, previous, version in SERVED]


def fetched(release="b-1", current="a-1", running=(), is_kept=False, **others):
    """Return what a host has seen that has fetched a release."""
    resolved = {"release": release, "virtualenv": "v", "revision": "b" * 40, "version": "main"}
    flags = dict.fromkeys(("has_virtualenv", "is_initial", "is_in_maintenance"), False) | {"is_kept": is_kept}
    return flags | {"resolved": resolved, "current": current, "running": list(running), "units": {}} | others


def planned(looks, **others):
    """Return the plan of a release that web1 does first."""
    return plan(looks, **({"hosts": list(looks), "order": list(looks), "steps": STEPS, "hooks": {}, "first": "web1"} | others))


@pytest.mark.parametrize(
    ("look", "due", "sentence"),
    [
        ({"current": ""}, True, "Release b-1 is to be the first one."),
        ({"running": ["a-1"]}, True, "Release b-1 is to take the place of a-1."),
        ({"current": "b-1", "running": ["b-1"]}, False, "Release b-1 serves."),
        ({"current": "b-1", "running": ["a-1", "b-1"]}, True, "Release b-1 serves, others are still to be stopped."),
    ],
)
def test_a_host_is_told_what_it_has_to_do(look, due, sentence):
    answer = planned({"web1": fetched(**look)})
    mine = answer["hosts"]["web1"]
    assert (mine["is_due"], mine["sentence"], answer["is_due"]) == (due, sentence, due)
    assert bool(answer["files"]) is (mine["release"] != mine["current"])


def test_what_one_host_has_to_do_is_due_for_all_and_each_takes_its_own_steps():
    answer = planned({"web1": fetched(current="b-1", running=["b-1"]), "web2": fetched(running=["a-1"])})
    one, other = answer["hosts"]["web1"], answer["hosts"]["web2"]
    assert answer["is_due"] and not one["is_due"] and one["files"] == []
    assert (other["replaced"], other["record"]) == (["a-1"], {"revision": "b" * 40, "version": "main", "previous": "a-1"})
    assert answer["files"] == other["files"] and "release/migrate.yml" not in other["files"], "the first host has it already"


def test_one_host_asks_the_database_for_all_and_hooks_run_on_each():
    answer = planned({"web1": fetched(), "web2": fetched()}, hooks=HOOKS)
    assert answer["files"] == answer["hosts"]["web1"]["files"]
    assert [path for path in answer["files"] if path not in answer["hosts"]["web2"]["files"]] == ["release/commands.yml", "release/migrate.yml"]
    assert answer["files"][3:6] == ["/a.yml", "release/build.yml", "/b.yml"]


def test_a_virtualenv_that_is_complete_is_not_asked_for_again():
    hooks = {"after_virtualenv": "/v.yml"}
    answer = planned({"web1": fetched(has_virtualenv=True), "web2": fetched()}, hooks=hooks)
    one, other = (answer["hosts"][host]["files"] for host in ("web1", "web2"))
    assert (one[:2], other[:3]) == (["release/checkout.yml", "/v.yml"], ["release/checkout.yml", "release/virtualenv.yml", "/v.yml"])


@pytest.mark.parametrize(
    ("is_built", "hooks", "is_sealed_early"),
    [
        (True, {}, False),
        (False, {}, True),
        (False, {"after_migrate": "/c.yml", "before_configure": "/d.yml"}, True),
        *((False, {moment: "/w.yml"}, False) for moment in ("after_configure", "before_build", "after_build")),
    ],
)
def test_where_nothing_is_built_the_code_is_sealed_a_step_earlier(is_built, hooks, is_sealed_early):
    mine = planned({"web1": fetched()}, is_built=is_built, hooks=hooks)["hosts"]["web1"]
    assert (mine["is_sealed_early"], "release/build.yml" in mine["files"]) == (is_sealed_early, not is_sealed_early)


def test_a_host_that_keeps_the_release_takes_it_as_it_is_while_another_makes_it():
    answer = planned({"web1": fetched(is_kept=True), "web2": fetched()})
    assert answer["hosts"]["web1"]["files"] == [f"release/{step}.yml" for step in ("files", "commands", "migrate", "start", "health")]
    assert [path for path in answer["files"] if path in answer["hosts"]["web2"]["files"]] == answer["hosts"]["web2"]["files"]
    shared = planned({"web1": fetched(is_kept=True)}, is_static_shared=True)
    assert "release/checkout.yml" in shared["files"], "what is in a shared STATIC_ROOT is another release's"


def test_a_host_that_is_away_is_named_with_how_to_ship_without():
    sentence = "web2, web3 cannot be reached. Nothing was changed; --limit 'web:!web2:!web3' ships without."
    with pytest.raises(Refusal, match=f"^{sentence}$"):
        planned({"web1": fetched()}, hosts=["web1", "web2", "web3"], limit="web")


@pytest.mark.parametrize(
    ("number", "serial", "sizes"),
    [(3, 1, [1, 1, 1]), (3, 2, [2, 1]), (3, "2", [2, 1]), (2, 9, [2]), (4, "50%", [2, 2]), (3, "50%", [1, 1, 1]), (3, "100%", [3]), (2, "10%", [1, 1]), (0, 1, [])],
)  # fmt: skip
def test_hosts_switch_some_at_a_time(number, serial, sizes):
    hosts = [f"web{index}" for index in range(number)]
    assert [len(batch) for batch in batches(hosts, serial)] == sizes
    assert sum(batches(hosts, serial), []) == hosts


def test_hosts_switch_in_the_order_of_the_inventory():
    assert planned({"web2": fetched(), "web1": fetched()}, order=["web1", "web3", "web2"])["batches"] == [["web1"], ["web2"]]


def test_a_new_release_takes_all_steps_and_one_that_is_kept_those_of_the_database():
    assert release_steps(STEPS) == ["checkout", "virtualenv", "configure", *STEPS, "start", "health"]
    assert release_steps(["check"]) == ["checkout", "virtualenv", "configure", "build", "check", "start", "health"]
    assert release_steps(STEPS, is_kept=True) == ["files", "commands", "migrate", "start", "health"]
    assert release_steps([], is_kept=True) == ["files", "start", "health"]
    assert release_steps(STEPS, is_rollback=True) == ["migrations", "files", "start", "health"]


@pytest.mark.parametrize("kind", [{}, {"is_kept": True}, {"is_rollback": True}])
def test_what_all_hosts_go_through_has_each_ones_steps_in_their_order(kind):
    mine = step_files(release_steps(STEPS, **kind), HOOKS)
    assert [path for path in every_file(STEPS, HOOKS) if path in mine] == mine


def test_hooks_stand_around_their_steps():
    assert step_files(["build", "start"], HOOKS) == ["/a.yml", "release/build.yml", "/b.yml", "release/start.yml"]
    assert step_files(["build"], HOOKS, without=["build"]) == ["/a.yml", "/b.yml"]
    assert step_files(["configure"], {"after_configure": "/c.yml"}) == ["release/configure.yml", "/c.yml"]
    assert step_files([], HOOKS) == []


def seen(current, records=RECORDS):
    """Return what a host has seen that is to go back."""
    return fetched(current=current, running=[current], records=records)


@pytest.mark.parametrize(
    ("current", "wanted", "chosen"),
    [
        ("cccccccccccc-1", [], "bbbbbbbbbbbb-1"),
        # After a rollback the next one goes further back, not forth again.
        ("bbbbbbbbbbbb-1", [], "aaaaaaaaaaaa-1"),
        ("cccccccccccc-1", ["aaaaaaaaaaaa-1"], "aaaaaaaaaaaa-1"),
        ("cccccccccccc-1", ["aaaaaaaaaaaa"], "aaaaaaaaaaaa-1"),
        ("cccccccccccc-1", ["v1"], "aaaaaaaaaaaa-1"),
        # The branch's release that serves is not what somebody goes back to.
        ("cccccccccccc-1", ["main"], "bbbbbbbbbbbb-1"),
        ("cccccccccccc-1", ["cccccccccccc-1"], "cccccccccccc-1"),
        # Another host knows the release by another id, and may serve it already.
        ("cccccccccccc-1", ["aaaaaaaaaaaa-2", "aaaaaaaaaaaa"], "aaaaaaaaaaaa-1"),
        ("aaaaaaaaaaaa-1", ["aaaaaaaaaaaa-2", "aaaaaaaaaaaa"], "aaaaaaaaaaaa-1"),
    ],
)
def test_which_release_a_rollback_goes_back_to(current, wanted, chosen):
    assert choose(seen(current), *wanted) == chosen


@pytest.mark.parametrize(
    ("current", "wanted", "sentence"),
    [
        ("aaaaaaaaaaaa-1", [], "The release before aaaaaaaaaaaa-1 is not there any more"),
        # It never served.
        ("cccccccccccc-1", ["dddddddddddd-1"], "rollback_to is dddddddddddd-1, which is no release that is kept here. Kept: bbbbbbbbbbbb-1 (main); aaaa"),
        ("cccccccccccc-1", ["a"], "rollback_to is a, which is no release"),
        ("", [], "No release serves here: deploy one first."),
    ],
)
def test_why_a_rollback_is_refused(current, wanted, sentence):
    with pytest.raises(Refusal) as refusal:
        choose(seen(current), *wanted)
    assert sentence in str(refusal.value)


def test_one_host_chooses_for_all_and_the_record_stays_as_it_was():
    of_another = [record | {"release": record["release"].replace("-1", "-2")} for record in RECORDS]
    looks = {"web1": seen("cccccccccccc-1"), "web2": seen("bbbbbbbbbbbb-2", of_another)}
    answer = planned(looks, is_rollback=True)
    assert [row["release"] for row in answer["hosts"].values()] == ["bbbbbbbbbbbb-1", "bbbbbbbbbbbb-2"]
    mine = answer["hosts"]["web1"]
    assert (mine["record"], mine["version"], mine["revision"]) == ({}, "main", "bbbbbbbbbbbb" + "0" * 28)
    assert answer["files"] == [f"release/{step}.yml" for step in ("migrations", "files", "start", "health")]
    assert answer["hosts"]["web2"]["files"] == [], "it serves it already"
