"""How the drill judges: rows against the manifest, migrations against the release, and which backup it takes."""

import contextlib
import getpass
import importlib
import json
import pathlib
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))

child, core, drill, manifest, offsite = (importlib.import_module(f"postgresql_backup.{name}") for name in ("child", "core", "drill", "manifest", "offsite"))


# --- Rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "found", "sentences"),
    [
        ({"a": 1, "b": 0}, {"b": 0, "a": 1}, []),
        ({}, {}, []),
        ({"a": 2}, {"a": 1}, ["a has 1 rows instead of 2"]),
        ({"a": 2}, {"a": 3}, ["a has 3 rows instead of 2"]),
        ({"a": 2, "b": 1}, {"a": 2}, ["b is missing"]),
        ({"a": 2}, {"a": 2, "c": 0}, ["c is not in the manifest"]),
    ],
)
def test_every_row_is_missed_and_every_row_too_many_is_seen(expected, found, sentences):
    assert drill.differences(expected, found) == sentences


@pytest.mark.parametrize(
    ("expected", "found", "late", "after", "sentences"),
    [
        pytest.param({"a": 900, "b": 5}, {"b": 5}, 1, None, ["a is missing"], id="a table is no row"),
        pytest.param({"a": 900, "b": 5}, {"b": 5}, 1, {"a": 900, "b": 5}, ["a is missing"], id="and was there after it"),
        pytest.param({"a": 900}, {"a": 0}, 1, None, ["a has 0 rows instead of 900"], id="one transaction is no ground for any number of rows"),
        pytest.param({"a": 900}, {"a": 0}, 1, {"a": 901}, ["a has 0 rows instead of 900 to 901"], id="it added a row, and took none"),
        pytest.param({"a": 900}, {"a": 100}, 1, {"a": 100}, [], id="it took them"),
        pytest.param({"a": 900}, {"a": 500}, 3, {"a": 100}, [], id="some of several"),
        pytest.param({"a": 900}, {"a": 90}, 3, {"a": 100}, ["a has 90 rows instead of 900 to 100"], id="more than they took"),
        pytest.param({"a": 5}, {"a": 6}, 1, None, [], id="one row of one transaction"),
        pytest.param({"a": 5}, {"a": 7}, 1, None, ["a has 7 rows instead of 5"], id="two rows"),
        pytest.param({"a": 5, "b": 1}, {"a": 5}, 1, {"a": 5}, [], id="it dropped a table"),
        pytest.param({"a": 5}, {"a": 5, "c": 1}, 1, {"a": 5, "c": 1}, [], id="it made one"),
        pytest.param({"a": 5}, {"a": 5, "c": 1}, 1, {"a": 5}, ["c is not in the manifest"], id="nobody made it"),
        pytest.param({"a": 900}, {"a": 100}, 0, {"a": 100}, ["a has 100 rows instead of 900"], id="none ended before the point"),
    ],
)
def test_what_ended_between_counting_and_the_point_excuses_what_it_did_and_no_more(expected, found, late, after, sentences):
    assert drill.differences(expected, found, late=late, after=after) == sentences


FAILS, HIDDEN = {"a": "division by zero (22012)"}, {"a": "query would be affected by row-level security policy (42501)"}


@pytest.mark.parametrize(
    ("then", "now", "sentences"),
    [
        pytest.param({"tables": {"a": 1}}, {"tables": {"a": 1}, "uncounted": {}}, [], id="a manifest that knew of none"),
        pytest.param({"tables": {}, "uncounted": FAILS}, {"tables": {}, "uncounted": FAILS}, [], id="neither then nor now"),
        pytest.param({"tables": {}, "uncounted": FAILS}, {"tables": {"a": 9}, "uncounted": {}}, [], id="now alone"),
        pytest.param({"tables": {}, "uncounted": FAILS}, {"tables": {}, "uncounted": {}}, ["a is missing"], id="it is gone"),
        pytest.param({"tables": {"a": 1}}, {"tables": {}, "uncounted": FAILS}, ["a cannot be read: division by zero (22012)"], id="then alone"),
        pytest.param({"tables": {"a": 1}}, {"tables": {}, "uncounted": HIDDEN}, [], id="a reader that saw some of its rows then"),
        pytest.param({"tables": {"b": 1}, "uncounted": FAILS}, {"tables": {"b": 2}, "uncounted": FAILS}, ["b has 2 rows instead of 1"], id="another one"),
    ],
)
def test_a_table_that_could_not_be_counted_is_there_and_one_that_could_is_counted(then, now, sentences):
    assert drill.complaints_of({"migrations": None} | then, {"migrations": None} | now, 0) == sentences


