"""What hosts log is kept on one of them: by the name of their certificates, later where that one was away, and for nobody but administrators."""

import contextlib
import json
import subprocess
import time

import pytest
import requests
from playing import ROOT, fresh

testinfra_hosts = ["ansible://lb1"]

KEEPING = "selfhost-logs-keep.socket selfhost-logs-keep.service"
# A batch of another host's, by the program that sends: as who runs it is let in.
FORGED = """
import sys
sys.path.insert(0, "/usr/local/lib/selfhost/selfhost_logs")
import sending
address, said = sys.argv[1:]
boot = open("/proc/sys/kernel/random/boot_id").read().strip().replace("-", "")
sending.Keeper("lb1", address, 19532, "/etc/selfhost").send([sending.entry_of(said.encode(), "nginx", "none", boot, "web2")])
"""


def kept(site, host, part="app"):
    """What an operator reads of a host, on the one that keeps it."""
    words = [ROOT / "bin/selfhost", "-i", site.inventory, "--on", host, "logs", part, "--kept", "-n", "500"]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, check=False).stdout


def say(site, host, text):
    """Have the application of a host log a line; systemd does not say the same of it."""
    words = "systemd-run --quiet --collect --wait --uid=probe --unit=probe-said --description=said --setenv=SAID=%s sh -c 'echo $SAID'"
    site.hosts[host].check_output(words, text)


def await_line(site, host, text, part="app"):
    site.wait(f"what {host} logged to be kept", lambda: text in kept(site, host, part), seconds=40)


@contextlib.contextmanager
def nobody_keeps(site):
    """While the host that keeps logs takes none."""
    site.hosts["lb1"].check_output(f"systemctl stop {KEEPING}")
    try:
        yield
    finally:
        site.hosts["lb1"].check_output("systemctl start selfhost-logs-keep.socket")


def test_what_is_logged_is_kept_and_found_by_its_host(site, figure):
    words = {name: fresh("said") for name in site.web}
    for name, word in words.items():
        say(site, name, word)
    asked, began = fresh("asked"), time.monotonic()
    requests.get(f"{site.url}/status/?{asked}", verify=False, timeout=30)
    for name, word in words.items():
        await_line(site, name, word)
        assert not [other for other in site.web if other != name and word in kept(site, other)]
    figure(f"a line of another host is found after {time.monotonic() - began:.0f} s")
    site.wait("the visitor's request", lambda: any(asked in kept(site, name, "web") for name in site.web), seconds=40)
    # Of the host itself too, and what its server of databases writes into a file.
    site.hosts["lb1"].check_output("cd / && runuser -u postgres -- psql -qc %s", f"DO $$ BEGIN RAISE LOG '{asked}'; END $$")
    await_line(site, "lb1", asked, "database")


def test_nobody_takes_another_hosts_name(site):
    web1, address, word = site.hosts["web1"], site.addresses["lb1"], fresh("forged")
    # What was broken into has no certificate.
    done = web1.run("runuser -u probe -- python3 -c %s %s %s", FORGED, address, word)
    assert done.rc != 0 and "Permission denied" in done.stderr
    # Not even root's word counts for more than the host's own.
    web1.check_output("python3 -c %s %s %s", FORGED, address, word)
    await_line(site, "web1", word, "web")
    assert word not in kept(site, "web2", "web")
    with site.hosts["lb1"].sudo("postgres"):
        assert site.hosts["lb1"].run("ls /var/log/selfhost-logs/web1").rc != 0


def test_nothing_waits_for_the_host_that_keeps_and_all_of_it_comes_later(site):
    word = fresh("later")
    with nobody_keeps(site):
        say(site, "web1", word)
        assert site.get("/").status_code == 200
        told = "journalctl --quiet --unit=selfhost-logs.service --since=-1min --output=cat --grep='does not get what is logged'"
        site.wait("the host to say that nothing is kept", lambda: site.hosts["web1"].run(told).rc == 0, seconds=30)
        assert site.hosts["web1"].service("selfhost-logs").is_running
        assert word not in kept(site, "web1")
    await_line(site, "web1", word)
    assert kept(site, "web1").count(word) == 1


@pytest.mark.long
def test_without_the_group_nothing_of_it_is_left_but_what_was_kept(site):
    arguments = ["--tags", "logs,firewall", "-e", json.dumps({"app_logs_hosts": []})]
    try:
        site.apply("site", *arguments)
        for name, host in site.hosts.items():
            assert host.run("systemctl list-units --all --plain --no-legend 'selfhost-logs*'").stdout == "", name
            assert host.run("ls /etc/systemd/system/selfhost-logs* /usr/local/lib/selfhost/selfhost_logs").stdout == "", name
            assert 19532 not in site.listening(name)
        assert site.hosts["lb1"].check_output("ls /var/log/selfhost-logs/").split() == ["lb1", "web1", "web2"]
    finally:
        site.apply("site", "--tags", "logs,firewall")
    word = fresh("again")
    say(site, "web2", word)
    await_line(site, "web2", word)
