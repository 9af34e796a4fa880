"""Processes and timers of the application: which release they run, how they stop, and that they go when nobody asks for them."""

import json
import re

import pytest
from playing import fresh

testinfra_hosts = ["ansible://probe"]

WORKER = {"name": "worker", "command": 'python manage.py work "worker" --seconds 4', "stop_seconds": 60}
BEAT = {"name": "beat", "command": """sh -c 'echo "100% \\\\ of $APP_RELEASE"; exec python manage.py work beat'""", "hosts": "one"}
TICK = {"name": "tick", "command": "work tick --once --seconds 2", "schedule": "*:*:0/5"}
LONG = {"name": "long", "command": "work long --once --seconds 600", "schedule": "2099-01-01", "hosts": "all", "timeout_seconds": 1200}
FOREIGN = "probe-foreign.service"


def deploy(site, processes=(), timers=(), **variables):
    return site.play("deploy", "-e", json.dumps(variables | {"app_processes": list(processes), "app_timers": list(timers)}))


def units(host):
    """The units of processes and timers that systemd or the disk knows of."""
    known = host.check_output("systemctl list-units --all --plain --no-legend --state=active,activating,failed 'probe-*'")
    files = host.check_output("ls /etc/systemd/system /etc/systemd/system/*.wants")
    return set(re.findall(r"^probe-\S+\.(?:service|timer)", known, re.M)) | set(re.findall(r"^probe-\S+\.(?:service|timer)$", files, re.M))


def pid(host, name):
    return host.check_output(f"systemctl show --property MainPID --value probe-{name}.service")


def release(host, name):
    """The release that a process was started with, as its environment says; nothing while it starts."""
    environment = host.run(f"tr '\\0' '\\n' </proc/{pid(host, name)}/environ").stdout
    return next(iter(re.findall(r"^APP_RELEASE=(\S+)", environment, re.M)), None)


def log(host, name):
    """What the jobs of a process wrote down: what, release, process."""
    return [line.split() for line in host.check_output(f"cat /srv/probe/shared/media/{name}.log 2>/dev/null || true").splitlines()]


def changes(run):
    return re.findall(r"changed=(\d+)", run.output)


@pytest.fixture(scope="module", autouse=True)
def processes(site, repository):
    """Processes and timers of a new release, and a unit of somebody else; gone after the last of these tests."""
    repository.commit("good", fresh("processes"))
    site.each("rm -f /srv/probe/shared/media/*.log")
    run = deploy(site, [WORKER, BEAT], [TICK, LONG])
    assert run.code == 0, run.output[-4000:]
    # Another's file of a like name is not ours to remove.
    site.each(f"printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/{FOREIGN}")
    yield
    site.each(f"systemctl stop probe-long.service; rm -f /srv/probe/shared/media/*.log /etc/systemd/system/{FOREIGN}; systemctl daemon-reload")
    if any(units(host) for host in site.hosts.values()):
        assert deploy(site).code == 0


def test_they_run_the_current_release_and_what_runs_once_runs_once(site):
    current = site.current()
    first, *others = site.web
    everywhere = {"probe-worker.service", "probe-long.service", "probe-long.timer", FOREIGN}
    assert units(site.hosts[first]) == everywhere | {"probe-beat.service", "probe-tick.service", "probe-tick.timer"}
    for name in others:
        assert units(site.hosts[name]) == everywhere
    for name, host in site.hosts.items():
        assert release(host, "worker") == current[name]
        assert host.check_output(f"ps -o user= -p {pid(host, 'worker')}") == "probe"
        # Walled in as the release itself: nothing but the shared storage is theirs to write.
        sandbox = "--property ProtectSystem --property NoNewPrivileges --property CapabilityBoundingSet --property SystemCallFilter"
        show = f"systemctl show {sandbox} "
        assert host.check_output(show + "probe-worker.service") == host.check_output(show + f"probe@{current[name]}.service")
    host = site.hosts[first]
    # A shell reads the command, and nobody before it.
    assert f"100% \\ of {current[first]}" in host.check_output("journalctl --unit probe-beat.service --output cat").splitlines()
    site.wait("a job of the timer", lambda: [row[0] for row in log(host, "tick")][:4] == ["start", "begin", "end", "stop"])
    assert "tick: end" in host.check_output("journalctl --unit probe-tick.service --output cat")


