"""What goes wrong reaches mailbox and webhooks once, and its end once; whoever is away is told later."""

import re
import time

import pytest
from playing import fresh
from telling import SETTINGS, STATUS, assert_silent, assert_told

testinfra_hosts = ["ansible://probe"]

BACKUP = "/var/lib/postgresql-backup/status.json"
STATE = "/var/lib/selfhost-notify/state.json"
CERTIFICATE = "/etc/nginx/probe/certificate.pem"
# Cron rests, and what the last backups have left behind is 80 hours older, as it would be then.
OLDER = "[row.update(succeeded=row['succeeded'] - 80 * 3600) for kind, row in content['kinds'].items() if kind in ('full', 'diff', 'incr')]"
# Of two pieces of log that are in the archive, and have to be for what came after them, the first one is gone.
LOST = """postgresql-backup check --quiet && postgresql-backup check --quiet
rm "$(ls /var/lib/pgbackrest/archive/*/*/*/*.zst | tail -n 2 | head -n 1)"
! postgresql-backup check --quiet"""
# Some bytes of the newest backup are others than those that were written.
DAMAGED = """set -e
postgresql-backup full --quiet
file=$(find "$(ls -d /var/lib/pgbackrest/backup/*/*F | tail -n 1)" -type f -printf '%s %p\\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
cp -p "$file" /var/lib/pgbackrest/whole && echo "$file" >/var/lib/pgbackrest/damaged
dd if=/dev/urandom of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) count=64 conv=notrunc status=none
! postgresql-backup drill --quiet"""
MENDED = """set -e
mv /var/lib/pgbackrest/whole "$(cat /var/lib/pgbackrest/damaged)" && rm /var/lib/pgbackrest/damaged
postgresql-backup drill --quiet"""
# The site's own certificate, which ends in five days.
SHORT = f"""set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 5 -subj /CN=10.88.17.13 -addext subjectAltName=IP:10.88.17.13 \\
  -keyout /run/short.key -out /run/short.pem 2>/dev/null
cat /run/short.pem /run/short.key >{CERTIFICATE} && rm /run/short.pem /run/short.key
systemctl reload nginx"""

# While another program has the packages.
BESIDE_ANOTHER = """python3 -c '
import fcntl, subprocess
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
subprocess.run("unattended-upgrade")'"""


def renew(site):
    """Do what the message on the certificate says."""
    site.apply("web")


# By what is told: how it is brought about, and ended: by a command, a pair that is a change of a JSON file, or a function of the site.
EVENTS = {
    "The unit broken.service failed.": ("systemd-run --quiet --unit=broken false; sleep 1", "systemctl reset-failed broken.service"),
    "Process worker is inactive.": ("systemctl stop probe-worker.service", "systemctl start probe-worker.service"),
    "Timer nightly is inactive: nothing starts it.": ("systemctl stop probe-nightly.timer", "systemctl start probe-nightly.timer"),
    "/var/backups/postgresql is 9": (
        "mount -t tmpfs -o size=10M tmpfs /var/backups/postgresql && head -c 9600k /dev/zero >/var/backups/postgresql/full",
        "umount /var/backups/postgresql"),
    "The last logical backup failed: ": ("mv /usr/bin/pg_dump /usr/bin/pg_dump.away; postgresql-backup logical --quiet || :",
                                         "mv /usr/bin/pg_dump.away /usr/bin/pg_dump; postgresql-backup logical --quiet"),
    "The last restore drill failed: ": (DAMAGED, MENDED),
    "The last archive backup failed: the log from ": (LOST, "postgresql-backup diff --quiet"),
    # A container sees how much memory the machine below has, which no process of a test is to take.
    "The memory is ": ((STATUS, "content['limits']['memory_percent'] = 1"), (STATUS, "content['limits']['memory_percent'] = 95")),
    "The certificate of port 443 ends in 4 days.": (SHORT, renew),
    "A reboot is required.": ("touch /run/reboot-required", "rm /run/reboot-required"),
    # It does in a dry run all but the upgrades, which a test has no need of.
    "The last automatic upgrade failed: Lock could not be acquired ": (BESIDE_ANOTHER, "unattended-upgrade --dry-run"),
    "Visitors are not answered: ": ("systemctl stop 'probe@*.socket' 'probe@*.service'", "systemctl restart probe.service"),
    # Nobody has that address; the other one is whoever is told.
    "web2 does not answer debian13": ((SETTINGS, "content['hosts']['web2'] = {'address': '10.88.17.98', 'port': 22}"),
                                      (SETTINGS, "content['hosts']['web2'] = {'address': '10.88.17.99', 'port': 22}")),
    "The last good full backup is 3 d old.": ((BACKUP, OLDER, "systemctl stop cron.service"), "systemctl start cron.service && postgresql-backup full --quiet"),
}  # fmt: skip


