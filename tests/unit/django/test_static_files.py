"""The store of static files: what each release brings, what comes back with an older one, and what goes."""

import gzip
import importlib.util
import pathlib
import random
import sys
import types
import zlib

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "roles/django/files/static_files.py"
spec = importlib.util.spec_from_file_location("static_files", SCRIPT)
static_files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(static_files)

TEXT = "body { color: black }\n" * 200
OTHER = "body { color: white }\n" * 200
NOISE = random.Random(1).randbytes(4096)


@pytest.fixture(autouse=True)
def brotli(monkeypatch):
    """The host has Debian's; which one makes no difference here."""
    monkeypatch.setitem(sys.modules, "brotli", types.SimpleNamespace(compress=lambda plain, quality: zlib.compress(plain)))


class Site:
    def __init__(self, directory):
        self.directory, self.store, self.releases = directory, directory / "store", directory / "releases"
        self.store.mkdir()
        self.releases.mkdir()
        self.current = []

    def collect(self, release, **files):
        root = self.directory / "roots" / release
        for name, content in files.items():
            path = root / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (self.releases / release).mkdir()
        return static_files.collect("", root, self.releases / release / "static", self.store, *self.current)

    def publish(self, release):
        self.current = [self.releases / release / "static"]
        return static_files.publish(self.releases / release / "static", self.store)["changed"]

    def prune(self):
        return static_files.prune(self.store, self.releases)["removed"]

    def served(self):
        """What visitors get by name, whatever form they ask for; all forms have to agree."""
        answer = {}
        for name in static_files.names(self.store):
            if not name.endswith((".br", ".gz")):
                file = self.store / name
                answer[name] = file.read_bytes().decode()
                for suffix, unpack in ((".gz", gzip.decompress), (".br", zlib.decompress)):
                    form = file.with_name(file.name + suffix)
                    if form.exists():
                        assert unpack(form.read_bytes()).decode() == answer[name], f"{form} is of another content"
                        assert form.stat().st_mtime_ns == file.stat().st_mtime_ns
        return answer


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_what_pays_is_compressed_once(site):
    first = site.collect("1", a_css=TEXT, a_123456789abc_css=TEXT, small_css="p {}", photo_jpg=TEXT, noise_js=NOISE)
    assert first == {"files": 5, "compressed": 2, "added": 5}
    forms = {name for name in static_files.names(site.store) if name.endswith((".br", ".gz"))}
    assert forms == {"a.css.br", "a.css.gz", "a.123456789abc.css.br", "a.123456789abc.css.gz"}
    site.publish("1")
    before = {name: (site.store / name).stat().st_mtime_ns for name in static_files.names(site.store)}
    again = site.collect("2", a_css=TEXT, a_123456789abc_css=TEXT, small_css="p {}", photo_jpg=TEXT, noise_js=NOISE)
    assert again == {"files": 5, "compressed": 0, "added": 0}
    assert site.publish("2") == []
    assert before == {name: (site.store / name).stat().st_mtime_ns for name in static_files.names(site.store)}


def test_forms_that_the_project_brings_are_kept(site):
    own = gzip.compress(TEXT.encode(), 1)
    site.collect("1", a_css=TEXT, a_css_gz=own)
    assert (site.store / "a.css.gz").read_bytes() == own
    assert (site.store / "a.css.br").exists()


def test_a_plain_name_changes_with_the_switch_and_comes_back_with_the_release(site):
    site.collect("1", a_css=TEXT)
    site.publish("1")
    site.collect("2", a_css=OTHER, b_css=OTHER)
    # Not switched yet: what is new is there for pages of the new release, and nothing else has changed.
    assert site.served() == {"a.css": TEXT, "b.css": OTHER}
    assert site.publish("2") == ["a.css"]
    assert site.served()["a.css"] == OTHER
    assert site.publish("1") == ["a.css"]
    assert site.served() == {"a.css": TEXT, "b.css": OTHER}
    # Too small to have compressed forms: those of the other content must not answer for it.
    site.collect("3", a_css="p {}")
    site.publish("3")
    assert site.served()["a.css"] == "p {}"
    assert static_files.names(site.store) == {"a.css", "b.css", "b.css.br", "b.css.gz"}


def test_files_go_with_the_last_release_that_has_them(site):
    site.collect("1", old_css=TEXT, both__a_css=OTHER, gone__x_css=TEXT)
    site.collect("2", new_css=TEXT, both__a_css=OTHER)
    assert site.prune() == []
    static_files.shutil.rmtree(site.releases / "1")
    assert site.prune() == ["old.css.gz", "old.css.br", "old.css", "gone/x.css.gz", "gone/x.css.br", "gone/x.css"]
    assert site.served() == {"new.css": TEXT, "both/a.css": OTHER}
    assert not (site.store / "gone").exists()


def test_nothing_goes_while_a_releases_files_are_not_known(site):
    site.collect("1", a_css=TEXT)
    (site.store / "stray.css").write_text(TEXT)
    (site.releases / "0").mkdir()
    assert site.prune() == []
    (site.releases / "0").rmdir()
    assert site.prune() == ["stray.css"]


def test_a_project_without_a_static_file_has_an_empty_copy(site):
    (site.releases / "1").mkdir(parents=True, exist_ok=True)
    site.store.mkdir(exist_ok=True)
    none = static_files.collect("0 static files copied to '/x'.", site.directory / "nowhere", site.releases / "1/static", site.store)
    assert none == {"files": 0, "compressed": 0, "added": 0} and list((site.releases / "1/static").iterdir()) == []


def test_a_root_where_nothing_was_collected_is_named(site):
    with pytest.raises(SystemExit, match="app_static_root is .*/nowhere, and nothing was collected"):
        static_files.collect("", site.directory / "nowhere", site.releases / "1", site.store)


ELSEWHERE = "Django's storage of static files keeps nothing on this host: set app_static_served_by to elsewhere."


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("131 static files copied to '{}/code/static'.", "static"),
        ("1 static file copied to '{}/code/static', 130 unmodified, 300 post-processed.", "static"),
        ("0 static files copied to '{}/code/static', 2 skipped due to conflict.", "static"),
        ("2 static files copied to '{}/code/static/v2'.", "static"),
        # A project that commits what it built, and settings that say something of their own at the end.
        ("", "static"),
        ("Bye.", "static"),
        # No file, and another STATIC_ROOT or none.
        ("0 static files copied to '{}/code/collected'.", None),
        ("0 static files copied.", None),
        ("1 static file copied.", ELSEWHERE),
        ("0 static files copied, 130 unmodified.", ELSEWHERE),
        ("1 static file copied to '{}/code/collected'.", "app_static_root is {}/code/static, and the application collected into {}/code/collected: give the STATIC_ROOT"),
    ],
)
def test_sources_are_not_taken_for_what_was_collected(tmp_path, said, kept):
    root = tmp_path / "code/static"
    root.mkdir(parents=True)
    try:
        found = static_files.what_was_kept(said.format(tmp_path), root)
    except SystemExit as refusal:
        assert str(refusal).startswith(kept.replace("{}", str(tmp_path)))
    else:
        assert found == (root if kept else None)
