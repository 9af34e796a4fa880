"""What an operator may do on a host, and an intruder may not."""

import re
import uuid

import pytest

testinfra_hosts = ["ansible://all"]

DENIED = "Permission denied (publickey)."


def test_an_administrator_logs_in_and_becomes_root(reach):
    assert reach.root("id -un").strip() == "root"


def test_root_is_refused_even_with_the_administrators_key(reach):
    result = reach.ssh("true", user="root")
    assert result.returncode == 255
    assert DENIED in result.stderr


def test_nothing_but_a_key_is_asked_for(reach):
    """The server lists the methods that it would go on with: no password among them."""
    result = reach.ssh("true", "-o", "PreferredAuthentications=none")
    assert result.returncode == 255
    assert result.stderr.strip().splitlines()[-1].endswith(DENIED)


def test_an_account_that_is_no_administrators_is_refused_with_a_good_key(reach):
    reach.root(
        "useradd --create-home --password '*' intruder && install -d -o intruder -m 700 ~intruder/.ssh && "
        f"install -o intruder -m 600 ~{reach.user}/.ssh/authorized_keys ~intruder/.ssh/"
    )
    try:
        result = reach.ssh("true", user="intruder")
    finally:
        reach.root("userdel --remove intruder 2>/dev/null")
    assert result.returncode == 255
    assert DENIED in result.stderr


def test_a_login_is_no_tunnel(reach):
    result = reach.ssh("", "-o", "LogLevel=INFO", "-W", "127.0.0.1:22")
    assert result.returncode == 255
    assert "administratively prohibited" in result.stderr


def test_sudo_understands_its_rules(reach):
    assert "/etc/sudoers.d/selfhost: parsed OK" in reach.root("visudo -c")


def test_fail2ban_sees_failed_logins(reach):
    """The address of this machine is spared, and fail2ban says so: it has read the journal, and matched the line."""
    stranger = f"stranger{uuid.uuid4().hex[:8]}"
    since = reach.root("date +'%Y-%m-%d %H:%M:%S'").strip()
    reach.ssh("true", user=stranger)
    reach.root(
        "for i in $(seq 50); do"
        f" awk -v since='{since}' '$0 >= since' /var/log/fail2ban.log | grep -qE '\\[sshd\\] (Ignore|Found)' && exit 0;"
        " sleep 0.2; done; tail -20 /var/log/fail2ban.log; exit 1"
    )


def test_the_journal_is_on_disk_and_bounded(reach):
    token = uuid.uuid4().hex
    reach.root(f"echo {token} | systemd-cat; journalctl --sync")
    assert token in reach.root("journalctl --directory=/var/log/journal --since=-1min --output=cat")
    sizes = re.findall(r"System Journal \(/var/log/journal/\S+\) is .* max ([0-9.]+[KMG]),", reach.root("journalctl -u systemd-journald -o cat"))
    assert sizes[-1] == "1G" or sizes[-1] == "1.0G", sizes


def test_security_upgrades_and_no_others_are_unattended(reach):
    codename = reach.root(". /etc/os-release; echo $VERSION_CODENAME").strip()
    output = reach.root("unattended-upgrade --dry-run --verbose 2>&1")
    origins = re.search(r"^(?:.*INFO )?Allowed origins are: (.*)$", output, re.MULTILINE).group(1)
    assert origins == f"origin=Debian,codename={codename}-security,label=Debian-Security"
    assert reach.root("systemctl is-active apt-daily.timer apt-daily-upgrade.timer").split() == ["active", "active"]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("net.ipv4.conf.*.accept_redirects", {0}),
        ("net.ipv4.conf.*.accept_source_route", {0}),
        ("net.ipv4.conf.*.send_redirects", {0}),
        ("net.ipv6.conf.*.accept_redirects", {0}),
        ("net.ipv4.conf.*.rp_filter", {1}),
        ("net.ipv4.tcp_syncookies", {1}),
        ("net.core.somaxconn", {4096}),
    ],
)
def test_the_kernel_is_careful_on_every_interface(reach, parameter, expected):
    values = reach.root(f"cat /proc/sys/{parameter.replace('.', '/')}").split()
    assert {int(value) for value in values} == expected


def test_the_hosts_own_kernel_is_closed(reach):
    if reach.ssh("systemd-detect-virt --container --quiet").returncode == 0:
        assert "kernel." not in reach.root("cat /etc/sysctl.d/99-selfhost.conf"), "a container sets what is not its own"
        pytest.skip("the kernel is another host's")
    names = "kernel.dmesg_restrict kernel.kptr_restrict kernel.kexec_load_disabled fs.protected_fifos fs.suid_dumpable"
    assert reach.root(f"sysctl --values {names}").split() == ["1", "2", "1", "2", "0"]


def test_no_unit_has_failed(reach):
    assert reach.root("systemctl list-units --failed --plain --no-legend") == ""
