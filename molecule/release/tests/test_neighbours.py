"""A host that belongs to somebody else stays as it is."""

import pytest

testinfra_hosts = ["ansible://probe"]


@pytest.fixture
def name(site):
    return site.web[0]


@pytest.fixture
def host(site, name):
    """The host with root's rights."""
    return site.hosts[name]


def state(host):
    """What a run of another site must not touch."""
    return host.check_output(
        "sha256sum /etc/postgresql/*/main/pg_hba.conf /etc/nginx/conf.d/* /etc/systemd/system/*.* 2>/dev/null; ls -d /srv/* /etc/postgresql/*/*; getent passwd"
    )


def refused(site, *arguments):
    run = site.play(*arguments)
    assert run.code != 0 and "changed=0 " in run.output, run.output[-4000:]
    return run.text


@pytest.mark.parametrize("arguments", [("database",), ("web", "--check")])
def test_a_second_application_is_refused_and_the_first_keeps_all_that_it_has(site, name, host, arguments):
    before = state(host)
    said = refused(site, *arguments, "-e", "app_name=blog")
    assert f"{name} already serves probe, and this inventory's app_name is blog: " in said
    assert state(host) == before
    assert site.get("/status/", name).status_code == 200


@pytest.mark.long
def test_databases_of_somebody_else_are_refused(site, name, host):
    """On a server that is not the application's host: nothing but the access tells whose it is."""
    before = state(host)
    host.check_output("mv -T /srv/probe/current /root/current; mv /etc/nginx/conf.d/probe.conf /root")
    try:
        said = refused(site, "database", "-e", "app_name=blog")
    finally:
        host.check_output("mv -T /root/current /srv/probe/current; mv /root/probe.conf /etc/nginx/conf.d")
    assert f"The PostgreSQL server of {name} already serves the database probe, which this inventory does not declare: " in said
    assert state(host) == before


def test_a_cluster_of_another_version_is_refused(site, name, host):
    before = state(host)
    said = refused(site, "database", "-e", "postgresql_version=18")
    assert f"{name} already has the PostgreSQL cluster 17/main, and postgresql_version is 18: " in said
    assert state(host) == before


@pytest.mark.long
def test_another_cluster_on_the_port_is_refused(site, name, host):
    before = state(host)
    # What pg_createcluster leaves, but for the half minute that it takes.
    host.check_output(
        "cd /etc/postgresql/17; cp -a main other; sed -i '/^data_directory/s/main/other/' other/postgresql.conf;"
        " cd /var/lib/postgresql/17; mkdir other; cp -a main/PG_VERSION other"
    )
    try:
        said = refused(site, "database")
    finally:
        host.check_output("rm -r /etc/postgresql/17/other /var/lib/postgresql/17/other")
    assert f"{name} already has the PostgreSQL cluster 17/other on port 5432, which is postgresql_port of this inventory: " in said
    assert state(host) == before
