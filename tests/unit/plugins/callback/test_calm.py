"""What a run prints: that it goes on while it does, and what failed, once and last."""

import os
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
REMOTE_TMP = "Module remote_tmp /home/shop/.ansible/tmp did not exist and was created with a mode of 0700"
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"text": {}})
module.warn(module.params["text"])
module.exit_json()
"""


def on(host, name, **task):
    return {"name": name, "when": f"inventory_hostname == '{host}'", **task}


def raw(command):
    return {"ansible.builtin.raw": command}


def says(message):
    return {"ansible.builtin.fail": {"msg": message}}


SSH = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
PLAYS = [
    {
        "hosts": "released",
        "tasks": [
            {
                "block": [
                    {"name": "Take long", **raw("sleep 4")},
                    on("r3", "Be polled", **{"ansible.builtin.command": "sleep 3", "async": 30, "poll": 1}),
                    on("r1", "Try again", **raw("mkdir mark 2>/dev/null && exit 1; true"), register="tried", until="tried.rc == 0", retries=2, delay=0),
                    on("r1", "Make a directory", warns={"text": REMOTE_TMP}),
                    on("r1", "Warn", warns={"text": "This is to be read."}),
                    on("r1", "Find each as it is", **{"ansible.builtin.assert": {"that": True, "quiet": True}}, loop=["north", "south"]),
                    on("r1", "Say each", **{"ansible.builtin.debug": {"msg": "{{ item }}"}}, loop=["said"]),
                    {"name": "Be left out", "when": False, **raw("true")},
                    {"name": "Go elsewhere", "ansible.builtin.include_tasks": "elsewhere.yml"},
                    on("r1", "Build", **raw("for i in $(seq 50); do echo line $i; done >&2; exit 3")),
                    on("r2", "Check", **says("A rescue says this again.")),
                ],
                # The third host has no part in it: a run with no host left is over.
                "rescue": [{"name": "Say it", **says("The release failed in step 'build'.\nThe old one keeps serving.")}],
            }
        ],
    },
    {
        "hosts": "others",
        "tasks": [
            on("o5", "Ignored", **says("nobody minds"), ignore_errors=True),
            on("o1", "Loop", **raw("echo it was {{ item }}; [ {{ item }} = one ]"), loop=["one", "two", "three"]),
            on("o2", "Undefined", **says("{{ nothing_of_that_name }}")),
            on("o3", "Unreachable", **{"ansible.builtin.ping": {}}, vars=SSH),
            on("o4", "Secret", **raw("echo swordfish; false"), no_log=True),
            {"name": "Handled", "block": [{"name": "Fail", **says("handled")}], "rescue": [{"name": "Go on", "ansible.builtin.debug": {"msg": "on"}}]},
            {"name": "Same", "ansible.builtin.assert": {"that": False, "fail_msg": f"The same{' sentence' * 30}.", "quiet": True},
             "when": "inventory_hostname in ['o5', 'o6']"},
        ],
    },  # fmt: skip
    {"name": "Nothing to do", "hosts": "others", "tasks": [{"name": "Be left out, too", "when": False, **raw("true")}]},
    {"hosts": "all:!all", "tasks": [raw("true")]},
    {"hosts": "all_at_once", "tasks": [{"name": "Once", **says("This is about all hosts."), "run_once": True}]},
]
GROUPS = {"released": ["r1", "r2", "r3"], "others": ["o1", "o2", "o3", "o4", "o5", "o6", "o7"], "all_at_once": ["a1", "a2"]}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Return a function that runs the plays with the words given, and returns what is printed."""

    def run(*words):
        directory = tmp_path_factory.mktemp("calm")
        (directory / "library").mkdir()
        (directory / "library/warns.py").write_text(MODULE)
        inventory = {group: {"hosts": dict.fromkeys(hosts)} for group, hosts in GROUPS.items()}
        inventory["all"] = {"vars": {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}}
        (directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
        (directory / "play.yml").write_text(yaml.safe_dump([play | {"gather_facts": False} for play in PLAYS], sort_keys=False))
        (directory / "elsewhere.yml").write_text(yaml.safe_dump([on("r1", "Do it there", **raw("true"))]))
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALM_PROGRESS_SECONDS": "1"}
        done = subprocess.run(
            ["ansible-playbook", "-i", "hosts.yml", "play.yml", *words], cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode in (2, 4, 6), done.stdout
        above, recap, below = done.stdout.replace(f"{directory}/", "").partition("PLAY RECAP")
        assert recap, done.stdout
        return above, re.sub(r"^.*?\n\n", "", below, count=1, flags=re.DOTALL)

    return run


@pytest.fixture(scope="module")
def calm(printed):
    return printed()


@pytest.fixture(scope="module")
def verbose(printed):
    return printed("-v", "--limit", "r1,r2,r3,o1,o7,a1")


def test_a_failure_is_marked_where_it_is_and_told_once_and_last(calm):
    above, below = calm
    for mark in ("fatal: [r1]: FAILED!", "failed: [o1] (item=two)", "fatal: [o3]: UNREACHABLE!"):
        assert re.search(rf"^{re.escape(mark)}$", above, re.MULTILINE), above
    for said in ("keeps serving", "line 50", "it was two", "nothing_of_that_name", "refused", "The same", "about all hosts"):
        assert said not in above, above
    assert "".join(calm).count("[ERROR]") == "".join(calm).count("Origin: ") == 1, "of the one that is ignored"
    assert below.rstrip().endswith("\n\nThis is about all hosts."), "no host said it alone"


def test_hosts_that_say_the_same_say_it_together(calm):
    assert calm[1].count("keeps serving") == 1
    assert "\nr1, r2:\n  The release failed in step 'build'.\n  The old one keeps serving.\n" in calm[1], calm[1]


def test_a_sentence_stays_on_its_line_where_it_goes_into_a_file(calm):
    assert re.search(rf"\n(o5, o6|o6, o5): The same{' sentence' * 30}\.\n", calm[1]), calm[1]


def test_what_a_rescue_went_on_from_explains_it_and_is_not_the_last_word(calm):
    below = calm[1]
    assert "A rescue says this again." not in below, "the rescue's own sentence does"
    assert "handled" not in "".join(calm)
    lines = "".join(f"    line {number}\n" for number in range(31, 51))
    assert re.match(rf"Build failed on r1 \(play\.yml:\d+\):\n{lines}\nr1, r2:", below), below


def test_what_no_sentence_of_ours_says_comes_with_its_task(calm):
    below = calm[1]
    assert re.search(r"Loop failed on o1 \(play.yml:\d+\):\n    it was two\n    it was three\n", below), below
    assert re.search(r"Undefined failed on o2 \(play.yml:\d+\): .*'nothing_of_that_name' is undefined", below), below
    # Whether the client is still there when it is given the module decides what Ansible says of it.
    assert re.search(r"Unreachable failed on o3 \(play.yml:\d+\):.*(Connection refused|Broken pipe)", below, re.DOTALL), below
    assert re.search(r"Secret failed on o4 \(play.yml:\d+\): .*no_log", below), below
    assert "swordfish" not in "".join(calm) and "nobody minds" not in below


def test_what_is_ignored_is_told_as_ansible_tells_it(calm):
    assert "msg: nobody minds" in calm[0] and "...ignoring" in calm[0]


def test_what_was_left_out_is_not_told(calm, verbose):
    for told in ("Find each as it is", "Do it there"):
        assert f"TASK [{told}]" in calm[0], calm[0]
    assert "(item=said)" in calm[0] and calm[0].count("PLAY [") == 3
    for untold in ("(item=north)", "Be left out", "PLAY [Nothing to do]", "Go elsewhere", "elsewhere.yml", "skipping:", "no hosts matched"):
        assert untold not in calm[0], untold
        assert untold in verbose[0], untold


def test_a_task_that_takes_a_while_is_told_before_it_is_over(calm):
    assert re.search(r"TASK \[Take long\] \*+\n(still running: [^\n]*\n)+changed: \[r\d\]\n", calm[0]), calm[0]
    assert calm[0].count("TASK [Take long]") == 1


def test_a_long_task_says_that_it_goes_on_and_not_how_often_it_was_asked(calm):
    above = calm[0]
    assert re.search(r"^still running: \[r1, r2, r3\]: Take long, \d+ s$", above, re.MULTILINE), above
    assert "ASYNC" not in above and "RETRYING" not in above
    assert "Module remote_tmp" not in above
    assert "[WARNING]: This is to be read." in above


def test_verbosely_all_is_told_as_ansible_tells_it_and_a_failure_last_too(verbose):
    above, below = verbose
    for said in ("ASYNC POLL", "FAILED - RETRYING", "Module remote_tmp", "Origin: play.yml", "line 50", "it was two", "fatal: [r1]: FAILED! =>", "handled"):
        assert said in above, above
    assert below.rstrip().endswith("\n\nThis is about all hosts.")
    assert below.count("keeps serving") == 1 and "A rescue says this again." not in below


# --- What Ansible says of the inventory -------------------------------------------------------


def test_a_site_without_every_group_is_not_warned_of(preflight):
    code, output = preflight(playbook="site", arguments=["--list-hosts"])
    assert code == 0 and "pattern: ['balancer']" in output and "WARNING" not in output, output


def test_a_misspelt_limit_is_refused(preflight):
    code, output = preflight(arguments=["--limit", "all:!stie1"])
    assert code != 0 and output.rstrip().endswith("\n\n--limit names stie1, which is no host and no group of the inventory: give one that is, such as site1."), output
