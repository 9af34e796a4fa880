"""Bad input about the hosts is refused in one sentence, before any host is touched."""

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
    {"ansible_port": 2222},
    policy({"group": "backup", "port": [8432], "from": ["192.0.2.0/24", "2001:db8::/32"]}, {"group": "database", "port": 53, "protocol": "udp"}),
    {"firewall_outbound_policy": [{"group": "all", "port": [80, 443]}, {"group": "web", "port": 587, "to": ["2001:db8::25"]}]},
]


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "app", "guard", "hardening", "firewall", good=GOOD)
