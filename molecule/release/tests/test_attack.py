"""What code of the application does to the host, to its data and to its visitors, by intent or by accident."""

import collections
import concurrent.futures
import json
import re

import pytest
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
while sleep 0.2; do for process in /proc/[0-9]*; do { true >>"$process/root/srv/probe/static/escaped"; } 2>/dev/null; done; done
"""
ESCAPING = {"name": "escape", "command": "sh escape.sh"}
INI = "/etc/probe-attack/shop.ini"
NESTED = ["media/avatars", "media", "log"]
UPLOAD = "/srv/probe/shared/media/upload.txt"
# As settings do that open a log.
LOGGING = {
    "command": "test ! -e media/upload.txt && for folder in log media/avatars; do mkdir -p $folder && echo x >$folder/built; done",
    "imports_settings": True,
}


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


def mottos(site):
    return set(site.each(f"cat {INI}").values())


def assert_everybody_gets_his_own(site, count=200):
    """Many visitors ask for a number of their own at once."""

    def ask(work):
        name, number = work
        answer = site.get(f"/number/{number}/", name)
        return "own" if answer.status_code == 200 and answer.json()["number"] == number else f"{answer.status_code} {answer.text[:80]}"

    work = [(name, number) for number in range(count) for name in site.web]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert collections.Counter(pool.map(ask, work)) == {"own": len(work)}


def notes(site, text):
    """How many notes have this text, by host."""
    code = f"from pages.models import Note; print(Note.objects.filter(text='{text}').count())"
    printed = site.each(f'echo "{code}" | probe-manage shell')
    return {name: int(output.splitlines()[-1].split("]")[-1].split()[-1]) for name, output in printed.items()}


def victim(site):
    return site.each(f"find {VICTIM} -printf '%p %u:%g %m %s %T@\\n' | sort")


# --- What is deployed, one after the other ----------------------------------------------------


@pytest.fixture(scope="module")
def before(site, repository):
    """The version and the release that served before, and serve again after the last of these tests, with an upload."""
    version, (release,) = site.version(), set(site.current().values())
    site.each(f"mkdir -p {VICTIM}/static; echo root >{VICTIM}/release.json; chmod 0700 {VICTIM}")
    site.each(f"echo precious >{UPLOAD}; chown probe {UPLOAD}")
    yield version, release
    repository.commit("good", version)
    if site.version() != version:
        site.apply("rollback", "-e", f"rollback_to={release}")
    site.forget_migrations("tenant")
    site.each(
        f"rm -rf {VICTIM} {INI.rpartition('/')[0]} {UPLOAD} /srv/probe/shared/log /srv/probe/shared/media/avatars; systemctl reset-failed; "
        "cd / && runuser -u postgres -- psql -XAtqd probe -c \"DELETE FROM pages_note WHERE text IN ('tenant', 'post_migrate')\""
    )
    assert site.version() == version


@pytest.fixture(scope="module")
def planted(site, repository, before):
    """A build that plants links in its way; returned is what root's folder held before it."""
    held = victim(site)
    repository.commit(revision(repositories().connected), "attack-1")
    site.apply("deploy", *arguments("first", app_build_commands=["sh attack.sh", LOGGING]))
    return held


@pytest.fixture(scope="module")
def failed(site, repository, planted):
    """A release whose `migrate` fails in a part of its own, after Django's; returned is the run."""

    def failing(project):
        repositories().tenant(project, fails=True)

    repository.commit(revision(failing, repositories().talkative), "attack-2")
    with site.visitors(pause_seconds=1):
        return site.play("deploy", *arguments("of a bad release"))


@pytest.fixture(scope="module")
def third(site, repository, failed):
    """The next release, whose `migrate` does not fail; returned are the run, and the notes of its `migrate` before it."""

    def own_connection(project):
        repositories().connected(project, own=True)

    written = [notes(site, text) for text in ("tenant", "post_migrate")]
    repository.commit(revision(repositories().tenant, repositories().talkative, own_connection), "attack-3")
    return site.apply("deploy", *arguments("third")), written


# --- What came of it --------------------------------------------------------------------------


def test_what_a_build_plants_leads_root_nowhere(site, planted):
    assert victim(site) == planted
    for host in site.hosts.values():
        assert host.file("/srv/probe/shared/media").is_directory and not host.file("/srv/probe/shared/media").is_symlink
        assert host.check_output(f"cat {UPLOAD}") == "precious"
        assert host.check_output("cd /srv/probe && stat --format %U shared releases venvs static releases/* | sort -u") == "root"
    assert mottos(site) == {"motto = first"}


def test_a_build_has_the_folders_that_outlive_a_release_empty_and_for_itself(site, planted):
    assert set(site.each("find /srv/probe/shared -name built").values()) == {""}


def test_no_worker_shares_a_connection_with_another(site, planted):
    assert_everybody_gets_his_own(site)


def test_a_release_whose_migrate_fails_leaves_nothing_of_itself(site, failed):
    assert failed.code != 0
    assert re.search("The release failed in step '+migrate'+ .*the second tenant is away", failed.text), failed.output[-4000:]
    assert site.version() == "attack-1"
    assert mottos(site) == {"motto = first"}
    for host in site.hosts.values():
        assert host.check_output(f"cat {UPLOAD}") == "precious"
        # Commands of a release ran meanwhile, outside the sandbox of what serves.
        assert not host.file("/srv/probe/static/escaped").exists


def test_the_next_release_runs_migrate_to_its_end(site, third):
    """Without a migration that is planned: the failed run has applied it."""
    run, (tenant, signal) = third
    assert "No planned migration operations" not in run.output and site.version() == "attack-3"
    assert notes(site, "tenant") == {name: count + 1 for name, count in tenant.items()}
    assert notes(site, "post_migrate") == {name: count + 1 for name, count in signal.items()}
    for journal in site.each("journalctl --unit 'probe@*' --output cat --since=-10min").values():
        # What only its own code could close is opened by each worker.
        assert "leaves connections open to" in journal
    assert_everybody_gets_his_own(site)


def test_a_right_deploy_mends_a_shared_file(site, third):
    site.each(f"echo spoilt >{INI}")
    run = site.apply("deploy", *arguments("third"))
    assert set(re.findall(r"changed=(\d+)", run.output)) == {"1"}, run.output[-4000:]
    assert mottos(site) == {"motto = third"}


def test_a_rollback_goes_over_settings_that_print(site, before, third):
    version, release = before
    run = site.apply("rollback", "-e", f"rollback_to={release}")
    assert "pages.0002_tenant" in run.text, "the migration that the older code does not know is named"
    assert site.version() == version
    assert set(site.each(f"cat {UPLOAD}").values()) == {"precious"}
    assert set(site.each("systemctl list-units --plain --no-legend 'probe-*'").values()) == {""}
