"""Which units a host has of processes and timers, and what is done so that they follow the release that serves."""

import base64
import grp
import os
import pathlib
import pwd
import subprocess

import pytest
import yaml
from ansible_collections.selfhost.django.plugins.action.release_units import units
from ansible_collections.selfhost.django.plugins.module_utils.releases import current_of, units_of
from ansible_collections.selfhost.django.plugins.modules.release_units import command, fallen, follow, steps_for

ROOT = pathlib.Path(__file__).resolve().parents[4]
WORKER, BEAT = {"name": "worker", "command": "work"}, {"name": "beat", "command": "beat", "hosts": "one"}
TICK, EVERYWHERE = {"name": "tick", "command": "tick", "schedule": "daily"}, {"name": "sweep", "command": "sweep", "schedule": "daily", "hosts": "all"}
RUNS = {"active": True, "enabled": True, "read": True, "current": True}
# A job of a timer runs at its times only, of whatever release is current then; nobody enables it.
RESTS = RUNS | {"active": False, "enabled": False, "current": False}
ALL_RUN = {"a-worker.service": RUNS, "a-tick.service": RESTS, "a-tick.timer": RUNS | {"current": False}}


@pytest.mark.parametrize(
    ("is_first", "names"),
    [
        (True, ["a-worker.service", "a-beat.service", "a-tick.service", "a-tick.timer", "a-sweep.service", "a-sweep.timer"]),
        (False, ["a-worker.service", "a-sweep.service", "a-sweep.timer"]),
    ],
)
def test_what_runs_once_runs_on_the_first_host(is_first, names):
    assert [row["unit"] for row in units([WORKER, BEAT], [TICK, EVERYWHERE], "a", is_first)] == names


def but(name, **words):
    """Return what is seen where one unit is not as it has to be."""
    return ALL_RUN | {name: ALL_RUN[name] | words}


@pytest.mark.parametrize(
    ("seen", "differing", "steps"),
    [
        pytest.param(ALL_RUN, [], [], id="unchanged"),
        pytest.param(
            {}, ["a-worker.service", "a-tick.service", "a-tick.timer"],
            [
                ("files", ["a-worker.service", "a-tick.service", "a-tick.timer"]),
                ("daemon-reload", ["a-worker.service", "a-tick.service", "a-tick.timer"]),
                ("enable", ["a-worker.service", "a-tick.timer"]), ("start", ["a-tick.timer"]), ("restart", ["a-worker.service"]),
            ],
            id="new",
        ),
        pytest.param(
            ALL_RUN, ["a-worker.service"],
            [("files", ["a-worker.service"]), ("daemon-reload", ["a-worker.service"]), ("restart", ["a-worker.service"])], id="another process",
        ),
        # The job that runs is let finish, and systemd reads the schedule.
        pytest.param(ALL_RUN, ["a-tick.service"], [("files", ["a-tick.service"]), ("daemon-reload", ["a-tick.service"])], id="another job"),
        pytest.param(ALL_RUN, ["a-tick.timer"], [("files", ["a-tick.timer"]), ("daemon-reload", ["a-tick.timer"])], id="another schedule"),
        pytest.param(but("a-worker.service", current=False), [], [("restart", ["a-worker.service"])], id="another release"),
        pytest.param(but("a-worker.service", active=False), [], [("restart", ["a-worker.service"])], id="dead process"),
        pytest.param(but("a-tick.timer", active=False), [], [("start", ["a-tick.timer"])], id="stopped timer"),
        pytest.param(but("a-worker.service", enabled=False), [], [("enable", ["a-worker.service"])], id="disabled process"),
        pytest.param(but("a-tick.timer", enabled=False), [], [("enable", ["a-tick.timer"])], id="disabled timer"),
        pytest.param(
            but("a-worker.service", read=False), [], [("daemon-reload", ["a-worker.service"]), ("restart", ["a-worker.service"])], id="process not read",
        ),
        pytest.param(but("a-tick.timer", read=False), [], [("daemon-reload", ["a-tick.timer"])], id="timer not read"),
        # Of a process that moved to another host, the first three; of a timer, all.
        pytest.param(
            ALL_RUN | {"a-beat.service": RUNS, "a-old.service": RESTS, "a-old.timer": RUNS}, [],
            [
                ("disable --now", ["a-old.timer"]), ("disable --now", ["a-old.service", "a-beat.service"]),
                ("reset-failed", ["a-old.timer*", "a-old.service*", "a-beat.service*"]), ("files", ["a-old.timer", "a-old.service", "a-beat.service"]),
                ("daemon-reload", ["a-old.timer", "a-old.service", "a-beat.service"]),
            ],
            id="removed",
        ),
        pytest.param(
            but("a-worker.service", current=False) | {"a-old.service": RUNS}, ["a-tick.timer"],
            [
                ("disable --now", ["a-old.service"]), ("reset-failed", ["a-old.service*"]), ("files", ["a-old.service", "a-tick.timer"]),
                ("daemon-reload", ["a-old.service", "a-tick.timer"]), ("restart", ["a-worker.service"]),
            ],
            id="what leaves is stopped first",
        ),
    ],
)  # fmt: skip
def test_what_a_host_has_decides(seen, differing, steps):
    assert steps_for(units([WORKER], [TICK], "a", True), seen, differing) == steps