def test_migrations_that_are_gone_are_named():
    noted, found = {"tables": {}, "migrations": ["pages.0001", "pages.0002"]}, {"tables": {}, "uncounted": {}, "migrations": ["pages.0001"]}
    assert drill.complaints_of(noted, found, 0) == ["the migrations pages.0002 are missing"]


# --- Migrations ---------------------------------------------------------------------------------

PLAN = "[X]  pages.0001_initial\n[X]  auth.0012_alter_user_first_name_max_length ... (pages.0001_initial)\n[ ]  pages.0002_note_tag\n"


def test_the_migrations_of_a_plan_are_read():
    assert drill.planned(PLAN) == ["pages.0001_initial", "auth.0012_alter_user_first_name_max_length", "pages.0002_note_tag"]
    assert drill.planned(PLAN, " ") == ["pages.0002_note_tag"]
    assert drill.planned("") == drill.planned("(no migrations)") == []


def test_a_migration_of_the_manifest_that_is_gone_is_lost():
    assert drill.lost(["pages.0001", "pages.0002"], ["pages.0001"]) == ["pages.0002"]
    assert drill.lost(["pages.0001"], None) == ["pages.0001"]
    assert drill.lost(None, ["pages.0001"]) == []


@pytest.fixture
def application(tmp_path):
    """Return a function that asks about a release of a time with a plan, seen from a host without the code."""

    def ask(released_at, listing, migrations):
        (tmp_path / "release.json").write_text(f'{{"released_at": "{released_at}"}}' if released_at else "")
        (tmp_path / "migrations.txt").write_text(listing)
        row = {name: str(tmp_path / file) for name, file in (("release", "release.json"), ("migrations", "migrations.txt"))}
        settings = core.Settings(drill={"application": row | {"database": "shop", "command": "", "user": ""}})
        return drill.migrate(settings, {"time": "2026-01-04T03:15:00Z", "databases": {"shop": {"migrations": migrations}}})

    return ask


def test_a_backup_that_lacks_a_migration_of_an_older_release_does_not_fit_it(application):
    with pytest.raises(core.Failure, match="lacks migrations of the current release: pages.0002_note_tag"):
        application("2026-01-03T10:00:00Z", PLAN, drill.planned(PLAN)[:2])


def test_a_backup_from_before_the_release_may_lack_its_migrations(application):
    assert "newer than the backup and brings 1" in application("2026-01-04T10:00:00Z", PLAN, drill.planned(PLAN)[:2])


def test_a_backup_that_has_them_all_fits(application):
    assert application("2026-01-03T10:00:00Z", PLAN, drill.planned(PLAN)).startswith("all migrations")


def test_without_a_release_there_is_nothing_to_fit(application):
    assert application("", "", []) == "no release yet"


# --- Which backup -------------------------------------------------------------------------------


def backup(label, stop, repository=1, error=False):
    return {"label": label, "error": error, "timestamp": {"stop": stop}, "database": {"repo-key": repository}}


def test_of_a_release_that_prints_without_an_end_the_last_is_held(tmp_path, monkeypatch):
    """On a host that serves as well, the release itself is asked."""
    monkeypatch.setattr(drill.commands, "MOST_BYTES", 1000)
    (tmp_path / "release.json").write_text('{"released_at": "2026-01-03T10:00:00Z"}')
    (tmp_path / "run").write_text("#!/bin/sh\nyes | head --bytes=1M\necho '[ ]  pages.0002_note_tag'\n[ $3 != migrate ]\n")
    (tmp_path / "run").chmod(0o755)
    row = {"release": str(tmp_path / "release.json"), "migrations": "", "database": "shop", "command": str(tmp_path / "run"), "user": getpass.getuser()}
    assert len(drill.manage(row, "showmigrations").stdout) == 1000
    with pytest.raises(core.Failure, match="lacks migrations of the current release: pages.0002_note_tag$"):
        drill.migrate(core.Settings(drill={"application": row}), {"time": "2026-01-04T03:15:00Z", "databases": {}})


def test_the_newest_backup_of_a_repository_without_an_error_is_taken():
    rows = [backup("old", 1), backup("new", 3), backup("newer, damaged", 4, error=True), backup("elsewhere", 5, repository=2)]
    assert [drill.newest({"backup": rows}, repository)["label"] for repository in (1, 2)] == ["new", "elsewhere"]


def test_without_a_backup_there_is_no_drill():
    with pytest.raises(core.Failure, match="no backup to restore"):
        drill.newest({"backup": [backup("elsewhere", 5, repository=2)]}, 1)


