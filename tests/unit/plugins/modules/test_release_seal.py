"""Folders of a release are sealed."""

import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.modules.release_seal import main

BUILDER, GROUP = 4711, 4712

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to other accounts")


@pytest.fixture
def seal(tmp_path, capsys):
    """Return a function that runs the module on two folders of the account, and returns what it says."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
        for path in (tmp_path / name, tmp_path / name / "file"):
            os.chown(path, BUILDER, BUILDER)

    def run(**given):
        options = {"paths": [f"{tmp_path}/o*"], "owner": str(BUILDER), "group": str(GROUP)}
        with patch_module_args(options | given), pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return run


def test_a_pattern_stands_for_folders_and_a_second_time_nothing_changes(seal, tmp_path):
    first, second = seal(), seal()
    assert (first["changed"], first["sealed"], second["changed"], second["sealed"]) == (True, 4, False, 0)
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in tmp_path.glob("o*/file")} == {(0, GROUP)}


def test_a_group_that_is_not_there_is_named(seal):
    assert seal(group="nobody-of-this-name")["msg"] == "There is no group nobody-of-this-name on this host."
