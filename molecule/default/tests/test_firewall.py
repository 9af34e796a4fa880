"""What answers from outside, and what the firewall leaves alone."""

import shlex
import socket
import time

import pytest

testinfra_hosts = ["ansible://all"]

OPEN = {22, 80, 443}


@pytest.fixture(scope="module")
def neighbour(reach, site):
    """Name of another host of the same network."""
    return next(name for name in site.hosts if name != reach.name)


def answers(address, port):
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


def test_only_ssh_http_and_https_answer(reach, site):
    assert site.open_ports(reach.name) == {4: OPEN, 6: OPEN}


def test_a_neighbour_reaches_no_more_than_anybody(reach, site, neighbour):
    assert site.open_ports(reach.name, seen_from=neighbour) == {4: OPEN, 6: OPEN}


# Run by the application, has its lines say that they are sshd's: 192.0.2.66 by syslog's socket, 192.0.2.67 by the journal's own.
FORGE = """
import ctypes, os, socket, time
ctypes.CDLL(None).prctl(15, b"sshd", 0, 0, 0)
ways = [("/dev/log", b"<38>sshd[%d]: Failed password for root from 192.0.2.66 port 4711 ssh2" % os.getpid())]
ways += [("/run/systemd/journal/socket", b"SYSLOG_IDENTIFIER=sshd\\n_COMM=sshd\\n_UID=0\\n_EXE=/usr/sbin/sshd\\n"
          b"PRIORITY=6\\nMESSAGE=Failed password for root from 192.0.2.67 port 4711 ssh2\\n")]
for _line in range(8):
    for path, line in ways:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.connect(path)
            way.send(line)
    time.sleep(0.2)
# The journal asks who wrote a line while it reads it.
time.sleep(1)
"""


def test_a_neighbour_that_guesses_is_banned_and_nobody_else(reach, site, neighbour, variables):
    """This machine is spared, and so is whom the application accuses."""
    address = site.addresses[neighbour]

    def banned():
        return reach.root("fail2ban-client get sshd banip").split()

    def guess():
        site.hosts[neighbour].run(
            "ssh -o BatchMode=yes -o ConnectTimeout=3 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null guess@%s true; true", reach.address
        )

    try:
        reach.root(f"runuser -u {variables['app_user']} -- python3 -c {shlex.quote(FORGE)}")
        assert "192.0.2.66" in reach.root("journalctl --sync; journalctl --quiet --identifier=sshd --since=-1min")
        # sshd itself makes who has failed wait (PerSourcePenalties): that slows the guesses down.
        deadline = time.monotonic() + 180
        while address not in banned():
            assert time.monotonic() < deadline, "the neighbour may guess on"
            guess()
            time.sleep(2)
        assert site.hosts[neighbour].run(f"timeout 5 python3 -c \"import socket; socket.create_connection(('{reach.address}', 22))\"").rc != 0
        for _attempt in range(8):
            assert reach.ssh("true", user="guess").returncode == 255
        assert banned() == [address]
        assert reach.root("id -un").strip() == "root"
    finally:
        reach.root(f"fail2ban-client set sshd unbanip {address} 192.0.2.66 192.0.2.67")


def test_nothing_else_listens_beyond_the_loopback(reach, site):
    assert site.listening(reach.name) == OPEN


def test_a_service_without_a_row_is_unreachable(reach):
    reach.root(
        "systemd-run --quiet --unit=forgotten --collect python3 -m http.server 8089 --directory /var/empty;"
        " for i in $(seq 50); do python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8089))' 2>/dev/null && exit 0;"
        " sleep 0.2; done; exit 1"
    )
    try:
        assert not answers(reach.address, 8089)
    finally:
        reach.root("systemctl stop forgotten")


def test_tables_of_others_outlive_a_reload_and_a_restart(reach):
    """fail2ban's with a ban in it, and one such as Docker's."""
    reach.root(
        "set -e; nft add table ip neighbour; nft add chain ip neighbour output '{ type nat hook output priority -100; }';"
        " fail2ban-client set sshd banip 192.0.2.77 >/dev/null;"
        " for i in $(seq 50); do nft list ruleset | grep -q 192.0.2.77 && exit 0; sleep 0.2; done; exit 1"
    )
    try:
        before = set(reach.root("nft list tables").splitlines())
        assert {"table inet selfhost", "table inet f2b-table", "table ip neighbour"} <= before
        for verb in ("reload", "restart"):
            reach.root(f"systemctl {verb} nftables.service")
            assert set(reach.root("nft list tables").splitlines()) == before
            assert "192.0.2.77" in reach.root("nft list table inet f2b-table")
            assert "hook output" in reach.root("nft list table ip neighbour")
        reach.root("systemctl stop nftables.service")
        assert set(reach.root("nft list tables").splitlines()) == before - {"table inet selfhost"}
    finally:
        reach.root("systemctl start nftables.service; fail2ban-client set sshd unbanip 192.0.2.77; nft delete table ip neighbour")
