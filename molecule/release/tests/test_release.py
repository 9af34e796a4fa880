"""Good and bad releases, as a visitor, an operator and an attacker see them. The tests build on each other, in this order."""

import contextlib
import json
import os
import re
import signal

import pytest

import conftest
from conftest import ADDRESSES, finish, get, play, start_playbook, versions, visitors
from playing import Site

testinfra_hosts = ["ansible://probe"]

SLOW_BUILD = '{"app_build_commands": ["sh -c \'sleep 600; true\'"]}'


def serving(version):
    return dict.fromkeys(ADDRESSES, version)


def running_releases(host):
    """The releases that have a unit running on a host, and the one that `current` points to."""
    units = host.check_output("systemctl list-units --plain --no-legend --state=active 'probe@*.service'")
    current = host.check_output("readlink /srv/probe/current").rpartition("/")[2]
    return re.findall(r"probe@(\S+)\.service", units), current


BAD = {
    # variant: (arguments of the deploy, step that fails, what the message has to name)
    "revision": (["-e", "app_version=no-such-branch"], "fetch", "app_version no-such-branch is no branch, tag or commit"),
    "requirement": ([], "virtualenv", "selfhost-django-no-such-package"),
    "migration": ([], "migrate", "this migration fails"),
    "breaking": ([], "migrate", "pages.0002_breaking forbids NULL"),
    "static": ([], "collectstatic", "missing.png"),
    "load": ([], "start", "this revision does not load"),
    "error": (["-e", "django_health_timeout_seconds=3"], "health", "/ answered 500 instead of 200"),
    "folder": (["-e", "app_subdirectory=src"], "checkout", "has no src/manage.py: give app_subdirectory the folder of manage.py."),
    "check": ([], "check", "this check fails"),
}
LONG = {"folder", "check"}


@pytest.mark.parametrize("variant", [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in BAD])
def test_a_bad_release_is_noticed_by_nobody_and_names_its_step(variant, repository, hosts):
    arguments, step, reason = BAD[variant]
    before = versions()
    if variant not in ("revision", "folder"):
        repository.commit(variant, "bad")
    try:
        with visitors(pause_seconds=1) as loads:
            run = play("deploy", *arguments)
    finally:
        repository.commit("good", next(iter(before.values())))
    assert run.code != 0
    failures = re.findall(r"The release failed in step '+(\w+)'+ .*?keeps serving", run.text)
    assert failures and set(failures) == {step}, run.output[-4000:]
    assert reason in run.text, run.output[-4000:]
    assert versions() == before
    assert {name: load.versions() for name, load in loads.items()} == {name: {version} for name, version in before.items()}
    for host in hosts:
        running, current = running_releases(host)
        assert running == [current]
        assert host.run("probe-manage check").rc == 0


def test_a_good_release_follows_and_the_old_page_keeps_its_assets(repository, hosts):
    old_assets = {host: re.findall(r'(?:href|src)="(/static/[^"]+)"', get(host).text) for host in ADDRESSES}
    assert all(old_assets.values())
    repository.commit("good", "2")
    run = play("deploy")
    assert run.code == 0, run.output[-4000:]
    # The requirements are the same.
    assert "| Create the virtualenv" not in run.output
    assert versions() == serving("2")
    for host, assets in old_assets.items():
        for asset in assets:
            assert get(host, asset).status_code == 200
    for host in hosts:
        running, current = running_releases(host)
        assert running == [current]


def test_a_deploy_of_the_same_revision_changes_nothing():
    run = play("deploy")
    assert run.code == 0, run.output[-4000:]
    assert set(re.findall(r"changed=(\d+)", run.output)) == {"0"}


def test_check_mode_says_what_a_deploy_would_do_and_does_nothing(repository):
    commit = repository.commit("good", "3")
    run = play("deploy", "--check", "--diff")
    assert run.code == 0, run.output[-4000:]
    assert f"Release {commit[:12]}-" in run.text and "is to take the place of" in run.text
    assert versions() == serving("2")