@pytest.mark.long
def test_an_unchanged_deploy_changes_nothing_and_one_process_that_is_gone_comes_back(site):
    run = deploy(site, [WORKER, BEAT], [TICK, LONG])
    assert run.code == 0 and changes(run) == ["0"] * len(site.web), run.output[-4000:]
    host = site.hosts[site.web[0]]
    before = {name: pid(other, "worker") for name, other in site.hosts.items()}, pid(host, "beat")
    host.check_output("systemctl stop probe-beat.service")
    run = deploy(site, [WORKER, BEAT], [TICK, LONG])
    assert run.code == 0 and sorted(changes(run)) == sorted(["1"] + ["0"] * (len(site.web) - 1)), run.output[-4000:]
    assert pid(host, "beat") not in ("0", before[1])
    assert {name: pid(other, "worker") for name, other in site.hosts.items()} == before[0]


def test_a_new_release_restarts_them_gracefully_and_lets_a_job_of_a_timer_finish(site, repository):
    before = site.current()
    site.each("systemctl start --no-block probe-long.service")
    for host in site.hosts.values():
        site.wait("the long job", lambda host=host: log(host, "long"))
    jobs = {name: pid(host, "long") for name, host in site.hosts.items()}
    repository.commit("good", fresh("more-processes"))
    run = deploy(site, [WORKER, BEAT], [TICK, LONG], django_keep_releases=1)
    assert run.code == 0, run.output[-4000:]
    for name, release_now in site.current().items():
        host = site.hosts[name]
        assert release(host, "worker") == release_now != before[name]
        # By its release: it knows itself by another number than the host does.
        mine = [what for what, running, _number in log(host, "worker") if running == before[name]]
        # No job was cut short: what it had begun it ended.
        assert mine[-2:] == ["end", "stop"] and mine.count("begin") == mine.count("end")
        assert pid(host, "long") == jobs[name] and release(host, "long") == before[name]
        assert host.file(f"/srv/probe/releases/{before[name]}/venv/bin/python").exists
        host.check_output("systemctl stop probe-long.service")


def test_the_application_stops_and_starts_with_all_that_belongs_to_it(site):
    name, current = next(iter(site.current().items()))
    host = site.hosts[name]
    host.check_output("systemctl stop probe.service")
    try:
        everything = f"probe-worker.service probe-beat.service probe-tick.timer probe@{current}.socket probe@{current}.service"
        inactive = "inactive\n".join([""] * 6)
        site.wait("all of it to stop", lambda: host.check_output(f"systemctl is-active {everything} || true") == inactive.strip())
        assert not site.serves(name), "a visitor gets no page"
        assert host.check_output(f"systemctl is-active {everything} || true") == inactive.strip(), "and starts nothing"
    finally:
        host.check_output("systemctl start probe.service")
    site.wait("the processes", lambda: release(host, "worker") == release(host, "beat") == current)
    assert host.check_output("systemctl is-active probe-tick.timer") == "active"
    assert site.serves(name)
    with site.visitors():
        host.check_output("systemctl restart probe.service")
        site.wait("the release", lambda: host.check_output(f"systemctl is-active probe@{current}.service || true") == "active")


@pytest.mark.long
def test_a_process_that_does_not_stay_up_is_named_and_the_release_serves(site):
    before = site.version()
    run = deploy(site, [WORKER | {"command": "python manage.py no_such_command"}])
    assert run.code != 0
    assert "'processes'" in run.text and "do not stay up" in run.text and "probe-worker.service" in run.text, run.output[-4000:]
    assert "Unknown command" in run.text
    assert site.version() == before


@pytest.mark.long
def test_a_schedule_that_systemd_does_not_read_is_refused_before_anything_is_made(site):
    before = {name: units(host) for name, host in site.hosts.items()}
    run = deploy(site, [], [TICK | {"schedule": "Someday 12:00"}])
    assert run.code != 0 and "'timers'" in run.text and "Someday 12:00" in run.text, run.output[-4000:]
    assert {name: units(host) for name, host in site.hosts.items()} == before


def test_what_nobody_asks_for_leaves_nothing_behind(site):
    assert deploy(site).code == 0
    for host in site.hosts.values():
        assert units(host) == {FOREIGN}
        assert host.check_output("ls -d /run/probe-* 2>/dev/null || true") == ""
