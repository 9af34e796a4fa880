"""Two Debian 12 hosts become Debian 13, and their PostgreSQL 15 becomes 17: rows, uploads and site as before, and a way back for as long as there is one.

The tests are steps of one way, and leave a host of another kind than they found: hosts are made anew for each run. On one that is Debian 13 with
PostgreSQL 15 already, the way begins there.
"""

import json
import re
import secrets

import pytest
from playing import finish

testinfra_hosts = ["ansible://probe"]

MEDIA = "/srv/probe/shared/media"
NEW = ["-e", "postgresql_version=17"]
# The C library of Debian 13 sorts Latvian in another way than that of Debian 12: ā came between a and ab, and comes after ac now.
LATVIAN = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes locales"
WORDS = """
CREATE COLLATION latvian (provider = libc, locale = 'lv_LV.utf8');
CREATE TABLE words (word text COLLATE latvian PRIMARY KEY);
INSERT INTO words SELECT word || number FROM unnest(ARRAY['a', 'ab', 'ac', 'ā', 'āa', 'y', 'ya', 'ib', 'iz', 'ī', 'e', 'ē', 'ez']) AS word,
  generate_series(1, 300) AS number;
CREATE EXTENSION IF NOT EXISTS amcheck;
"""
BY_INDEX = "SET enable_seqscan = off; SELECT count(*) FROM unnest(ARRAY(SELECT word FROM words)) AS wanted WHERE EXISTS (SELECT FROM words WHERE word = wanted)"


class Host:
    """The host, what its database holds, and the standby of that."""

    def __init__(self, site):
        self.site, (self.name,) = site, site.web
        self.host = site.hosts[self.name]
        (self.standby,) = set(site.groups["database"]) - {self.name}

    def run(self, command, *arguments):
        return self.host.check_output(command, *arguments)

    def sql(self, statement, port=5432):
        return self.run("cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -p %s -d probe -c %s", str(port), statement)

    def notes(self, port=5432):
        """The set of rows that visitors wrote."""
        return set(self.sql("SELECT id || ' ' || text FROM pages_note", port).splitlines())

    def write(self, word):
        text = f"{word} {secrets.token_hex(4)}"
        assert self.site.post("/write/", data={"text": text}).status_code == 200
        return text

    def moment(self):
        """The time, between two transactions."""
        return self.sql("SELECT pg_sleep(1.2); SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'); SELECT pg_sleep(1.2)").strip()

    def server(self):
        return self.sql("SELECT current_setting('server_version_num')::int / 10000")

    def debian(self, name=None):
        return self.site.hosts[name or self.name].check_output(". /etc/os-release; echo $VERSION_ID")

    def followed(self):
        """Whether the standby has all that was written until now, and streams on."""
        text = self.write("to the standby")
        ask = "cd / && runuser -u postgres -- psql -XAtq -d probe -c %s"
        standby, row = self.site.hosts[self.standby], f"SELECT text FROM pages_note WHERE text = '{text}'"
        self.site.wait("the row on the standby", lambda: standby.run(ask, row).stdout.strip())
        versions = standby.check_output(ask, "SELECT current_setting('server_version_num')::int / 10000 FROM pg_stat_wal_receiver")
        return versions == self.server() and self.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"

    def index_is_right(self):
        """Whether the index is in the order by which it is searched, and finds every row."""
        self.sql("SELECT bt_index_parent_check('words_pkey', true)")
        return self.sql(BY_INDEX) == self.sql("SELECT count(*) FROM words")

    def restored(self, moment, *arguments):
        """The rows that the database held at a time, of a restore beside it, which is removed."""
        self.site.apply("restore", *arguments, "-e", json.dumps({"restore_target_time": moment}))
        rows = self.notes(5433)
        self.site.apply("restore", *arguments, "-e", "restore_remove=true")
        return rows


@pytest.fixture(scope="module")
def host(site):
    return Host(site)