def test_a_command_line_is_that_of_systemctl():
    assert command("disable --now", ["a.timer", "b.timer"]) == ["systemctl", "disable", "--now", "a.timer", "b.timer"]
    assert command("daemon-reload", ["a.timer"]) == ["systemctl", "daemon-reload"]


UP, GONE, BACK = (
    f"Id=shop-{name}.service\nActiveState={state}\nNRestarts={restarts}\n"
    for name, state, restarts in [("up", "active", 0), ("gone", "failed", 0), ("back", "active", 3)]
)


@pytest.mark.parametrize("shown, names", [
    ([UP], []),
    ([UP, UP], []),
    ([UP, GONE], ["shop-gone.service"]),
    ([BACK, UP, GONE], ["shop-back.service", "shop-gone.service"]),
])  # fmt: skip
def test_what_does_not_stay_up_is_named(shown, names):
    assert fallen("\n".join(shown)) == names


# As much of systemd as the units of an application need, in a folder.
SYSTEMCTL = """#!/bin/sh -eu
cd %s
verb=$1
shift
if [ $verb = daemon-reload ]; then
    rm -f read/*
    for path in units/*.service units/*.timer; do [ ! -f $path ] || touch -r $path read/${path##*/}; done
fi
for name; do
    is_read=$([ -e read/$name ] && ! [ units/$name -nt read/$name ] && echo no || echo yes)
    case $verb:$name in
        *:--*) ;;
        show:*) printf 'ActiveState=%%s\\nNeedDaemonReload=%%s\\n\\n' $([ -e active/$name ] && echo active || echo inactive) $is_read ;;
        enable:*) [ -e units/$name ]; ln -sf ../$name units/shop.service.wants/$name ;;
        disable:*) [ -e units/$name ]; rm -f units/shop.service.wants/$name active/$name ;;
        *start:*)
            # What is not read cannot be started.
            [ $is_read = no ]
            touch active/$name
            mkdir -p run/${name%%.*}
            basename $(readlink current) >run/${name%%.*}/release ;;
    esac
done
"""


class Killed(Exception):
    """The run ended here."""


class Host:
    """A host in a folder, and the runs on it."""

    def __init__(self, root):
        self.root = root
        for name in ("units/shop.service.wants", "active", "read"):
            (root / name).mkdir(parents=True)
        (root / "current").symlink_to("releases/r-1")
        (root / "systemctl").write_text(SYSTEMCTL % root)
        (root / "systemctl").chmod(0o755)

    def file(self, name, text):
        content = base64.b64encode(f"X-Application=shop\n{text}\n".encode()).decode()
        return {"dest": str(self.root / "units" / name), "content": content, "state": "file", "mode": "0644", "validate": None, "secret": False} | {
            "owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name,
        }  # fmt: skip

    def run(self, processes, timers, killed_at=None, check=False):
        """Let units follow, as far as the command at which the run is killed; return the verbs and the differences."""
        asked = [row | {"file": self.file(row["unit"], row["entry"]["command"])} for row in units(processes, timers, "shop", True)]
        ran = []

        def run(words):
            if len(ran) == killed_at:
                raise Killed
            ran.append(words)
            subprocess.run(words, check=True)

        seen = units_of("shop", "X-Application=shop", current_of(self.root), str(self.root / "units"), str(self.root / "run"))
        steps, differences = follow(asked, seen, run, check, str(self.root / "units"))
        assert ran == ([] if check else [command(verb, names) for verb, names in steps if verb != "files"])
        return [verb for verb, _names in steps], differences

    def state(self):
        """Return the files, and what systemd has enabled and active."""
        paths = [path for folder in ("units", "run", "active") for path in (self.root / folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_text() for path in paths}


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a function that makes a host, with a worker, a scheduler and a timer that follow the release r-1."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")

    def make(name):
        host = Host(tmp_path / name)
        (tmp_path / "bin").unlink(missing_ok=True)
        (tmp_path / "bin").symlink_to(host.root)
        host.run([WORKER, BEAT], [TICK])
        assert host.run([WORKER, BEAT], [TICK]) == ([], [])
        return host

    return make


