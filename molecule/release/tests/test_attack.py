"""What code of the application does to the host, to its data and to its visitors, by intent or by accident."""

import collections
import concurrent.futures
import json
import re

import pytest

from conftest import ADDRESSES, get, play, versions, visitors
from playing import repositories

testinfra_hosts = ["ansible://probe"]

# A folder of root's, which nobody who runs the application's code may change by way of root.
VICTIM = "/var/lib/selfhost-victim"
PLANT = f"""
plant() {{ rm -rf "$1"; ln -s {VICTIM}/"$2" "$1"; }}
release=/srv/probe/releases/$APP_RELEASE
for name in migrations.txt release.json environment files.json venv app.sock static; do plant "$release/$name" "$name"; done
plant /srv/probe/venvs/planted .
plant /srv/probe/releases/planted .
mv /srv/probe/shared/media /srv/probe/shared/moved && ln -s {VICTIM} /srv/probe/shared/media
true
"""
# Walled in, it looks for a process of its own account outside.
ESCAPE = """
while sleep 0.2; do for process in /proc/[0-9]*; do { true >>"$process/root/srv/probe/home/escaped"; } 2>/dev/null; done; done
"""
ESCAPING = {"name": "escape", "command": "sh escape.sh"}
INI = "/etc/probe-attack/shop.ini"
NESTED = ["media/avatars", "media", "log"]


def arguments(motto, **more):
    variables = {
        "app_shared_paths": NESTED,
        "app_files": [{"path": INI, "content": f"motto = {motto}\n"}],
        "app_processes": [ESCAPING],
    }
    return ["-e", json.dumps(variables | more)]


def revision(*changes):
    """A function that makes a revision with all of these changes."""

    def change(project):
        (project / "attack.sh").write_text(PLANT)
        (project / "escape.sh").write_text(ESCAPE)
        for one in changes:
            one(project)

    return change


def motto(host):
    return host.check_output(f"cat {INI}")


def numbers(count=200):
    """Ask for many numbers at once; say how often a visitor got his own."""

    def ask(work):
        host, number = work
        answer = get(host, f"/number/{number}/")
        return "own" if answer.status_code == 200 and answer.json()["number"] == number else f"{answer.status_code} {answer.text[:80]}"

    work = [(host, number) for number in range(count) for host in ADDRESSES]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return collections.Counter(pool.map(ask, work)), len(work)


def notes(host, text):
    code = f"from pages.models import Note; print(Note.objects.filter(text='{text}').count())"
    return int(host.check_output(f'echo "{code}" | probe-manage shell').splitlines()[-1].split("]")[-1].split()[-1])


@pytest.fixture(scope="module", autouse=True)
def before(repository, hosts):
    """The version and the release that served before, and serve again after the last of these tests."""
    (version,) = set(versions().values())
    (release,) = {host.check_output("basename $(readlink /srv/probe/current)") for host in hosts}
    for host in hosts:
        host.check_output(f"mkdir -p {VICTIM}/static; echo root >{VICTIM}/release.json; chmod 0700 {VICTIM}")
    yield version, release
    repository.commit("good", version)
    if set(versions().values()) != {version}:
        play("rollback", "-e", f"rollback_to={release}")
    for host in hosts:
        host.check_output(f"rm -rf {VICTIM} {INI.rpartition('/')[0]} /srv/probe/shared/log /srv/probe/shared/media/avatars; systemctl reset-failed")
    assert versions() == dict.fromkeys(ADDRESSES, version)


@pytest.fixture(scope="module")
def upload(hosts):
    """An upload, and where it lies."""
    for host in hosts:
        host.check_output("echo precious >/srv/probe/shared/media/upload.txt; chown probe /srv/probe/shared/media/upload.txt")
    yield "/srv/probe/shared/media/upload.txt"
    for host in hosts:
        host.check_output("rm -f /srv/probe/shared/media/upload.txt")


def test_what_a_build_plants_leads_root_nowhere(repository, hosts, upload):
    def seen(host):
        return host.check_output(f"find {VICTIM} -printf '%p %u:%g %m %s %T@\\n' | sort")

    before = [seen(host) for host in hosts]
    repository.commit(revision(repositories().connected), "attack-1")
    run = play("deploy", *arguments("first", app_build_commands=["sh attack.sh"]))
    assert run.code == 0, run.output[-4000:]
    assert [seen(host) for host in hosts] == before
    for host in hosts:
        assert host.file("/srv/probe/shared/media").is_directory and not host.file("/srv/probe/shared/media").is_symlink
        assert host.check_output(f"cat {upload}") == "precious"
        assert host.check_output("cd /srv/probe && stat --format %U shared releases venvs static releases/* | sort -u") == "root"
        assert motto(host) == "motto = first"


def test_no_worker_shares_a_connection_with_another():
    answers, asked = numbers()
    assert answers == {"own": asked}


def test_a_release_whose_migrate_fails_leaves_nothing_of_itself(repository, hosts, upload):
    def failing(project):
        repositories().tenant(project, fails=True)

    repository.commit(revision(failing, repositories().talkative), "attack-2")
    with visitors(pause_seconds=1):
        run = play("deploy", *arguments("of a bad release"))
    assert run.code != 0
    assert re.search("The release failed in step '+migrate'+ .*the second tenant is away", run.text), run.output[-4000:]
    assert versions() == dict.fromkeys(ADDRESSES, "attack-1")
    for host in hosts:
        assert motto(host) == "motto = first"
        assert host.check_output(f"cat {upload}") == "precious"
        # Commands of a release ran meanwhile, outside the sandbox of what serves.
        assert not host.file("/srv/probe/home/escaped").exists


def test_the_next_release_runs_migrate_to_its_end(repository, hosts):
    """Without a migration that is planned: the failed run has applied it."""

    def own_connection(project):
        repositories().connected(project, own=True)

    before = [(notes(host, "tenant"), notes(host, "post_migrate")) for host in hosts]
    repository.commit(revision(repositories().tenant, repositories().talkative, own_connection), "attack-3")
    run = play("deploy", *arguments("third"))
    assert run.code == 0, run.output[-4000:]
    assert "No planned migration operations" not in run.output and versions() == dict.fromkeys(ADDRESSES, "attack-3")
    for host, (tenant, signal) in zip(hosts, before):
        assert (notes(host, "tenant"), notes(host, "post_migrate")) == (tenant + 1, signal + 1)
        # What only its own code could close is opened by each worker.
        assert "leaves connections open to" in host.check_output("journalctl --unit 'probe@*' --output cat --since=-10min")
    answers, asked = numbers()
    assert answers == {"own": asked}


def test_a_right_deploy_mends_a_shared_file(hosts):
    for host in hosts:
        host.check_output(f"echo spoilt >{INI}")
    run = play("deploy", *arguments("third"))
    assert run.code == 0 and set(re.findall(r"changed=(\d+)", run.output)) == {"1"}, run.output[-4000:]
    assert {motto(host) for host in hosts} == {"motto = third"}


def test_a_rollback_goes_over_settings_that_print(hosts, upload, before):
    version, release = before
    run = play("rollback", "-e", f"rollback_to={release}")
    assert run.code == 0, run.output[-4000:]
    assert "pages.0002_tenant" in run.text, "the migration that the older code does not know is named"
    assert versions() == dict.fromkeys(ADDRESSES, version)
    for host in hosts:
        assert host.check_output(f"cat {upload}") == "precious"
        assert host.check_output("systemctl list-units --plain --no-legend 'probe-*'") == ""
