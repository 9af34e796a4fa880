"""What is told, once, when it is over, and when it flaps."""

import pathlib
import re

import pytest
from notify_program import advice, looking, telling, wording

NOW = 1_800_000_000
DISK = {"about": "machine/disk//", "level": "bad", "host": "web1", "text": "/ is 91 % full, 3 GB are free."}
OLD = {"about": "backup/full", "level": "warn", "host": "web1", "text": "The last good full backup is 27 h old."}
FAILED = OLD | {"level": "bad", "text": "The last full backup failed: no room"}
SETTINGS = {"site": "shop", "host": "web1", "application": "shop"}


def course(*looks, step=60, things=None):
    """Return what a row of looks tells, one word of what begins (+) and ends (-) for each; a look is a list of problems."""
    things, told = things or {}, []
    for number, problems in enumerate(looks):
        complete = problems is not None
        things, begun, ended = telling.decide(things, telling.found_in(problems or []), NOW + number * step, complete)
        told.append(" ".join([f"+{row['about']}" for row in begun] + [f"-{row['about']}" for row in ended]))
    return told


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        # Seen once is not enough, seen twice is told, and never again.
        ([[DISK], []], ["", ""]),
        ([[DISK], [], [DISK], []], ["", "", "", ""]),
        ([[DISK], [DISK], [DISK], [DISK]], ["", "+machine/disk//", "", ""]),
        # The text may change.
        ([[DISK], [DISK | {"text": "/ is 92 % full"}], [DISK]], ["", "+machine/disk//", ""]),
        # Over when three looks have missed it, and not before.
        ([[DISK], [DISK], [], [], []], ["", "+machine/disk//", "", "", "-machine/disk//"]),
        ([[DISK], [DISK], [], [], [DISK], [], [], []], ["", "+machine/disk//", "", "", "", "", "", "-machine/disk//"]),
        # What was a warning and is worse is told once more; what is better is not.
        ([[OLD], [OLD], [FAILED], [FAILED]], ["", "+backup/full", "+backup/full", ""]),
        ([[FAILED], [FAILED], [OLD], [OLD]], ["", "+backup/full", "", ""]),
        # Two things are two.
        ([[DISK, OLD], [DISK, OLD], [OLD], [OLD], [OLD]], ["", "+machine/disk// +backup/full", "", "", "-machine/disk//"]),
        # A note is never told, nor is a deploy that failed, which is told as it ends.
        ([[DISK | {"level": "note"}]] * 3, ["", "", ""]),
        ([[DISK | {"about": "application/deploy"}]] * 3, ["", "", ""]),
        # A look that failed says nothing of what is over.
        ([[DISK], [DISK], None, None, None, []], ["", "+machine/disk//", "", "", "", ""]),
    ],
)
def test_what_is_told(looks, told):
    assert course(*looks) == told


def test_what_cannot_be_looked_at_is_not_over():
    lag = {"about": "database/lag", "level": "warn", "host": "db2", "text": "behind"}
    silent = {"about": "database", "level": "bad", "host": "db2", "text": "The database could not be looked at"}
    told = course([lag], [lag], [silent], [silent], [silent], [silent], [], [], [])
    assert told == ["", "+database/lag", "", "+database", "", "", "", "", "-database -database/lag"]


@pytest.mark.parametrize(("about", "patience"), [("application/lock", 1800), ("application/missing/beat", 900), ("application/outdated/worker", 900)])
def test_what_a_deploy_does_has_its_time(about, patience):
    problem = DISK | {"about": about, "level": "warn"}
    told = course(*[[problem]] * 40)
    assert told.index(f"+{about}") == patience // 60
    # One deploy after the other is not one that takes long.
    assert set(course(*[[problem]] * 10, *[[]] * 3, *[[problem]] * 10)) == {""}


def test_what_flaps_is_told_less_and_less():
    # Eight minutes there, eight minutes gone, for a day.
    told = [line for line in course(*([[DISK]] * 8 + [[]] * 8) * 90) if line]
    assert told == ["+machine/disk//", "-machine/disk//", "+machine/disk//", "-machine/disk//", "+machine/disk//"]
    # Every minute: never.
    assert set(course(*([[DISK], []] * 700))) == {""}
    # After a quiet day it is a new thing.
    told = [line for line in course(*[[DISK]] * 2, *[[]] * 1500, *[[DISK]] * 2, *[[]] * 3) if line]
    assert told == ["+machine/disk//", "-machine/disk//"] * 2


