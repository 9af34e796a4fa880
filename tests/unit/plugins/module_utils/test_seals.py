"""What was built is root's, and nothing else is touched on the way."""

import os

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.paths import DEEPEST, DIRECTORY, UnsafePath
from ansible_collections.selfhost.django.plugins.module_utils import seals

BUILDER, GROUP = 4711, 4712

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to other accounts")


@pytest.fixture
def code(tmp_path):
    """A release as its builder leaves it, with something of somebody else's in it."""
    code = tmp_path / "code"
    for path in ("bin", ".git/objects/ab", ".git/refs", "objects", "like/refs", "like/objects"):
        (code / path).mkdir(parents=True)
    files = {"bin/tool": 0o4775, "secret.key": 0o600, "open": 0o666, ".git/HEAD": 0o644, ".git/objects/ab/cd": 0o444, "objects/x": 0o644, "like/HEAD": 0o644}
    for path, mode in files.items():
        (code / path).write_text("x")
        (code / path).chmod(mode)
    # One more that is not the mirror's, too, as a submodule's; and what has two names as well, and is no object of this release.
    (code / ".git/objects/ab/own").write_text("x")
    os.link(code / ".git/objects/ab/cd", tmp_path / "mirror")
    (code / "like/objects/planted.py").write_text("x")
    os.link(code / "like/objects/planted.py", tmp_path / "other")
    (tmp_path / "victim").write_text("root's")
    (code / "link").symlink_to(tmp_path / "victim")
    (code / "up").symlink_to(tmp_path)
    os.mkfifo(code / "pipe")
    for folder, folders, files in os.walk(code):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(folder, name), BUILDER, BUILDER, follow_symlinks=False)
    (code / "bin/tool").chmod(0o4775)
    (code / "given").write_text("x")
    os.chown(code / "given", 4713, 4713)
    (code / "given").chmod(0o400)
    return code


def state(path):
    information = os.stat(path, follow_symlinks=False)
    return information.st_uid, information.st_gid, f"{information.st_mode & 0o7777:04o}"


def seal(code):
    folder = os.open(code, DIRECTORY)
    try:
        return seals.seal(folder, BUILDER, GROUP)
    finally:
        os.close(folder)


@pytest.mark.parametrize("path, mode", {
    ".": "0750", "bin": "0750", "bin/tool": "0750", "secret.key": "0640", "open": "0640", ".git": "0750", ".git/HEAD": "0640",
    "objects": "0750", "objects/x": "0640", ".git/objects": "0750", ".git/objects/ab": "0750", ".git/objects/ab/own": "0640",
    "like/objects": "0750", "like/objects/planted.py": "0640",
}.items())  # fmt: skip
def test_what_was_built_is_roots_and_its_group_reads_it(code, path, mode):
    seal(code)
    assert state(code / path) == (0, GROUP, mode)


@pytest.mark.parametrize("path", ["given", "link", "up", "pipe", ".git/objects/ab/cd", "../victim"])
def test_the_rest_stays_as_it_is(code, path):
    before = state(code / path)
    seal(code)
    assert state(code / path) == before


def test_a_second_time_there_is_nothing_to_do(code):
    assert seal(code) > 0
    assert seal(code) == 0


@pytest.mark.parametrize("levels", [DEEPEST + 1, 1100])
def test_what_lies_deeper_than_anything_that_is_built_is_refused_in_a_sentence(tmp_path, deep, levels):
    deep(tmp_path / "fits", DEEPEST)
    deep(tmp_path / "code", levels)
    assert seals.seal_all([f"{tmp_path}/fits"], str(os.getuid()), str(GROUP)) == DEEPEST + 1
    with pytest.raises(UnsafePath, match=f"^What was built has more than {DEEPEST} folders one in another, which nobody seals: d/d/"):
        seals.seal_all([f"{tmp_path}/code"], str(os.getuid()), str(GROUP))
    assert len(os.listdir("/proc/self/fd")) < 100


def test_what_has_gone_since_it_was_listed_is_nobodys(code, monkeypatch):
    listdir = os.listdir
    monkeypatch.setattr(seals.os, "listdir", lambda folder: ["gone", *listdir(folder)])
    assert seal(code) > 0


def test_of_a_pattern_links_are_left_out(code, tmp_path):
    """uv names each of its interpreters by a link, too."""
    (tmp_path / "zz").symlink_to(tmp_path / "victim")
    before = state(tmp_path / "victim")
    assert seals.seal_all([f"{tmp_path}/code", f"{tmp_path}/z*"], str(BUILDER), str(GROUP)) > 0
    assert state(tmp_path / "victim") == before


def test_what_is_marked_as_whole_is_whole_after_a_power_cut(powered):
    virtualenv = powered.directory / "venvs/one"
    virtualenv.mkdir(parents=True)
    for number in range(20):
        (virtualenv / f"{number}.py").write_text("x = 1\n")
    seals.seal_all([f"{virtualenv}"], "root", str(GROUP), ".complete")
    powered.cut()
    assert (virtualenv / ".complete").exists()
    assert [path.name for path in virtualenv.glob("*.py") if path.read_text() != "x = 1\n"] == []
