"""Names that are made of others fit into what PostgreSQL takes, which cuts the rest without an error."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_names import derived
from hypothesis import given
from hypothesis import strategies as st

SUFFIXES = ["_restoring", "_restored", "_before_20260104t031500z", "_copy_"]


@pytest.mark.parametrize(
    ("name", "suffix", "made"),
    [
        ("shop", "_restored", "shop_restored"),
        ("a" * 53, "_restoring", "a" * 53 + "_restoring"),
        ("a" * 54, "_restoring", "a" * 44 + "_a3f01b69_restoring"),
        ("a" * 39, "_before_20260104t031500z", "a" * 39 + "_before_20260104t031500z"),
        ("a" * 40, "_before_20260104t031500z", "a" * 30 + "_e33cdf9c_before_20260104t031500z"),
        ("ä" * 31, "_restored", "ä" * 22 + "_af5af882_restored"),
    ],
)
def test_what_is_too_long_is_shortened_before_what_is_put_behind_it(name, suffix, made):
    assert derived(name, suffix) == made


@given(st.text(min_size=1, max_size=63), st.sampled_from(SUFFIXES))
def test_nothing_is_left_to_be_cut(name, suffix):
    made = derived(name, suffix)
    assert len(made.encode()) <= 63 and made.endswith(suffix) and made == derived(name, suffix)


def test_what_begins_alike_stays_apart():
    names = ["shop" * 15 + ending for ending in ("", "a", "b", "ab", "abc")]
    assert len({derived(name, suffix) for name in names for suffix in SUFFIXES}) == len(names) * len(SUFFIXES)
