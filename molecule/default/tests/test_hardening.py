"""What an operator may do on a host, and an intruder may not."""

import re
import secrets
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


def test_wrong_logins_from_outside_lock_no_administrator_out(reach):
    """More of them than faillock, sshd and fail2ban bear in other places: logins by key ask for no password, so none is counted."""
    for _ in range(20):
        assert reach.ssh("true", "-o", "PubkeyAuthentication=no").returncode == 255
    assert reach.ssh("sudo -n id -un").stdout.strip() == "root"


@pytest.fixture
def clumsy(reach):
    """Return the name and password of an account that has one."""
    # Without a run of letters or digits, which the password check would refuse now and then.
    name, password = "clumsy", "Orchard-" + "-".join(secrets.token_hex(1) for _ in range(8))
    try:
        reach.root(f"useradd --create-home {name} && echo {name}:{password} | chpasswd")
        yield name, password
    finally:
        reach.root(f"faillock --user {name} --reset; userdel --remove {name} 2>/dev/null; true")


def guesses(name):
    """Return a shell's line that gives twelve wrong passwords at once: one alone costs two seconds."""
    return f"for i in $(seq 12); do echo guess$i | su {name} -c true & done 2>/dev/null; wait"


def test_whoever_guesses_a_password_is_locked_out_of_it(reach, clumsy):
    name, password = clumsy
    right = f"echo {password} | su {name} -c 'id -un'"
    assert reach.ssh(right).stdout.strip() == name
    reach.ssh(guesses(name))
    assert reach.ssh(right).returncode != 0
    reach.root(f"faillock --user {name} --reset")
    assert reach.ssh(right).stdout.strip() == name


def test_an_administrators_key_opens_after_wrong_passwords(reach):
    reach.ssh(guesses(reach.user))
    assert reach.ssh("sudo -n id -un").stdout.strip() == "root"


def test_a_weak_password_is_refused(reach, clumsy):
    name, _password = clumsy
    assert "BAD PASSWORD" in reach.root(f"echo {name}:Sunshine1 | chpasswd 2>&1 && exit 1; true")


def test_su_is_for_administrators(reach):
    assert "su: Permission denied" in reach.root("runuser -u nobody -- su -c true 2>&1 && exit 1; true")


@pytest.mark.parametrize("directory", ["/tmp", "/var/tmp", "/dev/shm"])
def test_what_anybody_wrote_does_not_run(reach, directory):
    result = reach.ssh(f"cp /bin/true {directory}/probe && {directory}/probe; status=$?; rm {directory}/probe; exit $status")
    assert (result.returncode, "Permission denied" in result.stderr) == (126, True)


def test_a_package_that_is_compiled_may_run_what_it_makes(reach, variables):
    probe = f"{variables['app_root']}/venvs/probe"
    reach.root(f"install /bin/true {probe} && {probe}; status=$?; rm {probe}; exit $status")


def test_processes_of_others_are_not_seen(reach):
    assert reach.ssh("ps -p 1 -o comm=").stdout == ""
    assert reach.root("ps -p 1 -o comm=").strip() == "systemd"


def test_a_crash_leaves_no_core(reach):
    """Neither that of a person's program nor that of a service."""
    directory = f"/home/{reach.user}/crash"
    reach.ssh(f"mkdir {directory} && cd {directory} && sh -c 'kill -SEGV $$'")
    reach.root(f"systemd-run --quiet --wait --collect --property=WorkingDirectory={directory} sh -c 'kill -SEGV $$' || true")
    assert reach.root(f"ls {directory}; rm -r {directory}") == ""


def test_files_of_an_administrator_are_their_own_and_those_of_root_everybodys(reach):
    name = f"mask{uuid.uuid4().hex}"
    look = f"stat --format %a {name} && rm -f {name}"
    modes = reach.ssh(f"touch {name} && {look} && sudo touch {name} && {look}").stdout
    assert [mode[-1] for mode in modes.split()] == ["0", "4"]


def test_who_knocks_reads_the_banner_and_not_the_release(reach):
    result = reach.ssh("true", "-v", "-o", "LogLevel=DEBUG1", user="stranger")
    assert "Access is for authorized persons only." in result.stderr
    assert "Debian" not in re.search(r"remote software version (.*)", result.stderr).group(1)


