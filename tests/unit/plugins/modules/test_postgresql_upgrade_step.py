"""What an upgrade would change is what it changes."""

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.module_utils import postgresql_upgrade as upgrade
from ansible_collections.selfhost.django.plugins.modules import postgresql_upgrade as module


@pytest.mark.parametrize(("state", "there", "is_changed"), [
    ("checked", True, False), ("upgraded", True, True), ("exchanged", True, True), ("finished", True, True),
    ("retired", True, True), ("retired", False, False), ("removed", True, True), ("removed", False, False),
])  # fmt: skip
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_dry_run_says_what_a_run_does(monkeypatch, capsys, state, there, is_changed, check_mode):
    monkeypatch.setattr(upgrade.os.path, "exists", lambda path: there and path == "/etc/postgresql/15/main/postgresql.conf")
    for name in ("alone", "checked", "upgraded", "exchanged", "finished", "stop", "start_mode", "forget", "run"):
        monkeypatch.setattr(upgrade, name, lambda *_words, **_more: None)
    with patch_module_args({"state": state, "old": "15", "new": "17", "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
        module.main()
    assert json.loads(capsys.readouterr().out)["changed"] is is_changed
