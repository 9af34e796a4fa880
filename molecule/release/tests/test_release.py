"""Good and bad releases, as a visitor, an operator and an attacker see them. Each test begins from what serves then."""

import contextlib
import json
import os
import re
import signal

import pytest
from playing import finish, fresh

testinfra_hosts = ["ansible://probe"]

SLOW_BUILD = '{"app_build_commands": ["sh -c \'sleep 600; true\'"]}'
BAD = {
    # variant: (arguments of the deploy, step that fails, what the message has to name)
    "revision": (["-e", "app_version=no-such-branch"], "fetch", "app_version no-such-branch is no branch, tag or commit"),
    "requirement": ([], "virtualenv", "selfhost-django-no-such-package"),
    "migration": ([], "migrate", "this migration fails"),
    "breaking": ([], "migrate", "pages.0002_breaking forbids NULL"),
    "secrets": (["-e", '{"app_build_commands": ["python manage.py check"]}'], "build", "write {command: python manage.py check, imports_settings: true}"),
    "static": ([], "collectstatic", "missing.png"),
    "load": ([], "start", "this revision does not load"),
    "error": (["-e", "django_health_timeout_seconds=3"], "health", "/ answered 500 instead of 200"),
    "folder": (["-e", "app_subdirectory=src"], "checkout", "has no src/manage.py: give app_subdirectory the folder of manage.py."),
    "check": ([], "check", "this check fails"),
}
LONG = {"folder", "check", "secrets"}


@pytest.mark.parametrize("variant", [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in BAD])
def test_a_bad_release_is_noticed_by_nobody_and_names_its_step(variant, repository, site):
    arguments, step, reason = BAD[variant]
    before = site.version()
    if variant not in ("revision", "folder", "secrets"):
        repository.commit(variant, "bad")
    try:
        with site.visitors(pause_seconds=1) as loads:
            run = site.play("deploy", *arguments)
    finally:
        repository.commit("good", before)
    assert run.code != 0
    failures = re.findall(r"The release failed in step '+(\w+)'+ .*?keeps serving", run.text)
    assert failures and set(failures) == {step}, run.output[-4000:]
    assert reason in run.text, run.output[-4000:]
    assert site.version() == before
    assert {name: load.versions() for name, load in loads.items()} == dict.fromkeys(site.web, {before})
    site.assert_one_release_runs()
    site.each("probe-manage check")


def notes(host):
    """How many notes the commands of the first release have written, and how many those of every release."""
    code = "from pages.models import Note; print([Note.objects.filter(text=f'{when} release').count() for when in ('first', 'every')])"
    return json.loads(host.check_output(f'echo "{code}" | probe-manage shell').splitlines()[-1])


@pytest.fixture(scope="module")
def shipped(site):
    """A good release that followed another: its version, what was there before it (notes and assets, by host), and the run."""
    written = {name: notes(host) for name, host in site.hosts.items()}
    assets = {name: re.findall(r'(?:href|src)="(/static/[^"]+)"', site.get(host=name).text) for name in site.web}
    version = fresh("shipped")
    return version, written, assets, site.ship(version)


def test_a_good_release_follows_and_the_old_page_keeps_its_assets(site, shipped):
    version, _written, old_assets, run = shipped
    # The requirements are the same.
    assert "| virtualenv | Build it" not in run.output
    assert site.version() == version
    for name, assets in old_assets.items():
        assert assets and {site.get(asset, name).status_code for asset in assets} == {200}
    site.assert_one_release_runs()


def test_a_deploy_of_the_same_revision_changes_nothing(site, shipped):
    run = site.apply("deploy")
    assert set(re.findall(r"changed=(\d+)", run.output)) == {"0"}


def test_check_mode_says_what_a_deploy_would_do_and_does_nothing(site, repository):
    before = site.version()
    commit = repository.commit("good", fresh("checked"))
    run = site.apply("deploy", "--check", "--diff")
    assert f"Release {commit[:12]}-" in run.text and "is to take the place of" in run.text
    assert site.version() == before


def test_a_changed_environment_is_a_release(site):
    site.apply("deploy", "-e", '{"app_environment": {"GREETING": "it\'s a \\"test\\" of $HOME, `id` and \\\\"}}')
    for name, release in site.current().items():
        host = site.hosts[name]
        shell = host.run("""echo 'import os; print(os.environ["GREETING"])' | probe-manage shell""")
        assert shell.stdout.strip().splitlines()[-1] == 'it\'s a "test" of $HOME, `id` and \\'
        pid = host.check_output(f"systemctl show --property MainPID --value probe@{release}.service")
        environment = host.check_output(f"tr '\\0' '\\n' </proc/{pid}/environ")
        assert 'GREETING=it\'s a "test" of $HOME, `id` and \\' in environment.splitlines()


def until_it_builds(site):
    """Wait until a release that builds slowly is at it."""
    for host in site.hosts.values():
        site.wait("the build", lambda host=host: host.run("pgrep -u probe-build -x sleep").rc == 0, seconds=300)


def end_the_build(site):
    for host in site.hosts.values():
        host.run("pkill -u probe-build -x sleep")


