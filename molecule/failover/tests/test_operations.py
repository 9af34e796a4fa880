"""What an operator does: the playbooks keep their names and words where Patroni runs the servers."""

import re
import time

import failing
import pytest


def test_a_switchover_loses_no_row(site, figure):
    new = site.standbys()[0]
    with site.writing() as acknowledged:
        began = time.time()
        run = site.apply("switchover", "-e", f"switchover_to={new}")
        assert f"{new} is the primary, " in run.text
        site.healthy()
        site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
        acks = acknowledged()
    assert site.leader() == new
    gone = failing.pauses(acks, since=began, least=0.2)
    figure(f"seconds without writes, switchover.yml: {max(gone, default=0):.1f}")
    assert site.lacking(new, acks) == []
    assert failing.twice(acks) == []
    assert f"{new} is the primary." in site.apply("switchover", "-e", f"switchover_to={new}").text


def test_the_page_tells_what_patroni_and_the_voters_say(site):
    page = site.apply("status").output
    row = {name: re.search(rf"^ *- *'?{name} .*(leader|quorum standby).*votes|{name} +(leader|quorum standby) .*votes", page, re.MULTILINE) for name in site.groups["database"]}
    assert all(row.values()), page
    site.inside("db3", "systemctl", "stop", "etcd.service")
    try:
        assert "The voter could not be looked at" in site.apply("status").text
    finally:
        site.inside("db3", "systemctl", "start", "etcd.service")


def test_a_setting_that_takes_a_restart_reaches_all_servers_in_order(site):
    before = int(site.sql("db1", "SHOW max_connections"))
    for wanted in (before + 20, before):
        site.apply("database", "-e", f"postgresql_max_connections={wanted}")
        site.healthy()
        assert {name: int(site.sql(name, "SHOW max_connections")) for name in site.groups["database"]} == dict.fromkeys(site.groups["database"], wanted)


@pytest.mark.long
def test_a_standby_is_built_anew(site):
    standby = site.standbys()[0]
    site.apply("database", "-e", f"postgresql_rebuild={standby}")
    site.healthy()
    assert site.inside(standby, "sh", "-c", "ls -d /var/lib/postgresql/17/main.before-*").split()
    site.inside(standby, "sh", "-c", "rm -rf /var/lib/postgresql/17/main.before-*")


@pytest.mark.long
def test_hosts_are_rebooted_and_the_primary_yields_before(site):
    former = site.leader()
    run = site.play("reboot", "-e", "reboot_all=true", "--limit", "database")
    assert run.code == 0, run.output[-3000:]
    site.healthy()
    assert site.leader() != former


@pytest.mark.long
def test_voters_that_lost_all_they_knew_are_set_up_anew_and_the_database_goes_on(site, figure):
    with site.writing() as acknowledged:
        began = time.time()
        for name in site.groups["etcd"]:
            site.inside(name, "sh", "-c", "systemctl stop etcd && rm -rf /var/lib/etcd/selfhost")
        site.apply("database", "--tags", "etcd")
        # It remembers the former ones, and the server goes on.
        for name in site.groups["database"]:
            site.inside(name, "systemctl", "kill", "--signal=KILL", "patroni@17-main.service")
        time.sleep(3)
        site.healthy()
        site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
        acks = acknowledged()
    figure(f"seconds without writes, all voters lost with their data: {max(failing.pauses(acks, since=began, least=0.2), default=0):.1f}")
    assert site.lacking(site.leader(), acks) == []
    assert failing.twice(acks) == []
