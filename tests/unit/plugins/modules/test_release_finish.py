"""What is left to do when a release serves, or was put back: whatever fails is written down, and the lock goes to the next one."""

import json
import os
import pathlib

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.module_utils import releases
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed
from ansible_collections.selfhost.django.plugins.module_utils.locks import read, take
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath
from ansible_collections.selfhost.django.plugins.modules import release_finish
from ansible_collections.selfhost.django.plugins.modules.release_finish import finish, main

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the log is group adm's")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that finishes a release as the holder of the lock; a command in its `failing` fails."""
    lock = str(tmp_path / "lock")
    for name in ("a-1", "b-1", "c-1"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "release.json").write_text("{}")
    (tmp_path / "venvs").mkdir()
    (tmp_path / "current").symlink_to("releases/c-1")
    asked, failing = [], set()

    def ask(*words, data=None):
        asked.append(words)
        if words[0] in failing:
            raise Failed(words, 1, stderr=f"{words[0]} does not work\n")
        return '{"removed": []}'

    for module in (releases, release_finish):
        monkeypatch.setattr(module, "ask", ask)

    def run(**given):
        token = take(lock, "Ann ships main", 0)
        places = {"root": str(tmp_path), "service": "shop", "run": "shop-run", "program": "", "store": str(tmp_path / "static"), "lock": lock}
        defaults = {"stop": [], "drain_seconds": 0, "keep": None, "static_roots": [], "forget": "", "log": str(tmp_path / "log"), "token": token}
        return finish(places | defaults | {"entry": {"verdict": "ok", "reason": ""}} | given)

    run.path, run.asked, run.failing = tmp_path, asked, failing
    run.log = lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]

    def holder():
        with open(lock, "rb") as file:
            return read(file.fileno())[0]

    run.holder = holder
    return run


def test_what_was_replaced_goes_and_a_line_says_so(site):
    done = site(stop=["b-1"], keep=1)
    assert done["removed"] == ["a-1"] and not done.get("failed")
    assert ("systemctl", "stop", "--no-block", "shop@b-1.socket", "shop@b-1.service") in site.asked
    (entry,) = site.log()
    assert entry.pop("at").endswith("Z") and entry == {"verdict": "ok", "reason": ""}
    assert site.holder() == ""


def test_an_entry_is_one_line_whatever_is_said_in_it(site):
    reasons = ["pages.0002 drops a column.\nA second finding: \\n \\c", ""]
    for reason in reasons:
        site(entry={"reason": reason})
    assert [entry["reason"] for entry in site.log()] == reasons


@pytest.mark.parametrize(("left", "lines"), [("", 0), ('{"verdict": "ok"}\n', 1), ('{"verd', 1), ('{"verdict": "ok"}\n{"verd', 2)])
def test_an_entry_has_a_line_of_its_own_also_after_one_that_was_cut_off(site, left, lines):
    (site.path / "log").write_text(left)
    site()
    text = (site.path / "log").read_text()
    assert text.startswith(left) and json.loads(text.splitlines()[lines])["verdict"] == "ok" and text.count("\n") == lines + 1


@pytest.mark.parametrize(("command", "step"), [("systemctl", "drain"), ("shop-run", "prune")])
def test_what_fails_is_written_down_and_keeps_nobody_out(site, command, step):
    site.failing.add(command)
    done = site(stop=["b-1"], keep=1)
    assert (done["failed"], done["step"], done["rc"]) == (True, step, 1)
    assert [(entry["verdict"], entry["step"], entry["reason"]) for entry in site.log()] == [("failed", step, f"{command} does not work")]
    assert site.holder() == ""


@pytest.mark.parametrize("error", [RecursionError("maximum recursion depth exceeded"), ValueError("Expecting value"), UnsafePath("/srv/shop is a link")])
def test_whatever_else_fails_is_written_down_and_keeps_nobody_out_either(site, monkeypatch, error):
    def prune(*_given):
        raise error

    monkeypatch.setattr(release_finish, "prune", prune)
    done = site(keep=1)
    assert (done["failed"], done["step"], done["msg"]) == (True, "prune", str(error))
    assert [(entry["verdict"], entry["step"], entry["reason"]) for entry in site.log()] == [("failed", "prune", str(error))]
    assert site.holder() == ""


def test_a_release_that_somebody_waits_for_without_an_end_goes_and_a_warning_says_so(site, monkeypatch, capsys):
    ask = release_finish.ask
    monkeypatch.setattr(release_finish, "ask", lambda *words: "u_str LISTEN 1 128" if words[0] == "ss" else ask(*words))
    sentence = "After 0 s visitors still waited for release b-1. It was stopped all the same."
    done = site(stop=["b-1"], keep=1)
    assert done["late"] == [sentence] and done["removed"] == ["a-1"] and not done.get("failed")
    assert site.log()[0]["verdict"] == "ok" and site.holder() == ""
    options = {"root": str(site.path), "service": "shop", "lock": str(site.path / "lock"), "log": str(site.path / "log"), "drain_seconds": 0, "stop": ["b-1"]}
    warned = []
    monkeypatch.setattr(release_finish.AnsibleModule, "warn", lambda _module, sentence: warned.append(sentence))
    with patch_module_args(options | {"entry": {}, "token": take(str(site.path / "lock"), "Ann", 0)}), pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out)["changed"] and warned == [sentence]


def test_a_log_that_cannot_be_written_keeps_nobody_out(site):
    with pytest.raises(OSError):
        site(log=str(site.path / "none/log"))
    assert site.holder() == ""


def test_whoever_has_lost_the_lock_does_nothing(site):
    assert site(token="another", stop=["b-1"], keep=0) == {"changed": False, "removed": []}
    assert site.asked == [] and not (site.path / "log").exists() and site.holder() == "Ann ships main"


def test_nobody_goes_back_to_what_failed(site):
    site(forget="b-1")
    site(forget="never-there")
    assert not (site.path / "releases/b-1/release.json").exists() and (site.path / "releases/b-1").exists()


def test_nobody_goes_back_to_what_failed_and_cannot_be_stopped_either(site):
    site.failing.add("systemctl")
    assert site(stop=["b-1"], forget="b-1")["step"] == "drain"
    assert not (site.path / "releases/b-1/release.json").exists()


def test_whoever_has_spoiled_a_shared_file_keeps_no_failed_release_at_work():
    """A file of the application's that is none of ours is refused, whatever else is to be put back."""

    def blocks(tasks):
        for task in tasks:
            yield task
            yield from blocks([inner for part in ("block", "rescue", "always") for inner in task.get(part, [])])

    path = pathlib.Path(__file__).parents[4] / "roles/django/tasks/release/put_back.yml"
    (found,) = [task for task in blocks(yaml.safe_load(path.read_text())) if any("selfhost.django.release_files" in inner for inner in task.get("block", []))]
    assert [word for task in found["always"] for word in task if "." in word] == ["selfhost.django.release_finish", "ansible.builtin.include_tasks"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("token", ["", "another"])
def test_what_failed_before_fails_in_the_end_in_a_dry_run_too(site, capsys, check_mode, token):
    options = {"root": str(site.path), "service": "shop", "lock": str(site.path / "lock"), "token": token, "log": str(site.path / "log")}
    with patch_module_args(options | {"entry": {}, "failure": "Release b-1 serves, but …", "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
        main()
    said = json.loads(capsys.readouterr().out)
    assert said["failed"] and said["msg"] == "Release b-1 serves, but …" and not (site.path / "log").exists()
