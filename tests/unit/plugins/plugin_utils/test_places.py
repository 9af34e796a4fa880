"""Uploads lie where no release clears them away."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.places import meet, place_of_releases, place_of_system, unseen_place
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.values import PLACE, matches


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/srv/shop/shared/media", ""),
        ("/srv/shop/shared/data/media/", ""),
        ("/var/lib/shop/media", ""),
        ("/srv/shop-media", ""),
        ("/srv/shop/shared", "/srv/shop/shared"),
        ("/srv/shop/shared/../releases/x", "/srv/shop/releases"),
        ("/srv/shop/releases/media", "/srv/shop/releases"),
        ("/srv/shop/current/code/media", "/srv/shop/current"),
        ("/srv/shop/media", ""),
        ("/srv/shop/home/media", "/srv/shop/home"),
        ("/srv/shop/build", "/srv/shop/build"),
        ("/srv/shop", "/srv/shop/static"),
        ("/srv", "/srv/shop/static"),
        ("/srv/shop/static", "/srv/shop/static"),
        ("/srv/shop/static/media", "/srv/shop/static"),
    ],
)
def test_where_uploads_lie(path, place):
    assert place_of_releases(path, "/srv/shop", "/srv/shop/static") == place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/srv/shop/shared/media", ""),
        ("/var/www/shop", ""),
        ("/home/shop/media", ""),
        ("/mnt/volume", ""),
        ("/var/lib/shop/media", ""),
        ("/etcetera", ""),
        ("/", "/"),
        ("/var", "/var"),
        ("/var/lib/", "/var/lib"),
        ("/srv", "/srv"),
        ("/etc/shop/media", "/etc"),
        ("/var/www", "/var/www"),
        ("/srv/../usr/local", "/usr"),
        ("/var/tmp/media", "/var/tmp"),
        ("/var/lib/postgresql/media", "/var/lib/postgresql"),
    ],
)
def test_what_is_the_systems(path, place):
    assert place_of_system(path) == place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/home/shop", "/home"), ("/home", "/home"), ("/root/x", "/root"), ("/run/user/1000", "/run/user"), ("/tmp/x", "/tmp"), ("/var/tmp", "/var/tmp"),
        ("/homestead", ""), ("/srv/home", ""), ("/run/shop", ""),
    ],
)  # fmt: skip
def test_what_no_unit_sees(path, place):
    assert unseen_place(path) == place


@pytest.mark.parametrize(("path", "there", "is_one"), [
    ("/srv/a", "/srv/a/b", True), ("/srv/a/", "/srv//a", True), ("/srv/a", "/srv/ab", False), ("a", "./a/b", True), ("a", "/a", False),
])  # fmt: skip
def test_which_paths_meet(path, there, is_one):
    assert meet(path, there) is meet(there, path) is is_one


@pytest.mark.parametrize(("path", "is_one"), [
    ("/srv/shop", True), ("/srv/.hidden/a-b_c@d+e", True), ("/mnt/größe", True), ("", False), ("/", False), ("srv/shop", False), ("/srv/", False),
    ("/srv//shop", False), ("/srv/./shop", False), ("/srv/..", False), ("/srv/...", True), ("/srv/a b", False), ("/srv/a%n", False),
    ("/srv/a\n", False), ("/srv/$a", False), ("~/shop", False),
])  # fmt: skip
def test_what_a_place_is_written_like(path, is_one):
    assert matches(PLACE, path) is is_one


def test_the_application_s_own_directory_is_compared_in_any_spelling():
    assert place_of_releases("/srv/shop/shared", "/srv//shop/") == "/srv/shop/shared"
    assert place_of_releases("/srv/shop/releases/x", "/srv/./shop") == "/srv/shop/releases"


def test_a_store_elsewhere():
    assert place_of_releases("/mnt/static/media", "/srv/shop", "/mnt/static") == "/mnt/static"
    assert place_of_releases("/mnt", "/srv/shop", "/mnt/static") == "/mnt/static"
    assert place_of_releases("/srv/shop", "/srv/shop", "/mnt/static") == "/srv/shop"