def test_a_changed_environment_is_a_release(repository, hosts):
    run = play("deploy", "-e", '{"app_environment": {"GREETING": "it\'s a \\"test\\" of $HOME, `id` and \\\\"}}')
    assert run.code == 0, run.output[-4000:]
    for host in hosts:
        shell = host.run("""echo 'import os; print(os.environ["GREETING"])' | probe-manage shell""")
        assert shell.stdout.strip().splitlines()[-1] == 'it\'s a "test" of $HOME, `id` and \\'
        _running, current = running_releases(host)
        pid = host.check_output(f"systemctl show --property MainPID --value probe@{current}.service")
        environment = host.check_output(f"tr '\\0' '\\n' </proc/{pid}/environ")
        assert 'GREETING=it\'s a "test" of $HOME, `id` and \\' in environment.splitlines()


def until_it_builds(hosts):
    """Wait until a release that builds slowly is at it."""
    for host in hosts:
        Site.wait("the build", lambda host=host: host.run("pgrep -u probe -x sleep").rc == 0, seconds=300)


def end_the_build(hosts):
    for host in hosts:
        host.run("pkill -u probe -x sleep")


def test_two_deploys_at_once_are_one(repository, hosts):
    repository.commit("good", "4")
    slow = start_playbook("deploy", "-e", SLOW_BUILD)
    try:
        until_it_builds(hosts)
        second = play("deploy")
    finally:
        end_the_build(hosts)
        first = finish(slow)
    assert second.code != 0
    assert "failed in step 'lock'" in second.text.replace("''", "'"), second.output[-4000:]
    assert re.search(r"Another release holds the lock: \w[^@]* ships main since", second.text), second.output[-4000:]
    assert first.code == 0, first.output[-4000:]
    assert versions() == serving("4")


def test_a_killed_deploy_is_made_good_by_the_next(repository, hosts):
    repository.commit("good", "5")
    doomed = start_playbook("deploy", "-e", SLOW_BUILD)
    until_it_builds(hosts)
    os.killpg(doomed.pid, signal.SIGKILL)
    finish(doomed)
    assert versions() == serving("4")
    end_the_build(hosts)
    run = play("deploy")
    assert run.code == 0, run.output[-4000:]
    assert versions() == serving("5")


def test_a_server_option_that_does_not_exist_is_refused_and_the_old_configuration_stays(hosts):
    run = play("web", "-e", '{"uwsgi_options": {"no-such-option": 1}}', "--tags", "uwsgi")
    assert run.code != 0
    assert "unknown config directive: no-such-option" in run.text
    for host in hosts:
        assert host.run("systemctl restart probe").rc == 0
    assert versions() == serving("5")


@pytest.mark.long
def test_the_repository_may_be_a_url(hosts):
    for host in hosts:
        host.check_output(
            "rm -rf /var/tmp/site.git && sudo -u probe git init --quiet --bare /var/tmp/site.git && sudo -u probe "
            "git -C /srv/probe/repository.git push --quiet /var/tmp/site.git refs/remotes/origin/main:refs/heads/main"
        )
    run = play("deploy", "-e", "app_repository=file:///var/tmp/site.git")
    assert run.code == 0, run.output[-4000:]
    assert versions() == serving("5")
    nowhere = play("deploy", "-e", "app_repository=file:///var/tmp/nowhere.git")
    assert nowhere.code != 0
    assert "failed in step 'fetch'" in nowhere.text.replace("''", "'")
    assert "nowhere.git" in nowhere.text
    assert versions() == serving("5")


def test_an_operator_runs_management_commands_as_the_application(host):
    assert host.run("probe-manage check").rc == 0
    whoami = host.run("echo 'import getpass; print(getpass.getuser())' | probe-manage shell")
    assert whoami.stdout.strip().splitlines()[-1] == "probe"
    assert host.run("probe-manage no-such-command").rc != 0
    migrations = host.check_output("probe-manage showmigrations --plan")
    assert "[X]" in migrations and "[ ]" not in migrations


def test_initial_data_came_once_and_other_commands_with_every_release(host):
    """The first release was that of the scenario's converge; several followed."""
    code = "from pages.models import Note; print([Note.objects.filter(text=f'{when} release').count() for when in ('first', 'every')])"
    first, every = json.loads(host.check_output(f'echo "{code}" | probe-manage shell').splitlines()[-1])
    assert first == 1
    assert every > 2


def test_a_reboot_brings_everything_back(hosts):
    site = Site(str(conftest.INVENTORY))
    for name in ADDRESSES:
        site.reboot(name)

    def answers():
        with contextlib.suppress(OSError, ValueError):
            return versions() == serving("5")

    site.wait("the release after the reboot", answers)
    for host in hosts:
        assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"
        running, current = running_releases(host)
        assert running == [current]
