"""A virtualenv is made by commands that get a token from their environment, and nothing that is said shows it."""

import json
import pathlib

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.modules.release_virtualenv import main

TOKEN = "swordfish-7"
RUN = """#!/bin/sh
echo "$@" >>{log}
export TOKEN={token}
exec "$@"
"""
UV = """#!/bin/sh
echo "asking https://x:$TOKEN@packages.example.org for $*, $FURTHER, ${VIRTUAL_ENV-none}, in $(pwd)" >&2
case $* in *missing*) exit 3 ;; esac
"""


@pytest.fixture
def make(tmp_path, monkeypatch, capsys):
    """Return a function that runs the module and returns what it says, as text."""
    log = tmp_path / "log"
    for name, text in (("run", RUN.format(log=log, token=TOKEN)), ("home/uv-1.venv/bin/uv", UV)):
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    for name in ("venv", "code"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    options = {
        "virtualenv": f"{tmp_path}/venv", "code": f"{tmp_path}/code", "run": [f"{tmp_path}/run"], "environment": {"FURTHER": "more"},
        "secrets": [TOKEN], "installer": "uv", "uv": f"{tmp_path}/home/uv-1.venv", "uv_requirement": "uv==1", "poetry": f"{tmp_path}/home/poetry-1.venv",
        "poetry_requirement": "poetry==1", "python": "/usr/bin/python3", "scratch": f"{tmp_path}/scratch",
    }  # fmt: skip

    def run(**given):
        with patch_module_args(options | given), pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    run.log = log
    return run


def test_the_commands_of_what_was_made_are_told_without_the_token(make):
    text = make(requirements=["uv.lock"], packages=["x"])
    answer = json.loads(text)
    assert answer["changed"] and [pathlib.PurePath(command[0]).name for command in answer["commands"]] == ["uv", "uv", "uv"]
    assert TOKEN not in make.log.read_text()


def test_of_what_fails_its_words_are_told_without_the_token(make, tmp_path):
    text = make(requirements=["missing.txt"])
    answer = json.loads(text)
    assert TOKEN not in text and answer["rc"] == 3
    assert "asking https://x:********@packages.example.org for pip install" in answer["stderr"]
    assert answer["stderr"].endswith(f"--requirement=missing.txt, more, none, in {tmp_path}/code\n")
    assert answer["msg"].startswith(f"The command failed: {tmp_path}/home/uv-1.venv/bin/uv pip install ")
