"""A moment of the database comes back whole and alone: beside production, which does not notice, or in its place."""

import concurrent.futures
import json
import os
import signal

import pytest

PORT = 5433
CLUSTER = "probe/main"
UNIT = "restore-probe"
# One row a fifth of a second, each in a transaction of its own. A row's time is taken before its transaction ends, and after
# the one before has ended: the state at that time is all rows before it, and not this one.
WRITE = """
DO ' DECLARE number int := 0; BEGIN
  LOOP
    number := number + 1;
    INSERT INTO restore_probe VALUES (number, clock_timestamp());
    COMMIT;
    PERFORM pg_sleep(0.2);
  END LOOP;
END '
"""


class Host:
    """The primary's host, while rows are written and restored."""

    def __init__(self, site):
        self.site, self.name = site, site.primary()
        self.host = site.hosts[self.name]
        # Who makes the backups and holds the dumps.
        self.keeper = site.hosts[site.groups["backup"][0]]
        self.version = self.sql("SHOW server_version_num")[:2]
        self.base = f"/var/lib/postgresql/{self.version}"
        self.began = self.started()

    def run(self, command, *arguments):
        return self.host.check_output(command, *arguments)

    def sql(self, statement, port=5432, database="probe"):
        return self.run("cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -p %s -d %s -c %s", str(port), database, statement)

    def rows(self, **where):
        return [int(number) for number in self.sql("SELECT number FROM restore_probe ORDER BY number", **where).split()]

    def choose(self):
        """Return a row that is written from now on, and the time at which it was not there yet."""
        first = int(self.sql("SELECT max(number) FROM restore_probe")) + 3
        self.site.wait("the next rows", lambda: int(self.sql("SELECT max(number) FROM restore_probe")) > first)
        return first, self.sql(f"SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00') FROM restore_probe WHERE number = {first}")

    def started(self):
        return self.sql("SELECT pg_postmaster_start_time()")

    def state(self, port):
        """Since when a server runs, and how many of the rows it holds."""
        return self.sql("SELECT pg_postmaster_start_time(), count(*) FROM restore_probe", port=port)

    def kept(self, name=None):
        return self.site.hosts[name or self.name].check_output(f"ls -d {self.base}/main.before-* 2>/dev/null || :").split()

    def restore(self, *arguments):
        return self.site.play("restore", *arguments)


def wish(**values):
    return ["-e", json.dumps({f"restore_{name}": value for name, value in values.items()})]


@pytest.fixture(scope="module")
def primary(site):
    """Write rows all the while; take everything away in the end."""
    site.healthy()
    host = Host(site)
    before = {name: host.kept(name) for name in site.groups["database"]}
    host.sql("DROP TABLE IF EXISTS restore_probe; CREATE TABLE restore_probe (number int PRIMARY KEY, at timestamptz NOT NULL)")
    host.run(f"systemd-run --quiet --collect --unit={UNIT} --uid=postgres --working-directory=/ psql -XAtq -d probe -c %s", WRITE)
    site.wait("the first row", host.rows)
    yield host
    host.host.run(f"systemctl stop {UNIT}")
    host.restore(*wish(remove=True))
    host.sql("DROP TABLE IF EXISTS restore_probe")
    # A standby that was built anew keeps what it was, too.
    for name in before:
        for path in set(host.kept(name)) - set(before[name]):
            site.hosts[name].check_output("rm -r %s", path)
    site.healthy()


@pytest.fixture(scope="module")
def moments(primary, site):
    """Choose a moment before a backup, one while it is made, and one after it: rows of what is there then, and the time."""
    chosen = [primary.choose()]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        backup = pool.submit(primary.keeper.check_output, "postgresql-backup diff")
        chosen.append(primary.choose())
        assert "diff backup" in backup.result()
    chosen.append(primary.choose())
    return chosen


@pytest.fixture(scope="module")
def beside(primary, moments):
    """Each moment restored beside production, where the last one stays: the run, the rows there, and production's before and after it."""
    seen = []
    for _first, at in moments:
        before = primary.rows()
        # Each takes the place of the one before.
        run = primary.site.apply("restore", *wish(target_time=at, remove=True))
        seen.append((run, primary.rows(port=PORT), before, primary.rows()))
    return seen


