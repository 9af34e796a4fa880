"""Voters on Debian 12, their way to Debian 13, and PostgreSQL 15 that becomes 17 under Patroni: rows and site as before, and a way back.

The tests are steps of one way, and leave hosts of another kind than they found: hosts are made anew for each run. On hosts that are Debian 13
with PostgreSQL 15 already, the way begins there.
"""

import json
import re
import secrets
import time

import failing
import pytest
from playing import finish
from recording import Voted

testinfra_hosts = ["ansible://probe"]

NEW = ["-e", "postgresql_version=17"]
# What the role's page says, host after host, the primary last; with a version before it.
BACK = """
systemctl disable --now patroni@15-main
cd /etc/postgresql/15/main && mv postgresql.base.conf postgresql.conf && echo auto >start.conf
rm /etc/patroni/15-main.yml /etc/systemd/system/postgresql@15-main.service.d/patroni.conf && systemctl daemon-reload
runuser -u postgres -- /usr/lib/postgresql/15/bin/pg_ctl --pgdata=/var/lib/postgresql/15/main stop && systemctl start postgresql@15-main
"""
NO_VOTER = "systemctl disable --now etcd && rm -rf /var/lib/etcd/selfhost"


class Upgraded(Voted):
    """A database whose primary the voters choose, of one version or another."""

    def version_of(self, name):
        """The version that Patroni runs on a host; empty for none."""
        return self.inside(name, "sh", "-c", "ls /etc/patroni | sed -n 's/-main.yml$//p'").strip()

    def settled(self):
        """Whether one leads, and all others stream from it."""
        rows = self.members()
        leads = [name for name, row in rows.items() if row["Role"] == "Leader"]
        return len(rows) == len(self.groups["database"]) and len(leads) == 1 and self.primaries() == leads and self.streaming() == len(rows) - 1

    def server(self):
        return self.sql(self.leader(), "SELECT current_setting('server_version_num')::int / 10000")

    def debian(self, name):
        return self.hosts[name].check_output(". /etc/os-release; echo $VERSION_ID")

    def write_note(self, word):
        """Write as a visitor does."""
        text = f"{word} {secrets.token_hex(4)}"
        assert self.post("/write/", data={"text": text}).status_code == 200
        return text

    def notes(self, name=None):
        """What visitors wrote, as a server has it."""
        return set(self.sql(name or self.leader(), "SELECT text FROM pages_note", "probe").splitlines())

    def clusters(self, name):
        """The clusters of a host, and whether they run; of Patroni's, pg_lsclusters says so behind a comma."""
        rows = self.inside(name, "sh", "-c", "pg_lsclusters --no-header | awk '{print $1, $2, $4}'").splitlines()
        return [row.split(",")[0] for row in rows]


@pytest.fixture(scope="session")
def kind():
    return Upgraded


@pytest.fixture(scope="session")
def known(site):
    """What there is before."""
    assert site.server() == "15", "these hosts have gone their way: make them anew (make try-down ON=upgrade_voters)"
    return {"debian": site.debian("db1"), "notes": {site.write_note("before")}}


@pytest.fixture
def old(known):
    """Hosts of Debian 12."""
    if known["debian"] != "12":
        pytest.skip("the hosts are Debian 13 already")


def second(site, playbook, *arguments):
    """A second run changes nothing."""
    run = site.apply(playbook, *arguments)
    assert re.findall(r" changed=(\d+) ", run.output) == ["0"] * len(site.hosts), run.output[-3000:]


# --- Voters on Debian 12: Patroni 3.0, etcd 3.4 -----------------------------------------------


def test_a_second_run_changes_nothing(site, known):
    second(site, "site")


def test_a_switchover_loses_no_row(site, known, figure):
    former, (new,) = site.leader(), site.standbys()
    with site.writing() as acknowledged:
        began = time.time()
        run = site.apply("switchover", "-e", f"switchover_to={new}")
        assert f"{new} is the primary, " in run.text
        site.healthy()
        site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
        acks = acknowledged()
    figure(f"seconds without writes, switchover.yml: {max(failing.pauses(acks, since=began, least=0.2), default=0):.1f}")
    assert site.leader() == new != former
    assert site.lacking(new, acks) == [] and failing.twice(acks) == []


