"""The environment of a release is read by a shell as it was given."""

import subprocess

import pytest
from ansible_collections.selfhost.django.plugins.filter.environment_file import environment_file
from hypothesis import given
from hypothesis import strategies as st


def read_by_sh(text, name):
    """Return what a shell has under a name after it has read the file."""
    script = '. /dev/stdin; printf %%s. "$%s"' % name
    return subprocess.run(["sh", "-euc", script], input=text.encode(), capture_output=True, check=True).stdout.decode()[:-1]


@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=60))
def test_any_text_comes_back(value):
    assert read_by_sh(environment_file({"BEFORE": "$(exit 1)`exit 1`", "VALUE": value}), "VALUE") == value


@pytest.mark.parametrize(("value", "line"), [
    (None, 'A=""\n'), (True, 'A="True"\n'), (25, 'A="25"\n'), ("", 'A=""\n'), ('a"b\\c$d`e', 'A="a\\"b\\\\c\\$d\\`e"\n'),
])  # fmt: skip
def test_what_stands_in_the_file(value, line):
    assert environment_file({"A": value}) == line
