"""What says that something is whole comes after it, and what a build may have left in parts when the power failed is not built with."""

import os

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import disks, paths
from ansible_collections.selfhost.django.plugins.module_utils.disks import building, flush_all
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath

BUILDER = 4711

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to other accounts")


@pytest.fixture
def site(tmp_path):
    """The directory of an application with what builds share in it."""
    shared = ("build/.cache/uv", "build/uv-1.venv/bin", "build/poetry-1.venv.new", "build/repository.git", "python/cpython-3.12", "python/cpython-3.13")
    for name in shared:
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "python/cpython-3").symlink_to("cpython-3.12")
    (tmp_path / "build/repository_key").touch()
    for path in (tmp_path / "python/cpython-3", tmp_path / "python/cpython-3.13", tmp_path / "build/.cache"):
        os.chown(path, BUILDER, BUILDER, follow_symlinks=False)
    return tmp_path


def there(site):
    return sorted(os.listdir(site / "build")), sorted(os.listdir(site / "python"))


ALL = [".cache", "poetry-1.venv.new", "repository.git", "repository_key", "uv-1.venv"], ["cpython-3", "cpython-3.12", "cpython-3.13"]
LEFT = ["repository.git", "repository_key"], ["cpython-3", "cpython-3.12"]


@pytest.mark.parametrize(("boot", "left"), [("", ALL), ("this", ALL), ("an earlier one", LEFT)])
def test_where_the_host_went_down_what_builds_share_goes_and_what_serves_stays(site, boot, left):
    if boot:
        with open(disks.BOOT, encoding="ascii") as file:
            (site / disks.PENDING).write_text(file.read() if boot == "this" else boot)
    with building(str(site)):
        assert there(site) == left and (site / disks.PENDING).exists()
    assert there(site) == left and not (site / disks.PENDING).exists()


@pytest.mark.parametrize("ending", [SystemExit, OSError])
def test_a_build_that_fails_has_left_nothing_in_parts(site, ending):
    with pytest.raises(ending), building(str(site)):
        raise ending
    assert not (site / disks.PENDING).exists()


def test_what_was_built_is_on_the_disk_and_else_it_is_known(powered):
    root, cached = powered.directory / "shop", powered.directory / "shop/build/.cache/x.py"
    cached.parent.mkdir(parents=True)
    with building(str(root)):
        cached.write_text("x = 1")
    powered.cut()
    assert cached.read_text() == "x = 1" and not (root / disks.PENDING).exists()
    with building(str(root)):
        powered.cut(after_others=False)
        assert (root / disks.PENDING).exists()


def test_an_application_that_an_operator_moved_to_another_disk_is_built_for(site, tmp_path_factory, monkeypatch):
    moved = tmp_path_factory.mktemp("srv") / "shop"
    monkeypatch.setattr(paths, "is_private", lambda _information: True)
    moved.symlink_to(site)
    with building(str(moved)):
        assert (site / disks.PENDING).exists()
    assert not (site / disks.PENDING).exists()
    os.chown(moved, BUILDER, BUILDER, follow_symlinks=False)
    with pytest.raises(UnsafePath, match="is a link to"), building(str(moved)):
        pass


def test_a_link_in_the_place_of_a_cache_goes_and_not_what_it_leads_to(site):
    (site / "victim/inner").mkdir(parents=True)
    (site / "build/uv-2.venv").symlink_to(site / "victim")
    (site / disks.PENDING).write_text("an earlier one")
    with building(str(site)):
        assert there(site) == LEFT
    assert (site / "victim/inner").is_dir()


def test_where_no_application_is_named_nothing_is_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with building(""):
        assert os.listdir(tmp_path) == []


def test_each_file_system_is_waited_for_once(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(disks, "flush", waited.append)
    (tmp_path / "inner").mkdir()
    flush_all(str(tmp_path), str(tmp_path / "inner"), str(tmp_path / "none"), "/proc")
    assert len(waited) == 2


def test_a_folder_is_reached_by_no_link_of_another_account(tmp_path):
    (tmp_path / "link").symlink_to("/proc")
    os.chown(tmp_path / "link", BUILDER, BUILDER, follow_symlinks=False)
    with pytest.raises(UnsafePath, match="is a link to /proc"):
        flush_all(str(tmp_path / "link"))


def test_what_cannot_be_written_is_told():
    with pytest.raises(OSError, match="Bad file descriptor"):
        disks.flush(-1)
