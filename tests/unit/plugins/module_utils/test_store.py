"""The folder of static files, which is cleared of what no release has, is taken for the application once, and never with files of somebody else."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import releases
from ansible_collections.selfhost.django.plugins.module_utils.paths import DEEPEST
from ansible_collections.selfhost.django.plugins.module_utils.releases import is_own_store, static_files, take_store


class Site:
    """An application's directory and a folder elsewhere; `asked` are the commands that ran."""

    def __init__(self, directory):
        self.root, self.store, self.asked = directory / "shop", directory / "elsewhere", []
        (self.root / "releases").mkdir(parents=True)
        self.store.mkdir()

    def release(self, name, *files, serves=False):
        for file in files:
            path = self.root / "releases" / name / "static" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if serves:
            (self.root / "current").unlink(missing_ok=True)
            (self.root / "current").symlink_to(f"releases/{name}")

    def put(self, *files):
        for file in files:
            path = self.store / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file)

    def ask(self, *words, data=None):
        self.asked.append(words[words.index("-") + 1])
        return "{}"

    def run(self, command, store=None, **more):
        given = {"root": str(self.root), "store": str(store or self.store), "run": "shop-run", "program": ""}
        return static_files(given, command, **more)


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path)
    monkeypatch.setattr(releases, "ask", site.ask)
    return site


def test_one_with_files_of_somebody_else_is_refused_and_nothing_is_done(site):
    site.put("index.html", "a/b.css", "c.js", "d.js")
    site.release("1", "app.css")
    with pytest.raises(OSError) as refusal:
        site.run("collect")
    assert str(refusal.value) == (
        f"app_static_store is {site.store}, which has files of somebody else (a/b.css, c.js, d.js, …): give a folder of its own, or move them away."
    )
    assert site.asked == [] and not (site.root / releases.STORE).exists()


def test_one_that_was_never_taken_is_not_cleared_and_not_published_to_by_who_goes_back(site):
    site.put("index.html")
    site.release("1", "app.css", serves=True)
    assert site.run("prune", taking=False) == site.run("publish", taking=False) == {} and site.asked == []


def test_an_empty_one_is_taken_for_good(site):
    site.run("collect")
    site.put("left.css")
    for command in ("collect", "publish"):
        site.run(command)
    site.run("prune", taking=False)
    assert site.asked == ["collect", "collect", "publish", "prune"]
    assert (site.root / releases.STORE).read_text() == f"{site.store}\n"


def test_another_one_is_looked_at_anew(site):
    site.run("collect")
    other = site.root.parent / "other"
    other.mkdir()
    (other / "index.html").touch()
    with pytest.raises(OSError, match="has files of somebody else"):
        site.run("collect", store=other)


def test_the_applications_own_directory_needs_no_note(site):
    store = site.root / "static"
    store.mkdir()
    (store / "left.css").touch()
    site.run("prune", store=store, taking=False)
    assert site.asked == ["prune"] and not (site.root / releases.STORE).exists()


def test_one_that_an_older_version_filled_is_known_by_what_the_release_in_service_has(site):
    site.release("1", "app.css", "a/b.css", serves=True)
    site.put("app.css", "a/b.css", "left.css")
    assert is_own_store(str(site.root), str(site.store))
    (site.store / "app.css").unlink()
    assert not is_own_store(str(site.root), str(site.store))


def test_files_of_releases_that_never_served_are_nobody_else_s(site):
    site.release("1", "app.css")
    site.put("app.css")
    take_store(str(site.root), str(site.store))
    assert is_own_store(str(site.root), str(site.store))


def test_no_link_is_followed(site, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").touch()
    (site.store / "link").symlink_to(tmp_path / "secret")
    assert releases.files_below(str(site.store)) == set()
    assert releases.files_below(str(site.store / "none")) == set()


@pytest.mark.parametrize("levels", [DEEPEST + 1, 1100])
def test_folders_deeper_than_anybodys_are_refused_in_a_sentence(site, deep, levels):
    deep(site.store / "ours", DEEPEST - 1)
    assert releases.files_below(str(site.store)) == set()
    deep(site.store, levels)
    with pytest.raises(OSError, match=f"^{site.store} has more than {DEEPEST} folders one in another"):
        releases.files_below(str(site.store))


def test_without_a_store_nothing_is_asked(site):
    assert static_files({"root": str(site.root), "store": "", "run": "", "program": ""}, "prune") == {} and site.asked == []
