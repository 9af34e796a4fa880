"""What root reads by a name in a folder that another account may write to: a plain file, and no more of it than anything of ours is long."""

import os

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import paths


def make(path, what):
    """Make what another account could put in the place of a file."""
    if what == "pipe":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to("/etc/passwd")
    elif what == "folder":
        path.mkdir()
    elif what == "endless":
        with open(path, "wb") as file:
            file.truncate(10**12)
    elif what != "nothing":
        path.write_text(what)


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "nothing"])
def test_what_is_no_plain_file_has_no_text(tmp_path, what, in_time):
    make(tmp_path / "file", what)
    assert paths.read_text(tmp_path / "file") == ""
    assert paths.read_mapping(tmp_path / "file") is None


def test_a_name_that_no_file_can_have_has_no_text(tmp_path):
    assert paths.read_text(f"{tmp_path}/\0") == paths.read_text(f"{tmp_path}/{'x' * 5000}") == ""


def test_of_a_long_file_the_beginning_is_read_or_the_end(tmp_path):
    make(tmp_path / "file", "endless")
    assert paths.read_text(tmp_path / "file", 100) == "\0" * 100
    (tmp_path / "file").write_text("beginning and end")
    assert (paths.read_text(tmp_path / "file", 9), paths.read_text(tmp_path / "file", 3, last=True)) == ("beginning", "end")
    assert paths.read_text(tmp_path / "file", 100, last=True) == "beginning and end"
    # As those of /proc, which say that they hold nothing.
    assert paths.read_text("/proc/uptime", last=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"a": 1}', {"a": 1}), ("[]", None), ("{torn", None), ("", None), ("[" * 200_000, None), ('{"a": ' + "9" * 5000 + "}", None)],
    ids=["mapping", "list", "torn", "empty", "deep", "number"],
)
def test_a_mapping_is_read_and_nothing_else(tmp_path, text, found):
    (tmp_path / "file").write_text(text)
    assert paths.read_mapping(tmp_path / "file") == found
