"""Deploys that are killed, fail on one host of two, or lose a host: the site keeps answering, and the next deploy needs no repair by hand."""

import os
import re
import signal
import subprocess

import playing
import pytest
from load import Load

testinfra_hosts = ["ansible://lb1"]

# A killed run's lock is taken over soon.
SOON = ("-e", "django_lock_idle_seconds=5")

# Moments of a deploy: the task that begins when it is killed, and the how-maniest of that name. Each row is a chain of deploys, killed one
# after the other, so that each gets over what the one before left behind, at least as far as that one had come; then one runs to its end.
MOMENTS = {
    "before the switch": [
        ("fetch | Bring the mirror up to date, and look what the release is built from", 1),
        ("checkout | Check the revision out", 1),
        ("migrate | Wait for the database and plan the migrations", 1),
        ("collectstatic | Collect the static files", 1),
        ("start | Start the release on its own socket", 1),
        ("health | Ask the release before any visitor does", 1),
    ],
    "while a host leaves the balancer": [("drain | Take the host out of the rotation", 1)],
    "between two hosts": [("batch | Show that this release goes on", 2), ("switch | Record the release, and let it serve", 1)],
    "after the last switch": [("finish | Stop what was replaced, and remove what nobody goes back to", 1)],
}


def follow(process, task, number, act):
    """Read what a playbook says until a task begins for the given time; act, and return all that it said."""
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("TASK [") and task in line:
            number -= 1
            if number == 0:
                act()
    process.wait(timeout=600)
    assert number <= 0, f"never came to {task}:\n{''.join(said)[-4000:]}"
    return playing.Run(process.returncode, "".join(said))


def whole(site, version):
    """Assert that nothing is left of what went wrong: each host runs one release, the current one, and gets requests."""
    site.healthy()
    assert site.version() == version
    site.assert_one_release_runs()
    for name in site.web:
        assert site.hosts[name].run("test -s /run/selfhost/probe/release.lock").rc != 0


def is_up(host):
    try:
        return host.run("systemctl is-system-running --wait").stdout.strip() == "running"
    except RuntimeError:
        return False


@pytest.fixture
def load(site, figure):
    """A few visitors, all of whom have to be answered."""
    load = Load(site.url, pause_seconds=0.6)
    with load:
        yield load
    figure(f"through the balancer, deploys that were interrupted: {load.report()}")
    load.check()


@pytest.fixture(scope="module", autouse=True)
def original(site, repository):
    """The version that serves, also after the tests."""
    version = site.versions()[site.web[0]]
    yield
    repository.commit("good", version)
    site.apply("deploy", *SOON)
    whole(site, version)


@pytest.fixture
def serving(site):
    return site.version()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_deploy_that_is_killed_is_made_good_by_the_next(moment, site, repository, load):
    for number, (task, count) in enumerate(MOMENTS[moment]):
        # The same revision again, or another one: both happen.
        if number % 2 == 0:
            repository.commit("good", f"killed {number}")
        load.phase = f"a deploy killed at '{task}'"
        process = site.start("deploy", *SOON)
        killed = follow(process, task, count, lambda process=process: os.killpg(process.pid, signal.SIGKILL))
        assert killed.code == -signal.SIGKILL
        load.look()
    load.phase = f"the deploy after one that was killed {moment}"
    repository.commit("good", f"whole, {moment}")
    site.apply("deploy", *SOON)
    whole(site, f"whole, {moment}")
    load.look()


def test_a_host_that_fails_its_check_after_the_switch_puts_all_back(site, repository, serving, load):
    """The first host has switched, and serves the new release to visitors, when the second one fails."""
    first, second = site.web
    repository.commit("good", "fails on one")
    checks = f"{{{{ [{{'path': '/nowhere/'}}] if inventory_hostname == '{second}' else app_health_checks }}}}"
    load.phase = "a deploy that fails on the second host"
    run = site.play("deploy", *SOON, "-e", f'{{"nginx_health_checks": "{checks}", "nginx_health_timeout_seconds": 3}}')
    assert run.code != 0
    assert re.search(rf"{second}\]: FAILED!.*The release failed in step '+visit", run.text), run.output[-6000:]
    assert "/nowhere/ answered 404 instead of 200" in run.text
    whole(site, serving)
    load.look()
    # The first one did serve it.
    assert load.versions() == {serving, "fails on one"}


def test_a_host_that_dies_in_the_roll_is_named_and_the_others_go_back(site, repository, serving, load):
    first, second = site.web
    values = site.variables["_meta"]["hostvars"][second]
    name = f"{values['lab_prefix'].replace('{{ lab_name }}', values['lab_name'])}-{second}"
    repository.commit("good", "dies on one")
    load.phase = "a deploy that loses the second host"
    process = site.start("deploy", *SOON)
    try:
        # Nobody asks it any more by now; whoever a host is answering when it dies has no answer from anybody.
        moment = "switch | Record the release, and let it serve"
        run = follow(process, moment, 2, lambda: subprocess.run(["docker", "kill", name], check=True, capture_output=True))
        assert run.code != 0
        assert re.search(rf"{second}\s*: .*unreachable=1", run.output), run.output[-4000:]
        assert re.search(rf"{first}\s*: .*unreachable=0\s+failed=1", run.output), run.output[-4000:]
        assert site.hosts[first].check_output("cat /srv/probe/current/code/VERSION") == serving
        assert load.look() == {serving}
    finally:
        subprocess.run(["docker", "start", name], check=True, capture_output=True)
    site.wait("the host to come back", lambda: is_up(site.hosts[second]))
    load.phase = "the deploy after a host died"
    site.apply("deploy", *SOON)
    whole(site, "dies on one")
    load.look()