def test_a_run_that_was_killed_anywhere_is_made_good_by_the_next(host):
    def changed(name):
        host_now = host(name)
        (host_now.root / "current").unlink()
        (host_now.root / "current").symlink_to("releases/r-2")
        return host_now

    wanted = [WORKER | {"command": "work harder"}], [EVERYWHERE]
    whole = changed("whole")
    verbs, differences = whole.run(*wanted)
    assert verbs == ["disable --now", "disable --now", "reset-failed", "files", "daemon-reload", "enable", "start", "restart"]
    names = ["beat.service", "sweep.service", "sweep.timer", "tick.service", "tick.timer", "worker.service"]
    assert sorted(row["after_header"] for row in differences) == [f"{whole.root}/units/shop-{name}" for name in names]
    after = whole.state()
    assert [name for name in sorted(after) if name.startswith("active/")] == ["active/shop-sweep.timer", "active/shop-worker.service"]
    assert after["run/shop-worker/release"] == "r-2\n"
    assert whole.run(*wanted) == ([], [])
    for number in range(len(verbs) - 1):
        killed = changed(f"killed{number}")
        with pytest.raises(Killed):
            killed.run(*wanted, killed_at=number)
        killed.run(*wanted)
        assert killed.state() == after
        assert killed.run(*wanted) == ([], [])


def test_a_dry_run_tells_the_same_and_changes_nothing(host):
    there = host("a")
    before = there.state()
    dry = there.run([WORKER | {"command": "work harder"}], [EVERYWHERE], check=True)
    assert there.state() == before
    assert dry == there.run([WORKER | {"command": "work harder"}], [EVERYWHERE])
    assert {(row["before"] == "", row["after"] == "") for row in dry[1]} == {(False, True), (True, False), (False, False)}


def test_the_role_s_templates_come_to_the_host_in_one_task(tmp_path):
    role = tmp_path / "roles/shop"
    task = {
        "name": "Follow",
        "selfhost.django.release_units": {
            "root": f"{tmp_path}/srv", "service": "selfhost-test-none", "mark": "X-Application=none", "is_first": True, "watch_seconds": 0,
            "processes": [{"name": "worker", "command": "{{ shop_command }}"}], "timers": [{"name": "tick", "schedule": "daily"}],
        },
        "register": "done",
    }  # fmt: skip
    for name, text in {
        "templates/process.service.j2": "{{ shop_name }} {{ __django_entry.command }}\n", "templates/timer.service.j2": "job {{ __django_entry.name }}\n",
        "templates/timer.timer.j2": "at {{ __django_entry.schedule }}\n", "defaults/main.yml": "{shop_name: é, shop_command: work}\n",
        "tasks/main.yml": yaml.safe_dump([task, {"debug": {"msg": "COMMANDS {{ done.commands | join('; ') }}"}}]),
    }.items():  # fmt: skip
        (role / name).parent.mkdir(parents=True, exist_ok=True)
        (role / name).write_text(text)
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": ["shop"]}]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    told = subprocess.run(
        ["ansible-playbook", "--check", "--diff", "play.yml"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=environment | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(role.parent)},
    ).stdout  # fmt: skip
    prefix = "/etc/systemd/system/selfhost-test-none-"
    for name, line in {"worker.service": "é work", "tick.service": "job tick", "tick.timer": "at daily"}.items():
        assert f"+++ after: {prefix}{name}\n@@ -0,0 +1 @@\n+{line}\n" in told
    names = " ".join(f"selfhost-test-none-{name}" for name in ("worker.service", "tick.timer"))
    assert f"COMMANDS systemctl daemon-reload; systemctl enable {names}; systemctl start " in told and "changed=1" in told
    assert not list(pathlib.Path("/etc/systemd/system").glob("selfhost-test-none-*"))
