"""Bad input about the hosts is refused in one sentence, before any host is touched."""

import pathlib

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs import hosts

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC0PSmnvD4tRuHNcXQgA ops"


def admin(**values):
    return {"hardening_admins": [{"name": "ops", "keys": [KEY]} | values]}


def policy(*rows):
    return {"firewall_policy": [{"group": "all", "port": 22}, *rows]}


BAD = [
    ({"hardening_admins": None}, "hardening_admins is not set: list each administrator"),
    ({"hardening_admins": []}, "hardening_admins is not set: list each administrator"),
    ({"hardening_admins": ["ops"]}, "hardening_admins is no list of names and keys: list each administrator"),
    ({"hardening_admins": {"name": "ops"}}, "hardening_admins is no list of names and keys: list each administrator"),
    ({"hardening_admins": [{"keys": [KEY]}]}, "hardening_admins is no list of names and keys: list each administrator"),
    (admin() | {"hardening_admins": [{"name": "ops"}]}, "hardening_admins gives no usable key for ops: list at least one"),
    (admin(keys=[]), "hardening_admins gives no usable key for ops: list at least one"),
    (admin(keys=KEY), "hardening_admins gives no usable key for ops: list at least one"),
    (admin(keys=[KEY, "hunter2"]), "hardening_admins gives no usable key for ops: list at least one"),
    (admin(keys=[KEY + "\nssh-rsa AAAA"]), "hardening_admins gives no usable key for ops: list at least one"),
    (admin(name="Ops Team"), "hardening_admins names Ops Team: give each administrator, once, a name"),
    (admin(name="root") | {"ansible_user": "root"}, "hardening_admins names root: give each administrator, once, a name"),
    ({"ansible_user": None}, "ansible_user is not set: log in as one of the hardening_admins (ops)"),
    ({"ansible_user": "root"}, "ansible_user is 'root': log in as one of the hardening_admins (ops)"),
    ({"hardening_admin_group": "root"}, "hardening_admin_group is 'root': give a group's name"),
    ({"hardening_admin_group": "a, b"}, "hardening_admin_group is 'a, b': give a group's name"),
    (admin(name="www-data") | {"ansible_user": "www-data"}, "hardening_admins names www-data, an account that Debian or a package has for itself, and"),
    (admin(name="postgres") | {"ansible_user": "postgres"}, "hardening_admins names postgres, an account that Debian or a package has for itself, and"),
    (admin(name="nobody") | {"ansible_user": "nobody"}, "hardening_admins names nobody, an account that Debian or a package has for itself, and"),
    ({"hardening_admin_group": "www-data"}, "hardening_admin_group is 'www-data', a group that Debian or a package has for itself, and whose members would"),
    ({"hardening_admin_group": "ssl-cert"}, "hardening_admin_group is 'ssl-cert', a group that Debian or a package has for itself"),
    ({"hardening_admin_group": "users"}, "hardening_admin_group is 'users', a group that Debian or a package has for itself"),
    ({"hardening_sudo_passwordless": False}, "hardening_sudo_passwordless is false, so that every one"),
    ({"hardening_sudo_passwordless": False} | admin(password="hunter2"), "hardening_sudo_passwordless is false, so that every one"),
    ({"hardening_skip": ["aide", "selinux"]}, "hardening_skip names selinux: give a list of fail2ban, sysctl,"),
    ({"hardening_skip": "aide"}, "hardening_skip names aide: give a list of fail2ban, sysctl,"),
    (admin(keys=["ssh-rsa " + "A" * 372 + " ops"]), "hardening_admins gives an RSA key of less than 3072 bits to ops: make a new one"),
    ({"hardening_allowed_modules": ["sctp", "overlay"]}, "hardening_allowed_modules names overlay: give a list of af_802154,"),
    ({"hardening_swap_mb": "2G"}, "hardening_swap_mb is '2G': give 0 for none, or 64 and more megabytes"),
    ({"hardening_swap_mb": 1}, "hardening_swap_mb is '1': give 0 for none, or 64 and more megabytes"),
    ({"hardening_restarts_by_hand": ["^postgresql)"]}, "hardening_restarts_by_hand holds ^postgresql): give a list of regular expressions"),
    ({"hardening_ssh_port": "ssh"}, "hardening_ssh_port is 'ssh': give a port number from 1 to 65535"),
    ({"ansible_port": 70000}, "hardening_ssh_port is '70000': give a port number from 1 to 65535"),
    ({"guard_confirm_seconds": 5}, "guard_confirm_seconds is '5': give 30 to 600 seconds"),
    ({"hardening_ssh_options": ["MaxSessions 20"]}, "hardening_ssh_options is [\"MaxSessions 20\"]: give values by keyword"),
    ({"hardening_ssh_options": {"Match": "User ann"}}, "hardening_ssh_options is {\"Match\": \"User ann\"}: give values by keyword"),
    ({"hardening_fail2ban_ignore": ["300.1.1.1"]}, "hardening_fail2ban_ignore holds 300.1.1.1: give a list"),
    ({"hardening_fail2ban_ignore": ["10.0.0.0/255.0.0.0"]}, "hardening_fail2ban_ignore holds 10.0.0.0/255.0.0.0: give a list"),
    ({"hardening_fail2ban_ignore": ["10.0.0.0/33"]}, "hardening_fail2ban_ignore holds 10.0.0.0/33: give a list"),
    ({"hardening_fail2ban_ignore": ["office.example.org"]}, "hardening_fail2ban_ignore holds office.example.org: give a list"),
    ({"hardening_fail2ban_ignore": "10.0.0.0/8"}, "hardening_fail2ban_ignore holds 10.0.0.0/8: give a list"),
    ({"hardening_automatic_reboot_time": "25:00"}, "hardening_automatic_reboot_time is '25:00': give a quoted time"),
    ({"hardening_automatic_reboot_time": 210}, "hardening_automatic_reboot_time is '210': give a quoted time"),
    ({"hardening_journal_max_size": "lots"}, "hardening_journal_max_size is 'lots' and hardening_journal_max_age '90day': give"),
    ({"hardening_journal_max_size": "0"}, "hardening_journal_max_size is '0' and hardening_journal_max_age '90day': give"),
    ({"hardening_journal_max_size": "1GB"}, "hardening_journal_max_size is '1GB' and hardening_journal_max_age '90day': give"),
    ({"hardening_journal_max_age": "90dayz"}, "hardening_journal_max_size is '1G' and hardening_journal_max_age '90dayz': give"),
    ({"hardening_journal_max_age": "weeks"}, "hardening_journal_max_size is '1G' and hardening_journal_max_age 'weeks': give"),
    ({"hardening_sysctl": {"vm": {"swappiness": 10}}}, 'hardening_sysctl is {"vm": {"swappiness": 10}}: give values of one line by the names of kernel'),
    ({"hardening_sysctl": {"vm.swappiness": [10]}}, 'hardening_sysctl is {"vm.swappiness": [10]}: give values of one line'),
    ({"hardening_sysctl": {"vm.swappiness": None}}, 'hardening_sysctl is {"vm.swappiness": null}: give values of one line'),
    ({"hardening_sysctl": {"vm.swappiness": "10\nkernel.sysrq = 1"}}, 'hardening_sysctl is {"vm.swappiness": "10\\nkernel.sysrq = 1"}: give'),
    ({"hardening_sysctl": ["vm.swappiness=10"]}, 'hardening_sysctl is ["vm.swappiness=10"]: give values of one line'),
    ({"hardening_ssh_options": {"MaxSessions": {"a": 20}}}, 'hardening_ssh_options is {"MaxSessions": {"a": 20}}: give values by keyword'),
    ({"hardening_unwanted_packages": ["telnet", "rsync"]}, "hardening_unwanted_packages names rsync, which site1 needs: leave that out."),
    ({"hardening_unwanted_packages": ["sudo", "openssh-server"]}, "hardening_unwanted_packages names sudo, openssh-server, which site1 needs"),
    ({"hardening_unwanted_packages": ["python3*"]}, "hardening_unwanted_packages names python3*, which site1 needs"),
    ({"hardening_unwanted_packages": ["nginx:amd64"]}, "hardening_unwanted_packages names nginx:amd64, which site1 needs"),
    ({"hardening_unwanted_packages": ["gcc"], "app_build_packages": ["gcc"]}, "hardening_unwanted_packages names gcc, which site1 needs"),
    ({"hardening_reboot_timeout_seconds": -5}, "hardening_reboot_timeout_seconds is '-5': give a whole number from 30"),
    ({"hardening_fail2ban_max_retry": 0}, "hardening_fail2ban_max_retry is '0': give a whole number from 1"),
    ({"firewall_policy": "open"}, "firewall_policy has to be a list of rows"),
    (policy({"group": "web"}), "firewall_policy has to be a list of rows"),
    (policy({"port": 80}), "firewall_policy has to be a list of rows"),
    (policy({"group": "web", "port": 80, "form": ["10.0.0.0/8"]}), "firewall_policy has rows with form: the columns are"),
    (policy({"group": "wbe", "port": 80}), "firewall_policy names wbe: give a group of the inventory"),
    (policy({"group": "web", "port": 0}), "firewall_policy names the port '0': give numbers from 1 to 65535"),
    (policy({"group": "web", "port": [80, 65536]}), "firewall_policy names the port '65536': give numbers from 1 to 65535"),
    (policy({"group": "web", "port": "http"}), "firewall_policy names the port 'http': give numbers from 1 to 65535"),
    (policy({"group": "web", "port": True}), "firewall_policy names the port 'True': give numbers from 1 to 65535"),
    (policy({"group": "web", "port": 80, "from": ["anywhere"]}), "firewall_policy names the network 'anywhere': give addresses"),
    (policy({"group": "web", "port": 80, "from": ["2001:db8::1::2"]}), "firewall_policy names the network '2001:db8::1::2': give"),
    (policy({"group": "web", "port": 80, "protocol": "sctp"}), "firewall_policy names the protocol sctp: give tcp or udp"),
    ({"firewall_outbound_policy": "closed"}, "firewall_outbound_policy has to be a list of rows"),
    (
        {"firewall_outbound_policy": [{"group": "all", "port": 443, "from": ["192.0.2.0/24"]}]},
        "firewall_outbound_policy has rows with from: the columns are group, port, protocol, to",
    ),
    ({"firewall_outbound_policy": [{"group": "all", "port": "https"}]}, "firewall_outbound_policy names the port 'https': give"),
    ({"firewall_outbound_policy": [{"group": "all", "port": 443, "to": ["pypi"]}]}, "firewall_outbound_policy names the network 'pypi': give"),
    ({"firewall_policy": []}, "firewall_policy does not open port 22, which Ansible connects to, on site1: add a row"),
    (policy() | {"ansible_port": 2222}, "firewall_policy does not open port 2222, which Ansible connects to, on site1: add a row"),
    (
        {"firewall_policy": [{"group": "web", "port": 22, "protocol": "udp"}, {"group": "balancer", "port": 22}]},
        "firewall_policy does not open port 22, which Ansible connects to, on site1: add a row",
    ),
    (
        {"firewall_policy": [{"group": "all", "port": 22, "from": []}]},
        "firewall_policy does not open port 22, which Ansible connects to, on site1: add a row",
    ),
    ({"guard_confirm_seconds": "soon"}, "guard_confirm_seconds is 'soon': give 30 to 600 seconds"),
]

