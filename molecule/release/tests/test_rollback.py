"""Going back to a release that is kept, as a visitor and an operator see it."""

import json
import re

import pytest

from conftest import ADDRESSES, play, versions

testinfra_hosts = ["ansible://probe"]


def ship(repository, version, variant="good", *arguments):
    repository.commit(variant, version)
    run = play("deploy", *arguments)
    assert run.code == 0, run.output[-4000:]
    assert versions() == dict.fromkeys(ADDRESSES, version)


def log(host):
    return [json.loads(line) for line in host.check_output("cat /var/log/probe/deploys.jsonl").splitlines()]


def record(host):
    return json.loads(host.check_output("cat /srv/probe/current/release.json"))


def applied(host, migration):
    return f"[X] {migration}" in host.check_output("probe-manage showmigrations pages --no-color")


@pytest.fixture(scope="module", autouse=True)
def before(repository, hosts):
    """The version that served before two more were shipped; it serves again after the last of these tests."""
    (version,) = set(versions().values())
    for newer in ("back-1", "back-2"):
        ship(repository, newer)
    yield version
    # With the migration that the older code must not meet, nobody could go back to it any more.
    forget = "DELETE FROM django_migrations WHERE app = 'pages' AND name <> '0001_initial'; ALTER TABLE pages_note DROP COLUMN IF EXISTS mood"
    ship(repository, version)
    for host in hosts:
        host.check_output("cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d probe -c %s", forget)


def test_back_and_further_back_and_forth_again(before, hosts):
    ran = {host: record(host)["release"] for host in hosts}
    for version in ("back-1", before):
        run = play("rollback")
        assert run.code == 0, run.output[-4000:]
        assert versions() == dict.fromkeys(ADDRESSES, version)
    for host in hosts:
        last = log(host)[-1]
        assert (last["what"], last["verdict"], last["from"][:12]) == ("rollback", "ok", log(host)[-2]["release"][:12])
        assert last["by"] and "@" not in last["by"]
        units = host.check_output("systemctl list-units --plain --no-legend --state=active 'probe@*.service'").splitlines()
        assert len(units) == 1 and record(host)["release"] in units[0]
    host = hosts[0]
    run = play("rollback", "-e", f"rollback_to={ran[host][:12]}")
    assert run.code == 0, run.output[-4000:]
    assert versions() == dict.fromkeys(ADDRESSES, "back-2")
    again = play("rollback", "-e", f"rollback_to={ran[host][:12]}")
    assert again.code == 0 and "changed=0" in again.output and "changed=1" not in again.output, again.output[-4000:]


def test_a_release_that_is_not_kept_is_refused_and_the_kept_ones_are_named(hosts):
    before = versions()
    run = play("rollback", "-e", "rollback_to=v0.0.0")
    assert run.code != 0
    assert "rollback_to is v0.0.0, which is no release that is kept here. Kept: " in run.text
    assert "The rollback failed in step" in run.text and "keeps serving" in run.text
    assert versions() == before


def test_the_migrations_that_the_old_code_does_not_know(hosts, repository):
    """A nullable column is named, and rows are still written; a breaking one refuses the rollback unless told to go on."""
    before = next(iter(versions().values()))
    ship(repository, "mood", "nullable")
    assert all(applied(host, "0002_nullable") for host in hosts)
    run = play("rollback")
    assert run.code == 0, run.output[-4000:]
    # Among them may be what other tests left in the database.
    assert re.search(r"does not know: .*pages\.0002_nullable", run.text), run.output[-4000:]
    assert versions() == dict.fromkeys(ADDRESSES, before)
    for host in hosts:
        written = host.run("echo 'from pages.models import Note; print(Note.objects.create(text=\"old code\").pk)' | probe-manage shell")
        assert written.rc == 0, written.stderr

    ship(repository, "strict", "breaking", "-e", "deploy_allow_breaking_migrations=true")
    assert all(applied(host, "0002_breaking") for host in hosts)
    run = play("rollback")
    assert run.code != 0
    assert "pages.0002_breaking forbids NULL" in run.text and "The rollback failed in step" in run.text, run.output[-4000:]
    assert versions() == dict.fromkeys(ADDRESSES, "strict")


def test_hooks_run_around_their_steps_and_one_that_fails_stops_the_release(hosts, repository, tmp_path):
    hook = tmp_path / "hook.yml"
    hook.write_text(
        "- name: Write down the moment\n"
        "  ansible.builtin.command:\n"
        '    argv: [sh, -c, "readlink /srv/probe/current >>/tmp/moments"]\n'
    )
    moments = {f"{when}_{step}": str(hook) for step in ("fetch", "migrate", "switch") for when in ("before", "after")}
    for host in hosts:
        host.check_output("rm -f /tmp/moments")
    before = {host: record(host)["release"] for host in hosts}
    ship(repository, "hooks", "good", "-e", json.dumps({"app_hooks": moments}))
    for host in hosts:
        seen = [line.rpartition("/")[2] for line in host.check_output("cat /tmp/moments").splitlines()]
        assert seen == [before[host]] * 5 + [record(host)["release"]]
    hook.write_text("- name: Ask whoever watches\n  ansible.builtin.fail:\n    msg: not on a Friday\n")
    repository.commit("good", "never")
    run = play("deploy", "-e", json.dumps({"app_hooks": {"before_migrate": str(hook)}}))
    assert run.code != 0
    assert "not on a Friday" in run.text and "keeps serving" in run.text, run.output[-4000:]
    assert versions() == dict.fromkeys(ADDRESSES, "hooks")


@pytest.mark.long
def test_a_lock_is_broken_only_when_asked_to(hosts, repository):
    for host in hosts:
        host.check_output("sudo -u probe sh -c 'echo somebody@elsewhere ships main since long ago >/srv/probe/home/release.lock'")
        holder = "setsid sudo -u probe flock --shared /srv/probe/home/release.lock sleep 600 >/dev/null 2>&1 &"
        host.check_output(holder)
    repository.commit("good", "locked")
    try:
        run = play("deploy")
        assert run.code != 0
        assert "Another release holds the lock: somebody@elsewhere ships main since long ago." in run.text, run.output[-4000:]
        run = play("deploy", "-e", "deploy_break_lock=true")
        assert run.code == 0, run.output[-4000:]
        assert versions() == dict.fromkeys(ADDRESSES, "locked")
    finally:
        for host in hosts:
            host.run("pkill -f '[f]lock --shared /srv/probe/home/release.lock sleep'")
            host.run("pkill -x -u probe sleep")
