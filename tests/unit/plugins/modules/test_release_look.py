"""What a look at a web host tells, whatever the application has put in the place of a file."""

import json
import os

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import releases
from ansible_collections.selfhost.django.plugins.module_utils.releases import applied, current_of, is_kept, named, note, records, releases_of, units_of

LISTING = "shop@abc-1.socket loaded active listening shop\n* shop@def-2.socket not-found failed failed\nshop@abc-1.service loaded active\n"


def test_releases_are_known_by_their_sockets():
    assert releases_of(LISTING, "shop") == ["abc-1", "def-2"]
    assert releases_of(LISTING, "shop", "service") == ["abc-1"]
    assert releases_of("", "shop") == []


def test_the_release_that_serves(tmp_path):
    assert current_of(tmp_path) == ""
    (tmp_path / "current").symlink_to("releases/abc-1")
    assert current_of(tmp_path) == "abc-1"


def test_what_a_host_was_set_up_with_is_read_where_it_is_known(tmp_path):
    assert applied(str(tmp_path)) == {"web": {}, "site": {}}
    (tmp_path / "inputs-web.json").write_text('{"app_name": "1"}')
    (tmp_path / "inputs-site.json").write_text("{torn")
    assert applied(str(tmp_path)) == {"web": {"app_name": "1"}, "site": {}}


def test_a_release_that_served_is_taken_as_it_is_when_it_is_whole(tmp_path):
    release, virtualenv = tmp_path / "releases/abc-1", tmp_path / "venvs/1"
    record, mark, link = release / "release.json", virtualenv / ".complete", release / "venv"

    def is_whole():
        return is_kept(str(tmp_path), "abc-1", str(virtualenv))

    assert not is_whole()
    release.mkdir(parents=True)
    virtualenv.mkdir(parents=True)
    link.symlink_to("../../venvs/1")
    record.touch()
    mark.touch()
    assert is_whole()
    for path in (record, mark):
        path.unlink()
        assert not is_whole(), f"{path.name} is missing"
        path.touch()
    link.unlink()
    assert not is_whole(), "it has no virtualenv"
    link.symlink_to("../../venvs/2")
    assert not is_whole(), "it has another virtualenv"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a function that tells of a worker: what its note says, and what systemd says of it."""
    units, run = tmp_path / "units", tmp_path / "run"
    (run / "shop-worker").mkdir(parents=True)
    (units / "shop.service.wants").mkdir(parents=True)
    (units / "shop-worker.service").write_text("[Unit]\nX-Application=shop\n")
    (units / "shop-others.service").write_text("[Unit]\nX-Application=shop-others\n")
    os.utime(units / "shop-worker.service", (1000, 1000))
    (units / "shop.service.wants/shop-worker.service").symlink_to(units / "shop-worker.service")
    shown = {}
    monkeypatch.setattr(releases, "output", lambda *words: shown["text"])

    def look(state="active", stale="no", text="abc-1", mtime=2000):
        path = run / "shop-worker/release"
        path.write_text(text)
        os.utime(path, (mtime, mtime))
        shown["text"] = f"ActiveState={state}\nNeedDaemonReload={stale}\n"
        return units_of("shop", "X-Application=shop", "abc-1", str(units), str(run))

    return look


@pytest.mark.parametrize(
    ("said", "word"),
    [({"state": "failed"}, "active"), ({"stale": "yes"}, "read"), ({"text": "def-2"}, "current"), ({"text": ""}, "current"), ({"mtime": 500}, "current")],
)
def test_a_unit_is_seen_as_it_is(host, said, word):
    as_it_should = {"active": True, "enabled": True, "read": True, "current": True}
    assert host() == {"shop-worker.service": as_it_should}
    assert host(**said) == {"shop-worker.service": as_it_should | {word: False}}


def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("abc-1\n")
    (tmp_path / "link").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe")
    assert note(secret)[0] == "abc-1"
    assert note(tmp_path / "link") == note(tmp_path / "pipe") == note(tmp_path / "none") == ("", 0)


def test_records_are_of_those_that_served_the_last_one_first(tmp_path):
    for number, (name, text) in enumerate([("a-1", '{"version": "v1"}'), ("b-1", '{"version": "v2", "release": "x"}'), ("c-1", "{torn"), ("d-1", "[]")]):
        path = tmp_path / "releases" / name / "release.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        os.utime(path, (number, number))
    (tmp_path / "releases/e-1").mkdir()
    assert records(str(tmp_path)) == [{"version": "v2", "release": "b-1"}, {"version": "v1", "release": "a-1"}]
    assert records(str(tmp_path / "none")) == []


RESOLVED = {"revision": "0123456789abcdef", "interpreter": ["3.13", "/usr/bin/python3", "system"], "digest": "d", "own": False}


def test_the_same_input_has_the_same_names():
    release, virtualenv = named(RESOLVED, "inputs", ["uv", {"a": 1, "b": 2}])
    assert release.startswith("0123456789ab-") and len(release) == 21 and len(virtualenv) == 12
    assert named(json.loads(json.dumps(RESOLVED)), "inputs", ["uv", {"b": 2, "a": 1}]) == (release, virtualenv)


@pytest.mark.parametrize(
    ("resolved", "inputs", "of_virtualenv", "is_another"),
    [
        ({"revision": "fedcba9876543210"}, "inputs", ["uv"], [True, False]),
        ({}, "others", ["uv"], [True, False]),
        ({}, "inputs", ["pip"], [True, True]),
        ({"digest": "e"}, "inputs", ["uv"], [True, True]),
        ({"interpreter": ["3.14", "/opt/python", "other"]}, "inputs", ["uv"], [True, True]),
    ],
)
def test_another_input_has_other_names(resolved, inputs, of_virtualenv, is_another):
    before, after = named(RESOLVED, "inputs", ["uv"]), named(RESOLVED | resolved, inputs, of_virtualenv)
    assert [one != other for one, other in zip(before, after)] == is_another


def test_a_virtualenv_with_code_of_the_repository_belongs_to_its_release():
    release, virtualenv = named(RESOLVED | {"own": True}, "inputs", ["uv"])
    assert virtualenv == release
