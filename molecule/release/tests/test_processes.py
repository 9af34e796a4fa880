"""Processes and timers of the application: which release they run, how they stop, and that they go when nobody asks for them."""

import json
import re

import pytest
from conftest import ADDRESSES, get, play, versions
from playing import Site

testinfra_hosts = ["ansible://probe"]

HOSTS = list(ADDRESSES)
WORKER = {"name": "worker", "command": 'python manage.py work "worker" --seconds 4', "stop_seconds": 60}
BEAT = {"name": "beat", "command": """sh -c 'echo "100% \\\\ of $APP_RELEASE"; exec python manage.py work beat'""", "hosts": "one"}
TICK = {"name": "tick", "command": "work tick --once --seconds 2", "schedule": "*:*:0/5"}
LONG = {"name": "long", "command": "work long --once --seconds 600", "schedule": "2099-01-01", "hosts": "all", "timeout_seconds": 1200}


@pytest.fixture(scope="module")
def by_name(hosts):
    return dict(zip(HOSTS, hosts))


def deploy(processes=(), timers=(), **variables):
    return play("deploy", "-e", json.dumps(variables | {"app_processes": list(processes), "app_timers": list(timers)}))


def units(host):
    """The units of processes and timers that systemd or the disk knows of."""
    known = host.check_output("systemctl list-units --all --plain --no-legend --state=active,activating,failed 'probe-*'")
    files = host.check_output("ls /etc/systemd/system /etc/systemd/system/*.wants")
    return set(re.findall(r"^probe-\S+\.(?:service|timer)", known, re.M)) | set(re.findall(r"^probe-\S+\.(?:service|timer)$", files, re.M))


def pid(host, name):
    return host.check_output(f"systemctl show --property MainPID --value probe-{name}.service")


def release(host, name):
    """The release that a process was started with, as its environment says."""
    environment = host.check_output(f"tr '\\0' '\\n' </proc/{pid(host, name)}/environ")
    return re.search(r"^APP_RELEASE=(\S+)", environment, re.M)[1]


def current(host):
    return host.check_output("readlink /srv/probe/current").rpartition("/")[2]


def log(host, name):
    """What the jobs of a process wrote down: what, release, process."""
    return [line.split() for line in host.check_output(f"cat /srv/probe/shared/media/{name}.log 2>/dev/null || true").splitlines()]


def changes(run):
    return re.findall(r"changed=(\d+)", run.output)


@pytest.fixture(scope="module", autouse=True)
def clean(by_name):
    for host in by_name.values():
        host.check_output("rm -f /srv/probe/shared/media/*.log")
    yield
    for host in by_name.values():
        host.run("systemctl stop probe-long.service; rm -f /srv/probe/shared/media/*.log")
    if any(units(host) for host in by_name.values()):
        assert deploy().code == 0


def test_they_run_the_current_release_and_what_runs_once_runs_once(repository, by_name):
    repository.commit("good", "first with processes")
    run = deploy([WORKER, BEAT], [TICK, LONG])
    assert run.code == 0, run.output[-4000:]
    first, *others = by_name.values()
    everywhere = {"probe-worker.service", "probe-long.service", "probe-long.timer"}
    assert units(first) == everywhere | {"probe-beat.service", "probe-tick.service", "probe-tick.timer"}
    for host in others:
        assert units(host) == everywhere
    for host in by_name.values():
        assert release(host, "worker") == current(host)
        assert host.check_output(f"ps -o user= -p {pid(host, 'worker')}") == "probe"
        # Walled in as the release itself: nothing but the shared storage is theirs to write.
        sandbox = "--property ProtectSystem --property NoNewPrivileges --property CapabilityBoundingSet --property SystemCallFilter"
        show = f"systemctl show {sandbox} "
        assert host.check_output(show + "probe-worker.service") == host.check_output(show + f"probe@{current(host)}.service")
        # Another's file of a like name is not ours to remove.
        host.check_output("printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/probe-foreign.service")
    # A shell reads the command, and nobody before it.
    assert f"100% \\ of {current(first)}" in first.check_output("journalctl --unit probe-beat.service --output cat").splitlines()
    Site.wait("a job of the timer", lambda: [row[0] for row in log(first, "tick")][:4] == ["start", "begin", "end", "stop"])
    assert "tick: end" in first.check_output("journalctl --unit probe-tick.service --output cat")


