"""A release is built by the account that builds, and is nobody's to change afterwards."""

import json
import os
import pathlib
import tempfile

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.modules.release_build import main

BUILDER, GROUP = 4711, 4712

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to other accounts")


@pytest.fixture
def build(tmp_path, capsys):
    """Return a function that builds a release by commands, which run as a command of the account would, and returns what the module says."""
    code = tmp_path / "code"
    code.mkdir()
    os.chown(code, BUILDER, BUILDER)

    def run(*commands):
        prefix = ["setpriv", f"--reuid={BUILDER}", "--clear-groups", "env", f"--chdir={code}", "WHO=me"]
        options = {
            "run": prefix, "settings": ["SECRET_KEY=swordfish"], "commands": list(commands), "withheld": ["SECRET_KEY", "DATABASE_URL"],
            "root": str(tmp_path), "code": str(code), "user": str(BUILDER), "group": str(GROUP),
        }  # fmt: skip
        with patch_module_args(options), pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    run.code = code
    # The account has to come there.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to(tempfile.gettempdir()) and folder != pathlib.Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    return run


def owners(code):
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in (code, *code.rglob("*"))}


def test_commands_run_in_their_order_with_their_own_shell_and_root_has_what_they_made(build):
    answer = build('echo "$WHO" >made', "cat made made >twice")
    assert answer["changed"] and [line[-1] for line in answer["commands"]] == ['echo "$WHO" >made', "cat made made >twice"]
    assert (build.code / "twice").read_text() == "me\nme\n"
    assert owners(build.code) == {(0, GROUP)}


def test_what_fails_is_said_in_its_own_words_and_nothing_follows(build):
    answer = build("echo half; echo no such thing >&2; exit 3", "touch never")
    assert (answer["failed"], answer["rc"], answer["stderr"], answer["stdout"]) == (True, 3, "no such thing\n", "half\n")
    assert not (build.code / "never").exists() and owners(build.code) == {(BUILDER, BUILDER)}


def test_a_command_gets_the_settings_where_it_says_that_it_imports_them(build):
    asks = 'echo "${SECRET_KEY-none}" >>seen'
    build(asks, {"command": asks, "imports_settings": True}, {"command": asks, "imports_settings": False})
    assert (build.code / "seen").read_text() == "none\nswordfish\nnone\n"


@pytest.mark.parametrize(
    ("command", "is_told"),
    [
        ("echo \"KeyError: 'DATABASE_URL'\" >&2; exit 1", True),
        ("echo Set the SECRET_KEY environment variable; exit 1", True),
        ("echo no such thing >&2; exit 1", False),
        ({"command": "echo \"KeyError: 'DATABASE_URL'\" >&2; exit 1", "imports_settings": True}, False),
    ],
)
def test_one_that_lacks_a_setting_says_how_it_gets_them(build, command, is_told):
    assert ("imports_settings: true} in app_build_commands: it has no " in build(command)["stderr"]) is is_told


def test_without_commands_it_is_sealed_all_the_same(build):
    assert build()["changed"] is True and owners(build.code) == {(0, GROUP)}
    assert build()["changed"] is False


@pytest.mark.parametrize("code", [0, 1])
def test_where_the_host_went_down_nothing_is_made_of_what_builds_share(build, code):
    root = build.code.parent
    (root / "build/.cache").mkdir(parents=True)
    (root / "build-pending").write_text("an earlier boot")
    build(f"ls -A .. ../build >seen; exit {code}")
    seen = (build.code / "seen").read_text().split()
    assert "build-pending" in seen and ".cache" not in seen and not (root / "build-pending").exists()
