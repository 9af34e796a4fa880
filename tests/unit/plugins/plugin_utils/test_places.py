"""Uploads lie where no release clears them away."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.places import place_of_releases, place_of_system


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
        ("/srv/../usr/local", "/usr"),
        ("/var/tmp/media", "/var/tmp"),
        ("/var/lib/postgresql/media", "/var/lib/postgresql"),
    ],
)
def test_what_is_the_systems(path, place):
    assert place_of_system(path) == place


def test_a_store_elsewhere():
    assert place_of_releases("/mnt/static/media", "/srv/shop", "/mnt/static") == "/mnt/static"
    assert place_of_releases("/mnt", "/srv/shop", "/mnt/static") == "/mnt/static"
    assert place_of_releases("/srv/shop", "/srv/shop", "/mnt/static") == "/srv/shop"