@pytest.fixture(scope="module")
def known(site, host):
    """What there is before: rows, an upload, an index whose order the new Debian changes, and a time."""
    site.healthy()
    assert host.server() == "15", "this host has gone its way: make it anew (make try-down ON=upgrade)"
    if host.debian() == "12":
        host.run(f"{LATVIAN}; echo 'lv_LV.UTF-8 UTF-8' >>/etc/locale.gen; locale-gen && systemctl restart postgresql@15-main")
        host.sql(WORDS)
    assert host.index_is_right()
    upload = f"{secrets.token_hex(4)}.txt"
    site.upload(upload)
    host.write("on 12")
    return {"upload": upload, "notes": host.notes(), "release": site.current()[host.name], "debian": host.debian()}


@pytest.fixture
def old(known):
    """A host of Debian 12."""
    if known["debian"] != "12":
        pytest.skip("the host is Debian 13 already")


def second(site, playbook, *arguments):
    """A second run changes nothing."""
    run = site.apply(playbook, *arguments)
    assert re.findall(r" changed=(\d+) ", run.output) == ["0"] * len(site.hosts), run.output[-3000:]


def test_what_would_not_end_well_is_refused(site, host, old):
    host.run("echo 'deb [trusted=yes] https://packages.example.org/apt bookworm stable' >/etc/apt/sources.list.d/other.list; apt-mark hold nginx")
    try:
        run = site.play("upgrade_debian")
    finally:
        host.run("rm /etc/apt/sources.list.d/other.list; apt-mark unhold nginx")
    assert run.code != 0 and "changed=0 " in run.output
    assert "debian12: nginx is held back" in run.text
    assert "/etc/apt/sources.list.d/other.list fetches from https://packages.example.org/apt bookworm, which is not Debian's" in run.text


def test_another_postgresql_is_not_taken_in_silence(site, known):
    run = site.play("database", *NEW)
    assert run.code != 0 and "upgrade it by the playbook upgrade_postgresql" in run.text


def test_the_standby_becomes_the_next_debian_first(site, host, known, old):
    run = site.play("upgrade_debian")
    assert run.code != 0 and f"begin with --limit {host.standby}, and go on in this order" in run.text
    site.apply("upgrade_debian", "--limit", host.standby)
    assert (host.debian(host.standby), host.debian()) == ("13", "12")
    assert site.serves() and host.followed()


def test_the_host_becomes_the_next_debian(site, host, known, old):
    run = site.apply("upgrade_debian")
    assert host.debian() == "13"
    assert host.server() == "15"
    site.healthy()
    assert known["notes"] <= host.notes()
    assert host.run("cat %s", f"{MEDIA}/{known['upload']}") == f"content of {known['upload']}"
    assert site.get(f"/media/{known['upload']}").text == f"content of {known['upload']}"
    # The virtualenv is of the Python that is there.
    assert site.current()[host.name] != known["release"]
    assert host.run("/srv/probe/current/venv/bin/python -c 'import sys, django; print(sys.version_info[1])'") == "13"
    assert "public.words_pkey" in run.output
    assert host.run("test ! -e /var/lib/selfhost-debian-upgrade && apt-get -s full-upgrade | grep -c '^Inst' || :") == "0"
    assert host.run("systemctl list-units --failed --plain --no-legend") == ""
    assert host.followed()


def test_the_index_is_in_the_order_of_the_new_debian(host):
    assert host.sql("SELECT collversion = pg_collation_actual_version(oid) FROM pg_collation WHERE collname = 'latvian'") == "t"
    assert host.sql("SELECT 'ā' COLLATE latvian > 'ac'") == "t"
    assert host.index_is_right()


def test_a_second_upgrade_of_debian_changes_nothing(site, host):
    second(site, "upgrade_debian")


def test_a_dry_run_says_what_comes(site, host, known):
    run = site.apply("upgrade_postgresql", *NEW, "--check")
    assert f"PostgreSQL 15 becomes 17 on {host.name}: the application is away for about 3 minutes. The old cluster stays." in run.text
    assert host.server() == "15" and site.serves()