@pytest.fixture
def drilled(monkeypatch):
    """Return a function that drills repositories, of which some hold what does not restore; it returns what was restored, and the verdict."""

    def make(repositories, damaged=(), away=None):
        restored, entered = [], []
        rows = [backup(f"of {number}", number, repository=number) for number in repositories]

        def restore(_settings, row, _noted):
            restored.append(row["label"])
            if row["database"]["repo-key"] in damaged:
                raise core.Failure("ERROR: [029]: it is damaged")

        info = {"backup": [row | {"info": {"size": 1}} for row in rows]}
        monkeypatch.setattr(drill, "pgbackrest", lambda *_words, **_more: types.SimpleNamespace(stdout=json.dumps([info])))
        monkeypatch.setattr(offsite, "away", lambda: away or {})
        monkeypatch.setattr(child, "call", lambda _user, function, *words, **more: None)
        monkeypatch.setattr(manifest, "read", lambda _settings, label: label)
        monkeypatch.setattr(drill, "restore", restore)
        monkeypatch.setattr(drill, "enter", lambda _settings, verdict, fields: entered.append((verdict, fields.get("message", ""), fields.get("labels"))))
        for name in ("clear", "start", "verify"):
            monkeypatch.setattr(drill, name, lambda _settings: None)
        monkeypatch.setattr(drill, "compare", lambda _settings, _noted: (7, 0))
        monkeypatch.setattr(drill, "migrate", lambda _settings, _noted: "")
        with contextlib.suppress(core.Failure):
            drill.inside(core.Settings(repositories=repositories))
        (verdict,) = entered
        return restored, verdict

    return make


def test_every_repository_is_drilled_in_turn(drilled):
    assert drilled([1, 2]) == (["of 1", "of 2"], ("ok", "", ["of 1", "of 2"]))


def test_one_that_does_not_restore_fails_the_drill_and_keeps_none_from_theirs(drilled):
    restored, (verdict, message, _labels) = drilled([1, 2, 3], damaged=[1])
    assert (restored, verdict, message) == (["of 1", "of 2", "of 3"], "failed", "repository 1: ERROR: [029]: it is damaged")
    _restored, (verdict, message, _labels) = drilled([1, 2], damaged=[2])
    assert (verdict, message) == ("failed", "repository 2: ERROR: [029]: it is damaged")
    assert drilled([1], damaged=[1])[1][:2] == ("failed", "ERROR: [029]: it is damaged")


def test_one_that_is_away_fails_the_drill_and_is_not_waited_for(drilled):
    restored, (verdict, message, _labels) = drilled([1, 2, 3], away={2: "it says nothing"})
    assert (restored, verdict, message) == (["of 1", "of 3"], "failed", "repository 2: it says nothing")


def test_the_drill_knows_the_repositories_and_no_server():
    text = "[global]\nrepo1-path=/backup\nrepo1-cipher-pass=a=b%c\nrepo2-retention-full=2\nprocess-max=4\n[main]\npg1-host=db1\npg1-path=/var\nrepo2-path=/second\n"
    lines = drill.configuration(text, "main", "/drill/lock").splitlines()
    of_restore = ["[global:restore]", "spool-path=/drill/lock"]
    assert lines == ["[global]", "repo1-path=/backup", "repo1-cipher-pass=a=b%c", "repo2-path=/second", "lock-path=/drill/lock", "log-level-file=off", *of_restore]


def test_a_store_is_read_by_the_account_that_only_reads():
    text = "[global]\nrepo1-s3-key=WRITES\nrepo1-s3-key-secret=WRITES-TOO\nrepo2-s3-key=WRITES\n"
    reader = {"AWS_ACCESS_KEY_ID": "READS", "AWS_SECRET_ACCESS_KEY": "READS-TOO"}
    lines = drill.configuration(text, "main", "/lock", [{"number": 1, "reader": reader}, {"number": 2, "reader": {}}]).splitlines()
    assert {"repo1-s3-key=READS", "repo1-s3-key-secret=READS-TOO", "repo2-s3-key=WRITES"} <= set(lines)


def test_of_a_repository_that_cannot_be_read_its_own_words_are_told():
    states = [{"key": 1, "status": {"code": 0}}, {"key": 2, "status": {"code": 99, "message": "[HostConnectError] unable to connect\nto 's3'"}}]
    with pytest.raises(core.Failure, match=r"\[HostConnectError\] unable to connect to 's3'"):
        drill.newest({"backup": [], "repo": states}, 2)
    assert drill.newest({"backup": [backup("new", 3)], "repo": states}, 1)["label"] == "new"
