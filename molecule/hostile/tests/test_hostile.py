"""An application that was broken into, and a dependency of it, attack the host for as long as they can; the operator's work goes on."""

import json
import pathlib
import re
import subprocess

import pytest
from playing import SSH_CONFIG, fresh

testinfra_hosts = ["ansible://probe"]

ATTACK = (pathlib.Path(__file__).parent / "attack.py").read_text()
VICTIM = "/var/lib/selfhost-victim"
MEDIA = "/srv/probe/shared/media"
SETUP = """
import subprocess, sys
from setuptools import setup
# Whoever builds the package runs this.
subprocess.run([sys.executable, "attack.py", "building"])
setup(name="dependency", version="1.0", py_modules=["dependency"])
"""
HOSTILE = {
    "app_requirements": ["requirements.txt", "./dependency"],
    "app_build_commands": ["python attack.py building"],
    # In the place of the inventory's.
    "app_processes": [{"name": "worker", "command": "python attack.py serving"}],
}
ARGUMENTS = ("-e", json.dumps(HOSTILE))
# What the attacker has left in the database, whose sessions begin as they did before.
FORGET = (
    "ALTER DATABASE probe RESET ALL; DROP VIEW public.pg_extension; DROP TABLE public.attack, public.attack_rows; "
    "DROP FUNCTION public.format(text, name, name), public.attack_plan(integer), public.attack_take()"
)
# What root, the database and others have, as far as somebody could have changed it.
STATE = (
    f"cd / && {{ find {VICTIM} /etc /root/.ssh /usr/local /var/spool/cron -xdev -path /etc/systemd/system -prune -o -printf '%p %u:%g %m %s %T@\\n'; "
    "ls /etc/systemd/system; sha256sum /etc/shadow /etc/sudoers; } | sort"
)


def hostile(project):
    """Let a revision attack, and ask for a package that does."""
    (project / "attack.py").write_text(ATTACK)
    package = project / "dependency"
    package.mkdir()
    (package / "setup.py").write_text(SETUP)
    (package / "dependency.py").write_text("")
    (package / "attack.py").write_text(ATTACK)


def rounds(host):
    return int(host.run(f"cat {MEDIA}/rounds").stdout.strip() or -1)


def changes(now, then):
    """Lines that differ, by host."""
    return {name: sorted(set(now[name].splitlines()) ^ set(then[name].splitlines())) for name in now}


@pytest.fixture(scope="module")
def before(site):
    """What root had before anybody attacked, and the release that served; at the end it serves again."""
    version, (release,) = site.version(), set(site.current().values())
    site.each(f"rm -rf {VICTIM}; mkdir -m 0700 {VICTIM}; echo root >{VICTIM}/file; echo precious >{MEDIA}/upload.txt; chown probe {MEDIA}/upload.txt")
    yield {"state": site.each(STATE), "release": release}
    site.repository.commit("good", version)
    if site.version() != version:
        site.apply("rollback", "-e", f"rollback_to={release}")
    site.each(f"echo '{FORGET}' | runuser -u postgres -- psql -Xq probe; rm -f /var/lib/postgresql/planted*")
    site.each(f"systemctl reset-failed; rm -rf {VICTIM} {MEDIA}/* {MEDIA}/.[!.]* {MEDIA}.restored /srv/probe/build/loot /srv/probe/build/.local")


@pytest.fixture(scope="module")
def attacked(site, before):
    """A release that attacked while it was built and attacks while it serves; returned is its version."""
    version = fresh("hostile")
    with site.visitors(pause_seconds=1):
        site.ship(version, hostile, *ARGUMENTS)
    for host in site.hosts.values():
        site.wait("the first round of the attack", lambda host=host: rounds(host) > 0)
    return version


def assert_nothing_happened(site, before):
    """What is root's, what others keep secret, and what serves is as it was."""
    assert changes(site.each(STATE), before["state"]) == {name: [] for name in site.hosts}
    for host in site.hosts.values():
        assert host.check_output(f"ls -A {VICTIM}; cat {VICTIM}/file") == "file\nroot"
        # The attacker's own folders hold what it likes.
        planted = "find / -xdev \\( -name 'planted*' -o -name '*.taken' -o -name escaped \\) ! -path '/srv/probe/build/*' ! -path '*/tmp/*' ! -path '/proc/*'"
        assert host.check_output(planted) == ""
        built = "find current/code venvs ! -user root ! -type l ! -path '*/.git/objects*' ! -path '*/code/static*'"
        assert host.check_output(f"cd /srv/probe && {built}") == ""
        assert host.check_output("grep -rl planted /srv/probe/current/code/manage.py /srv/probe/current/environment /srv/probe/current/venv/pyvenv.cfg; true") == ""
        assert host.check_output(f"find {MEDIA} -name 'stolen*' -size +0; find {MEDIA} -name 'hard*'; find {MEDIA} -name done") == ""
        assert host.run("pgrep -u probe-build").rc == 1, "something of the build goes on"
        assert host.check_output("ls -A /srv/probe/build/repository.git/hooks 2>/dev/null | grep -v sample; git config -f /srv/probe/build/repository.git/config --get core.fsmonitor; true") == ""


