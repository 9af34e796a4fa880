"""The trials of automatic failover: which faults come, and what is made of the record."""

import importlib.util
import pathlib
import random

SOURCE = pathlib.Path(__file__).resolve().parents[3] / "molecule/failing.py"
spec = importlib.util.spec_from_file_location("failing", SOURCE)
failing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(failing)
FAULTS, Ack, pauses, read, summary, trials, twice = (
    getattr(failing, name) for name in ("FAULTS", "Ack", "pauses", "read", "summary", "trials", "twice")
)


def ack(sent, heard, timeline, row="1"):
    return Ack(row, sent, heard, "192.0.2.1", timeline)


def test_a_seed_says_the_order_and_each_kind_comes_before_any_comes_again():
    assert trials(7, 30) == trials(7, 30)
    assert trials(7, 30) != trials(8, 30)
    assert sorted(trials(7, len(FAULTS))) == sorted(FAULTS)
    assert max(FAULTS[name] for name in trials(7, 40, longest=40)) == 40


def test_a_line_that_was_cut_off_is_no_row():
    assert read("a\t1.0\t2.0\t192.0.2.1\t0000000A\nb\t1.0") == [Ack("a", 1.0, 2.0, "192.0.2.1", 10)]


def test_two_primaries_are_told_from_one_after_the_other():
    first, second = ack(1, 2, 1), ack(3, 4, 2)
    assert twice([first, second]) == []
    # Sent before anybody heard of the second, and heard late.
    assert twice([first, second, ack(2, 9, 1)]) == []
    late = ack(5, 6, 1)
    assert twice([first, second, late]) == [(second, late)]


def test_pauses_are_measured():
    acks = [ack(0, moment, 1) for moment in (0, 0.5, 3.5, 4, 6)]
    assert pauses(acks) == [3.0, 2.0]
    assert pauses(acks, since=1) == [3.0, 2.0]
    assert pauses(acks, since=3.5) == [2.0]
    assert summary(pauses(acks)) == "median 2.5 s, worst 3.0 s"
    assert summary([]) == "none"


def test_a_quiet_moment_is_one_at_which_no_row_was_under_way():
    acks = [ack(1, 2, 1), ack(3, 9, 1), ack(4, 5, 1), ack(9.005, 10, 1), ack(11, 12, 1)]
    assert {failing.quiet(acks, random.Random(seed)) for seed in range(30)} == {2.5, 10.5}
    assert failing.sent("3-17-1764400000.250000") == 1764400000.25