def test_postgresql_becomes_the_next_version(site, host, known):
    known["between"] = host.write("on 13, in 15")
    known["notes_of_15"], known["moment_of_15"] = host.notes(), host.moment()
    known["last_of_15"] = host.write("the last one in 15")
    site.apply("upgrade_postgresql", *NEW)
    assert host.server() == "17"
    site.healthy()
    assert {known["last_of_15"], known["between"]} <= {row.split(" ", 1)[1] for row in host.notes()}
    assert host.index_is_right()
    assert host.run("pg_lsclusters --no-header | awk '{print $1, $2, $4}'").splitlines() == ["15 main down", "17 main online"]
    assert host.run("postgresql-backup check --quiet && postgresql-backup status >/dev/null && echo fine") == "fine"
    assert host.sql("SELECT count(*) FROM pg_available_extensions WHERE installed_version <> default_version") == "0"
    # Statistics are there, by which queries are planned.
    assert int(host.sql("SELECT count(*) FROM pg_stats WHERE tablename = 'words'")) == 1
    assert host.followed()


def test_a_second_upgrade_of_postgresql_changes_nothing(site, host):
    second(site, "upgrade_postgresql", *NEW)


def test_a_moment_before_the_upgrade_comes_back(host, known):
    assert host.restored(known["moment_of_15"], *NEW) == known["notes_of_15"]


def test_a_moment_before_the_upgrade_does_not_take_the_place_of_what_serves(site, host, known):
    run = site.play("restore", *NEW, "-e", json.dumps({"restore_target_time": known["moment_of_15"], "restore_in_place": "probe/main"}))
    assert run.code != 0 and "is of PostgreSQL 15, and 17 serves: restore it beside" in run.text


def test_a_moment_after_the_upgrade_comes_back(host):
    host.write("in 17")
    wanted, moment = host.notes(), host.moment()
    host.write("later in 17")
    assert host.restored(moment, *NEW) == wanted


def test_the_backups_of_the_new_version_restore(host):
    host.run("postgresql-backup drill")


def test_the_way_back_loses_nothing_in_silence(site, host, known):
    run = site.play("upgrade_postgresql", "-e", "upgrade_back=true")
    assert run.code != 0 and "transactions since the upgrade would be lost: say -e upgrade_back=lose" in run.text
    assert host.server() == "17"
    site.apply("upgrade_postgresql", "-e", "upgrade_back=lose")
    assert host.server() == "15"
    site.healthy()
    assert known["last_of_15"] in {row.split(" ", 1)[1] for row in host.notes()}
    assert "in 17" not in " ".join(host.notes())
    host.write("in 15 again")
    assert host.followed()
    assert host.run("postgresql-backup check --quiet && echo fine") == "fine"


def test_forward_again_once_the_former_attempt_is_removed(site, host):
    run = site.play("upgrade_postgresql", *NEW)
    assert run.code != 0 and "remove it first, by -e upgrade_remove=17/main" in run.text
    site.apply("upgrade_postgresql", "-e", "upgrade_remove=17/main")
    # Killed in the middle: the next run goes on.
    process = site.start("upgrade_postgresql", *NEW)
    site.wait("the copy", lambda: host.host.run("test -e /var/lib/postgresql/17-main.unfinished").rc == 0, seconds=300, every=0.2)
    process.kill()
    finish(process)
    host.host.run("pkill -9 pg_upgrade")
    site.apply("upgrade_postgresql", *NEW)
    assert host.server() == "17" and "in 15 again" in " ".join(host.notes())
    assert host.index_is_right() and host.followed()
    site.apply("upgrade_postgresql", *NEW, "-e", "upgrade_remove=15/main")
    assert host.run("pg_lsclusters --no-header | awk '{print $1, $2}'") == "17 main"
    site.apply("site", *NEW)
    second(site, "site", *NEW)
