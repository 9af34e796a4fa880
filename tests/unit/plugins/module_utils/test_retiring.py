"""How a release goes: visitors in its queue are answered first, and nothing goes that somebody may go back to."""

import contextlib
import os
import resource

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import retiring
from ansible_collections.selfhost.django.plugins.module_utils.retiring import doomed, drained, prune, retire, waiting

LINE = "u_str LISTEN %d 128 /srv/shop/releases/abc-1/app.sock 4711 * 0\n"


@pytest.mark.parametrize(("listing", "number"), [("", 0), (LINE % 0, 0), (LINE % 7, 7)])
def test_the_queue_is_the_third_column(listing, number):
    assert waiting(listing) == number


@pytest.mark.parametrize(("queue", "timeout_seconds", "in_time"), [([0], 0, True), ([2, 1, 0], 5, True), ([1, 1, 1, 1], 2, False), ([1, 0], 0, False)])
def test_it_waits_as_long_as_it_may(queue, timeout_seconds, in_time):
    queue, clock = list(queue), iter(range(100))
    assert drained(lambda: LINE % queue.pop(0), timeout_seconds, lambda: next(clock), lambda seconds: None) is in_time


def test_those_that_are_replaced_are_stopped_together_once_nobody_waits():
    asked = []

    def ask(*words):
        asked.append(words)
        return LINE % 0

    assert retire(ask, "/srv/shop", "shop", [], 5) == [] and asked == []
    assert retire(ask, "/srv/shop", "shop", ["a-1", "b-1"], 5) == []
    assert [words[-1] for words in asked[:2]] == ["/srv/shop/releases/a-1/app.sock", "/srv/shop/releases/b-1/app.sock"]
    assert asked[2:] == [("systemctl", "stop", "--no-block", "shop@a-1.socket", "shop@a-1.service", "shop@b-1.socket", "shop@b-1.service")]


def test_a_release_whose_queue_never_ends_is_stopped_all_the_same():
    """As one that was broken into can have it, by connections of its own."""
    asked, moments = [], iter(range(100))

    def ask(*words):
        asked.append(words)
        return LINE % (1 if words[-1].endswith("/a-1/app.sock") else 0)

    assert retire(ask, "/srv/shop", "shop", ["a-1", "b-1"], 0, lambda: next(moments)) == [
        "After 0 s visitors still waited for release a-1. It was stopped all the same."
    ]
    assert asked[-1] == ("systemctl", "stop", "--no-block", "shop@a-1.socket", "shop@a-1.service", "shop@b-1.socket", "shop@b-1.service")


@pytest.mark.parametrize(
    ("releases", "used", "keep", "names"),
    [
        ({"a": 1}, (), 0, []),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, (), 2, ["b"]),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, (), 0, ["b", "c", "d"]),
        ({"a": 9, "b": 2, "c": 3}, (), 1, ["b"]),
        ({"a": 1, "b": 2, "c": 3}, ("b",), 0, ["c"]),
        ({"a": 1, "b": None, "c": 3}, (), 5, ["b"]),
        ({"a": None, "b": 2}, (), 5, []),
    ],
)
def test_the_one_that_serves_the_last_ones_and_those_in_use_stay(releases, used, keep, names):
    assert doomed(releases, "a", used, keep) == names


@pytest.fixture
def site(tmp_path):
    """Return a function that makes releases, the last of which serves, each with a virtualenv of its own, and says what is there."""

    def make(*names):
        for number, name in enumerate(names):
            (tmp_path / "releases" / name / "code").mkdir(parents=True)
            (tmp_path / "venvs" / f"of-{name}").mkdir(parents=True)
            (tmp_path / "releases" / name / "venv").symlink_to(f"../../venvs/of-{name}")
            record = tmp_path / "releases" / name / "release.json"
            record.write_text("{}")
            os.utime(record, (number, number))
        (tmp_path / "current").symlink_to(f"releases/{names[-1]}")
        return tmp_path

    return make