def test_two_deploys_at_once_are_one(site, repository):
    version = fresh("locked")
    repository.commit("good", version)
    slow = site.start("deploy", "-e", SLOW_BUILD)
    try:
        until_it_builds(site)
        second = site.play("deploy")
    finally:
        end_the_build(site)
        first = finish(slow)
    assert second.code != 0
    assert "failed in step 'lock'" in second.text.replace("''", "'"), second.output[-4000:]
    assert re.search(r"Another release holds the lock: \w[^@]* ships main since", second.text), second.output[-4000:]
    assert first.code == 0, first.output[-4000:]
    assert site.version() == version


def test_a_killed_deploy_is_made_good_by_the_next(site, repository):
    before, version = site.version(), fresh("killed")
    repository.commit("good", version)
    doomed = site.start("deploy", "-e", SLOW_BUILD)
    until_it_builds(site)
    os.killpg(doomed.pid, signal.SIGKILL)
    finish(doomed)
    assert site.version() == before
    end_the_build(site)
    site.apply("deploy")
    assert site.version() == version


def test_a_server_option_that_does_not_exist_is_refused_and_the_old_configuration_stays(site):
    before = site.version()
    run = site.play("web", "-e", '{"uwsgi_options": {"no-such-option": 1}}', "--tags", "uwsgi")
    assert run.code != 0
    assert "unknown config directive: no-such-option" in run.text
    site.each("systemctl restart probe")
    assert site.version() == before


@pytest.mark.long
def test_the_repository_may_be_a_url(site):
    before = site.version()
    # What serves, and no more.
    site.each(
        "rm -rf /var/tmp/site.git && sudo -u probe-build git init --quiet --bare /var/tmp/site.git && "
        "sudo -u probe-build git -C /srv/probe/build/repository.git "
        "push --quiet /var/tmp/site.git $(basename $(readlink /srv/probe/current) | cut -d- -f1):refs/heads/main"
    )
    try:
        site.apply("deploy", "-e", "app_repository=file:///var/tmp/site.git")
        assert site.version() == before
        nowhere = site.play("deploy", "-e", "app_repository=file:///var/tmp/nowhere.git")
        assert nowhere.code != 0
        assert "failed in step 'fetch'" in nowhere.text.replace("''", "'")
        assert "nowhere.git" in nowhere.text
        assert site.version() == before
    finally:
        site.each("rm -r /var/tmp/site.git")


def test_a_command_is_walled_in_and_behaves_as_on_a_terminal(site):
    """It reads what it is handed, ends as its program does, and finds the host's figures, but no process of others."""
    for host in site.hosts.values():
        assert host.check_output("echo handed over | probe-run cat") == "handed over"
        assert host.run("probe-run sh -c 'exit 7'").rc == 7
        # Neither systemd nor the wrapper takes a word for its own.
        assert host.check_output("""probe-run printf '%s|' '$HOME' '${HOME}' '%h' '$$' 'two  words' ''""") == "$HOME|${HOME}|%h|$$|two  words||"
        assert "MemTotal" in host.check_output("probe-run cat /proc/meminfo")
        assert int(host.check_output("probe-run sh -c 'ls -d /proc/[0-9]* | wc -l'")) < 6
        for path in ("/home/ops", "/srv/probe/build", "/srv/probe/current/code/planted", "/srv/probe/home/planted"):
            assert host.run(f"probe-run sh -c 'ls {path} || touch {path}'").rc != 0, path
        assert host.check_output("systemctl list-units --plain --no-legend 'probe-run-*'") == ""


def test_who_interrupts_a_command_leaves_nothing_running(site):
    """The signal goes to all that the terminal runs, as that of a key does."""
    for host in site.hosts.values():
        assert host.run("timeout --signal=INT 3 probe-run sleep 300 </dev/null").rc == 124
        site.wait("the command's end", lambda host=host: not host.check_output("systemctl list-units --plain --no-legend 'probe-run-*'"), seconds=20)


def test_an_operator_runs_management_commands_as_the_application(host):
    assert host.run("probe-manage check").rc == 0
    whoami = host.run("echo 'import getpass; print(getpass.getuser())' | probe-manage shell")
    assert whoami.stdout.strip().splitlines()[-1] == "probe"
    assert host.run("probe-manage no-such-command").rc != 0
    migrations = host.check_output("probe-manage showmigrations --plan")
    assert "[X]" in migrations and "[ ]" not in migrations


def test_initial_data_came_once_and_other_commands_with_every_release(host, shipped):
    """The first release was that of the scenario's converge; the one that was shipped here is another."""
    _version, written, _assets, _run = shipped
    first_before, every_before = written[host.backend.get_hostname()]
    first, every = notes(host)
    assert first == first_before == 1
    assert every > every_before > 0


def test_a_reboot_brings_everything_back(site):
    before = site.version()
    for name in site.web:
        site.reboot(name)

    def answers():
        with contextlib.suppress(OSError, ValueError):
            return site.version() == before

    site.wait("the release after the reboot", answers)
    assert set(site.each("systemctl is-system-running --wait").values()) == {"running"}
    site.assert_one_release_runs()