def test_an_upgrade_restarts_nothing_that_a_visitor_would_notice(reach, variables):
    """Asked of needrestart's own configuration, as it reads it."""
    rules = (
        "our %nrconf; do q(/etc/needrestart/needrestart.conf); die $@ if $@;"
        " for $unit (@ARGV) { ($rule) = grep { $unit =~ /$_/ } keys %{$nrconf{override_rc}};"
        " print $unit, qq( ), $rule ? $nrconf{override_rc}{$rule} : $nrconf{restart}, qq(\\n) }"
    )
    units = ["nginx.service", "postgresql@17-main.service", f"{variables['app_service']}@abc.service", "ssh.service", "fail2ban.service"]
    answers = dict(line.split() for line in reach.root(f"perl -e '{rules}' {' '.join(units)}").splitlines())
    assert list(answers.values()) == ["0", "0", "0", "a", "a"], answers


def test_a_changed_file_of_a_package_is_told(reach):
    """It fails a unit, which the status page shows."""
    file = "/usr/share/perl5/Debconf/Encoding.pm"
    reach.root(f"cp -p {file} /root/kept && echo >>{file}")
    try:
        since = reach.root("date +%s").strip()
        assert reach.root("systemctl start selfhost-debsums; systemctl is-failed selfhost-debsums; true").split() == ["failed"]
        told = reach.root(f"journalctl --unit=selfhost-debsums --since=@{since} --output=cat --identifier=debsums")
    finally:
        reach.root(f"mv /root/kept {file} && systemctl reset-failed selfhost-debsums")
    assert told.split() == [file]


def test_a_new_file_is_in_the_nights_report(reach):
    # A sandbox hides the latter, as a rule.
    names = [f"{directory}/probe{uuid.uuid4().hex[:8]}" for directory in ("/etc", "/usr/lib/modules")]
    reach.root(f"systemctl start selfhost-aide && mkdir -p /usr/lib/modules && touch {' '.join(names)}")
    try:
        since = reach.root("sleep 1; date +%s").strip()
        reach.root("systemctl start selfhost-aide")
        report = reach.root(f"journalctl --unit=selfhost-aide --since=@{since} --output=cat")
    finally:
        reach.root(f"rm {' '.join(names)}")
    assert [name for name in names if name not in report] == []


@pytest.fixture
def own_kernel(reach):
    if reach.ssh("systemd-detect-virt --container --quiet").returncode == 0:
        pytest.skip("the kernel is another host's")


def test_logs_make_room_and_are_written_to_afterwards(reach, site, host):
    log, marks = "/var/log/nginx/access.log", [f"/{uuid.uuid4()}" for _time in range(2)]

    def visit(mark):
        site.get(mark, host.backend.get_hostname())
        # The web server writes in blocks, every few seconds.
        site.wait("the visit to be written down", lambda: mark in reach.root(f"cat {log}"))

    visit(marks[0])
    assert "logrotate.timer" in reach.root("systemctl list-timers --no-pager")
    reach.root("logrotate --force /etc/logrotate.conf")
    visit(marks[1])
    assert marks[0] in reach.root(f"cat {log}.1") and marks[0] not in reach.root(f"cat {log}")


def test_a_rare_module_is_not_loaded(reach, own_kernel):
    for module in ("sctp", "dccp", "usb-storage"):
        assert reach.ssh(f"sudo modprobe {module}").returncode != 0
    assert not re.search(r"^(sctp|dccp|usb_storage) ", reach.root("cat /proc/modules"), re.MULTILINE)


def test_what_changes_the_accounts_is_in_the_audit(reach, own_kernel):
    reach.root("touch /etc/passwd")
    assert 'comm="touch"' in reach.root("sleep 1; ausearch --raw --key identity --start recent --input-logs")


def test_apparmor_holds_what_it_has_a_profile_for(reach, own_kernel):
    assert "enforce" in reach.root("cat /proc/$(pidof -s chronyd)/attr/current")


def test_no_unit_has_failed(reach):
    assert reach.root("systemctl list-units --failed --plain --no-legend") == ""
