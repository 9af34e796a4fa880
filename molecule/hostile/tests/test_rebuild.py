"""The only machine is lost. The inventory, its vault and the directories of the backups are left, and one command makes the site of them."""

import secrets
import subprocess
import time

import pytest
from playing import SSH_CONFIG, finish, fresh

testinfra_hosts = ["ansible://probe"]

MEDIA = "/srv/probe/shared/media"
# As the role's README has it: the repository in its place, before anything else is there.
SAVE = "tar -C /var/lib -c pgbackrest media-backup"
PUT = (
    "adduser --system --group --home /var/lib/postgresql --no-create-home --shell /bin/bash postgres && tar -C /var/lib -x"
    " && chown -R postgres:postgres /var/lib/pgbackrest && chown -R root:root /var/lib/media-backup"
)
# An account as providers' images have it, which lets the administrator in.
PROVIDED = (
    "useradd --create-home --shell /bin/bash ops && install -d -o ops -m 0700 /home/ops/.ssh"
    " && install -o ops -m 0600 /root/.ssh/authorized_keys /home/ops/.ssh/ && echo \"ops ALL=(ALL) NOPASSWD: ALL\" >/etc/sudoers.d/provided"
)


def as_root(site, name, command, user="ops", **streams):
    """Run a command on a host that may be another one than a minute ago; a bare one lets root in alone."""
    options = ["-F", SSH_CONFIG, "-o", "BatchMode=yes", "-o", "ControlPath=none"]
    subprocess.run(["ssh", *options, f"{user}@{site.addresses[name]}", f"sudo sh -euc '{command}'"], check=True, timeout=300, **streams)


def is_written(host, row):
    """Whether the database has a row that a visitor wrote."""
    count = "cd / && runuser -u postgres -- psql -XAtq -d probe -c %s"
    return host.check_output(count, f"SELECT count(*) FROM pages_note WHERE text = '{row}'") == "1"


@pytest.fixture(scope="module")
def lost(site, tmp_path_factory):
    """A bare machine in the place of the one that is lost, with its repositories.

    Returned are an upload, a later row, the release that served, and what a dry run of site.yml said of the bare machine.
    """
    (name,), saved = site.web, tmp_path_factory.mktemp("saved") / "repositories.tar"
    host = site.hosts[name]
    # The repository's head serves, which a rebuild deploys.
    site.ship(fresh("lost"))
    upload, row, release = f"{secrets.token_hex(4)}.txt", f"later {secrets.token_hex(4)}", site.current()[name]
    site.upload(upload)
    # The attackers' files have gone from the uploads, and a copy that loses nearly all that it has would wait for somebody's word.
    host.check_output("rm -rf /var/lib/media-backup/staging/*")
    host.check_output("postgresql-backup full && postgresql-backup media")
    assert site.post("/write/", data={"text": row}).status_code == 200
    # The row's log goes into the archive with it.
    host.check_output("postgresql-backup check")
    with saved.open("wb") as file:
        as_root(site, name, SAVE, stdout=file)
    subprocess.run(["docker", "rm", "--force", f"selfhost-hostile-{name}"], check=True, capture_output=True)
    run = finish(site.start("../molecule/shared/create", FRESH="1"))
    assert run.code == 0, run.output
    as_root(site, name, PROVIDED, user="root")
    dry = site.play("site", "--check", "--diff")
    with saved.open("rb") as file:
        as_root(site, name, PUT, user="root", stdin=file)
    return upload, row, release, dry


def test_a_dry_run_on_a_bare_machine_tells_what_would_come(site, lost):
    dry = lost[-1]
    assert dry.code == 0, dry.output[-3000:]
    assert "A release would be made." in dry.text and "[nginx : " in dry.output and "[postgresql : " in dry.output


def test_a_repository_with_the_backups_of_another_cluster_is_left_alone(site, lost, figure):
    begun = time.monotonic()
    run = site.play("site")
    figure(f"a bare host until its repository is found to be of another cluster: {time.monotonic() - begun:.0f} s")
    assert run.code != 0
    assert "The repository holds the backups main of another cluster than the one on debian13." in run.text
    assert "the playbook rebuild brings its data back" in run.text


def test_one_command_makes_the_site_of_its_backups(site, lost, figure):
    upload, row, release, _dry = lost
    begun = time.monotonic()
    site.apply("rebuild")
    figure(f"cluster, uploads and site rebuilt there from its backups: {time.monotonic() - begun:.0f} s")
    (name,) = site.web
    assert site.current()[name] == release
    host = site.hosts[name]
    assert is_written(host, row) and is_written(host, upload)
    assert host.check_output("cat %s", f"{MEDIA}/{upload}") == f"content of {upload}"
    assert host.run("postgresql-backup status").rc == 0


def test_a_site_that_is_there_is_not_rebuilt(site, lost):
    (name,) = site.web
    host, row = site.hosts[name], f"newer {secrets.token_hex(4)}"
    assert site.post("/write/", data={"text": row}).status_code == 200
    host.check_output("echo newer >%s", f"{MEDIA}/{lost[0]}")
    run = site.apply("rebuild")
    assert "lost_repositories" not in run.output
    assert is_written(host, row)
    assert host.check_output("cat %s", f"{MEDIA}/{lost[0]}") == "newer"