@contextlib.contextmanager
def descriptors(most):
    """Let this process open as many files at once, as one on a host may open a thousand."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def left(root):
    return sorted(os.listdir(root / "releases")), sorted(os.listdir(root / "venvs"))


def test_virtualenvs_go_with_their_last_release(site):
    root = site("a", "b", "c")
    assert prune(str(root), "shop", 1, dry=True) == ["a"] and len(left(root)[0]) == 3
    assert prune(str(root), "shop", 1, run=str(root)) == ["a"]
    assert left(root) == (["b", "c"], ["of-b", "of-c"])
    assert prune(str(root), "shop", 1, run=str(root)) == []


def test_what_a_job_still_runs_stays(site):
    root = site("a", "b", "c")
    (root / "shop-tick").mkdir()
    (root / "shop-tick/release").write_text("a\n")
    assert prune(str(root), "shop", 0, run=str(root)) == ["b"]


def test_a_server_that_still_answers_keeps_its_release(site, monkeypatch):
    root = site("a", "b", "c")
    monkeypatch.setattr(retiring, "output", lambda *words: "shop@a.service loaded deactivating stop-sigterm shop\n")
    assert prune(str(root), "shop", 0, run=str(root)) == ["b"]


def test_nothing_outside_goes(site):
    root = site("a", "b")
    outside = root / "outside"
    (outside / "inner").mkdir(parents=True)
    (root / "releases/a/code/link").symlink_to(outside)
    (root / "releases/link").symlink_to(outside)
    (root / "releases/file").write_text("x")
    prune(str(root), "shop", 0, run=str(root))
    assert left(root) == (["b"], ["of-b"]) and (outside / "inner").is_dir()


def test_what_was_replaced_stays_whatever_the_clock_says(site):
    """One that was set back has it look like the oldest of all."""
    root = site("replaced", "a", "b", "c")
    (root / "releases/c/release.json").write_text('{"previous": "replaced"}')
    assert prune(str(root), "shop", 1, run=str(root)) == ["a"]
    (root / "releases/c/release.json").write_text('{"previous": null}')
    assert prune(str(root), "shop", 1, run=str(root)) == ["replaced"]


def test_what_somebody_made_deeper_than_a_program_goes_is_removed(site, deep):
    root = site("a", "b")
    for place in ("releases/a/static", "releases/a/code", "venvs/left", "releases/deep"):
        deep(root / place)
    with descriptors(200):
        assert prune(str(root), "shop", 0, run=str(root)) == ["a", "deep"]
    assert left(root) == (["b"], ["of-b"])


@pytest.mark.parametrize("damage", ["no link", "a link to nowhere"])
def test_nothing_goes_while_it_is_not_known_what_serves(site, damage):
    root = site("a", "b")
    (root / "current").unlink()
    if damage == "a link to nowhere":
        (root / "current").symlink_to("releases/none")
    with pytest.raises(OSError, match="No release of .* serves"):
        prune(str(root), "shop", 0, run=str(root))
    assert left(root) == (["a", "b"], ["of-a", "of-b"])


def test_a_release_that_is_removed_in_part_is_no_whole_one(site, monkeypatch):
    root = site("a", "b", "c")

    def killed(path):
        raise OSError(f"killed in {path}")

    monkeypatch.setattr(retiring, "clear", killed)
    with pytest.raises(OSError, match="killed"):
        prune(str(root), "shop", 1, run=str(root))
    assert not (root / "releases/a/release.json").exists() and (root / "releases/a/code").exists()


def test_a_virtualenv_that_is_removed_in_part_is_no_whole_one(site, monkeypatch):
    root = site("a", "b")
    (root / "venvs/old/lib").mkdir(parents=True)
    (root / "venvs/old/.complete").touch()

    def killed(path):
        raise OSError(f"killed in {path}")

    monkeypatch.setattr(retiring, "clear", killed)
    with pytest.raises(OSError, match="killed in .*/venvs/old"):
        prune(str(root), "shop", 1, run=str(root))
    assert os.listdir(root / "venvs/old") == ["lib"]