GOOD = [
    admin(keys=[KEY, "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIA== token of ops"]),
    {"hardening_sudo_passwordless": False} | admin(password="$y$j9T$salt$hash"),
    {"hardening_fail2ban_ignore": ["192.0.2.7", "10.0.0.0/8", "::1", "2001:db8::/32", "FD00::/8"]},
    {"hardening_skip": ["aide", "swap"], "hardening_swap_mb": 1024, "hardening_allowed_modules": ["usb-storage"]},
    admin(keys=["ssh-rsa " + "A" * 544 + " ops"]),
    {"hardening_admin_group": "sudo"},
    *({"hardening_journal_max_age": age} for age in ("2weeks", "90days", "3months", "1d", "1.5d", "1h 30min", 90, "1M", "infinity")),
    *({"hardening_journal_max_size": size} for size in ("1.5G", "500M", 1000000000, "0.5T")),
    {"hardening_sysctl": {"net.ipv4.ip_forward": True, "net.ipv4.tcp_rmem": "4096 87380 6291456", "net.ipv4.conf.eth0/1.rp_filter": 0}},
    {"hardening_unwanted_packages": ["haproxy", "telnet"]},
    {"hardening_ssh_options": {"MaxSessions": 20, "AcceptEnv": ["LANG", "LC_*"]}},
    policy({"group": "web", "port": 80, "from": "192.0.2.0/24"}),
    {"ansible_port": 2222},
    policy({"group": "backup", "port": [8432], "from": ["192.0.2.0/24", "2001:db8::/32"]}, {"group": "database", "port": 53, "protocol": "udp"}),
    {"firewall_outbound_policy": [{"group": "all", "port": [80, 443]}, {"group": "web", "port": 587, "to": ["2001:db8::25"]}]},
]


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "app", "guard", "hardening", "firewall", good=GOOD)


