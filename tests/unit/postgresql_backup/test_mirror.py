"""What is copied of a folder that the application may write to: its files and links, and nothing that a link of its leads to."""

import errno
import importlib
import os
import pathlib
import stat
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))

core, media, mirror, paths, room = (importlib.import_module(f"postgresql_backup.{name}") for name in ("core", "media", "mirror", "paths", "room"))


LINK = os.link


@pytest.fixture(params=["links", "copies"])
def copy(request, tmp_path, monkeypatch):
    """Return a function that copies `source` to `target`, by links and as where there can be none."""
    if request.param == "copies":

        def refuse(*_arguments, **_options):
            raise OSError(errno.EXDEV, "another disk")

        monkeypatch.setattr(mirror.os, "link", refuse)
    for name in ("source", "target", "work"):
        (tmp_path / name).mkdir()

    def run(delete=True, **options):
        handles = [os.open(tmp_path / name, paths.DIRECTORY) for name in ("source", "target", "work")]
        made = mirror.Mirror(handles[2], delete, **options)
        made.copy(*handles[:2])
        for handle in handles:
            os.close(handle)
        assert os.listdir(tmp_path / "work") == []
        return made

    run.source, run.target = tmp_path / "source", tmp_path / "target"
    return run


def test_files_and_folders_of_any_name_are_there_with_their_modes_and_times(copy):
    names = ["a b", "two\nlines", b"\xff".decode("utf-8", "surrogateescape"), ".being-copied", "-rf"]
    (copy.source / "folder").mkdir(mode=0o750)
    for name in names:
        (copy.source / "folder" / name).write_text(name, errors="surrogateescape")
    os.chmod(copy.source / "folder" / "a b", 0o640)
    os.utime(copy.source / "folder" / "a b", (1, 2))
    os.utime(copy.source / "folder", (3, 4))
    copy()
    assert sorted(os.listdir(copy.target / "folder")) == sorted(names)
    for name in names:
        assert (copy.target / "folder" / name).read_text(errors="surrogateescape") == name
    found = (copy.target / "folder" / "a b").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o640, 2)
    assert (stat.S_IMODE((copy.target / "folder").stat().st_mode), (copy.target / "folder").stat().st_mtime) == (0o750, 4)


