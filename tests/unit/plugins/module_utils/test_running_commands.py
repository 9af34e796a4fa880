"""What root holds of a command that somebody else's code answers: no more than anybody reads, and for no longer than it may take."""

import subprocess
import time

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import commands
from ansible_collections.selfhost.django.plugins.module_utils.commands import Failed, ask, run


def test_what_is_printed_is_returned_and_what_is_handed_over_is_read():
    assert ask("cat", data="größer\n" * 100_000) == "größer\n" * 100_000
    assert ask("cat") == "" and ask("true", data="nobody reads it" * 100_000) == ""
    assert ask("printf", r"a\r\nb\xff") == "a\nb\ufffd"
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_one_that_fails_says_why():
    words = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    with pytest.raises(Failed) as failed:
        ask(*words)
    assert failed.value.details == {"msg": "sh failed with code 3.", "cmd": words, "rc": 3, "stdout": "out\n", "stderr": "err\n"}
    with pytest.raises(Failed) as failed:
        ask("/no/such")
    assert (failed.value.details["rc"], failed.value.details["stderr"]) == (2, "/no/such: No such file or directory")


def test_of_what_has_no_end_the_last_is_kept(monkeypatch):
    monkeypatch.setattr(commands, "MOST_BYTES", 1000)
    done = run(["sh", "-c", "yes 1234567 | head --bytes=80000; echo last; yes 7654321 | head --bytes=80000 >&2; echo end >&2"])
    assert (len(done.stdout), len(done.stderr)) == (1000, 1000)
    assert done.stdout.endswith("1234567\nlast\n") and done.stderr.endswith("7654321\nend\n")


@pytest.mark.parametrize("command", [
    # It says nothing; it has closed what it would say; it says the same without an end; it does not want to go; what it has started goes on.
    "sleep 60", "exec >/dev/null 2>&1; sleep 60", "yes", "trap '' TERM; while :; do sleep 0.1; done", "sleep 60 & wait", "sleep 60 &",
])  # fmt: skip
def test_what_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path, monkeypatch, command):
    monkeypatch.setattr(commands, "GRACE_SECONDS", 0.5)
    before = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", f"echo $$ >{tmp_path}/group; {command}"], seconds=0.3)
    assert time.monotonic() - before < 10
    rows = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    group = (tmp_path / "group").read_text().strip()
    assert [row for row in rows if row.split()[0] == group and not row.split()[1].startswith("Z")] == []


def test_one_that_took_too_long_says_so_last_and_gets_to_clear_up(tmp_path):
    with pytest.raises(Failed) as failed:
        ask("sh", "-c", f"trap 'touch {tmp_path}/cleared; exit' TERM; echo asking >&2; while :; do sleep 0.05; done", seconds=1)
    assert failed.value.details["stderr"] == "asking\nIt was stopped after 1 seconds (django_step_timeout_seconds).\n"
    assert (tmp_path / "cleared").exists()
