"""The playbooks work on a host with a kernel of its own as they do in scenarios cluster and release."""

testinfra_hosts = ["ansible://all"]


def releases(site):
    return site.each("readlink /srv/demo/current")


def test_a_backup_is_restored_beside_the_database_to_a_moment(site):
    count = "cd / && runuser -u postgres -- psql -XAtq -d demo -c 'SELECT count(*) FROM django_migrations' -p %s"
    site.apply("backup", "-e", "backup_type=diff")
    moment = site.each("cd / && runuser -u postgres -- psql -XAtqd demo -c 'SELECT now()'")
    # Something has to come after it, and into the archive.
    site.each("cd / && runuser -u postgres -- psql -XAtqd demo -c 'CREATE TABLE later ()' -c 'DROP TABLE later' -c 'SELECT pg_switch_wal()'")
    site.apply("restore", "-e", f'{{"restore_target_time": "{min(moment.values())}"}}')
    try:
        for host in site.hosts.values():
            assert host.check_output(count, "5433") == host.check_output(count, "5432") != "0"
    finally:
        site.apply("restore", "-e", "restore_remove=true")


def test_a_release_takes_the_place_of_another_and_gives_it_back(site):
    before = releases(site)
    site.apply("deploy", "-e", '{"app_build_commands": ["true"]}')
    after = releases(site)
    assert all(after[name] != before[name] for name in before)
    site.apply("rollback")
    assert releases(site) == before
    assert all(site.serves(name) for name in site.web)