def test_a_killed_primary_is_replaced_and_comes_back_as_a_standby(site, known, figure):
    former = site.leader()
    with site.writing() as acknowledged:
        began = time.time()
        site.down([former], 40)
        site.healthy()
        site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
        acks = acknowledged()
    figure(f"seconds without writes, a killed primary: {max(failing.pauses(acks, since=began, least=0.2), default=0):.1f}")
    assert site.leader() != former
    assert failing.twice(acks) == []
    assert known["notes"] <= site.notes()


def test_a_standby_that_has_to_acknowledge(site, known):
    """On Debian 12 Patroni names it."""
    try:
        site.apply("database", "-e", "postgresql_synchronous_standbys=1")
        site.healthy()
        acknowledging = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"
        site.wait("the standby's word", lambda: site.sql(site.leader(), acknowledging) == "1", 60)
        second(site, "database", "-e", "postgresql_synchronous_standbys=1")
        former = site.leader()
        with site.writing() as acknowledged:
            site.down([former], 40)
            site.healthy()
            site.wait("rows after it", lambda: any(ack.sent > time.time() - 2 for ack in acknowledged()[-200:]), 60)
            acks = acknowledged()
        assert site.leader() != former
        assert site.lacking(site.leader(), acks) == [] and failing.twice(acks) == []
    finally:
        site.apply("database")
    site.healthy()


def test_the_page_tells_what_patroni_and_the_voters_say(site, known):
    page = site.apply("status", "-e", "status_strict=true").text
    for name in site.groups["database"]:
        assert re.search(rf"{name} +(leader|replica) .*?votes", page), page


# --- Debian 13, as a plain pair ---------------------------------------------------------------


def test_debian_is_upgraded_as_a_plain_pair_and_the_voters_come_back(site, known, old):
    run = site.play("upgrade_debian")
    assert run.code != 0 and "changed=0" in run.text and "The group etcd is there" in run.text
    plain = ["-e", json.dumps({"app_etcd_hosts": [], "etcd_hosts": site.groups["etcd"]}), "--skip-tags", "etcd"]
    primary, (standby,) = site.leader(), site.standbys()
    site.inside(primary, "patronictl", "-c", "/etc/patroni/15-main.yml", "pause", "--wait")
    for name in (standby, primary):
        site.inside(name, "sh", "-ec", BACK)
    for name in site.groups["etcd"]:
        site.inside(name, "sh", "-c", NO_VOTER)
    site.apply("site", *plain)
    for name in (standby, "web1", primary):
        site.apply("upgrade_debian", *plain, "--limit", name)
    assert {site.debian(name) for name in site.hosts} == {"13"}
    site.apply("site")
    site.healthy()
    assert known["notes"] <= site.notes()
    second(site, "site")


# --- PostgreSQL 17, under Patroni -------------------------------------------------------------


def test_another_postgresql_is_not_taken_in_silence(site, known):
    run = site.play("database", *NEW)
    assert run.code != 0 and "upgrade it by the playbook upgrade_postgresql" in run.text


def test_a_dry_run_says_what_comes(site, known):
    run = site.apply("upgrade_postgresql", *NEW, "--check")
    assert f"PostgreSQL 15 becomes 17 on {site.leader()}: the application is away for about 3 minutes. The old cluster stays." in run.text
    assert site.server() == "15" and site.serves()


def test_who_has_paused_patroni_ends_that(site, known):
    path = "/etc/patroni/15-main.yml"
    site.inside("db1", "patronictl", "-c", path, "pause", "--wait")
    try:
        run = site.play("upgrade_postgresql", *NEW)
    finally:
        site.inside("db1", "patronictl", "-c", path, "resume", "--wait")
    assert run.code != 0 and "Patroni is paused: end that first (patronictl resume)" in run.text
    assert site.server() == "15"