def bring_about(site, teller, part):
    for steps in EVENTS.values():
        step = steps[part]
        if callable(step):
            step(site)
        elif isinstance(step, tuple):
            path, change, *commands = step
            teller.change(path, change)
            for command in commands:
                teller.host.check_output(command)
        else:
            teller.host.check_output(step)


@pytest.fixture(scope="module")
def course(site, teller, figure):
    """All of it, brought about and ended: what came after the first look, the second one, more of them, and after the end."""
    rest = teller.known()
    bring_about(site, teller, 0)
    try:
        begun = time.monotonic()
        first = teller.look()
        figure(f"a look with {len(EVENTS)} things wrong, and its sending: {time.monotonic() - begun:.1f} s")
        second, more = teller.look(), teller.look(2)
    finally:
        bring_about(site, teller, 1)
    site.healthy()
    early, over, after = teller.look(2), teller.look(2), teller.look(2)
    teller.change(SETTINGS, "del content['hosts']['web2']")
    return {"rest": rest, "first": first, "second": second, "more": more, "early": early, "over": over, "after": after}


def test_at_rest_nothing_is_wrong(course):
    assert course["rest"] == {}


@pytest.mark.parametrize("text", EVENTS)
def test_it_is_told_once_and_its_end_once(course, text):
    assert_told(course["second"], f"Problem: {text}")
    for way, said in course["over"].items():
        assert sum(line.startswith("Over after ") and text in line for one in said for line in one.splitlines()) == 1, (way, said)


def test_what_is_seen_once_is_not_told_and_what_is_told_is_not_told_again(course):
    for moment in ("first", "more", "early", "after"):
        assert_silent(course[moment])
    assert all(len(course[moment][way]) == 1 for moment in ("second", "over") for way in course[moment])


def test_nothing_is_told_twice_by_what_it_is_and_by_its_unit(course):
    """A drill leaves a failed unit behind, too."""
    (mail,) = course["second"]["mail"]
    assert re.findall(r"The unit (\S+) failed", mail) == ["broken.service"]


def test_a_message_says_what_to_do(course):
    (mail,) = course["second"]["mail"]
    assert "told by debian13 of probe." in mail
    assert "journalctl -u broken.service" in mail and "rollback.yml goes back one release" in mail


def test_deploys_are_told_with_who_and_what(site, repository, teller):
    version, bad = fresh("told"), fresh("bad")
    site.ship(version)
    served = site.current()
    repository.commit("error", bad)
    assert site.play("deploy").code != 0
    said = teller.look()
    assert site.current() == served
    # Git's name of the revision is what was asked for.
    assert_told(said, " succeeded.", " failed in step ")
    assert all(" by " in one and "main" in one for one in said["mail"])
    assert_silent(teller.look(2))
    repository.commit("good", version)


def test_a_server_that_takes_over_tells_it(teller):
    """The database has not changed its role; what was remembered of it is another one."""
    teller.change(STATE, "content['role'] = 'standby'")
    assert_told(teller.look(), "The database server of this host has become the primary.")
    assert_silent(teller.look())


