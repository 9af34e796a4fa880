"""What an ext4 file system holds back for root, and who else may use it."""

import grp
import os
import subprocess

import pytest
from ansible_collections.selfhost.django.plugins.modules.reserved_blocks import due, held_back, nearest, plan

TOLD = """Block count:              65536
Reserved block count:     3276
Reserved GDT blocks:      256
Reserved blocks uid:      0 (user root)
Reserved blocks gid:      0 (group root)
"""
DUE = [["mount", "-o", "remount,resgid=105", "/"], ["tune2fs", "-g", "105", "/dev/vda1"]]
# Of Debian's account `nobody`, and of nobody at all.
GROUP, SERVER, APPLICATION = "nogroup", (65533, 65534), (65532, 65532)


def test_what_tune2fs_tells_is_read():
    assert held_back(TOLD) == (3276, 0)


@pytest.mark.parametrize(
    ("blocks", "owner", "commands", "reason"),
    [
        (3276, 0, DUE, ""),
        (3276, 105, [], "it is the group's"),
        (3276, 998, [], "it is the group's with the number 998"),
        (0, 0, [], "nothing is held back on /dev/vda1"),
    ],
)
def test_only_what_is_roots_alone_is_shared(blocks, owner, commands, reason):
    assert due("/dev/vda1", "/", 105, blocks, owner) == (commands, reason)


def test_a_directory_that_is_still_to_come_counts_as_the_one_above_it(tmp_path):
    assert nearest(str(tmp_path / "17/main")) == str(tmp_path)


def test_a_group_that_is_still_to_come_is_named():
    assert due("/dev/vda1", "/", "postgres", 3276, 0)[0][0][2] == "remount,resgid=postgres"


def test_other_file_systems_are_left_alone():
    assert plan("/proc", GROUP) == ([], "the file system is proc")


def write(folder, name, account):
    """Write until nothing fits any more, as an account; return how many bytes that were."""
    def become():
        os.setgroups([])
        os.setgid(account[1])
        os.setuid(account[0])

    # By its name alone: folders above it let nobody through.
    subprocess.run(["dd", "if=/dev/zero", f"of={name}", "bs=64k"], cwd=folder, preexec_fn=become, capture_output=True, check=False)
    return (folder / name).stat().st_size


def test_the_server_still_writes_where_the_application_has_filled_the_disk(disk):
    assert grp.getgrnam(GROUP).gr_gid == SERVER[1]
    commands, reason = plan(str(disk / "17/main"), GROUP)
    assert ([words[0] for words in commands], reason) == (["mount", "tune2fs"], "")
    assert write(disk, "uploads", APPLICATION) > 40_000_000
    assert write(disk, "before", SERVER) < 100_000
    for words in commands:
        subprocess.run(words, check=True)
    assert write(disk, "more", APPLICATION) == 0
    assert write(disk, "log", SERVER) > 2_000_000
    assert plan(str(disk), GROUP) == ([], "it is the group's")