def test_an_upgrade_that_fails_leaves_the_former_version(site, known):
    primary, broken = site.leader(), "/usr/local/bin/pg_upgradecluster"
    # Before the one that it is asked for by name.
    site.inside(primary, "sh", "-c", f"printf '#!/bin/sh\\necho it cannot be done >&2; exit 1\\n' >{broken} && chmod 0755 {broken}")
    try:
        run = site.play("upgrade_postgresql", *NEW)
    finally:
        site.inside(primary, "rm", broken)
    assert run.code != 0 and "it cannot be done | PostgreSQL 15 runs as before." in run.text
    assert site.sql(primary, "SHOW server_version_num").startswith("15")
    site.apply("upgrade_postgresql")
    site.healthy()
    assert site.leader() == primary and site.serves() and known["notes"] <= site.notes()


def test_postgresql_becomes_the_next_version(site, known):
    primary, (standby,) = site.leader(), site.standbys()
    known["primary"], known["last_of_15"] = primary, site.write_note("the last one in 15")
    site.apply("upgrade_postgresql", *NEW)
    site.healthy()
    assert (site.server(), site.leader()) == ("17", primary)
    assert site.serves() and {known["last_of_15"], *known["notes"]} <= site.notes()
    assert site.clusters(primary) == ["15 main down", "17 main online"] == site.clusters(standby)
    text = site.write_note("to the standby")
    site.wait("the row on the standby", lambda: text in site.notes(standby))
    assert "paused" not in site.apply("status", *NEW).text


def test_a_second_upgrade_changes_nothing(site):
    second(site, "upgrade_postgresql", *NEW)


def test_the_new_version_changes_its_primary_by_itself(site, known):
    site.down([site.leader()], 40)
    site.healthy()
    assert site.leader() != known["primary"]
    # A standby's copy of the former cluster is no way back.
    run = site.play("upgrade_postgresql", "-e", "upgrade_back=lose")
    assert run.code != 0 and f"is that of {known['primary']}, where the upgrade was made: make that the primary first" in run.text
    site.apply("switchover", *NEW, "-e", f"switchover_to={known['primary']}")
    site.healthy()


def test_the_way_back_loses_nothing_in_silence(site, known):
    site.write_note("in 17")
    run = site.play("upgrade_postgresql", "-e", "upgrade_back=true")
    assert run.code != 0 and "transactions since the upgrade would be lost: say -e upgrade_back=lose" in run.text
    assert site.server() == "17"
    site.apply("upgrade_postgresql", "-e", "upgrade_back=lose")
    site.healthy()
    assert (site.server(), site.leader()) == ("15", known["primary"])
    assert known["last_of_15"] in site.notes() and "in 17" not in " ".join(site.notes())
    site.write_note("in 15 again")
    second(site, "site")


def test_forward_again_once_the_former_attempt_is_removed(site, known):
    run = site.play("upgrade_postgresql", *NEW)
    assert run.code != 0 and "remove it first, by -e upgrade_remove=17/main" in run.text
    site.apply("upgrade_postgresql", "-e", "upgrade_remove=17/main")
    # Killed in the middle: the next run goes on.
    process = site.start("upgrade_postgresql", *NEW)
    primary = site.leader()
    site.wait("the copy", lambda: site.hosts[primary].run("test -e /var/lib/postgresql/17-main.unfinished").rc == 0, seconds=300, every=0.2)
    process.kill()
    finish(process)
    site.apply("upgrade_postgresql", *NEW)
    site.healthy()
    assert site.server() == "17" and "in 15 again" in " ".join(site.notes())
    site.apply("upgrade_postgresql", *NEW, "-e", "upgrade_remove=15/main")
    assert {name: site.clusters(name) for name in site.groups["database"]} == dict.fromkeys(site.groups["database"], ["17 main online"])
    site.apply("site", *NEW)
    second(site, "site", *NEW)
