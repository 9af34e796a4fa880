"""Commands of which somebody else has a part in what they print, or in when they end."""

import subprocess
import time

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import commands


def test_what_a_command_prints_is_text():
    done = commands.hold(["sh", "-c", r"printf 'a\r\n\377'; echo b >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "a\n\ufffd", "b\n")
    done = commands.hold(["sh", "-c", "echo a; echo b >&2"], stdout=subprocess.DEVNULL)
    assert (done.stdout, done.stderr) == (None, "b\n")
    assert commands.hold(["head", "--bytes=300000", "/dev/zero"], most=300_000).stdout == "\0" * 300_000
    # Who complains of each of a million files has still done the rest.
    done = commands.hold(["sh", "-c", "head --bytes=300000 /dev/zero >&2; echo done"], most=100)
    assert (done.stdout, done.stderr) == ("done\n", "\0" * 100)
    with pytest.raises(FileNotFoundError):
        commands.hold(["/no/such"])


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("yes", "printed more than 1 MB"),
        ("yes >&2", "took longer than 1 s"),
        ("sleep 60", "took longer than 1 s"),
        ("exec >/dev/null 2>&1; sleep 60", "took longer than 1 s"),
        ("trap '' TERM; yes", "printed more than 1 MB"),
    ],
)
def test_a_command_without_end_is_ended(monkeypatch, in_time, script, why):
    monkeypatch.setattr(commands, "ENDING_SECONDS", 1)
    started = time.monotonic()
    with pytest.raises(commands.Ended, match=why):
        commands.hold(["sh", "-c", script], seconds=1 if "longer" in why else None, most=1 << 20)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("command", ["sleep 60 & wait", "sleep 60 &", "trap '' TERM; sleep 60 & wait"])
def test_one_that_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path, monkeypatch, in_time, command):
    monkeypatch.setattr(commands, "ENDING_SECONDS", 1)
    with pytest.raises(commands.Ended, match="took longer"):
        commands.hold(["sh", "-c", f"echo $$ >{tmp_path}/group; {command}"], seconds=1)
    rows = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [row for row in rows if row.split()[0] == (tmp_path / "group").read_text().strip() and "Z" not in row] == []


def test_a_command_gets_to_end_in_order(tmp_path, in_time):
    """As one does that removes what it has begun."""
    script = f"trap 'echo cleared; touch {tmp_path}/cleared; exit' TERM; touch {tmp_path}/begun; while :; do sleep 0.1; done"
    with pytest.raises(commands.Ended, match="was stopped"):
        commands.hold(["sh", "-c", script], watch=lambda: "was stopped" if (tmp_path / "begun").exists() else "")
    assert (tmp_path / "cleared").exists()
