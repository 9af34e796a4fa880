"""What a key may do that deploys and nothing else."""

import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "bin/selfhost-gate"
loader = importlib.machinery.SourceFileLoader("selfhost_gate", str(PROGRAM))
gate = importlib.util.module_from_spec(importlib.util.spec_from_loader("selfhost_gate", loader))
# Nothing is left beside the program.
sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
loader.exec_module(gate)
sys.dont_write_bytecode = before


@pytest.mark.parametrize("asked", ["deploy", "deploy v1.2", "deploy feature/new", "deploy 'v1.2'", "rollback", "rollback 4f1c2d3e5a6b-0a1b2c3d", "status"])
def test_what_is_allowed(asked):
    assert gate.words_of(asked) == asked.replace("'", "").split()


@pytest.mark.parametrize(
    "asked",
    [
        "", "site", "restore", "manage flush", "status --help", "deploy v1 v2", "deploy --check", "deploy -e@/etc/passwd", "deploy ../x", "deploy a/../b",
        "deploy 'a b'", "deploy 'v1;id'", "deploy $(id)", "deploy `id`", "deploy 'v1", "deploy v1\nid", "deploy {{x}}", "psql", "init", "deploy " + "a" * 101,
        "/bin/sh", "deploy ''",
    ],
)  # fmt: skip
def test_what_is_refused(asked, tmp_path):
    done = subprocess.run([sys.executable, PROGRAM, tmp_path], env={"SSH_ORIGINAL_COMMAND": asked}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("selfhost-gate: ")
