"""Files of releases: what is shared by all of them belongs to the one that serves."""

import json
import os
import pathlib
import stat

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath
from ansible_collections.selfhost.django.plugins.modules import release_files

TASK = yaml.safe_load((pathlib.Path(__file__).parents[4] / "roles/django/tasks/release/files.yml").read_text())[0]
ME, MINE = str(os.getuid()), str(os.getgid())


class Site:
    """A site whose releases have files."""

    def __init__(self, directory):
        self.directory = directory
        self.file = directory / "etc/shop.ini"
        self.serving = ""

    def release(self, name):
        path = self.directory / "releases" / name
        (path / "code").mkdir(parents=True, exist_ok=True)
        return path

    def configure(self, name, content=None, path=None, shared_paths=(), **more):
        """Do what the step of this name does, and return what was written."""
        entries = [] if content is None else [{"path": str(path or self.file), "content": content, "owner": ME, "group": MINE, "mode": "0640"} | more]
        files = release_files.Files()
        release = self.release(name)
        release_files.apply(
            files, str(release), serving=self.serving, entries=entries, project=str(release / "code"),
            shared=str(self.directory / "shared"), shared_paths=shared_paths,
        )  # fmt: skip
        return files.changed

    def switch(self, name):
        self.serving = str(self.release(name))

    def put_back(self, failed):
        files = release_files.Files()
        release_files.apply(files, self.serving, undo=str(self.release(failed)), shared=str(self.directory / "shared"))
        return files.changed

    def go_to(self, name):
        """Let a release that is kept serve, as a rollback does and a deploy of it: what `files` does before the switch, and what the end sees to."""
        changed = self.apply_as_the_step(str(self.release(name)))
        self.switch(name)
        assert self.again() == []
        return changed

    def apply_as_the_step(self, release):
        files = release_files.Files()
        of_current = {name: self.serving for name, value in TASK["selfhost.django.release_files"].items() if "__django_current if" in value}
        release_files.apply(files, release, **of_current, shared=str(self.directory / "shared"))
        return files.changed

    def again(self):
        """A deploy with nothing to do."""
        return self.apply_as_the_step(self.serving)

    def ship(self, name, content=None, **more):
        self.configure(name, content, **more)
        self.switch(name)


@pytest.fixture
def site(tmp_path, monkeypatch):
    # Records are root's; here they are whoever's runs the tests.
    monkeypatch.setattr(release_files.os, "fchown", lambda *_arguments: None)
    monkeypatch.setattr(release_files, "load", own(release_files.load))
    return Site(tmp_path)


def own(load):
    def wrapped(release):
        read = release_files.Files.read

        def as_root(files, path):
            state = read(files, path)
            return state and (state[0], 0 if path.endswith(release_files.RECORD) else state[1], *state[2:])

        release_files.Files.read = as_root
        try:
            return load(release)
        finally:
            release_files.Files.read = read

    return wrapped


def test_a_failed_release_leaves_nothing_behind(site):
    site.ship("one", "right")
    site.configure("two", "wrong")
    assert site.file.read_text() == "wrong", "its commands find what it asks for"
    site.put_back("two")
    assert site.file.read_text() == "right"
    assert site.again() == []


def test_a_right_deploy_mends_what_somebody_changed(site):
    site.ship("one", "right")
    site.file.write_text("wrong")
    site.file.chmod(0o666)
    assert site.again() == [str(site.file)]
    assert (site.file.read_text(), stat.S_IMODE(site.file.stat().st_mode)) == ("right", 0o640)
    assert site.again() == []


def test_a_run_that_was_killed_is_undone_by_the_next_one_that_fails(site):
    site.ship("one", "right")
    site.configure("killed", "wrong")
    site.configure("failed", "wrong too")
    site.put_back("failed")
    assert site.file.read_text() == "right"