def test_what_is_remembered_is_bounded():
    many = telling.found_in([DISK | {"about": f"machine/unit/{number}", "text": "x" * 10_000} for number in range(10_000)])
    things, _begun, _ended = telling.decide({}, many, NOW)
    assert len(things) == telling.MOST_THINGS
    assert all(len(row["text"]) <= telling.MOST_LETTERS for row in things.values())
    message = wording.message(SETTINGS, NOW, *telling.decide(things, many, NOW + 60)[1:], [])
    assert len(message["text"]) < 20_000 and "more: " in message["text"] and message["title"] == "shop, web1: 500 problems"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a\r\nBcc: x@example.org", "a Bcc: x@example.org"), ("\x1b[2Jgone", "[2Jgone"), ("a\u2028b\u202ec", "a b c"), ("x" * 400, "x" * 299 + "…")],
)
def test_a_text_of_the_application_gives_no_orders(text, plain):
    assert telling.plain(text) == plain


# --- Events -----------------------------------------------------------------------------------

GOOD = {"at": "2027-01-15T07:00:00Z", "by": "ops@desk", "what": "deploy", "version": "v2", "verdict": "ok"}
BAD = GOOD | {"at": "2027-01-15T08:00:00Z", "what": "rollback", "verdict": "failed", "step": "visit", "reason": "/ answered 500"}


def test_each_deploy_is_told_once_the_first_one_first():
    known, said = telling.deploys(None, [GOOD])
    assert said == []
    known, said = telling.deploys(known, [BAD, GOOD | {"version": "v3"}, GOOD])
    assert said == ["Deploy of v3 by ops@desk succeeded.", "Rollback of v2 by ops@desk failed in step visit: / answered 500"]
    assert telling.deploys(known, [BAD, GOOD | {"version": "v3"}, GOOD])[1] == []
    # The log was rotated, or begins.
    assert telling.deploys(known, [])[1] == telling.deploys([], [])[1] == []
    assert telling.deploys([], [GOOD])[1] == ["Deploy of v2 by ops@desk succeeded."]


def test_a_server_that_changes_its_role_tells_it():
    assert telling.role(None, {"standby": True}) == ("standby", [])
    assert telling.role("standby", {"standby": True}) == ("standby", [])
    assert telling.role("standby", {"standby": False})[1] == ["The database server of this host has become the primary."]
    assert telling.role("primary", {"standby": True})[1] == ["The database server of this host is a standby now."]
    # Who does not answer, or is none, has not changed.
    assert telling.role("standby", "connection refused") == telling.role("standby", None) == ("standby", [])


def test_two_primaries_are_told_by_each_of_their_hosts(monkeypatch):
    """A host looks at itself alone: of the other one it knows by its guard."""
    database = {"version": "17.2", "standby": False, "size": 1, "connections": 1, "max_connections": 100, "standbys": [], "receiver": None, "lag_seconds": None}
    monkeypatch.setattr(looking, "look", lambda _questions: {"status": {"now": NOW, "database": database, "cluster": ["db1", "db2"], "rivals": ["db2"]}})
    known, problems = looking.judged({"questions": {}, "limits": {}}, "db1")
    (found,) = [row for row in telling.found_in(problems).items() if row[0].startswith("database")]
    assert found[0] == "database/primaries" and found[1]["level"] == "bad" and found[1]["text"].startswith("db1 and db2 are primaries, each for itself:")
    assert "postgresql-guard" in advice.advice("database/primaries", "shop") and known["rivals"] == ["db2"]


# --- Neighbours -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "dead", "found"),
    [
        ("a", "", ([], False)),
        ("a", "b", (["b"], False)),
        ("a", "c", ([], False)),
        ("b", "c", (["c"], False)),
        ("d", "a", (["a"], False)),
        # Who looks after the next one is dead himself.
        ("a", "bc", (["b", "c"], False)),
        ("d", "bc", ([], False)),
        # Nobody answers: it is this host.
        ("a", "bcd", ([], True)),
    ],
)
def test_each_looks_after_the_next_one(host, dead, found):
    assert telling.neighbours(list("abcd"), host, lambda name: name not in dead) == found


def test_one_of_two_cannot_tell_who_is_cut_off():
    assert telling.neighbours(["a", "b"], "a", lambda name: False) == (["b"], False)


def test_whatever_hosts_are_dead_somebody_tells_each_once():
    hosts = list("abcdef")
    for mask in range(1, 2 ** len(hosts)):
        dead = {host for number, host in enumerate(hosts) if mask >> number & 1}
        if len(dead) < len(hosts) - 1:
            told = [name for host in hosts if host not in dead for name in telling.neighbours(hosts, host, lambda name: name not in dead)[0]]
            assert sorted(told) == sorted(dead)


# --- Words ------------------------------------------------------------------------------------


def test_one_thing_is_the_title_and_several_are_counted():
    row = {**DISK, "since": NOW - 600, "seconds": 600}
    assert wording.message(SETTINGS, NOW, [], [], []) is None
    message = wording.message(SETTINGS, NOW, [row], [], [])
    assert message["title"] == "shop, web1: / is 91 % full, 3 GB are free." and message["level"] == "problem"
    assert message["text"].splitlines() == [
        "Problem: / is 91 % full, 3 GB are free.",
        "  What writes there will fail when it is full. du -xh --max-depth=2 / | sort -h shows what takes the room.",
    ]
    over = wording.message(SETTINGS, NOW, [], [row], [])
    assert over["title"] == "shop, web1: Over: / is 91 % full, 3 GB are free." and over["text"] == "Over after 10 min: / is 91 % full, 3 GB are free."
    assert wording.message(SETTINGS, NOW, [row, row], [row], ["Deploy"])["title"] == "shop, web1: 2 problems, 1 over, 1 event"
    assert wording.message(SETTINGS, NOW, [], [], ["Deploy of v2"])["title"] == "shop, web1: Deploy of v2"


@pytest.mark.parametrize(
    ("about", "part"),
    [
        ("machine/unit/cron.service", "journalctl -u cron.service;"),
        ("machine/disk//srv/shop", "du -xh --max-depth=2 /srv/shop "),
        ("machine/files//srv/shop", "du --inodes -xh --max-depth=2 /srv/shop "),
        ("application/process/worker", "journalctl -u shop-worker.service;"),
        ("backup/archive", "point in time"),
        ("backup/incr", "backup.yml"),
        ("nothing/known", "status.yml"),
    ],
)
def test_what_to_do_is_the_longest_that_fits(about, part):
    assert part in advice.advice(about, "shop")


def test_there_is_advice_for_all_that_the_page_judges():
    source = (pathlib.Path(telling.__file__).parents[4] / "plugins/module_utils/site_report.py").read_text()
    subjects = re.findall(r'problem\(\s*(?:host|", "\.join\(\w+\)),\s*f?"([a-z_]+(?:/[a-z_]+)?)', source)
    assert len(subjects) > 25
    assert [about for about in subjects if about not in advice.ADVICE and about.split("/")[0] not in advice.ADVICE] == []