def test_a_build_and_a_server_that_attack_change_nothing_of_others(site, before, attacked):
    assert site.version() == attacked
    assert_nothing_happened(site, before)
    # A link among the uploads leads visitors nowhere.
    assert site.get("/media/of-an-attacker/folder/passwd").status_code in (403, 404)


def test_a_build_sees_none_of_the_secrets_that_it_could_send_away(site, attacked):
    for name, host in site.hosts.items():
        secrets = host.check_output(". /srv/probe/current/environment; printf '%s\\n' \"$SECRET_KEY\" \"$PGPASSWORD\" \"$DATABASE_URL\"").splitlines()
        assert len(secrets) == 3 and all(len(secret) >= 16 for secret in secrets)
        loot = host.check_output("cat /srv/probe/build/loot")
        assert f'APP_RELEASE="{site.current()[name]}"' in loot, "nothing was read"
        assert [secret for secret in secrets if secret in loot] == []


def test_operators_log_in_and_nobody_is_banned(site, attacked):
    for name, host in site.hosts.items():
        user = site.variables["_meta"]["hostvars"][name]["ansible_user"]
        login = ["ssh", "-F", SSH_CONFIG, "-o", "ControlPath=none", f"{user}@{site.addresses[name]}", "sudo id --user --name"]
        assert subprocess.run(login, capture_output=True, text=True, timeout=60).stdout.strip() == "root"
        assert "192.0.2.66" in host.check_output("journalctl --sync; journalctl --quiet --identifier=sshd --since=-10min")
        assert host.check_output("fail2ban-client get sshd banip") == ""


def test_backups_are_made_and_uploads_are_restored(site, before, attacked):
    for host in site.hosts.values():
        done = host.run("timeout 300 postgresql-backup media --quiet")
        assert done.rc == 0, done.stderr
    site.apply("backup", "-e", "backup_type=diff")
    # Each of them looks into the application's database as the superuser of its server.
    site.apply("backup", "-e", "backup_type=logical")
    site.apply("database")
    for host in site.hosts.values():
        assert "attack" in host.check_output("grep -ho '\"public.attack\": 0' /var/lib/postgresql-backup/manifests/*.json | tail -1")
    # Each row of it is checked by the attacker's own function.
    site.apply("restore", "-e", "restore_dump=latest")
    for host in site.hosts.values():
        assert int(host.check_output("cd / && runuser -u postgres -- psql -XAtq -d probe_restored -c %s", "SELECT count(*) FROM public.attack_rows")) > 0
    site.apply("restore", "-e", "restore_remove=true")
    site.apply("restore_media", "-e", "restore_media=true")
    for host in site.hosts.values():
        assert host.check_output(f"cat {MEDIA}.restored/upload.txt") == "precious"
        assert host.run(f"grep -r root: {MEDIA}.restored --include='*shadow'").rc != 0
    assert_nothing_happened(site, before)


def test_status_tells_how_it_is(site, attacked):
    run = site.play("status")
    assert run.code == 0, run.output[-4000:]
    assert site.current()[site.web[0]] in run.text


def test_the_next_release_goes_live_and_the_attacker_goes(site, before, attacked):
    """The commands of a deploy run beside it, as its own account: it can neither kill them nor keep them waiting."""
    for host in site.hosts.values():
        assert rounds(host) > 0
    mended = fresh("mended")
    with site.visitors(pause_seconds=1):
        # It attacks until the release that replaces it serves.
        run = site.ship(mended, hostile, *ARGUMENTS)
    assert not re.search("killed|SIGKILL", run.output), run.output[-4000:]
    site.ship(fresh("good"))
    for host in site.hosts.values():
        assert host.run("pgrep -f '[a]ttack.py'").rc == 1
    assert_nothing_happened(site, before)
