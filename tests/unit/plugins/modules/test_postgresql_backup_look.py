"""What a look at a host tells of its backups: repositories that cannot be read, and services that began before their files changed."""

import os

import pytest
from ansible_collections.selfhost.django.plugins.modules.postgresql_backup_look import began, changed, trouble, units, without

SHOWN = """\
Id=pgbackrest-server.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no
ActiveEnterTimestamp=Sun 2025-11-02 10:00:00.500000 UTC

Id=media-server.socket
LoadState=not-found
ActiveState=inactive
UnitFileState=
NeedDaemonReload=no
ActiveEnterTimestamp=
"""
BEGAN = 1762077600.5


def information(*codes):
    return {"repo": [{"key": number, "status": {"code": code, "message": "[CryptoError] unable\nto decrypt"}} for number, code in enumerate(codes, 1)]}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0,), ""), ((1, 2, 3), ""), ((0, 99), "repository 2: [CryptoError] unable to decrypt")],
)
def test_only_what_is_there_and_cannot_be_read_is_trouble(codes, expected):
    assert trouble(information(*codes)) == expected


@pytest.mark.parametrize(
    ("words", "moment"),
    [("Sun 2025-11-02 10:00:00.500000 UTC", BEGAN), ("So 2025-11-02 10:00:00.500000 UTC", BEGAN), ("", 0), ("n/a", 0)],
)
def test_a_unit_began_when_systemd_says_so_in_any_language_or_never(words, moment):
    assert began(words) == moment


@pytest.fixture
def folder(tmp_path):
    """A folder with a file in a folder, all of an early day."""
    (tmp_path / "library/below").mkdir(parents=True)
    (tmp_path / "library/below/core.py").touch()
    for path in (tmp_path / "library/below/core.py", tmp_path / "library/below", tmp_path / "library"):
        os.utime(path, (1000, 1000))
    return tmp_path


def test_the_newest_file_counts_wherever_it_lies(folder):
    assert changed([str(folder / "library"), str(folder / "missing")]) == 1000
    os.utime(folder / "library/below/core.py", (2000, 2000))
    assert changed([str(folder / "library")]) == 2000
    assert changed([]) == 0


@pytest.mark.parametrize(("seconds", "outdated"), [(-1, False), (0, False), (0.25, True)])
def test_a_service_that_began_before_its_file_changed_is_outdated(folder, seconds, outdated):
    path = folder / "library/below/core.py"
    os.utime(path, (BEGAN + seconds, BEGAN + seconds))
    rows = units(SHOWN, {"pgbackrest-server.service": [str(path)], "media-server.socket": []})
    assert rows["pgbackrest-server.service"] == {"active": True, "enabled": True, "stale": False, "outdated": outdated}
    assert rows["media-server.socket"] == {"active": False, "enabled": False, "stale": False, "outdated": False}


def test_a_dry_run_leaves_out_the_units_that_it_has_not_made():
    assert list(units(SHOWN, {"pgbackrest-server.service": [], "media-server.socket": []}, dry=True)) == ["pgbackrest-server.service"]


@pytest.mark.parametrize(("codes", "elsewhere", "left"), [((0, 99), [2], [1]), ((99, 99), [2], [1]), ((0, 1), [2], [1, 2]), ((99,), [1], [])])
def test_of_one_elsewhere_that_cannot_be_read_nothing_is_told(codes, elsewhere, left):
    told = without(information(*codes), elsewhere)
    assert [row["key"] for row in told["repo"]] == left
    assert bool(trouble(told)) == (99 in codes[:1] and 1 not in elsewhere)
