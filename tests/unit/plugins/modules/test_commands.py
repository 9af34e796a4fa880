"""Commands that are run one after the other, in one round trip."""

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.modules.commands import main


@pytest.fixture
def run(capsys):
    """Return a function that runs the module and returns its answer."""

    def asked(*commands, check=False):
        with patch_module_args({"commands": list(commands), "_ansible_check_mode": check}), pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return asked


def test_all_run_in_order_and_none_after_one_that_fails(run, tmp_path):
    answer = run(["touch", f"{tmp_path}/one"], ["ls", f"{tmp_path}/missing"], ["touch", f"{tmp_path}/three"])
    assert answer["failed"] and answer["rc"] and answer["cmd"] == ["ls", f"{tmp_path}/missing"] and "missing" in answer["stderr"]
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_it_has_changed_something_where_there_was_one(run, tmp_path):
    command = ["touch", f"{tmp_path}/it's; $one"]
    assert run(command) | {"invocation": None} == {"changed": True, "commands": [command], "invocation": None}
    assert run()["changed"] is False and (tmp_path / "it's; $one").exists()


def test_a_dry_run_tells_them_and_runs_none(run, tmp_path):
    answer = run(["touch", f"{tmp_path}/one"], check=True)
    assert answer["changed"] and answer["commands"] and not list(tmp_path.iterdir())