@pytest.mark.long
def test_an_unchanged_deploy_changes_nothing_and_one_process_that_is_gone_comes_back(by_name):
    run = deploy([WORKER, BEAT], [TICK, LONG])
    assert run.code == 0 and changes(run) == ["0"] * len(HOSTS), run.output[-4000:]
    (name, host), *_others = by_name.items()
    before = {other: pid(by_name[other], "worker") for other in HOSTS}, pid(host, "beat")
    host.check_output("systemctl stop probe-beat.service")
    run = deploy([WORKER, BEAT], [TICK, LONG])
    assert run.code == 0 and sorted(changes(run)) == sorted(["1"] + ["0"] * (len(HOSTS) - 1)), run.output[-4000:]
    assert pid(host, "beat") not in ("0", before[1])
    assert {other: pid(by_name[other], "worker") for other in HOSTS} == before[0]


def test_a_new_release_restarts_them_gracefully_and_lets_a_job_of_a_timer_finish(repository, by_name):
    old = {name: (current(host), pid(host, "worker")) for name, host in by_name.items()}
    for host in by_name.values():
        host.check_output("systemctl start --no-block probe-long.service")
    for host in by_name.values():
        Site.wait("the long job", lambda host=host: log(host, "long"))
    jobs = {name: pid(host, "long") for name, host in by_name.items()}
    repository.commit("good", "second with processes")
    run = deploy([WORKER, BEAT], [TICK, LONG], django_keep_releases=1)
    assert run.code == 0, run.output[-4000:]
    for name, host in by_name.items():
        before, process = old[name]
        assert release(host, "worker") == current(host) != before
        mine = [what for what, _release, number in log(host, "worker") if number == process]
        # No job was cut short: what it had begun it ended.
        assert mine[-2:] == ["end", "stop"] and mine.count("begin") == mine.count("end")
        assert pid(host, "long") == jobs[name] and release(host, "long") == before
        assert host.file(f"/srv/probe/releases/{before}/venv/bin/python").exists
        host.check_output("systemctl stop probe-long.service")


def test_the_application_stops_and_starts_with_all_that_belongs_to_it(by_name):
    host = by_name[HOSTS[0]]
    host.check_output("systemctl stop probe.service")
    try:
        assert host.check_output("systemctl is-active probe-worker.service probe-beat.service probe-tick.timer || true").split() == ["inactive"] * 3
    finally:
        host.check_output("systemctl start probe.service")
    Site.wait("the processes", lambda: release(host, "worker") == release(host, "beat") == current(host))
    assert host.check_output("systemctl is-active probe-tick.timer") == "active"
    assert get(HOSTS[0]).status_code == 200


@pytest.mark.long
def test_a_process_that_does_not_stay_up_is_named_and_the_release_serves(by_name):
    crashing = WORKER | {"command": "python manage.py no_such_command"}
    run = deploy([crashing])
    assert run.code != 0
    assert "'processes'" in run.text and "do not stay up" in run.text and "probe-worker.service" in run.text, run.output[-4000:]
    assert "Unknown command" in run.text
    assert set(versions().values()) == {"second with processes"}


@pytest.mark.long
def test_a_schedule_that_systemd_does_not_read_is_refused_before_anything_is_made(by_name):
    before = {name: units(host) for name, host in by_name.items()}
    run = deploy([], [TICK | {"schedule": "Someday 12:00"}])
    assert run.code != 0 and "'timers'" in run.text and "Someday 12:00" in run.text, run.output[-4000:]
    assert {name: units(host) for name, host in by_name.items()} == before


def test_what_nobody_asks_for_leaves_nothing_behind(by_name):
    assert deploy().code == 0
    for host in by_name.values():
        assert units(host) == {"probe-foreign.service"}
        host.check_output("rm /etc/systemd/system/probe-foreign.service; systemctl daemon-reload")
        assert host.check_output("ls -d /run/probe-* 2>/dev/null || true") == ""
