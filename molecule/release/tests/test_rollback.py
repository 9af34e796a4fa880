"""Going back to a release that is kept, as a visitor and an operator see it."""

import json
import re

import pytest

testinfra_hosts = ["ansible://probe"]

LOCK = "/run/selfhost/probe/release.lock"


def log(host):
    return [json.loads(line) for line in host.check_output("cat /var/log/probe/deploys.jsonl").splitlines()]


def record(host):
    return json.loads(host.check_output("cat /srv/probe/current/release.json"))


def applied(host, migration):
    return f"[X] {migration}" in host.check_output("probe-manage showmigrations pages --no-color")


@pytest.fixture(scope="module", autouse=True)
def before(site):
    """The version that served before two more were shipped; it serves again after the last of these tests."""
    version = site.version()
    for newer in ("back-1", "back-2"):
        site.ship(newer)
    yield version
    site.ship(version)
    site.forget_migrations("mood")


def test_back_and_further_back_and_forth_again(before, site):
    ran = next(iter(site.current().values()))
    for version in ("back-1", before):
        site.apply("rollback")
        assert site.version() == version
    site.assert_one_release_runs()
    for host in site.hosts.values():
        last = log(host)[-1]
        assert (last["what"], last["verdict"], last["from"][:12]) == ("rollback", "ok", log(host)[-2]["release"][:12])
        assert last["by"] and "@" not in last["by"]
        assert record(host)["release"] == host.check_output("basename $(readlink /srv/probe/current)")
    site.apply("rollback", "-e", f"rollback_to={ran[:12]}")
    assert site.version() == "back-2"
    again = site.play("rollback", "-e", f"rollback_to={ran[:12]}")
    assert again.code == 0 and "changed=0" in again.output and "changed=1" not in again.output, again.output[-4000:]


def test_forward_again_takes_the_release_that_is_kept(site):
    """A deploy after a rollback builds nothing."""
    newest = site.current()
    site.apply("rollback")
    assert site.current() != newest
    made = {name: site.hosts[name].check_output(f"stat --format %i /srv/probe/releases/{release}/code") for name, release in newest.items()}
    run = site.apply("deploy")
    assert site.current() == newest
    for name, release in newest.items():
        assert site.hosts[name].check_output(f"stat --format %i /srv/probe/releases/{release}/code") == made[name], run.output[-4000:]
    site.assert_one_release_runs()


def test_a_release_that_is_not_kept_is_refused_and_the_kept_ones_are_named(site):
    before = site.version()
    run = site.play("rollback", "-e", "rollback_to=v0.0.0")
    assert run.code != 0
    assert "rollback_to is v0.0.0, which is no release that is kept here. Kept: " in run.text
    assert "The rollback failed in step" in run.text and "keeps serving" in run.text
    assert site.version() == before


def test_the_migrations_that_the_old_code_does_not_know(site):
    """A nullable column is named, and rows are still written; a breaking one refuses the rollback unless told to go on."""
    before = site.version()
    site.ship("mood", "nullable")
    assert all(applied(host, "0002_nullable") for host in site.hosts.values())
    run = site.apply("rollback")
    # Among them may be what other tests left in the database.
    assert re.search(r"does not know: .*pages\.0002_nullable", run.text), run.output[-4000:]
    assert site.version() == before
    for host in site.hosts.values():
        written = host.run("echo 'from pages.models import Note; print(Note.objects.create(text=\"old code\").pk)' | probe-manage shell")
        assert written.rc == 0, written.stderr

    site.ship("strict", "breaking", "-e", "deploy_allow_breaking_migrations=true")
    assert all(applied(host, "0002_breaking") for host in site.hosts.values())
    run = site.play("rollback")
    assert run.code != 0
    assert "pages.0002_breaking forbids NULL" in run.text and "The rollback failed in step" in run.text, run.output[-4000:]
    assert site.version() == "strict"


def test_hooks_run_around_their_steps_and_one_that_fails_stops_the_release(site, repository, tmp_path):
    hook = tmp_path / "hook.yml"
    hook.write_text(
        "- name: Write down the moment\n"
        "  ansible.builtin.command:\n"
        '    argv: [sh, -c, "readlink /srv/probe/current >>/tmp/moments"]\n'
    )
    moments = {f"{when}_{step}": str(hook) for step in ("fetch", "migrate", "switch") for when in ("before", "after")}
    site.each("rm -f /tmp/moments")
    before = site.current()
    site.ship("hooks", "good", "-e", json.dumps({"app_hooks": moments}))
    after = site.current()
    for name, lines in site.each("cat /tmp/moments; rm /tmp/moments").items():
        assert [line.rpartition("/")[2] for line in lines.splitlines()] == [before[name]] * 5 + [after[name]]
    hook.write_text("- name: Ask whoever watches\n  ansible.builtin.fail:\n    msg: not on a Friday\n")
    repository.commit("good", "never")
    run = site.play("deploy", "-e", json.dumps({"app_hooks": {"before_migrate": str(hook)}}))
    assert run.code != 0
    assert "not on a Friday" in run.text and "keeps serving" in run.text, run.output[-4000:]
    assert site.version() == "hooks"


@pytest.mark.long
def test_a_lock_is_broken_only_when_asked_to(site, repository):
    for host in site.hosts.values():
        host.check_output(f"mkdir -p {LOCK.rpartition('/')[0]} && echo somebody@elsewhere ships main since long ago >{LOCK}")
        host.check_output(f"setsid flock --shared {LOCK} sleep 600 >/dev/null 2>&1 &")
    repository.commit("good", "locked")
    try:
        run = site.play("deploy")
        assert run.code != 0
        assert "Another release holds the lock: somebody@elsewhere ships main since long ago." in run.text, run.output[-4000:]
        site.apply("deploy", "-e", "deploy_break_lock=true")
        assert site.version() == "locked"
    finally:
        for host in site.hosts.values():
            host.run(f"pkill -f '[f]lock --shared {LOCK} sleep'; pkill -x sleep")