@pytest.mark.parametrize("spoilt", ["a.ini", "b.ini", "c.ini"])
def test_one_that_cannot_be_put_back_keeps_no_other_from_it(site, spoilt):
    paths = {name: site.directory / "etc" / name for name in ("a.ini", "b.ini", "c.ini")}
    for release, content in (("one", "right"), ("two", "wrong")):
        entries = [{"path": str(path), "content": content, "owner": ME, "group": MINE, "mode": "0640"} for path in paths.values()]
        release_files.apply(release_files.Files(), str(site.release(release)), serving=site.serving, entries=entries, shared=str(site.directory / "shared"))
        site.serving = site.serving or str(site.release(release))
    paths[spoilt].unlink()
    paths[spoilt].mkdir()
    with pytest.raises(UnsafePath, match=f"^{paths[spoilt]} "):
        site.put_back("two")
    assert {name: path.read_text() for name, path in paths.items() if name != spoilt} == dict.fromkeys(paths.keys() - {spoilt}, "right")


def test_a_site_that_kept_no_record_gets_back_what_was_there(site):
    site.file.parent.mkdir()
    site.file.write_text("of an older version")
    site.switch("old")
    site.configure("killed", "wrong")
    site.configure("two", "wrong")
    site.put_back("two")
    assert site.file.read_text() == "of an older version"


def test_a_file_that_was_not_there_goes_with_the_release_that_failed(site):
    site.ship("one")
    site.configure("two", "new")
    site.put_back("two")
    assert not site.file.exists()
    site.configure("three", "new")
    site.file.write_text("an operator's by now")
    site.put_back("three")
    assert site.file.read_text() == "an operator's by now"


def test_what_an_operator_wrote_meanwhile_is_what_comes_back(site):
    site.ship("one")
    site.file.parent.mkdir()
    site.file.write_text("first")
    site.configure("two", "new")
    site.put_back("two")
    site.file.write_text("second")
    assert site.again() == [], "it is none of the release's files"
    site.configure("three", "new")
    site.put_back("three")
    assert site.file.read_text() == "second"


def test_a_rollback_brings_the_files_of_its_release(site):
    site.ship("one", "first")
    site.ship("two", "second")
    assert site.file.read_text() == "second"
    site.configure("one")
    assert site.file.read_text() == "first"
    site.switch("one")
    assert site.again() == []


@pytest.mark.parametrize("was", ["an operator's", None])
@pytest.mark.parametrize("way", [["two"], ["two", "two again"], ["before", "two"], ["two", "after"], ["two", "after", "two again"]])
def test_a_release_that_is_gone_back_to_finds_what_was_there_before(site, was, way):
    """What each of these releases writes there: those called two something, the others nothing."""
    site.ship("one")
    if was:
        site.file.parent.mkdir()
        site.file.write_text(was)
    for name in way:
        site.ship(name, f"of {name}" if name.startswith("two") else None)
    last = site.file.read_text()
    assert site.go_to("one") == [str(site.file)]
    assert (site.file.read_text() if site.file.exists() else None) == was
    site.go_to(way[-1])
    assert site.file.read_text() == last if way[-1].startswith("two") else (site.file.read_text() if site.file.exists() else None) == was
    site.go_to("one")
    assert (site.file.read_text() if site.file.exists() else None) == was


def test_what_an_operator_wrote_between_two_releases_is_what_a_rollback_brings(site):
    site.file.parent.mkdir()
    site.file.write_text("first")
    site.ship("one")
    site.ship("two", "new")
    site.go_to("one")
    site.file.write_text("second")
    site.ship("three")
    site.ship("four", "newer")
    site.go_to("one")
    assert site.file.read_text() == "second"


def test_what_is_no_file_of_a_release_any_more_is_in_nobodys_way(site):
    site.ship("one")
    site.ship("two", "new")
    site.go_to("one")
    site.file.parent.rename(site.directory / "elsewhere")
    site.file.parent.symlink_to("elsewhere")
    site.ship("three")
    assert site.go_to("one") == []
    with pytest.raises(UnsafePath):
        site.configure("four", "newer")


def test_what_an_operator_wrote_over_a_file_that_was_not_there_stays(site):
    site.ship("one")
    site.ship("two", "new")
    site.file.write_text("an operator's by now")
    assert site.go_to("one") == []


def test_a_rollback_that_fails_leaves_the_files_of_what_serves(site):
    site.file.parent.mkdir()
    site.file.write_text("an operator's")
    site.ship("one")
    site.ship("two", "new")
    site.apply_as_the_step(str(site.release("one")))
    assert site.file.read_text() == "an operator's"
    site.put_back("one")
    assert site.file.read_text() == "new"


