"""A restore brings files to a folder around which another account may do what it likes."""

import os
import pwd
import subprocess
import time

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath
from ansible_collections.selfhost.django.plugins.modules import restored_folder as module

NOBODY = pwd.getpwnam("nobody")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another account")


@pytest.fixture
def rsync(tmp_path, monkeypatch):
    """Return a function that puts a shell's words in the place of rsync, and fetches by them into a folder."""

    def run(words):
        program, target = tmp_path / "bin" / "rsync", tmp_path / "target"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{words}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        target.mkdir()
        folder = os.open(target, os.O_RDONLY)
        try:
            module.fetch("web1::restored/", "nobody", "nogroup", folder)
        finally:
            os.close(folder)
        return target

    return run


@pytest.mark.parametrize(("words", "says"), [
    ("sleep 60 & echo $! >pid; wait", "rsync took longer than 1 s"),
    ("yes 'skipping non-regular file \"x\"' & echo $! >pid; wait", "rsync printed more than 1 MB"),
    # Of complaints without an end that of the beginning is told.
    ("echo 'rsync: no such module' >&2; yes 'rsync: error' | head --bytes=3000000 >&2; exit 5", "rsync: no such module; rsync: error; rsync: error$"),
    ("exit 12", "rsync ended with 12"),
])  # fmt: skip
def test_who_hands_over_holds_nobody_up(rsync, tmp_path, monkeypatch, words, says):
    monkeypatch.setattr(module, "SECONDS", 1 if "sleep" in words else 60, raising=False)
    before = time.monotonic()
    with pytest.raises(UnsafePath, match=says):
        rsync(words)
    assert time.monotonic() - before < 20
    if "pid" in words:
        # What it has started has ended, too; whether somebody has waited for it is no matter.
        shown = subprocess.run(["ps", "-o", "stat=", (tmp_path / "target" / "pid").read_text().strip()], capture_output=True, text=True, check=False)
        assert shown.stdout.strip()[:1] in ("", "Z")


def test_a_connection_that_has_died_is_given_up(rsync):
    said = (rsync('mkdir new; echo "$@" >new/arguments') / "new" / "arguments").read_text().split()
    assert "--timeout=600" in said and said[-2:] == ["web1::restored/", "./new/"]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The folder of an application, uploads in use, and what came out of a backup; rsync is stood in for by cp where there is none."""
    tmp_path.chmod(0o755)
    shared, source = tmp_path / "shared", tmp_path / "restored"
    (shared / "media").mkdir(parents=True)
    (shared / "media" / "new").write_text("new")
    (shared / "media").chmod(0o750)
    os.chown(shared, NOBODY.pw_uid, NOBODY.pw_gid)
    source.mkdir(mode=0o700)
    (source / "old").write_text("old")
    (source / "evil.conf").write_text("evil")

    def fetch(source, owner, group, folder):
        target = f"/proc/self/fd/{folder}/new"
        subprocess.run(["cp", "-a", "--no-target-directory", source, target], check=True, pass_fds=[folder])
        subprocess.run(["chown", "-hR", f"{owner}:{group}", target], check=True, pass_fds=[folder])

    monkeypatch.setattr(module, "fetch", fetch)

    def run(**options):
        given = {"source": f"{source}/", "owner": "nobody", "group": "nogroup", "mode": None, "stamp": "S"} | options
        parent = module.open_directory(str(options.get("shared", shared)))
        module.bring(given, "media", parent)
        if options.get("in_place"):
            module.swap(given, "media", parent)
        os.close(parent)

    run.shared = shared
    return run


def test_it_stands_beside_and_is_the_applications(site):
    site()
    assert sorted(os.listdir(site.shared)) == ["media", "media.restored"]
    brought = site.shared / "media.restored"
    assert sorted(os.listdir(brought)) == ["evil.conf", "old"]
    assert {path.stat().st_uid for path in (brought, *brought.iterdir())} == {NOBODY.pw_uid}
    assert brought.stat().st_mode & 0o777 == 0o750
    (brought / "of an earlier restore").write_text("")
    site(mode="2750")
    assert sorted(os.listdir(brought)) == ["evil.conf", "old"]
    assert brought.stat().st_mode & 0o7777 == 0o2750


def test_in_place_what_was_there_is_kept(site):
    site(in_place=True)
    assert sorted(os.listdir(site.shared)) == ["media", "media.before-S"]
    assert os.listdir(site.shared / "media.before-S") == ["new"]


@pytest.mark.parametrize("name", ["media.restored", "media"])
def test_a_link_in_its_place_is_replaced_and_not_followed(site, tmp_path, name):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "keep.conf").write_text("important")
    if name == "media":
        (site.shared / "media").rename(site.shared / "mine")
    (site.shared / name).symlink_to(victim)
    site(in_place=True)
    assert os.listdir(victim) == ["keep.conf"]
    assert victim.stat().st_uid == 0
    assert (site.shared / "media" / "old").read_text() == "old"


def test_the_folder_above_may_be_no_link_of_the_applications(site, tmp_path):
    site.shared.rename(tmp_path / "elsewhere")
    site.shared.symlink_to(tmp_path / "elsewhere")
    os.chown(site.shared, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    with pytest.raises(UnsafePath, match="is a link to"):
        site()


@pytest.mark.parametrize("what", ["folder", "link"])
def test_what_somebody_else_put_in_the_way_is_not_used(site, tmp_path, what):
    work = site.shared / ".media.restoring"
    if what == "link":
        work.symlink_to(tmp_path)
    else:
        work.mkdir()
        os.chown(work, NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises((UnsafePath, OSError)):
        site()
    assert os.listdir(site.shared / "media") == ["new"]


def test_an_interrupted_run_is_taken_up(site):
    work = site.shared / ".media.restoring"
    work.mkdir(mode=0o700)
    site()
    assert sorted(os.listdir(site.shared)) == ["media", "media.restored"]


def test_a_folder_that_holds_something_can_be_told_from_an_empty_one(site):
    (site.shared / "empty").mkdir()
    (site.shared / "link").symlink_to("empty")
    parent = module.open_directory(str(site.shared))
    assert [module.holds_something(name, parent) for name in ("media", "empty", "link", "missing")] == [True, False, True, False]
    os.close(parent)


@pytest.mark.parametrize(("given", "name"), [({}, "media.restored"), ({"in_place": True}, "media")])
def test_what_was_brought_is_whole_after_a_power_cut(powered, site, given, name):
    there = powered.directory / "shared"
    (there / "media").mkdir(parents=True)
    os.sync()
    site(shared=there, **given)
    powered.cut(after_others=False)
    assert (there / name / "old").read_text() == "old"
