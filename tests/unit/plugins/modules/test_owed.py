"""What was written is told until who reads it has taken it over, whatever became of the run that wrote it."""

import base64
import json
import os
import shutil
import types

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.module_utils import owed
from ansible_collections.selfhost.django.plugins.modules import commands, files, self_signed_certificate
from test_files import GROUP, OWNER


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for function in (owed.owed, owed.owe, owed.settle):
        monkeypatch.setattr(function, "__defaults__", (str(tmp_path / "owed"),))
    return tmp_path


@pytest.fixture
def call(folder, capsys):
    """Return functions that run the two modules and return their answers."""

    def called(module, check=False, **options):
        with patch_module_args(options | {"_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    def write(content, check=False, name="site.conf", **values):
        row = {"dest": str(folder / name), "state": "file", "content": base64.b64encode(content.encode()).decode(), "owner": OWNER, "group": GROUP}
        row |= {"mode": "0644", "validate": None, "secret": False} | values
        return called(files, check, payload=json.dumps([row]), reader="nginx")

    def take_over(*words, check=False):
        return called(commands, check, commands=words, reader="nginx")

    def certify(path):
        return called(self_signed_certificate, path=path, names=["a.example"], reader="nginx")

    return types.SimpleNamespace(write=write, take_over=take_over, certify=certify)


def test_what_nobody_has_taken_over_is_told_again(call, folder):
    path = str(folder / "site.conf")
    assert call.write("one")["changed_files"] == [path]
    # The run was killed here, or its reload failed.
    assert call.take_over(["false"])["failed"]
    assert call.write("one", check=True)["changed_files"] == [path]
    again = call.write("one")
    assert (again["changed"], again["changed_files"]) == (True, [path])
    assert not call.take_over(["true"], check=True).get("failed") and call.write("one")["changed"]
    assert not call.take_over(["true"]).get("failed")
    assert (call.write("one")["changed"], call.write("one")["changed_files"]) == (False, [])


def test_files_of_several_runs_are_told_once_each(call, folder):
    call.write("one")
    assert call.write("two", name="b")["changed_files"] == [str(folder / "site.conf"), str(folder / "b")]
    assert call.write("three")["changed_files"] == [str(folder / "site.conf"), str(folder / "b")]
    assert call.write("", state="absent", name="b")["changed_files"] == [str(folder / "site.conf"), str(folder / "b")]


def test_what_is_refused_or_only_looked_at_is_nobodys_debt(call, folder):
    assert call.write("one", validate="false %s")["failed"]
    assert call.write("one", check=True)["changed"]
    assert not (folder / "owed").exists()


@pytest.mark.parametrize("content", ["", "{", "null", "3"])
def test_a_debt_that_cannot_be_read_stops_nobody(folder, content):
    os.mkdir(folder / "owed")
    (folder / "owed" / "nginx").write_text(content)
    assert owed.owed("nginx") == []
    owed.owe("nginx", "/etc/a")
    assert owed.owed("nginx") == ["/etc/a"]
    owed.settle("nginx")
    owed.settle("nginx")
    assert owed.owed("nginx") == []


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("openssl"), reason="needs root and openssl")
def test_a_certificate_is_taken_over_as_a_file_is(call, folder):
    path = str(folder / "certificate.pem")
    assert call.certify(path)["changed"]
    # Killed before the reload.
    assert (call.certify(path)["changed"], call.certify(path)["reason"]) == (True, "")
    call.take_over(["true"])
    assert call.certify(path)["changed"] is False
