"""Which inputs have changed since a host was set up with them."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.changed_inputs import changed_inputs


@pytest.mark.parametrize(
    ("now", "applied", "names"),
    [
        ({"app_a": "1"}, {"app_a": "1"}, []),
        ({"app_a": "1", "app_b": "1"}, {"app_a": "1", "app_b": "2"}, ["app_b"]),
        ({"app_a": "1"}, {}, ["app_a"]),
        ({}, {"app_a": "1"}, ["app_a"]),
        ({"nginx_a": "1", "app_a": "1"}, {"app_a": "2", "nginx_a": "2"}, ["app_a", "nginx_a"]),
    ],
)
def test_what_is_new_gone_or_another_is_named(now, applied, names):
    assert changed_inputs(now, applied) == names
