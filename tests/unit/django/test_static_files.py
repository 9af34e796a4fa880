"""The store of static files: what each release brings, what comes back with an older one, and what goes."""

import contextlib
import gzip
import importlib.util
import os
import pathlib
import random
import signal
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
        (self.releases / release).mkdir(exist_ok=True)
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


def round_about(folder):
    """Links that lead to where they stand."""
    for name in ("a", "b"):
        (folder / name).symlink_to(".")


def doubling(folder):
    """Folders with two links to the next one each, none of which leads back."""
    for number in range(40):
        (folder / f"d{number}").mkdir()
        for name in ("a", "b"):
            (folder / f"d{number}" / name).symlink_to(f"../d{number + 1}")
    (folder / "d40").mkdir()
    (folder / "d40/x.css").write_text(OTHER)


def to_itself(folder):
    (folder / "a").symlink_to("a")
    (folder / "b").symlink_to("/nowhere")


def endless(folder):
    os.mkfifo(folder / "a")
    (folder / "b").symlink_to("/dev/zero")


@pytest.mark.parametrize("plant", [round_about, doubling, to_itself, endless])
@pytest.mark.parametrize("place", ["store", "releases/1/static", "roots/2", "shared"])
def test_what_somebody_has_put_there_keeps_no_later_release_out(site, plant, place):
    site.collect("1", a_css=TEXT)
    site.publish("1")
    (site.directory / place).mkdir(parents=True, exist_ok=True)
    plant(site.directory / place)
    with limit(20):
        site.collect("2", a_css=TEXT, b_css=OTHER)
        site.publish("2")
        static_files.prune(site.store, site.releases, site.directory / "shared")
        assert site.served()["a.css"] == TEXT and site.served()["b.css"] == OTHER
    if place == "store":
        assert sorted(path.name for path in site.store.iterdir() if path.suffix not in (".br", ".gz")) == ["a.css", "b.css"]


@contextlib.contextmanager
def limit(seconds):
    """Have what takes for ever end."""

    def late(*_given):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_links_that_a_project_has_are_served_as_what_they_lead_to(site, tmp_path):
    """As `collectstatic --link` makes them of files, and a project that commits what it built of a version."""
    root = site.directory / "roots/1"
    (root / "1.2.3/img").mkdir(parents=True)
    (root / "1.2.3/img/a.css").write_text(TEXT)
    (root / "latest").symlink_to("1.2.3")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.css").write_text(OTHER)
    (tmp_path / "elsewhere/more").symlink_to(root / "1.2.3/img")
    (root / "b.css").symlink_to(tmp_path / "elsewhere/b.css")
    (root / "vendor").symlink_to(tmp_path / "elsewhere")
    site.collect("1")
    site.publish("1")
    assert site.served() == {
        "1.2.3/img/a.css": TEXT, "latest/img/a.css": TEXT, "b.css": OTHER, "vendor/b.css": OTHER, "vendor/more/a.css": TEXT,
    }  # fmt: skip
    assert not [path for path in [*site.store.rglob("*"), *(site.releases / "1").rglob("*")] if path.is_symlink()]


@pytest.mark.parametrize("place", ["store", "releases/1/static", "releases/2/static"])
def test_folders_deeper_than_a_program_goes_keep_no_later_release_out(site, deep, place):
    site.collect("1", a_css=TEXT)
    deep(site.directory / place / "d")
    site.collect("2", b_css=OTHER)
    site.publish("2")
    assert site.prune() == []
    assert site.served() == {"a.css": TEXT, "b.css": OTHER} and not (site.store / "d").exists()


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
