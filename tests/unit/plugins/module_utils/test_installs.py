"""The commands that make a virtualenv."""

import subprocess
import sys

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.installs import installs

GIVEN = {
    "installer": "uv", "uv": "/h/uv-1.venv", "uv_requirement": "uv==1", "poetry": "/h/poetry-1.venv", "poetry_requirement": "poetry==1",
    "there": ["/h/uv-1.venv", "/h/poetry-1.venv"], "python": "/usr/bin/python3.13", "virtualenv": "/v", "code": "/c", "scratch": "/t/r.txt",
    "wheel": "", "requirements": [], "arguments": [], "packages": [],
}  # fmt: skip
UV = "/h/uv-1.venv/bin/uv"
INSTALL = f"{UV} pip install --quiet --compile-bytecode --python /v"
SYNC = f"{UV} sync --quiet --compile-bytecode --locked --inexact"
EXPORT = "env --chdir=/ POETRY_KEYRING_ENABLED=false /h/poetry-1.venv/bin/python -m poetry export --no-interaction --with-credentials --directory"
TO = "--python /v/bin/python --project"
# What follows the creation of the virtualenv, for entries of app_requirements.
COMMANDS = [
    ([], []),
    (["requirements.txt", "extra.txt", "."], [f"{INSTALL} --requirement=requirements.txt --requirement=extra.txt ."]),
    (["-e .[pg]", "--editable=libs/x"], [f"{INSTALL} --editable=.[pg] --editable=libs/x"]),
    (["uv.lock"], [f"{SYNC} --no-dev {TO} /c"]),
    (["api/uv.lock --extra pg --group prod"], [f"{SYNC} --no-dev --extra pg --group prod {TO} /c/api"]),
    (["uv.lock --group dev"], [f"{SYNC} --group dev {TO} /c"]),
    (["poetry.lock --extra=pg --group prod"],
     [f"{EXPORT} /c --output /t/r.txt --extras pg --with prod", f"{INSTALL} --no-deps --requirement=/t/r.txt", "rm /t/r.txt"]),
    (["api/poetry.lock"], [f"{EXPORT} /c/api --output /t/r.txt", f"{INSTALL} --no-deps --requirement=/t/r.txt", "rm /t/r.txt"]),
    (["pylock.toml --extra pg"], [f"{INSTALL} --preview-features=pylock --requirement=pylock.toml --extra pg"]),
    (["api/pyproject.toml --extra pg --group prod"], [f"{INSTALL} --requirement=api/pyproject.toml --extra pg --group api/pyproject.toml:prod"]),
    (["a.txt", "uv.lock", "b.txt", "."], [f"{INSTALL} --requirement=a.txt", f"{SYNC} --no-dev {TO} /c", f"{INSTALL} --requirement=b.txt ."]),
]  # fmt: skip


def said(**given):
    return [" ".join(command) for command, _text in installs(**GIVEN | given)]


@pytest.mark.parametrize(("requirements", "commands"), COMMANDS, ids=[" + ".join(row[0]) for row in COMMANDS])
def test_an_entry_is_installed_by_the_tool_that_reads_it(requirements, commands):
    assert said(requirements=requirements) == [f"{UV} venv --quiet --seed --python /usr/bin/python3.13 /v", *commands]


def test_packages_come_last_and_arguments_are_those_of_pip():
    commands = said(requirements=["uv.lock", "a.txt"], arguments=["--no-binary=x"], packages=["gunicorn", "y"])
    assert commands[1:] == [f"{SYNC} --no-dev {TO} /c", f"{INSTALL} --no-binary=x --requirement=a.txt", f"{INSTALL} --no-binary=x gunicorn y"]


def test_pip_does_without_uv():
    commands = said(installer="pip", there=[], requirements=["a.txt"], packages=["y"])
    install = "/v/bin/pip install --disable-pip-version-check --no-input --quiet"
    assert commands == ["env --chdir=/ /usr/bin/python3.13 -m venv /v", f"{install} --requirement=a.txt", f"{install} y"]


def tool(name, *old):
    path, written, hashes = f"/h/{name}-1.venv", "dd of=/t/r.txt status=none", "--quiet --require-hashes --requirement=/t/r.txt"
    lines = [
        " ".join(["rm -rf", *old, path, f"{path}.new"]),
        *{
            "uv": [f"env --chdir=/ /usr/bin/python3 -m venv {path}.new", written,
                   f"{path}.new/bin/pip install --disable-pip-version-check --no-input {hashes}"],
            "poetry": [f"{UV} venv --quiet --python /usr/bin/python3 {path}.new", written, f"{UV} pip install --python {path}.new {hashes}"],
        }[name],
        f"mv {path}.new {path}",
    ]
    return "sh -euc " + "\n".join(lines)


def test_a_tool_that_is_missing_comes_first_in_place_of_an_older_one():
    assert said(there=["/h/uv-0", "/h/poetry-1.venv"])[:-1] == [tool("uv", "/h/uv-0")]
    assert said(there=["/h/poetry-1.venv", "/h/uv-1.venv.new"])[:-1] == [tool("uv", "/h/uv-1.venv.new")]
    assert said(there=["/h/uv-1.venv"])[:-1] == [], "Poetry is for those who use it"
    assert said(there=[], requirements=["poetry.lock"])[:2] == [tool("uv"), tool("poetry")]
    assert [text for _command, text in installs(**GIVEN | {"there": []})] == ["uv==1", ""]


def test_pip_runs_from_the_wheel_where_there_is_one():
    commands = said(there=[], wheel="/w/pip-25.1.whl")[0].removeprefix("sh -euc ").splitlines()
    assert commands[1] == "env --chdir=/ /usr/bin/python3 -m venv --without-pip /h/uv-1.venv.new"
    assert commands[3].startswith("env --chdir=/ PYTHONPATH=/w/pip-25.1.whl /h/uv-1.venv.new/bin/python -m pip install --disable-pip-version-check ")


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_no_module_of_the_repository_takes_the_place_of_pythons_own(installer, tmp_path):
    """`python -m` looks into the present folder first, where an application may be called logging or calendar."""
    for name in ("logging", "venv"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is the application')")
    lines = "\n".join(said(installer=installer, there=[], python=sys.executable)).splitlines()
    create = next(line for line in lines if " -m venv " in line)
    for there, here in (("/h/uv-1.venv.new", tmp_path / "v"), (" /v", f" {tmp_path}/v"), ("/usr/bin/python3", sys.executable)):
        create = create.replace(there, str(here))
    done = subprocess.run(create.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