def test_links_are_copied_as_links(copy, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (copy.source / "file").symlink_to(tmp_path / "secret")
    (copy.source / "folder").symlink_to(tmp_path)
    copy()
    copy()
    assert os.readlink(copy.target / "file") == str(tmp_path / "secret")
    assert os.readlink(copy.target / "folder") == str(tmp_path)
    (copy.source / "file").unlink()
    (copy.source / "file").symlink_to("elsewhere")
    copy()
    assert os.readlink(copy.target / "file") == "elsewhere"


def test_pipes_and_sockets_are_left_out_without_waiting(copy):
    os.mkfifo(copy.source / "pipe")
    (copy.source / "file").write_text("file")
    # As another version copied it.
    os.mkfifo(copy.target / "pipe")
    copy()
    assert os.listdir(copy.target) == ["file"]


def test_what_has_become_something_else_takes_the_place_of_what_was_copied(copy):
    (copy.source / "one").write_text("one")
    (copy.source / "other").mkdir()
    (copy.source / "other" / "file").write_text("file")
    copy()
    (copy.source / "one").unlink()
    (copy.source / "one").mkdir()
    (copy.source / "other" / "file").unlink()
    (copy.source / "other").rmdir()
    (copy.source / "other").write_text("other")
    copy()
    assert (copy.target / "one").is_dir()
    assert (copy.target / "other").read_text() == "other"


def test_folders_and_links_are_asked_room_for_as_files_are(copy):
    """As many of them take the last name and block of a disk."""
    for number in range(20):
        (copy.source / f"folder{number}").mkdir()
        (copy.source / f"link{number}").symlink_to("x" * 4000)
    asked = []
    copy(make_room=asked.append)
    assert len(asked) == 40 and all(size > 0 for size in asked)
    # What is there already takes nothing.
    copy(make_room=asked.append)
    assert len(asked) == 40
    (copy.source / "one more").mkdir()

    def refuse(_size):
        raise core.Failure("no room")

    with pytest.raises(core.Failure, match="no room"):
        copy(make_room=refuse)
    assert not (copy.target / "one more").exists()


def test_only_the_first_pass_removes(copy):
    (copy.source / "one").write_text("one")
    copy()
    (copy.source / "one").unlink()
    (copy.source / "two").write_text("two")
    copy(delete=False)
    assert sorted(os.listdir(copy.target)) == ["one", "two"]
    copy()
    assert os.listdir(copy.target) == ["two"]


def test_two_names_of_one_file_are_two_names(copy):
    (copy.source / "one").write_text("one")
    LINK(copy.source / "one", copy.source / "two")
    copy()
    copy()
    assert {path.name: path.read_text() for path in copy.target.iterdir()} == {"one": "one", "two": "one"}


def test_a_file_that_is_written_anew_is_copied_anew(copy):
    (copy.source / "one").write_text("one")
    copy()
    (copy.source / "new").write_text("another")
    (copy.source / "new").rename(copy.source / "one")
    copy()
    assert (copy.target / "one").read_text() == "another"


def test_a_file_that_only_claims_to_be_large_takes_no_room(copy):
    with open(copy.source / "sparse", "wb") as file:
        file.seek(1 << 34)
        file.write(b"end")
    copy()
    found = (copy.target / "sparse").stat()
    assert found.st_size == (1 << 34) + 3
    assert found.st_blocks < 2048
    with open(copy.target / "sparse", "rb") as file:
        file.seek(1 << 34)
        assert file.read() == b"end"


def test_folders_without_end_are_left_out_and_told(copy):
    os.makedirs(copy.source / "/".join(["d"] * 300))
    (copy.source / "file").write_text("file")
    made = copy()
    assert len(made.left_out) == 1
    assert (copy.target / "file").read_text() == "file"


def test_what_becomes_a_link_while_it_is_looked_at_is_not_followed(copy, tmp_path, monkeypatch):
    """As the application would have it: between the look and the opening."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "shadow").write_text("secret")
    (copy.source / "folder").mkdir()
    (copy.source / "file").write_text("file")
    look = mirror.look

    def look_and_swap(name, folder):
        found = look(name, folder)
        if (copy.source / "file").is_file() and not (copy.source / "file").is_symlink():
            (copy.source / "file").unlink()
            (copy.source / "file").symlink_to(tmp_path / "secret" / "shadow")
            (copy.source / "folder").rmdir()
            (copy.source / "folder").symlink_to(tmp_path / "secret")
        return found

    monkeypatch.setattr(mirror, "look", look_and_swap)
    copy()
    for folder, _folders, names in os.walk(copy.target):
        for name in names:
            path = pathlib.Path(folder) / name
            assert path.is_symlink() or path.read_text() != "secret"


def test_files_are_counted_without_following_a_link(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("one", "a/two", "a/b/three"):
        (tmp_path / name).write_text(name)
    (tmp_path / "a/folder").symlink_to(tmp_path)
    (tmp_path / "a/link").symlink_to("two")
    os.mkfifo(tmp_path / "a/pipe")
    folder = os.open(tmp_path, paths.DIRECTORY)
    assert [mirror.count(folder), *(mirror.count(folder, most) for most in (0, 2, 9))] == [3, 0, 2, 3]
    os.close(folder)


def settings(tmp_path):
    (tmp_path / "backup" / "staging").mkdir(parents=True)
    tree = {"name": "", "path": str(tmp_path / "shared" / "media")}
    return core.Settings(reserve_mb=0, media={"path": str(tmp_path / "backup"), "trees": [tree], "sources": {"web1": ""}}), tree


def test_uploads_that_are_a_link_are_refused_and_the_copy_of_before_stays(tmp_path):
    given, tree = settings(tmp_path)
    (tmp_path / "shared" / "media").mkdir(parents=True)
    (tmp_path / "shared" / "media" / "file").write_text("file")
    assert media.own(given, room.Share(given, tmp_path, 1, []), "web1", tree, True) == []
    (tmp_path / "shared" / "media").rename(tmp_path / "shared" / "mine")
    (tmp_path / "shared" / "media").symlink_to("/etc")
    os.chown(tmp_path / "shared" / "media", 65534, 65534, follow_symlinks=False)
    with pytest.raises(core.Failure, match="media is not copied: .* is a link to /etc, .*root does not follow it"):
        media.own(given, room.Share(given, tmp_path, 1, []), "web1", tree, True)
    assert os.listdir(tmp_path / "backup/staging/web1") == ["file"]


def test_uploads_that_have_gone_are_told_and_those_that_never_were_are_not(tmp_path):
    given, tree = settings(tmp_path)
    assert media.own(given, room.Share(given, tmp_path, 1, []), "web1", tree, True) == []
    (tmp_path / "backup/staging/web1").mkdir()
    (tmp_path / "backup/staging/web1/file").write_text("file")
    (told,) = media.own(given, room.Share(given, tmp_path, 1, []), "web1", tree, True)
    assert told.startswith(f"the files in web1:{tree['path']} have fallen from 1 to 0,")


def test_directories_of_what_is_not_copied_any_more_go(tmp_path):
    given, _tree = settings(tmp_path)
    staging = tmp_path / "backup" / "staging"
    trees = [{"name": "", "path": "/m"}, {"name": "private/a", "path": "/p"}]
    given["media"]["trees"] = trees
    for name in ("web1", "web9", "shared@web1/private/a", "shared@web1/former", "shared@web9/private"):
        (staging / name).mkdir(parents=True)
    media.prepare(given)
    assert sorted(str(path.relative_to(staging)) for path in staging.rglob("*")) == ["shared@web1", "shared@web1/private", "shared@web1/private/a", "web1"]


def test_a_link_in_the_place_of_a_directory_is_not_handed_over(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "web1").symlink_to(tmp_path / "victim")
    media.make_folder(str(tmp_path / "web1"), "nobody")
    assert (tmp_path / "victim").stat().st_uid == os.geteuid()
    assert not (tmp_path / "web1").is_symlink()
