"""How the drill judges: rows against the manifest, migrations against the release, and which backup it takes."""

import importlib
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))

core, drill, manifest = (importlib.import_module(f"postgresql_backup.{name}") for name in ("core", "drill", "manifest"))


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


def test_transactions_that_ended_between_counting_and_the_point_excuse_a_difference_of_their_size():
    assert drill.differences({"a": 5}, {"a": 6}, late=1) == []
    assert drill.differences({"a": 5000}, {"a": 3000}, late=1) == ["a has 3000 rows instead of 5000"]
    assert drill.differences({"a": 5000}, {"a": 3000}, late=2) == []
    # A table that came or went in them is no loss.
    assert drill.differences({"a": 5}, {"b": 1}, late=1) == []


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


def test_the_newest_backup_without_an_error_is_taken():
    rows = [backup("old", 1), backup("new", 3), backup("newer, damaged", 4, error=True), backup("elsewhere", 5, repository=7)]
    assert drill.newest({"backup": rows}, [1, 2])["label"] == "new"


def test_the_first_repository_wins_a_tie():
    assert drill.newest({"backup": [backup("b", 3, 2), backup("a", 3, 1)]}, [1, 2])["label"] == "a"


def test_without_a_backup_there_is_no_drill():
    with pytest.raises(core.Failure, match="no backup to restore"):
        drill.newest({"backup": []}, [1])


def test_the_drill_knows_the_repositories_and_no_server():
    text = "[global]\nrepo1-path=/backup\nrepo1-cipher-pass=a=b%c\nrepo2-retention-full=2\nprocess-max=4\n[main]\npg1-host=db1\npg1-path=/var\nrepo2-path=/second\n"
    lines = drill.configuration(text, "main", "/drill/lock").splitlines()
    assert lines == ["[global]", "repo1-path=/backup", "repo1-cipher-pass=a=b%c", "repo2-path=/second", "lock-path=/drill/lock", "log-level-file=off"]