def test_yes_and_no_are_what_the_kernel_takes_for_them():
    text = (ROOT / "roles/hardening/templates/99-selfhost.conf.j2").read_text()
    known = {"ansible_managed": "", "__hardening_sysctl": {"b": False, "a": True, "c": "1 2", "d": 7}}
    lines = Templar(DataLoader(), known).template(trust_as_template(text)).splitlines()
    assert lines[-4:] == ["-a = 1", "-b = 0", "-c = 1 2", "-d = 7"]


def test_what_a_host_needs_is_what_its_roles_install():
    _play, = yaml.safe_load((ROOT / "playbooks/packages.yml").read_text())
    installed = _play["tasks"][0]["selfhost.django.missing_packages"]["roles"]
    assert {group: set(roles) for group, roles in installed.items()} == {group: set(roles) - {"certificates"} for group, roles in hosts.ROLES.items()}


ONE = "The inventory gives one machine the names web1 and db1, which all have the "
MACHINES = [
    ({"ansible_host": "192.0.2.1"}, {"ansible_host": "192.0.2.2"}, []),
    ({"ansible_host": "192.0.2.1"}, {"ansible_host": "192.0.2.1"}, [ONE + "app_address 192.0.2.1: give it one name"]),
    ({"ansible_host": "2001:db8::1"}, {"ansible_host": "2001:DB8:0::1"}, [ONE + "app_address 2001:db8::1"]),
    ({"app_address": "10.0.0.1"}, {"app_address": "10.0.0.1", "ansible_host": "192.0.2.2"}, [ONE + "app_address 10.0.0.1"]),
    ({"ansible_host": "192.0.2.1"}, {"ansible_host": "192.0.2.1", "app_address": "10.0.0.2"}, [ONE + "ansible_host 192.0.2.1"]),
    # Behind one that passes connections on, by their ports or by a jump.
    (
        {"ansible_host": "192.0.2.1", "ansible_port": 2201, "app_address": "10.0.0.1"},
        {"ansible_host": "192.0.2.1", "ansible_port": 2202, "app_address": "10.0.0.2"}, [],
    ),
    (
        {"ansible_host": "127.0.0.1", "ansible_port": 2201, "app_address": "10.0.0.1"},
        {"ansible_host": "127.0.0.1", "ansible_port": 2202, "app_address": "10.0.0.2"}, [],
    ),
    (
        {"ansible_host": "10.0.0.9", "ansible_ssh_common_args": "-J a", "app_address": "10.1.0.1"},
        {"ansible_host": "10.0.0.9", "ansible_ssh_common_args": "-J b", "app_address": "10.1.0.2"}, [],
    ),
    (
        {"ansible_host": "box", "ansible_connection": "docker", "app_address": "10.0.0.1"},
        {"ansible_host": "box", "ansible_connection": "docker", "app_address": "10.0.0.2"}, [],
    ),
    (
        {"ansible_host": "127.0.0.1", "ansible_port": 2201}, {"ansible_host": "127.0.0.1", "ansible_port": 2202},
        [f"app_address of {host} is '127.0.0.1', at which the site's other hosts find themselves: give" for host in ("web1", "db1")],
    ),
    ({"ansible_host": "192.0.2.1"}, {"ansible_host": "192.0.2.2", "app_address": "0.0.0.0"}, ["app_address of db1 is '0.0.0.0', at which"]),
]  # fmt: skip


@pytest.mark.parametrize(("web", "database", "wanted"), MACHINES)
def test_one_machine_has_one_name_and_an_address(sentences, web, database, wanted):
    said = sentences({"web": {"web1": web}, "database": {"db1": database}}, ["firewall"])
    assert len(said) == len(wanted) and all(sentence.startswith(beginning) for sentence, beginning in zip(said, wanted)), said


def test_a_host_of_two_parts_and_one_alone_are_no_two_machines(sentences):
    first, second = {"web1": {"ansible_host": "192.0.2.1"}}, {"backup1": {"ansible_host": "192.0.2.2"}}
    assert sentences({"web": first, "database": {"web1": {}}, "backup": second}, ["firewall"]) == []
    assert sentences({"web": {"web1": {"ansible_host": "127.0.0.1"}}, "database": {"web1": {}}}, ["firewall"]) == []
