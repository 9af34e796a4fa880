"""A release serves from one moment to the next, and what is known of it is kept."""

import json
import os

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import paths, releases
from ansible_collections.selfhost.django.plugins.modules import release_switch
from ansible_collections.selfhost.django.plugins.modules.release_switch import serve

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a record is root's")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that lets release b-1 serve in the place of a-1; its `order` is what was done, and which release served by then."""
    for name in ("a-1", "b-1"):
        (tmp_path / "releases" / name).mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/a-1")
    order = []

    def ask(*words, data=None):
        order.append((words[0], words[words.index("-") + 1] if "-" in words else words[-1], os.readlink(tmp_path / "current")))
        return '{"changed": ["robots.txt"]}'

    for module in (releases, release_switch):
        monkeypatch.setattr(module, "ask", ask)

    def run(**given):
        places = {"root": str(tmp_path), "service": "shop", "run": "shop-run", "program": "", "store": str(tmp_path / "static"), "group": "root"}
        return serve(places | {"release": "b-1", "record": {}, "migrations": ""} | given)

    run.path, run.order = tmp_path, order
    return run


def test_what_is_known_is_written_and_the_files_are_there_before_the_switch(site):
    assert site(record={"version": "main", "previous": "a-1"}, migrations="[X]  shop.0001_initial\n") == ["robots.txt"]
    assert site.order == [("shop-run", "publish", "releases/a-1"), ("systemctl", "shop.service", "releases/b-1")]
    record = json.loads((site.path / "releases/b-1/release.json").read_text())
    assert record.pop("released_at").endswith("Z") and record == {"release": "b-1", "version": "main", "previous": "a-1"}
    assert (site.path / "releases/b-1/migrations.txt").read_text() == "[X]  shop.0001_initial\n"


def test_a_release_that_comes_back_keeps_what_was_known_of_it(site):
    (site.path / "releases/b-1/release.json").write_text('{"version": "v1", "previous": "z-1", "released_by": "Ann", "released_at": "then"}')
    (site.path / "releases/b-1/migrations.txt").write_text("[X]  shop.0001_initial\n")
    site(record={"released_by": "Bob"})
    record = json.loads((site.path / "releases/b-1/release.json").read_text())
    assert (record["version"], record["previous"], record["released_by"]) == ("v1", "z-1", "Bob") and record["released_at"] != "then"
    assert (site.path / "releases/b-1/migrations.txt").exists()


def test_an_application_that_an_operator_moved_to_another_disk_is_switched(site, tmp_path_factory, monkeypatch):
    moved = tmp_path_factory.mktemp("srv") / "shop"
    monkeypatch.setattr(paths, "is_private", lambda _information: True)
    moved.symlink_to(site.path)
    site(root=str(moved), record={"version": "main"})
    assert os.readlink(site.path / "current") == "releases/b-1" and site.order[-1][:2] == ("systemctl", "shop.service")


def test_to_go_back_comes_before_all_that_needs_room(site):
    site(release="a-1")
    os.unlink(site.path / "current")
    os.symlink("releases/b-1", site.path / "current")
    (site.path / "current.next").symlink_to("releases/left")
    site.order.clear()
    site(release="a-1")
    assert site.order == [("systemctl", "shop.service", "releases/a-1"), ("shop-run", "publish", "releases/a-1")]
    assert not (site.path / "releases/a-1/release.json").exists() and not os.path.lexists(site.path / "current.next")


def test_where_the_web_server_serves_no_files_none_are_asked_for(site):
    assert site(store="", record={"version": "main"}) == []
    assert [row[0] for row in site.order] == ["systemctl"]


@pytest.mark.parametrize("record", [{"version": "main", "previous": "a-1"}, {}])
def test_what_serves_is_whole_after_a_power_cut(powered, monkeypatch, record):
    root = powered.directory / "shop"
    folders = [root / name for name in ("releases/b-1/code", "releases/b-1/static", "venvs/one", "static")]
    for folder in folders:
        folder.mkdir(parents=True)
    (root / "releases/b-1/venv").symlink_to("../../venvs/one")
    (root / "current").symlink_to("releases/a-1")
    os.sync()

    def ask(*_words, data=None):
        return '{"changed": []}'

    for module in (releases, release_switch):
        monkeypatch.setattr(module, "ask", ask)
    for folder in folders if record else []:
        (folder / "file").write_text("x")
    places = {"root": str(root), "service": "shop", "run": "shop-run", "program": "", "store": str(root / "static"), "group": "root"}
    serve(places | {"release": "b-1", "record": record, "migrations": ""})
    powered.cut(after_others=False)
    assert os.readlink(root / "current") == "releases/b-1" and (root / "releases/b-1/release.json").exists() is bool(record)
    assert [folder.name for folder in folders if record and (folder / "file").read_text() != "x"] == []