def test_a_file_of_the_release_alone_lies_in_it(site):
    site.configure("one", "DEBUG = False", path="conf/local.py")
    assert (site.release("one") / "code/conf/local.py").read_text() == "DEBUG = False"
    assert not (site.release("one") / release_files.RECORD).exists()


def test_a_file_below_what_outlives_releases_is_shared(site):
    site.ship("one", "1", path="data/settings.ini", shared_paths=["data/media", "data"])
    site.configure("two", "2", path="data/settings.ini", shared_paths=["data"])
    shared = site.directory / "shared/data/settings.ini"
    assert shared.read_text() == "2"
    site.put_back("two")
    assert shared.read_text() == "1"


@pytest.mark.parametrize("path", ["conf/local.py", "conf/deep/local.py"])
def test_a_link_of_the_revision_does_not_lead_root_out_of_it(site, path):
    victim = site.directory / "victim"
    victim.mkdir()
    (site.release("one") / "code/conf").symlink_to(victim)
    with pytest.raises(UnsafePath, match="code/conf is a link to"):
        site.configure("one", "x", path=path)
    assert list(victim.iterdir()) == []


def test_a_link_in_the_place_of_the_file_is_replaced(site):
    victim = site.directory / "victim"
    victim.write_text("root's")
    (site.release("one") / "code/local.py").symlink_to(victim)
    site.configure("one", "x", path="local.py")
    assert victim.read_text() == "root's" and (site.release("one") / "code/local.py").read_text() == "x"


def test_a_record_that_is_not_roots_is_none(tmp_path, monkeypatch):
    record = tmp_path / release_files.RECORD
    record.write_text(json.dumps({"files": {"/etc/passwd": {"content": "", "owner": 0, "group": 0, "mode": 420}}, "found": {}}))
    monkeypatch.setattr(release_files.Files, "read", lambda _files, _path: (record.read_bytes(), 4711, 4711, 0o644))
    assert release_files.load(str(tmp_path)) is None


@pytest.mark.parametrize(("given", "mode"), [("0600", 0o600), (0o600, 0o600), ("640", 0o640)])
def test_modes_as_people_write_them(site, given, mode):
    site.configure("one", "x", mode=given)
    assert stat.S_IMODE(site.file.stat().st_mode) == mode


def test_a_mode_that_is_none_is_named(site):
    with pytest.raises(ValueError, match="mode of .*shop.ini in app_files is 'u=rw': give an octal number"):
        site.configure("one", "x", mode="u=rw")


def test_a_mapping_is_written_as_json(site):
    site.configure("one", {"debug": False})
    assert json.loads(site.file.read_text()) == {"debug": False}


def test_a_file_that_is_too_long_to_be_kept_is_told(tmp_path):
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(2 << 40)
    with pytest.raises(UnsafePath, match="is a file of 16 MB or more, which nothing of app_files is: move it away"):
        release_files.Files().read(str(path))


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to other accounts")
def test_links_come_before_files_and_the_seal_after_them(tmp_path, capsys):
    code, shared = tmp_path / "release/code", tmp_path / "shared"
    (code / "src/media").mkdir(parents=True)
    (code / "src/media/logo").write_text("of the revision")
    (shared / "media").mkdir(parents=True)
    for path in (code, *code.rglob("*")):
        os.chown(path, 4711, 4711)
    files = [{"path": "media/robots.txt", "content": "shared"}, {"path": "local.py", "content": "own"}]
    options = {
        "release": str(tmp_path / "release"), "code": str(code), "folder": "src", "project": str(code / "src"), "shared": str(shared),
        "shared_paths": ["media"], "links": ["media"], "files": files, "group": "4712", "seal": "4711",
    }  # fmt: skip
    answers = []
    for _time in range(2):
        with patch_module_args(options), pytest.raises(SystemExit):
            release_files.main()
        answers.append(json.loads(capsys.readouterr().out))
    assert (answers[0]["linked"], answers[0]["paths"]) == (["media"], [str(code / "src/local.py"), str(shared / "media/robots.txt")])
    assert not answers[1]["changed"]
    assert (code / "src/media/logo").read_text() == "of the revision" and (code / "src/media").is_symlink()
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in (code, code / "src", code / "src/local.py")} == {(0, 4712)}
