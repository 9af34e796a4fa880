"""Mistakes that would shut the operator out of all hosts: refused beforehand, or taken back by the hosts themselves."""

import json
import subprocess
import time

import pytest
from playing import SSH_CONFIG

SOMEBODY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC0PSmnvD4tRuHNcXQgAzvDpXXQhT1qFZ0f1hXyUkv2k somebody"
# Of the word "one", by mkpasswd.
HASH = "$6$saltsalt$kiRCEN9h6.zvW9LfVNgSwgm2787.AP2FffCmRoXgfIr6JNAEomr.2TTu4gXSLZC8ktz9QdSO9U53P04XAACMi1"
ELSEWHERE = [{"group": "all", "port": 22, "from": ["192.0.2.0/24"]}]
# What the mistake is, the role that it is in, and what is said of it.
REFUSED = {
    "no key": ({"hardening_admins": [{"name": "ops", "keys": []}]}, "hardening", "hardening_admins gives no usable key for ops"),
    "another administrator": (
        {"hardening_admins": [{"name": "ann", "keys": [SOMEBODY]}]}, "hardening", "ansible_user is 'ops': log in as one of the hardening_admins (ann)",
    ),
    "no row for SSH": ({"firewall_policy": [{"group": "web", "port": [80, 443]}]}, "firewall", "firewall_policy does not open port 22"),
    "a password that sudo is not given": (
        {"hardening_sudo_passwordless": False, "hardening_admins": [{"name": "ops", "password": HASH, "keys": ["@"]}], "ansible_become_password": "another"},
        "hardening",
        "hardening_admins has another password for 'ops' than ansible_become_password",
    ),
    "a value that sshd does not know": ({"hardening_ssh_options": {"PermitRootLogin": "perhaps"}}, "hardening", 'unsupported option "perhaps"'),
}  # fmt: skip
TAKEN_BACK = {
    "a network that is not ours": ({"firewall_policy": ELSEWHERE}, "firewall", "firewall_policy does not let this machine in to SSH of"),
    "somebody else's key": ({"hardening_admins": [{"name": "ops", "keys": [SOMEBODY]}]}, "hardening", "hardening_admins does not let 'ops' log in to"),
    "a password that nobody knows": (
        {"hardening_sudo_passwordless": False, "hardening_admins": [{"name": "ops", "password": "$6$x$", "keys": ["@"]}]},
        "hardening",
        "or not become root there",
    ),
    "an option that keeps everybody out": ({"hardening_ssh_options": {"AllowUsers": "nobody"}}, "hardening", "The new policy of sshd does not let 'ops' in"),
    "a port that the firewall does not open": ({"hardening_ssh_options": {"Port": 2222}}, "hardening", "The new policy of sshd does not let 'ops' in"),
    "an address that is not reached from here": (
        {"hardening_ssh_options": {"ListenAddress": "127.0.0.1"}}, "hardening", "The new policy of sshd does not let 'ops' in",
    ),
}  # fmt: skip
LIVE = "nft --stateless list table inet selfhost; cat /etc/ssh/sshd_config.d/00-selfhost.conf /etc/sudoers.d/selfhost ~ops/.ssh/authorized_keys"


def ssh(site, name, command, user="ops"):
    """Start a command on a connection of its own."""
    options = ["-F", SSH_CONFIG, "-n", "-o", "BatchMode=yes", "-o", "ControlPath=none"]
    return subprocess.Popen(["ssh", *options, f"{user}@{site.addresses[name]}", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fresh_login(site, name):
    """Whether the operator gets in and becomes root."""
    return ssh(site, name, "sudo -n id -un").communicate(timeout=60)[0].strip() == "root"


def wait_for_logins(site):
    for name in site.hosts:
        site.wait(f"a login to {name}", lambda name=name: fresh_login(site, name), 60)


def play(site, role, mistake):
    own = (SSH_CONFIG.parent / "id_ed25519.pub").read_text().strip()
    extra = json.dumps(mistake | {"guard_confirm_seconds": 30}).replace('"@"', json.dumps(own))
    return site.play("harden", "--tags", role, "-e", extra)


@pytest.mark.parametrize(("mistake", "role", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_that_can_be_seen_is_refused_and_changes_nothing(site, mistake, role, sentence):
    before = site.each(LIVE)
    run = play(site, role, mistake)
    assert run.code != 0
    assert sentence in run.text, run.output[-4000:]
    assert site.each(LIVE) == before
    wait_for_logins(site)


@pytest.mark.parametrize(("mistake", "role", "sentence"), TAKEN_BACK.values(), ids=TAKEN_BACK)
def test_a_change_that_locks_the_operator_out_is_taken_back(site, mistake, role, sentence):
    before = site.each(LIVE)
    try:
        run = play(site, role, mistake)
    finally:
        wait_for_logins(site)
    assert run.code != 0
    assert sentence in run.text, run.output[-4000:]
    assert "comes back by itself within 30 seconds" in run.text
    # With the door open again, nothing else may have stayed.
    site.wait("what was in force before", lambda: site.each(LIVE) == before, 60)


def test_a_reboot_takes_back_what_nobody_has_confirmed(site):
    """The timer is gone with it: the unit that runs before sshd does it."""
    before, boots = site.each(LIVE), {name: site.boot(name) for name in site.hosts}
    for host in site.hosts.values():
        # As when the controller is cut off in the middle of a run.
        candidate = "/var/lib/selfhost-guard/candidate/etc-ssh-sshd_config.d-00-selfhost.conf"
        host.check_output(
            f"cp -p {candidate} /root/candidate; sed -i '1i AllowUsers nobody' {candidate}; "
            "systemd-run --quiet --collect --on-active=20 systemctl reboot; "
            "selfhost-guard try sshd 3600 /etc/ssh/sshd_config.d/00-selfhost.conf; mv /root/candidate " + candidate
        )
    assert not any(fresh_login(site, name) for name in site.hosts)
    for name in site.hosts:
        site.wait(f"the reboot of {name}", lambda name=name: site.boot(name) not in (boots[name], None), 600)
    assert site.each(LIVE) == before
    for host in site.hosts.values():
        assert "was not confirmed before the reboot" in host.check_output("journalctl --boot --unit selfhost-guard.service")


def test_who_is_no_administrator_any_more_is_out_at_once(site):
    own = (SSH_CONFIG.parent / "id_ed25519.pub").read_text().strip()
    both = {"hardening_admins": [{"name": "ops", "keys": [own]}, {"name": "ann", "keys": [own]}]}
    assert play(site, "hardening", both).code == 0
    sessions = [ssh(site, name, "sleep 300", user="ann") for name in site.hosts]
    try:
        time.sleep(3)
        assert [session.poll() for session in sessions] == [None] * len(site.hosts), "ann is in"
        assert play(site, "hardening", {}).code == 0
        assert 0 not in [session.wait(timeout=30) for session in sessions]
    finally:
        for session in sessions:
            session.kill()
    for name, host in site.hosts.items():
        assert ssh(site, name, "true", user="ann").wait(timeout=30) == 255
        assert host.run("getent passwd ann").rc == 2
        # Nothing is lost.
        assert host.file("/home/ann/.ssh/authorized_keys").exists
        host.check_output("rm -r /home/ann")