def test_each_moment_comes_back_exactly_beside_production_which_does_not_notice(primary, moments, beside):
    for (first, at), (run, restored, before, after) in zip(moments, beside, strict=True):
        assert restored == list(range(1, first)), at
        assert f"pg_dump -p {PORT} -d probe -t TABLE | sudo -u postgres psql -p 5432 -U probe -d probe" in run.text
        # Production goes on with all it has.
        assert after == list(range(1, after[-1] + 1)) and after[-1] > before[-1]
    assert primary.started() == primary.began
    # It can be written to, stands alone, and is nobody's but the superuser's.
    assert primary.sql("DELETE FROM restore_probe; SELECT count(*) FROM restore_probe; SHOW archive_mode; SHOW listen_addresses", port=PORT).split() == ["0", "off"]
    # Looked into as its owner, who is postgres here.
    asked = f"cd / && runuser -u postgres -- psql -XAtqw -p {PORT} -U probe -d probe -c 'SELECT current_user, session_user'"
    assert primary.host.check_output(asked) == "probe|probe"
    assert primary.rows()
    # A lost table is fetched.
    count = primary.sql("SELECT count(*) FROM pages_note", port=PORT)
    primary.sql("CREATE SCHEMA fetched")
    try:
        primary.run(
            f"cd / && runuser -u postgres -- sh -c 'pg_dump -p {PORT} -d probe -t pages_note --no-owner | sed s/public[.]/fetched./g | psql -XAtq -p 5432 -d probe'"
        )
        assert primary.sql("SELECT count(*) FROM fetched.pages_note") == count
    finally:
        primary.sql("DROP SCHEMA fetched CASCADE")


def test_a_moment_before_the_backups_is_refused_and_nothing_touched(primary, beside):
    before = primary.state(PORT)
    done = primary.restore(*wish(target_time="2001-01-01 00:00:00+00", remove=True))
    assert done.code != 0
    assert "restore_target_time is '2001-01-01 00:00:00+00', before the oldest backup, which ended at" in done.text
    assert primary.state(PORT) == before


def test_a_dump_is_restored_into_a_database_of_its_own(primary):
    primary.keeper.check_output("postgresql-backup logical")
    written = primary.rows()[-1]
    done = primary.site.apply("restore", *wish(dump="latest"))
    rows = primary.rows(database="probe_restored")
    assert rows == list(range(1, rows[-1] + 1)) and rows[-1] <= written
    assert primary.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'probe_restored'") == "probe"


def test_a_moment_that_cannot_be_reached_leaves_everything_as_it_was(primary, site):
    started = primary.started()
    listing = primary.run(f"ls {primary.base}")
    newest = json.loads(primary.run("cd / && runuser -u postgres -- pgbackrest --stanza=main --output=json info"))[0]["backup"][-1]["label"]
    # That is, -e restore_backup_label=…
    done = primary.restore(*wish(target_name="no-such-point", backup_label=newest, in_place=CLUSTER))
    assert done.code != 0
    assert f"the restore point no-such-point from the backup {newest} cannot be reached: the archive ends before it" in done.text
    assert primary.started() == started
    assert primary.run(f"ls {primary.base}") == listing
    assert site.get("/status/").status_code == 200


def test_a_restore_in_place_that_is_killed_halfway_is_finished_by_the_next_run(primary, site, moments):
    first, at = moments[1]
    primary.host.run(f"systemctl stop {UNIT}")
    former = primary.rows()
    arguments = wish(target_time=at, in_place=CLUSTER)
    journal = f"{primary.base}/main.restore.json"
    program = "pgrep -x restore-swap"
    killed = site.start("restore", *arguments)
    try:
        # Frozen in the middle of the exchange, so that neither side learns of the other's end.
        primary.run(f"timeout 900 sh -c 'until grep -qs swapping {journal}; do sleep 0.02; done; kill -STOP $({program})'")
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()
        primary.host.run(f"kill -KILL $({program})")
    assert site.get("/status/").status_code >= 500, "the application runs while its database is exchanged"

    done = primary.site.apply("restore", *arguments)
    assert primary.rows() == list(range(1, first))
    assert len(former) > first
    assert site.get("/status/").status_code == 200
    written = site.post("/write/", data={"text": "after the restore"})
    assert written.status_code == 200, written.text
    site.healthy()
    for standby in site.standbys():
        site.wait("the row on the standby", lambda: site.sql(standby, "SELECT count(*) FROM pages_note WHERE text = 'after the restore'", "probe") == "1")
    # The former cluster is kept, and nothing else is left.
    (kept,) = [path for path in primary.kept() if path in done.text]
    assert primary.run(f"cat {kept}/PG_VERSION") == primary.version
    assert primary.host.run(f"ls {journal} {primary.base}/main.restoring").rc != 0
    # The new history is archived, with a backup of its own.
    assert primary.sql("SELECT timeline_id > 1 FROM pg_control_checkpoint()") == "t"
    newest = json.loads(primary.run("cd / && runuser -u postgres -- pgbackrest --stanza=main --output=json info"))[0]["backup"][-1]
    assert newest["type"] == "full"
    assert int(newest["archive"]["stop"][:8], 16) == int(primary.sql("SELECT timeline_id FROM pg_control_checkpoint()"))
