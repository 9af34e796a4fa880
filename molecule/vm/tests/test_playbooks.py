"""The playbooks work on a host with a kernel of its own as they do in scenarios cluster and release."""

import pytest
import requests

testinfra_hosts = ["ansible://all"]


@pytest.fixture
def play(site):
    """Return a function that runs a playbook over all hosts, and expects it to succeed."""

    def run(*words):
        done = site.play(*words)
        assert done.code == 0, done.output[-4000:]

    return run


def releases(site):
    return {name: host.check_output("readlink /srv/demo/current") for name, host in site.hosts.items()}


def test_a_backup_is_restored_beside_the_database_to_a_moment(site, play):
    count = "cd / && runuser -u postgres -- psql -XAtq -d demo -c 'SELECT count(*) FROM django_migrations' -p %s"
    play("backup", "-e", "backup_type=diff")
    moment = {name: host.check_output("cd / && runuser -u postgres -- psql -XAtqd demo -c 'SELECT now()'") for name, host in site.hosts.items()}
    # Something has to come after it, and into the archive.
    for host in site.hosts.values():
        host.check_output("cd / && runuser -u postgres -- psql -XAtqd demo -c 'CREATE TABLE later ()' -c 'DROP TABLE later' -c 'SELECT pg_switch_wal()'")
    play("restore", "-e", f'{{"restore_target_time": "{min(moment.values())}"}}')
    try:
        for host in site.hosts.values():
            assert host.check_output(count, "5433") == host.check_output(count, "5432") != "0"
    finally:
        play("restore", "-e", "restore_remove=true")


def test_a_release_takes_the_place_of_another_and_gives_it_back(site, play):
    before = releases(site)
    play("deploy", "-e", '{"app_build_commands": ["true"]}')
    after = releases(site)
    assert all(after[name] != before[name] for name in before)
    play("rollback")
    assert releases(site) == before
    for address in site.addresses.values():
        assert requests.get(f"https://{address}/", verify=False, timeout=60).status_code == 200
