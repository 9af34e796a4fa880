"""Which slots of standbys are dropped and made: none that is in use, and on a standby none that holds back log."""

import pytest
from ansible_collections.selfhost.django.plugins.modules.postgresql_slots import due


def slot(name, active=False, used=True, lost=False, standby=False):
    return name, active, used, lost, standby


@pytest.mark.parametrize(
    ("known", "drop", "make", "lost"),
    [
        pytest.param([], [], ["standby_a", "standby_b"], [], id="none yet"),
        pytest.param([slot("standby_a", active=True), slot("standby_b", active=True)], [], [], [], id="all in use"),
        pytest.param([slot("standby_a"), slot("standby_b", used=False)], [], [], [], id="of standbys that are away"),
        pytest.param([slot("standby_a"), slot("standby_b"), slot("standby_c")], ["standby_c"], [], [], id="of a host that has left"),
        pytest.param([slot("standby_a"), slot("standby_b"), slot("standby_c", active=True)], [], [], [], id="that is still there"),
        pytest.param([slot("standby_a", lost=True), slot("standby_b")], [], [], ["standby_a"], id="one fell too far behind"),
        pytest.param([slot("standby_b"), slot("standby_c", lost=True)], ["standby_c"], ["standby_a"], [], id="nobody's is lost by nobody"),
        pytest.param(
            [slot("standby_a", standby=True), slot("standby_b", used=False, standby=True)], ["standby_a"], ["standby_a"], [],
            id="a standby's that was in use before",
        ),
        pytest.param([slot("standby_a", active=True, standby=True), slot("standby_b", used=False, standby=True)], [], [], [], id="one that cascades"),
        pytest.param([slot("standby_a", lost=True, active=True, standby=True), slot("standby_b", used=False, standby=True)], [], [], [], id="on a standby none is lost"),
    ],
)  # fmt: skip
def test_settled(known, drop, make, lost):
    assert due(known, ["standby_a", "standby_b"]) == (drop, make, lost)
    after = [row for row in known if row[0] not in drop] + [slot(name, used=False, standby=any(row[4] for row in known)) for name in make]
    assert due(after, ["standby_a", "standby_b"])[:2] == ([], []), "a second run changes nothing"


@pytest.mark.parametrize(
    ("known", "drop", "make"),
    [
        pytest.param([], [], ["standby_a"], id="none yet"),
        pytest.param([slot("standby_a", lost=True)], ["standby_a"], ["standby_a"], id="a lost one"),
        pytest.param([slot("standby_a", used=False)], [], [], id="a fresh one"),
        pytest.param([slot("standby_a", active=True)], [], [], id="a standby that streams"),
        pytest.param([slot("standby_a", used=False), slot("standby_b"), slot("standby_c")], [], [], id="those of others stay"),
    ],
)
def test_renewed(known, drop, make):
    assert due(known, ["standby_a"], "renewed")[:2] == (drop, make)


@pytest.mark.parametrize(
    ("known", "drop"),
    [
        pytest.param([], [], id="none"),
        pytest.param([slot("standby_a"), slot("standby_b")], ["standby_a"], id="not those of others"),
        pytest.param([slot("standby_a", used=False)], ["standby_a"], id="one that nobody used"),
        pytest.param([slot("standby_a", active=True)], [], id="one in use"),
    ],
)
def test_absent(known, drop):
    assert due(known, ["standby_a"], "absent") == (drop, [], [])
