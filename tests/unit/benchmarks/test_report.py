"""What the report makes of measurements: a figure that is missing is said, never made up."""

import importlib.util
import pathlib

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[3] / "benchmarks/report.py"
spec = importlib.util.spec_from_file_location("report", SOURCE)
report = importlib.util.module_from_spec(spec)
spec.loader.exec_module(report)

RESULT = {"date": "2026-01-31 14:00", "revision": "abc", "runs": 3, "scale": 1, "load": [0.1, 2.0], "seconds": 90}


@pytest.mark.parametrize(
    ("samples", "expected"), [([], None), ([4.0], 4.0), ([9, 1, 2], 2), ([1, 2, 3, 100], 2.5), ([0, 0, 5], 0)]
)  # fmt: skip
def test_median(samples, expected):
    assert report.median(samples) == expected


@pytest.mark.parametrize(
    ("ours", "beside", "expected"), [(3, 2, 1.5), (0, 2, 0), (3, 0, None), (3, None, None), (None, 2, None)]
)  # fmt: skip
def test_ratio(ours, beside, expected):
    assert report.ratio(ours, beside) == expected


def test_a_row_has_the_ratio_of_the_medians_and_keeps_every_figure():
    assert report.row("deploy", [30, 10, 20], "s", [5, 1, 50], "by hand") == {
        "name": "deploy", "ours": 20, "beside": 5, "ratio": 4, "unit": "s", "against": "by hand", "samples": [[30, 10, 20], [5, 1, 50]],
    }  # fmt: skip


def test_a_row_with_nothing_beside_it_has_no_ratio():
    assert report.row("tasks", [261], "tasks")["ratio"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (0, "0"), (2, "2"), (0.987, "0.99"), (7.4, "7.40"), (70.52, "70.5"), (131.4, "131"), (61234.5, "61,234")],
)
def test_number(value, expected):
    assert report.number(value) == expected


def test_table():
    rows = [report.row("deploy", [20], "s", [8], "by hand"), report.row("tasks", [110], "tasks")]
    assert report.table(rows).splitlines()[2:] == [
        "| deploy | 20.0 | 8 | **2.50** | s | by hand |",
        "| tasks | 110 | – | – | tasks |  |",
    ]


def test_a_part_that_failed_says_so_and_the_others_have_their_tables():
    rows = [report.row("deploy", [20], "s", [8], "by hand")]
    parts = {"c": RESULT | {"rows": rows}, "b": RESULT | {"error": "site.yml ended with status 2"}}
    text = report.document({"machine": {"cores": 2, "kernel": "6.1"}, "parts": parts})
    failed, shown = text.index("**Failed**, so there are no figures: site.yml ended with status 2"), text.index("| deploy | 20.0 |")
    assert text.index("## b. ") < failed < text.index("## c. ") < shown
    assert "share the 2 cores" in text and "| kernel | 6.1 |" in text


def test_a_part_says_when_at_which_load_and_of_how_many_runs_it_is():
    line = report.part("a", RESULT | {"rows": []}).splitlines()[2]
    assert line == "2026-01-31 14:00, revision abc, median of 3, load 0.1 to 2.0, 1.5 minutes."


def test_a_trial_is_no_result():
    assert "a trial at scale 0.01, which shows nothing" in report.part("a", RESULT | {"scale": 0.01, "rows": []})


WRK = """\
Running 4s test @ https://10.88.42.11/trivial/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.12ms    1.01ms  21.11ms   80.12%
    Req/Sec     7.10k   512.00     8.11k    70.00%
  Latency Distribution
     50%    1.98ms
     90%    3.01ms
     99%    {p99}
  {requests} requests in 4.10s, 11.28MB read
{more}Requests/sec:   7041.22
Transfer/sec:      2.75MB
"""


@pytest.mark.parametrize(("p99", "expected"), [("850.00us", 0.85), ("6.51ms", 6.51), ("1.20s", 1200), ("1.50m", 90000)])
def test_read_wrk(p99, expected):
    assert report.read_wrk(WRK.format(p99=p99, requests=28869, more="")) == (7041.22, pytest.approx(expected))


@pytest.mark.parametrize(
    ("requests", "more"),
    [(9, "  Non-2xx or 3xx responses: 9\n"), (9, "  Socket errors: connect 0, read 0, write 0, timeout 3\n"), (0, "")],
)
def test_answers_that_are_bad_or_missing_are_no_figure(requests, more):
    with pytest.raises(ValueError, match="^wrk: "):
        report.read_wrk(WRK.format(p99="6.51ms", requests=requests, more=more))


def test_every_part_has_a_title():
    assert sorted(path.stem[0] for path in SOURCE.parent.glob("parts/[a-z]_*.py")) == sorted(report.TITLES)
