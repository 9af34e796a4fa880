"""Directories below folders of another account: what a link in them must not lead to."""

import os
import pathlib
import stat
import subprocess

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath, is_inside, outermost
from ansible_collections.selfhost.django.plugins.module_utils import directories, paths

ME, MINE = str(os.getuid()), str(os.getgid())


def entry(path, mode="0751", **more):
    return {"path": str(path), "owner": ME, "group": MINE, "mode": mode} | more


def mode(path):
    return stat.S_IMODE(pathlib.Path(path).lstat().st_mode)


@pytest.fixture
def victim(tmp_path):
    """What the link of an attacker leads to."""
    path = tmp_path / "victim"
    path.mkdir(mode=0o700)
    return path


def test_they_are_made_and_a_second_time_nothing_changes(tmp_path):
    wanted = [entry(tmp_path / "shared", "0711"), entry(tmp_path / "shared/a/b", "2750")]
    os.umask(0o077)
    assert [path for path, _change in directories.apply(wanted)] == [row["path"] for row in wanted]
    assert (mode(tmp_path / "shared"), mode(tmp_path / "shared/a"), mode(tmp_path / "shared/a/b")) == (0o711, 0o755, 0o2750)
    assert list(directories.apply(wanted)) == []
    (tmp_path / "shared").chmod(0o777)
    ((path, (before, after)),) = directories.apply(wanted)
    assert (path, before["mode"], after["mode"]) == (wanted[0]["path"], "0777", "0711")


def test_a_dry_run_tells_and_does_nothing(tmp_path):
    (tmp_path / "there").mkdir(mode=0o700)
    wanted = [entry(tmp_path / "there"), entry(tmp_path / "missing/below"), entry(tmp_path / "x") | {"owner": "no-such-account"}]
    assert len(list(directories.apply(wanted, check=True))) == 3
    assert (mode(tmp_path / "there"), [path.name for path in tmp_path.iterdir()]) == (0o700, ["there"])


def test_what_is_there_may_be_kept_as_it_is(tmp_path):
    (tmp_path / "private").mkdir(mode=0o700)
    assert list(directories.apply([entry(tmp_path / "private", "0755", keep=True), entry(tmp_path / "new", "0755", keep=True)])) != []
    assert (mode(tmp_path / "private"), mode(tmp_path / "new")) == (0o700, 0o755)


@pytest.mark.parametrize("where", ["media", "media/below", "data/media"])
def test_no_link_of_another_account_is_followed(tmp_path, victim, where):
    (tmp_path / "data").mkdir()
    link = tmp_path / ("media" if where.startswith("media") else where)
    link.symlink_to(victim)
    with pytest.raises(UnsafePath, match=f"{link} is a link to {victim}"):
        list(directories.apply([entry(tmp_path / where, "0777")]))
    assert mode(victim) == 0o700 and list(victim.iterdir()) == []


@pytest.mark.parametrize("make", [lambda path: path.touch(), os.mkfifo], ids=["file", "pipe"])
def test_what_is_no_directory_is_named(tmp_path, make):
    make(tmp_path / "media")
    with pytest.raises(UnsafePath, match=f"{tmp_path}/media is no directory"):
        list(directories.apply([entry(tmp_path / "media")]))


def test_children_get_their_owner_and_links_among_them_are_left_alone(tmp_path, victim, monkeypatch):
    (tmp_path / "releases/r1").mkdir(parents=True)
    (tmp_path / "releases/evil").symlink_to(victim)
    (tmp_path / "releases/file").touch()
    given = {}
    monkeypatch.setattr(directories.os, "fchown", lambda descriptor, uid, gid: given.update({os.readlink(f"/proc/self/fd/{descriptor}"): uid}))
    (tmp_path / "releases").chmod(0o751)
    list(directories.apply([entry(tmp_path / "releases", owner_of_children="12345")]))
    assert given == {str(tmp_path / "releases/r1"): 12345}


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes links that are trusted")
def test_an_operator_may_have_moved_a_folder_to_another_disk():
    """Root's link, in a folder that is root's alone, as every folder above it is."""
    base = pathlib.Path("/var/lib/selfhost-test-directories")
    try:
        (base / "disk").mkdir(parents=True)
        (base / "shared").symlink_to(base / "disk")
        list(directories.apply([entry(base / "shared/media", "0700")]))
        assert mode(base / "disk/media") == 0o700
        (base / "relative").symlink_to("shared/../disk")
        list(directories.apply([entry(base / "relative/static", "0700")]))
        assert mode(base / "disk/static") == 0o700
        (base / "round").symlink_to("round")
        with pytest.raises(UnsafePath):
            list(directories.apply([entry(base / "round")]))
        os.chown(base / "shared", 65534, 65534, follow_symlinks=False)
        with pytest.raises(UnsafePath, match="where another account may put links"):
            list(directories.apply([entry(base / "shared/media", "0755")]))
        os.chown(base / "shared", 0, 0, follow_symlinks=False)
        base.chmod(0o777)
        with pytest.raises(UnsafePath):
            list(directories.apply([entry(base / "shared/media", "0755")]))
    finally:
        os.system(f"rm -rf {base}")


@pytest.mark.parametrize("name", ["deep", "-rf", "a b\nc", "*"])
def test_whatever_is_at_a_path_is_removed_and_nothing_that_a_link_in_it_leads_to(tmp_path, victim, deep, name):
    (victim / "file").touch()
    deep(tmp_path / "folder" / name)
    (tmp_path / "folder" / name / "link").symlink_to(victim)
    (tmp_path / "folder" / name / "d/up").symlink_to("..")
    (tmp_path / "folder/stays").mkdir()
    directories.clear(str(tmp_path / "folder" / name))
    directories.clear(str(tmp_path / "folder" / name))
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["stays"] and (victim / "file").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="a folder that root cannot remove is mounted")
def test_what_cannot_be_removed_is_a_sentence(tmp_path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    subprocess.run(["mount", "--types", "tmpfs", "none", tmp_path / "folder/inner"], check=True)
    try:
        with pytest.raises(OSError, match="^folder cannot be removed: .*Device or resource busy"):
            directories.clear(str(tmp_path / "folder"))
    finally:
        subprocess.run(["umount", tmp_path / "folder/inner"], check=True)


def test_of_what_is_below_a_folder_everything_is_told_and_nothing_that_a_link_leads_to(tmp_path, victim, deep):
    (victim / "file").touch()
    deep(tmp_path / "folder")
    for name in ("file", "d/file", "/".join("d" * 1100) + "/file"):
        (tmp_path / "folder" / name).write_text("x")
    (tmp_path / "folder/link").symlink_to(victim)
    assert sorted(stat.S_IFMT(row.st_mode) for row in paths.below(str(tmp_path / "folder"))) == [stat.S_IFREG] * 3 + [stat.S_IFLNK]
    assert list(paths.below(str(tmp_path / "none"))) == []


def test_paths_as_a_set():
    assert outermost(["data/media", "data", "./data/", "log", "data-2"]) == ["data", "data-2", "log"]
    assert is_inside("data/media", "data") and is_inside("data", "data/") and not is_inside("data-2", "data")