def test_with_the_receiver_away_nothing_blocks_and_it_is_told_later(site, teller, outside):
    outside.run("systemctl stop outside.service")
    try:
        teller.host.check_output("systemd-run --quiet --unit=away false; sleep 1")
        begun = time.monotonic()
        teller.host.check_output("systemctl start selfhost-notify.service && systemctl start selfhost-notify.service")
        teller.host.check_output("systemctl start selfhost-notify-send.service && systemctl start selfhost-notify-send.service")
        assert time.monotonic() - begun < 60
        assert site.serves()
        run = site.play("status")
        assert "Messages wait, since mail fails: " in run.text and "secret-of-the-lab" not in run.output
    finally:
        outside.run("systemctl start outside.service; sleep 1")
    assert_told(teller.look(), "Problem: The unit away.service failed.")
    teller.host.check_output("systemctl reset-failed away.service")
    teller.look(3)


def test_a_reboot_repeats_nothing(site, teller):
    (name,) = site.web
    teller.host.check_output(SHORT)
    assert_told(teller.look(2), "Problem: The certificate of port 443 ends in 4 days.")
    site.reboot(name)
    teller.host.check_output("systemctl is-active selfhost-notify.timer && systemctl stop selfhost-notify.timer")
    site.healthy()
    site.wait("the last service", lambda: teller.host.run("systemctl is-system-running --wait").rc == 0 or True)
    said = teller.look(3)
    assert all("certificate" not in one for way in said.values() for one in way), said
    renew(site)
    # More looks than three where it has come back.
    assert_told(teller.look(6), "The certificate of port 443 ends in 4 days.")


def test_the_application_reads_no_secret_and_sends_no_message(teller):
    paths = ["/etc/selfhost-notify/ways.json", "/etc/selfhost-notify/status.json", STATE, "/var/lib/selfhost-notify/spool"]
    for path in paths:
        teller.host.check_output("test -e %s", path)
        for account in ("probe", "www-data", "ops"):
            assert teller.host.run("runuser -u %s -- ls %s/. || runuser -u %s -- cat %s", account, path, account, path).rc != 0, (account, path)
    # The account that sends has what it sends, and neither the settings nor what is known.
    for path in paths[:3]:
        assert teller.host.run("runuser -u selfhost-notify -- cat %s", path).rc != 0
    assert teller.host.run("runuser -u probe -- sh -c 'echo >/var/lib/selfhost-notify/spool/1.mail.json'").rc != 0
    assert teller.host.run("runuser -u probe -- systemctl stop selfhost-notify.timer").rc != 0
    assert "only-for-the-lab" not in teller.host.check_output("journalctl --no-pager -u 'selfhost-notify*'; ls -R /run/credentials 2>/dev/null || :")


def test_a_watcher_outside_hears_of_each_look(teller, outside):
    since = len(outside.all())
    teller.look()
    assert "/heartbeat" in [row.get("path") for row in outside.all()[since:]]


def test_the_playbook_tests_every_way_and_names_the_one_that_fails(site, teller, outside):
    since = len(outside.all())
    site.apply("notify")
    assert_told(outside.messages(since), "This is a test: whoever reads it is told of what goes wrong here.")
    assert {row["title"] for row in outside.all()[since:] if row["way"] != "get"} == {"probe, debian13: a test"}
    # It starts the timer, which these tests have stopped.
    teller.host.check_output("systemctl stop selfhost-notify.timer")
    run = site.play("notify", "-e", "notify_relay_password=wrong-one")
    assert run.code != 0
    assert "debian13 cannot tell anybody by notify_mail_to: 10.88.17.99 does not let notify_relay_user in (535)." in run.text
    assert "wrong-one" not in run.output
    site.apply("notify")


def test_where_nothing_is_set_nothing_is_left(site, teller):
    nothing = '{"notify_mail_to": [], "notify_urls": [], "notify_heartbeat_url": ""}'
    run = site.play("notify", "-e", nothing)
    assert run.code != 0 and "Nobody is told of problems: set notify_mail_to or notify_urls." in run.text
    left = "ls -d /etc/selfhost-notify /var/lib/selfhost-notify /etc/systemd/system/selfhost-notify* /usr/local/lib/selfhost/selfhost_notify 2>/dev/null || :"
    assert teller.host.check_output(left) == "" and teller.host.run("id selfhost-notify").rc != 0
    assert "Nobody is told of problems" in site.apply("status").text
    site.apply("notify")
    assert "Nobody is told of problems" not in site.apply("status").text
