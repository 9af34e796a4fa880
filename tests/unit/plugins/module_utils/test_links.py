"""What outlives a release is linked into it, and nothing but the release's own copy goes."""

import itertools
import os

import pytest
from ansible_collections.selfhost.django.plugins.filter.shared_directories import shared_directories
from ansible_collections.selfhost.django.plugins.module_utils.paths import DEEPEST, UnsafePath, outermost
from ansible_collections.selfhost.django.plugins.module_utils import links


class Site:
    """Releases of a site with shared storage."""

    def __init__(self, directory):
        self.directory, self.shared = directory, directory / "shared"
        self.numbers = itertools.count()

    def deploy(self, paths, revision=(), folder=""):
        """Make a release whose revision holds these files (name: content), link its paths, and return its code."""
        code = self.directory / f"release-{next(self.numbers)}/code"
        (code / folder).mkdir(parents=True)
        for name, content in dict(revision).items():
            (code / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (code / folder / name).write_text(content)
        for row in shared_directories(paths, str(self.shared), "x", "x"):
            os.makedirs(row["path"], exist_ok=True)
        for path in outermost(paths):
            links.link(str(code), os.path.join(folder, path), str(self.shared / path))
        return code / folder


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


# Paths of deploys, one after the other; `upload` is written through the first release and has to be there in each.
ORDERS = [
    (["data/media"], ["data", "data/media"]),
    (["data", "data/media"], ["data", "data/media"]),
    (["data/media", "data"], ["data/media"]),
    (["data", "data/media"], ["data/media"], ["data/media", "./data/"]),
    (["data/media", "data/media/avatars", "data"], ["data/media/avatars", "data/media"], ["data"]),
]


@pytest.mark.parametrize("orders", ORDERS, ids=str)
@pytest.mark.parametrize("revision", [{}, {"data/README": "of the revision", "data/media/avatars/default.svg": "of the revision"}], ids=["empty", "filled"])
def test_uploads_stay_in_any_order_of_deploys(site, orders, revision):
    first = site.deploy(orders[0], revision)
    (first / "data/media/upload").write_text("precious")
    for paths in [*orders, *reversed(orders)]:
        code = site.deploy(paths, revision)
        assert (code / "data/media/upload").read_text() == "precious"
        assert (site.shared / "data/media/upload").read_text() == "precious"
        (code / "data/media/later").write_text("x")
        assert (site.shared / "data/media/later").exists()
    if revision:
        assert (code / "data/media/avatars/default.svg").read_text() == "of the revision"


def test_what_the_revision_brings_is_the_first_content_and_never_replaces_another(site):
    site.deploy(["media"], {"media/a": "1", "media/deep/b": "1"})
    (site.shared / "media/a").write_text("changed by a visitor")
    code = site.deploy(["media"], {"media/a": "2", "media/deep/b": "2", "media/deep/c": "2"})
    assert [(code / name).read_text() for name in ("media/a", "media/deep/b", "media/deep/c")] == ["changed by a visitor", "1", "2"]


def test_what_has_gone_since_it_was_listed_is_not_copied(site, monkeypatch):
    listdir = os.listdir
    monkeypatch.setattr(links.os, "listdir", lambda folder: ["gone", *listdir(folder)])
    assert (site.deploy(["media"], {"media/deep/a": "1"}) / "media/deep/a").read_text() == "1"


def test_what_a_visitor_removes_while_the_disk_is_waited_for_stays_removed(site, monkeypatch):
    site.deploy(["media"], {"media/a": "1"})
    monkeypatch.setattr(links, "flush", lambda _folder: (site.shared / "media/a").unlink())
    code = site.deploy(["media"], {"media/a": "2", "media/b": "2"})
    assert (os.listdir(site.shared / "media"), (code / "media/b").read_text()) == (["b"], "2")


def test_links_in_what_the_revision_brings_are_copied_as_links(site, tmp_path):
    (tmp_path / "secret").write_text("root's")
    code = tmp_path / "release/code"
    (code / "media").mkdir(parents=True)
    (code / "media/link").symlink_to(tmp_path / "secret")
    (site.shared / "media").mkdir(parents=True)
    assert links.link(str(code), "media", str(site.shared / "media"))
    assert (site.shared / "media/link").is_symlink() and (tmp_path / "secret").read_text() == "root's"


def test_twice_is_once(site):
    code = site.deploy(["media"])
    assert not links.link(str(code), "media", str(site.shared / "media"))


@pytest.mark.parametrize("where", ["shared", "elsewhere"])
def test_a_link_of_the_revision_on_the_way_is_refused_and_what_it_leads_to_stays(site, where):
    precious = site.directory / where / "media"
    precious.mkdir(parents=True)
    (precious / "upload").write_text("precious")
    code = site.directory / "release/code"
    code.mkdir(parents=True)
    (code / "data").symlink_to(precious.parent)
    with pytest.raises(UnsafePath, match="data/media outlives the release, and data of the revision is no folder"):
        links.link(str(code), "data/media", str(site.shared / "data/media"))
    assert (precious / "upload").read_text() == "precious"


def test_a_file_of_the_revision_is_named_and_stays(site):
    with pytest.raises(UnsafePath, match="db.sqlite3 outlives the release, and is a file in the revision"):
        site.deploy(["db.sqlite3"], {"db.sqlite3": "tracked"})


def test_a_link_of_an_older_kind_is_replaced(site):
    code = site.directory / "release/code"
    (site.shared / "media").mkdir(parents=True)
    code.mkdir(parents=True)
    (code / "media").symlink_to("/nowhere")
    assert links.link(str(code), "media", str(site.shared / "media"))
    assert os.readlink(code / "media") == str(site.shared / "media")


def test_the_folder_of_manage_py_counts(site):
    code = site.deploy(["uploads", "log"], {"uploads/a": "1"}, folder="src")
    assert (site.shared / "uploads/a").read_text() == "1" and os.readlink(code / "log") == str(site.shared / "log")


def test_folders_deeper_than_anybodys_are_refused_in_a_sentence_and_others_are_brought(site, deep):
    for name, levels in {"media": DEEPEST, "attack": 1100}.items():
        code = site.directory / name
        deep(code / "media", levels)
        deep(site.shared / name, 1)
        if name == "media":
            assert links.link(str(code), "media", str(site.shared / name)) and os.path.isdir(os.path.join(site.shared, name, *"d" * levels))
        else:
            with pytest.raises(UnsafePath, match=f"^What outlives the release has more than {DEEPEST} folders one in another, which nobody copies: d/d/"):
                links.link(str(code), "media", str(site.shared / name))


def test_directories_stand_before_what_is_in_them():
    rows = shared_directories(["a-b", "a/b/c", "./a/"], "/srv/shop/shared", "shop", "shop")
    assert [row["path"].removeprefix("/srv/shop/shared/") for row in rows] == ["a", "a/b", "a/b/c", "a-b"]


def kill(*_arguments, **_options):
    raise SystemExit("killed")


@pytest.mark.parametrize("step", ["copyfileobj", "rename"])
def test_first_content_of_a_run_that_was_killed_is_brought_by_the_next_one(site, monkeypatch, step):
    revision = {"media/a": "whole", "media/deep/b": "whole", f"media/{'n' * 250}": "whole"}
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(links.shutil if step == "copyfileobj" else links.os, step, kill)
        site.deploy(["media"], revision)
    code = site.deploy(["media"], revision)
    assert {(code / name).read_text() for name in revision} == {"whole"}
    assert sorted(path.name for path in (site.shared / "media").rglob("*")) == sorted(["a", "deep", "b", "n" * 250])


def test_first_content_is_whole_after_a_power_cut(powered):
    site = Site(powered.directory)
    os.makedirs(site.shared / "media")
    os.sync()
    site.deploy(["media"], {"media/a": "whole", "media/deep/b": "whole"})
    powered.cut()
    assert [(site.shared / "media" / name).read_text() for name in ("a", "deep/b")] == ["whole", "whole"]
