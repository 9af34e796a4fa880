"""Which release a rollback goes back to."""

import importlib.util
import json
import os
import pathlib

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[3] / "roles/django/files/choose_release.py"
spec = importlib.util.spec_from_file_location("choose_release", PROGRAM)
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

# In the order in which they served: release, previous, version.
SERVED = [("aaaaaaaaaaaa-1", "", "v1"), ("bbbbbbbbbbbb-1", "aaaaaaaaaaaa-1", "main"), ("cccccccccccc-1", "bbbbbbbbbbbb-1", "main")]


@pytest.fixture
def host(tmp_path):
    """Return a function that makes a host's tree in which `current` serves."""

    def make(current, served=SERVED):
        for number, (release, previous, version) in enumerate(served):
            path = tmp_path / "releases" / release / "release.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({"release": release, "previous": previous, "version": version, "revision": release[:12] + "0" * 28}))
            os.utime(path, (number, number))
        (tmp_path / "releases/dddddddddddd-1").mkdir()
        (tmp_path / "current").symlink_to(f"releases/{current}")
        return tmp_path

    return make


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
def test_choice(host, current, wanted, chosen):
    assert program.choose(host(current), *wanted) == chosen


@pytest.mark.parametrize(
    ("current", "wanted", "sentence"),
    [
        ("aaaaaaaaaaaa-1", [], "The release before aaaaaaaaaaaa-1 is not there any more"),
        # It never served.
        ("cccccccccccc-1", ["dddddddddddd-1"], "rollback_to is dddddddddddd-1, which is no release that is kept here. Kept: bbbbbbbbbbbb-1 (main); aaaa"),
        ("cccccccccccc-1", ["a"], "rollback_to is a, which is no release"),
    ],
)
def test_refusal(host, current, wanted, sentence):
    with pytest.raises(LookupError) as refusal:
        program.choose(host(current), *wanted)
    assert sentence in str(refusal.value)


def test_before_the_first_release(tmp_path):
    with pytest.raises(LookupError, match="No release serves here"):
        program.choose(tmp_path)
