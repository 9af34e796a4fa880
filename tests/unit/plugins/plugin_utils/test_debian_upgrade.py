"""Whether a host can become the next Debian, which one is next, and what is left to do there."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.debian import release, simulated
from ansible_collections.selfhost.django.plugins.plugin_utils.debian_upgrade import STEPS, following, order, reasons, refusals, stale, steps, warning

SIMULATION = {"error": "", "download_mb": 150, "added_mb": 180, "removed": ["libssl3"]}
LOOK = {
    "number": "12", "name": "bookworm", "mark": "", "room_mb": {"/": 9000}, "held": [], "broken": [], "is_busy": False, "has_kernel": False, "strange": {},
    "simulation": SIMULATION,
}  # fmt: skip
DONE = {**LOOK, "number": "13", "name": "trixie", "simulation": None}
APT = """Reading package lists...
The following packages will be REMOVED:
  libssl3 python3.11-venv
  libelf1*
The following NEW packages will be installed:
  a b
206 upgraded, 73 newly installed, 3 to remove and 0 not upgraded.
Need to get 1,147 kB/147 MB of archives.
After this operation, 1.5 GB of additional disk space will be used.
"""


def test_what_apt_says():
    assert simulated(APT) == {"download_mb": 1, "added_mb": 1500, "removed": ["libssl3", "python3.11-venv", "libelf1"]}
    assert simulated("After this operation, 12 MB disk space will be freed.\n") == {"download_mb": 0, "added_mb": 0, "removed": []}


def test_what_a_host_says_of_itself():
    assert release('VERSION_ID="12"\nVERSION_CODENAME=bookworm\n') == ("12", "bookworm")
    assert release("NAME=sid\n") == ("", "")


@pytest.mark.parametrize(
    ("look", "left"),
    [
        (LOOK, list(STEPS)),
        (DONE, []),
        # The new number comes early in an upgrade.
        ({**DONE, "mark": "packages"}, list(STEPS)),
        ({**LOOK, "mark": "packages"}, list(STEPS)),
        ({**DONE, "mark": "reboot"}, ["reboot", "order", "site"]),
        ({**DONE, "mark": "order"}, ["order", "site"]),
        ({**DONE, "mark": "site"}, ["site"]),
    ],
)
def test_what_is_left(look, left):
    assert steps(look) == left


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"number": "11"}, "it is Debian 11, and this playbook leads from 12 to 13"),
        ({"number": ""}, "it is Debian of no number"),
        ({"is_busy": True}, "another program is installing packages"),
        ({"held": ["nginx", "sudo"]}, "nginx, sudo is held back"),
        ({"broken": ["The following packages are half configured"]}, "its packages are not whole (The following"),
        ({"strange": {"/etc/apt/sources.list.d/x.list": ["https://packages.example.org x"]}}, "/etc/apt/sources.list.d/x.list fetches from"),
        ({"simulation": {"error": "E: no key"}}, "apt cannot be asked for trixie: E: no key"),
        ({"simulation": {**SIMULATION, "removed": ["openssh-server"]}}, "apt would remove openssh-server"),
        ({"simulation": {**SIMULATION, "removed": ["postgresql-15"]}}, "apt would remove postgresql-15"),
        ({"room_mb": {"/": 700}}, "/ has 700 MB free, and the upgrade takes 830"),
        ({"room_mb": {"/": 9000, "/var": 400}}, "/var has 400 MB free, and the upgrade takes 650"),
        ({"room_mb": {"/": 9000, "/boot": 90}, "has_kernel": True}, "/boot has 90 MB free, and the upgrade takes 200"),
    ],
)
def test_what_speaks_against_it(change, sentence):
    (said,) = reasons({**LOOK, **change}, ["postgresql-15"])
    assert said.startswith(sentence)


@pytest.mark.parametrize("change", [{}, {"room_mb": {"/": 9000, "/boot": 90}}, {"room_mb": {"/": 831, "/var": 700}}])
def test_what_does_not(change):
    assert list(reasons({**LOOK, **change}, ["postgresql-15"])) == []


def test_an_interrupted_one_goes_on_whatever_it_left():
    look = {**LOOK, "mark": "packages", "broken": ["half configured"], "simulation": None}
    assert list(reasons(look)) == []
    assert list(reasons({**look, "is_busy": True})) == ["another program is installing packages: wait for it"]


GROUPS = {"all": ["b1", "db1", "db2", "w1", "lb1", "v1"], "web": ["w1"], "database": ["db1", "db2"], "backup": ["b1"], "balancer": ["lb1"], "etcd": ["v1"]}


def test_a_primary_comes_last():
    assert order(GROUPS, "db1") == ["b1", "db2", "w1", "lb1", "v1", "db1"]
    assert order({"all": ["h"], "web": ["h"], "database": ["h"]}) == ["h"]


def test_one_that_has_begun_comes_first_and_one_that_is_done_not_at_all():
    looks = {"db1": LOOK, "db2": DONE, "w1": {**LOOK, "mark": "reboot"}}
    assert following(looks, order(GROUPS, "db1")) == ["w1", "db1"]


def test_all_reasons_in_one_answer():
    looks = {"w1": {**LOOK, "held": ["x"]}, "db1": {**LOOK, "is_busy": True}}
    said = refusals(looks, ["w1", "db1"], [], False, ["15"])
    assert [sentence.split(":")[0] for sentence in said[:2]] == ["w1", "db1"]
    assert said[2].startswith("postgresql_version is not set") and "postgresql_version: 15" in said[2]
    assert said[3] == "w1, db1 wait for the upgrade, and a run takes one host: begin with --limit w1, and go on in this order."


def test_where_nothing_is_to_be_done_nothing_is_refused():
    assert refusals({}, [], ["postgresql-15"], False, ["15"]) == []


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({}, ""),
        ({"h": {"kinds": {"full": {"succeeded": 90000}}}}, ""),
        ({"h": {"kinds": {"full": {"succeeded": 1}, "diff": {"succeeded": 90000}}}}, ""),
        ({"h": {}, "g": {"kinds": {"full": {"succeeded": 90000}}}}, ""),
        ({"h": {"kinds": {"full": {"succeeded": 10000}}}}, "The newest backup on h is older than a day: make one first (backup.yml)."),
        ({"h": {"kinds": {"full": {"succeeded": None}, "logical": {"succeeded": 99000}}}}, "The newest backup on h is older than a day"),
        ({"h": {}}, "The newest backup on h is older than a day"),
        # Two clocks may differ a little.
        ({"h": {"kinds": {"full": {"succeeded": 100060}}}}, ""),
        (
            {"h": {"kinds": {"full": {"succeeded": 10000}, "diff": {"succeeded": 900000}}}},
            "The newest backup on h is of a time that is still to come, since the clock was wrong: make one first (backup.yml).",
        ),
        ({"h": {"kinds": {"full": {"succeeded": 900000}}}}, "The newest backup on h is of a time that is still to come"),
        ({"h": {"kinds": {"full": {"succeeded": 90000}, "diff": {"succeeded": 900000}}}}, ""),
    ],
)
def test_a_backup_is_not_older_than_a_day(statuses, said):
    told = stale(statuses, 100000)
    assert told.startswith(said) and bool(told) == bool(said)


def test_what_is_told_before():
    assert warning(LOOK).startswith("Debian 12 becomes 13: 150 MB are fetched, 1 packages go.")
    assert warning({**DONE, "mark": "order"}) == "The upgrade goes on with: order, site."
    assert warning(DONE) == "It is Debian 13 already."
