"""How a failure is worded that Ansible's own text would bury."""

import types

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.last_words import Failure, failure, last_words, still_running


def task(action="ansible.builtin.fail", run_once=False, path="site.yml:3"):
    return types.SimpleNamespace(action=action, run_once=run_once, get_path=lambda: path)


SENTENCE = Failure("Say it", "site.yml:3", "It cannot be.", "", True, False)
MODULE = Failure("Build", "site.yml:1", "", "gcc: not found", False, False)

READ = {
    "a sentence": ("ansible.builtin.assert", [{"msg": "It cannot be."}], ("It cannot be.", "", True)),
    "lines": ("fail", [{"msg": ["One.", "Two."]}], ("One.\nTwo.", "", True)),
    "our own module": ("selfhost.django.files", [{"msg": "x is no mode.", "stderr": "as a shell says"}], ("x is no mode.", "", True)),
    "a command of our own module": (
        "selfhost.django.release_static", [{"msg": "git failed with code 1.", "cmd": ["git"], "stderr": "E: no\n"}], ("git failed with code 1.", "E: no", False)
    ),
    "a sentence that cannot be read": ("fail", [{"msg": "Task failed: 'x' is undefined"}], ("'x' is undefined", "", False)),
    "a module": ("ansible.builtin.apt", [{"msg": "No package nginx."}], ("No package nginx.", "", False)),
    "a program": ("command", [{"msg": "non-zero return code", "stderr": "E: no\n", "stdout": "began"}], ("", "E: no", False)),
    "a program, newer": ("command", [{"msg": "The command exited with a non-zero return code.", "stderr": "", "stdout": "began"}], ("", "began", False)),
    "a program that said nothing": ("command", [{"msg": "non-zero return code", "stderr": ""}], ("non-zero return code", "", False)),
    "items": ("command", [{"msg": "no a", "stderr": "a"}, {"msg": "no b", "stderr": "b"}, {"msg": "no b", "stderr": "b"}], ("no a\nno b", "a\nb", False)),
    "a file that is not there": ("include_tasks", [{"reason": "Could not find it."}], ("Could not find it.", "", False)),
    "a secret": ("command", [{"censored": "hidden"}], ("hidden", "", False)),
    "nothing": ("command", [{}], ("no reason was given", "", False)),
    "much": ("command", [{"msg": "no", "stderr": "\n".join(map(str, range(100)))}], ("no", "\n".join(map(str, range(80, 100))), False)),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_a_task_failed_with(case):
    action, results, (words, output, is_sentence) = READ[case]
    assert failure("Build", task(action), results) == Failure("Build", "site.yml:3", words, output, is_sentence, False)


def test_a_task_that_ran_once_speaks_for_all():
    assert failure("Check", task(run_once=True), [{"msg": "No."}]).is_of_all


TOLD = {
    "one host": ({"a": [SENTENCE]}, {"a": 1}, ["a: It cannot be."]),
    "several hosts": ({"a": [SENTENCE], "b": [SENTENCE]}, {"a": 1, "b": 1}, ["a, b: It cannot be."]),
    "all hosts": ({"a": [SENTENCE._replace(is_of_all=True)]}, {"a": 1}, ["It cannot be."]),
    "all hosts, lines": ({"a": [SENTENCE._replace(is_of_all=True, words="One.\nTwo.")]}, {"a": 1}, ["One.\nTwo."]),
    "lines": ({"a": [SENTENCE._replace(words="One.\nTwo.")]}, {"a": 1}, ["a:\n  One.\n  Two."]),
    "a program": ({"a": [MODULE]}, {"a": 1}, ["Build failed on a (site.yml:1):\n    gcc: not found"]),
    "a module": ({"a": [MODULE._replace(words="No.", output="", path="")]}, {"a": 1}, ["Build failed on a: No."]),
    "rescued": ({"a": [MODULE, SENTENCE]}, {"a": 0}, []),
    "rescued, then failed": ({"a": [MODULE, SENTENCE]}, {"a": 1}, ["Build failed on a (site.yml:1):\n    gcc: not found", "a: It cannot be."]),
    "a rescued sentence": ({"a": [SENTENCE._replace(words="No."), SENTENCE]}, {"a": 1}, ["a: It cannot be."]),
    "explained before any is told": (
        {"b": [SENTENCE], "a": [MODULE, SENTENCE]}, {"a": 1, "b": 1}, ["Build failed on a (site.yml:1):\n    gcc: not found", "b, a: It cannot be."]
    ),
    "two in one host": ({"a": [MODULE, SENTENCE]}, {"a": 2}, ["Build failed on a (site.yml:1):\n    gcc: not found", "a: It cannot be."]),
    "more than are known": ({"a": [SENTENCE]}, {"a": 3}, ["a: It cannot be."]),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_what_is_told_when_all_is_over(case):
    failures, final, told = TOLD[case]
    assert last_words(failures, final) == told


def test_lines_are_wrapped_between_words_and_a_word_stays_whole():
    (text,) = last_words({"a": [SENTENCE._replace(words="Give it --limit=web1:!web2-of-the-site now.")]}, {"a": 1}, width=20)
    assert text.splitlines() == ["a: Give it", "  --limit=web1:!web2-of-the-site", "  now."]
    (text,) = last_words({"a": [MODULE._replace(output="a line of a program is left as it is")]}, {"a": 1}, width=20)
    assert text.splitlines()[-1] == "    a line of a program is left as it is"


def test_a_task_that_goes_on_is_told_once_for_its_hosts():
    running = {"a": ("Build", 10.0), "b": ("Build", 12.0), "c": ("Copy", 60.0)}
    assert still_running(running, 130.4) == ["still running: [a, b]: Build, 120 s", "still running: [c]: Copy, 70 s"]
    assert still_running({}, 1) == []
