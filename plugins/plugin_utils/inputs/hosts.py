# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of its hosts: guard, operating system, firewall, certificates."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Mapping

from .accounts import OF_DEBIAN, OF_PACKAGES
from .values import (
    HOSTS_OF_SITE, Unreadable, belong_together, given_ports, is_address, is_certificate, is_line, is_list, is_network, is_port, is_rows, is_true, is_whole,
    listed, matches, ports, text_of, told, whole_numbers,
)  # fmt: skip

NAME = r"[a-z_][a-z0-9_-]{0,31}"
KEY = r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{16,}={0,3}( [^\n]*)?"
# The length of a line of base64 tells the length of the key: 544 characters for 3072 bits.
SHORT_RSA_KEY = re.compile("ssh-rsa [A-Za-z0-9+/=]{,530}( |$)")
# Groups of Debian's whose members are administrators anyway.
OF_ADMINS = {"sudo", "wheel"}
OF_OTHERS = OF_DEBIAN | OF_PACKAGES
# systemd.time(7), "Parsing Time Spans", and how journald.conf(5) has a size.
UNIT_OF_TIME = "usec|us|\u00b5s|msec|ms|seconds?|sec|s|minutes?|min|months?|M|m|hours?|hr|h|days?|d|weeks?|w|years?|y"
TIME_SPAN = rf"[0-9]+([.][0-9]+)? ?({UNIT_OF_TIME})?( ?[0-9]+([.][0-9]+)? ?({UNIT_OF_TIME}))*|infinity"
SIZE = "(?=.*[1-9])[0-9]+([.][0-9]+)?[BKMGTPE]?"
# What a host needs besides what its roles name as theirs, and the roles that run on the hosts of each group.
NEEDED = ("openssh-server", "python3", "python3-apt", "sudo")
ROLES = {
    "all": ("hardening", "firewall", "certificates"), "database": ("postgresql", "postgresql_backup", "media_backup", "notify"),
    "backup": ("postgresql", "postgresql_backup", "media_backup", "notify"), "web": ("django", "uwsgi", "nginx", "acme", "notify"),
    "balancer": ("haproxy", "acme", "notify"), "etcd": ("etcd",), "logs": ("logs",),
}  # fmt: skip
BOUNDS = {
    "hardening_fail2ban_ban_minutes": (1, 5000000), "hardening_fail2ban_find_minutes": (1, 5000000), "hardening_fail2ban_max_retry": (1, 1000),
    "hardening_reboot_timeout_seconds": (30, 86400),
}  # fmt: skip


def guard(site):
    """Say what is wrong with the time to log in."""
    if not is_whole(site["guard_confirm_seconds"], 30, 600):
        yield f"guard_confirm_seconds is '{site['guard_confirm_seconds']}': give 30 to 600 seconds."


def hardening(site):
    """Say what is wrong with the operating system's policy."""
    admins = site.get("hardening_admins") or []
    if not is_rows(admins, ["name"]) or not admins:
        yield f"hardening_admins is {'no list of names and keys' if admins else 'not set'}: list each administrator as {{name, keys}}."
    else:
        yield from _admins(site, admins)
    group = site["hardening_admin_group"]
    if not matches(NAME, group) or group == "root":
        yield f"hardening_admin_group is '{group}': give a group's name of lower-case letters, digits, _ and -."
    elif group in OF_OTHERS - OF_ADMINS:
        yield f"hardening_admin_group is '{group}', a group that Debian or a package has for itself, and whose members would become root: give one of your own."
    for variable, known in (("hardening_skip", site["__hardening_catalogue"]), ("hardening_allowed_modules", site["__hardening_blocked_modules"])):
        value = site[variable]
        strange = [item for item in value if item not in known] if is_list(value) else [value]
        if strange:
            yield f"{variable} names {listed(strange)}: give a list of {listed(known)}."
    swap = site["hardening_swap_mb"]
    if not matches("0|[1-9][0-9]{0,5}", swap) or 0 < int(swap) < 64:
        yield f"hardening_swap_mb is '{swap}': give 0 for none, or 64 and more megabytes."
    units = site["hardening_restarts_by_hand"]
    if strange := [unit for unit in (units if is_list(units) else [units]) if not is_list(units) or not matches(r"[A-Za-z0-9_.@^$*+?|:\\-]+", unit)]:
        yield f"hardening_restarts_by_hand holds {listed(strange)}: give a list of regular expressions such as ^postgresql."
    yield from ports(site, "hardening_ssh_port")
    options = site["hardening_ssh_options"]
    if not isinstance(options, Mapping) or not all(
        matches("[A-Za-z]+", key) and key.lower() not in ("include", "match") and all(map(is_line, value if is_list(value) else [value]))
        for key, value in options.items()
    ):  # fmt: skip
        yield (
            f"hardening_ssh_options is {text_of(options)}: give values by keyword, such as {{MaxSessions: 20}}; Include and Match belong into a file "
            "of yours in /etc/ssh/sshd_config.d."
        )
    parameters = site["hardening_sysctl"]
    if not isinstance(parameters, Mapping) or not all(matches("[A-Za-z0-9_.*/:@-]+", key) and is_line(value) for key, value in parameters.items()):
        yield f"hardening_sysctl is {text_of(parameters)}: give values of one line by the names of kernel parameters, such as {{net.ipv4.ip_forward: 1}}."
    yield from _removed(site)
    yield from whole_numbers(site, BOUNDS)
    sources = site["hardening_upgrade_sources"]
    if not is_list(sources) or not all(matches(r"/etc/apt/sources\.list(\.d/[A-Za-z0-9._-]+\.(list|sources))?", path) for path in sources):
        yield f"hardening_upgrade_sources is {text_of(sources)}: give a list of files such as /etc/apt/sources.list.d/monitoring.sources."
    ignored = site["hardening_fail2ban_ignore"]
    if strange := [value for value in (ignored if is_list(ignored) else [ignored]) if not is_list(ignored) or not is_network(value)]:
        yield f"hardening_fail2ban_ignore holds {listed(strange)}: give a list of addresses or networks such as 192.0.2.0/24 and 2001:db8::/32."
    if not matches("([01][0-9]|2[0-3]):[0-5][0-9]", site["hardening_automatic_reboot_time"]):
        yield f"hardening_automatic_reboot_time is '{site['hardening_automatic_reboot_time']}': give a quoted time of day such as \"03:30\"."
    size, age = site["hardening_journal_max_size"], site["hardening_journal_max_age"]
    if not matches(SIZE, size) or not matches(TIME_SPAN, age):
        yield f"hardening_journal_max_size is '{size}' and hardening_journal_max_age '{age}': give a size such as 1G and an age such as 90day."


def _admins(site, admins):
    names = [str(admin["name"]) for admin in admins]
    if len(set(names)) < len(names) or not all(matches(NAME, name) and name != "root" for name in names):
        yield f"hardening_admins names {listed(names)}: give each administrator, once, a name of lower-case letters, digits, _ and - other than root."
        return
    if others := [name for name in names if name in OF_OTHERS]:
        yield f"hardening_admins names {listed(others)}, an account that Debian or a package has for itself, and that would become root: give one of your own."
    keys = {str(admin["name"]): admin.get("keys") for admin in admins}
    if without := [name for name, lines in keys.items() if not is_list(lines) or not lines or not all(matches(KEY, line) for line in lines)]:
        yield (
            f"hardening_admins gives no usable key for {listed(without)}: list at least one public key as `keys`, and only lines such as "
            '"ssh-ed25519 AAAA… name".'
        )
    elif short := [name for name, lines in keys.items() if any(SHORT_RSA_KEY.match(line) for line in lines)]:
        yield (
            f"hardening_admins gives an RSA key of less than {site['__hardening_rsa_bits']} bits to {listed(short)}: make a new one "
            "(ssh-keygen -t ed25519)."
        )
    user = site.get("ansible_user") or ""
    if user not in names:
        yield f"ansible_user is {told(user)}: log in as one of the hardening_admins ({listed(names)}), since nobody else will be let in."
    if not is_true(site["hardening_sudo_passwordless"]) and not all(matches(r"\$[0-9a-z]+\$.+", admin.get("password", "")) for admin in admins):
        yield (
            "hardening_sudo_passwordless is false, so that every one of the hardening_admins needs a `password`: a crypt hash (mkpasswd), from the "
            "vault."
        )


def _removed(site):
    """Say which packages would be removed that the host cannot do without."""
    unwanted = site["hardening_unwanted_packages"]
    if "hardening_unwanted_packages" not in site.given or not is_list(unwanted):
        return
    needed = {*NEEDED, *(name for group, roles in ROLES.items() if group == "all" or site.is_in(group) for role in roles for name in _packages_of(site, role))}
    # apt takes patterns, and a name may have a version or an architecture behind it.
    patterns = {name: re.split("[=:/]", str(name))[0] for name in unwanted if isinstance(name, str)}
    if strange := [name for name, pattern in patterns.items() if fnmatch.filter(needed, pattern)]:
        yield f"hardening_unwanted_packages names {listed(strange)}, which {site.host} needs: leave that out."


def _packages_of(site, role):
    """Return the packages that a role names as its own, and those that the inventory has it install; none where only facts say which."""
    names = [name for name in (f"__{role}_packages", f"__{role}_all_packages") if name in site.variables]
    try:
        return [package for name in names for package in site[name]]
    except (Unreadable, TypeError):
        return []


# --- Firewall ---------------------------------------------------------------------------------

# Groups that the product knows, whether or not the site uses them.
GROUPS = ("all", "web", "database", "balancer", "backup", "etcd", "logs")
# What the rows of the default policy derive from.
OF_POLICY = tuple(f"__firewall_{name}" for name in ("others", "web", "database", "balancers", "backup", "etcd", "backup_port", "media_port"))


def firewall(site):
    """Say what is wrong with the two tables of who may reach what."""
    site.settle(*HOSTS_OF_SITE, *OF_POLICY)
    yield from _machines(site)
    port, rows = site["firewall_ssh_port"], site["firewall_policy"]
    if not is_port(port):
        # The default policy names it, and it is told once.
        yield from ports(site, "firewall_ssh_port") if port != site["hardening_ssh_port"] else ()
        return
    mistakes = list(_policy(site, "firewall_policy", "from"))
    yield from mistakes
    yield from _policy(site, "firewall_outbound_policy", "to")
    if not mistakes and str(port) not in _open_ports(site, rows):
        yield (
            f"firewall_policy does not open port {port}, which Ansible connects to, on {site.host}: add a row such as "
            f"{{group: all, port: {port}}}."
        )


# Addresses at which a host finds itself alone.
OWN = re.compile(r"127\..*|::1|0\.0\.0\.0|::")
# By what one machine is told from another that has the same address.
LOGIN = (
    "ansible_host", "ansible_port", "ansible_ssh_port", "ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args",
    "ansible_paramiko_proxy_command",
)  # fmt: skip


def _machines(site):
    """Say which names stand for one machine, whose firewall would be that of the last one, and which addresses lead nowhere."""
    hosts, addresses = site["app_site_hosts"], site["app_addresses"]
    if not is_list(hosts) or len(hosts) < 2 or not isinstance(addresses, Mapping):
        return
    own = [host for host in hosts if OWN.fullmatch(_plain_address(addresses.get(host)))]
    for host in own:
        yield (
            f"app_address of {host} is '{addresses[host]}', at which the site's other hosts find themselves: give the address by which they reach {host} "
            "(by default it is ansible_host)."
        )
    places = {host: ("app_address", _plain_address(addresses.get(host))) for host in hosts if host not in own and addresses.get(host)}
    # It takes time, and each host of the run would say the same.
    asked = hosts if site.host == next((host for host in site.run if host in hosts), "") else ()
    logins = {host: ("ansible_host", *login) for host in asked if (login := _login(site, host))}
    said = set()
    for known in (places, logins):
        for names in _alike(known):
            if not said >= set(names):
                said |= set(names)
                kind, address, *_rest = known[names[0]]
                yield (
                    f"The inventory gives one machine the names {' and '.join(names)}, which all have the {kind} {address}: give it one name, and put that "
                    "into each of the groups."
                )


def _alike(values):
    """Return the lists of names whose values are the same."""
    names = {}
    for name, value in values.items():
        names.setdefault(value, []).append(name)
    return [same for same in names.values() if len(same) > 1]


def _plain_address(value):
    """Return an address as one text, however it is written."""
    return str(ipaddress.ip_address(str(value))) if is_address(value) else str(value).lower()


def _login(site, host):
    """Return by what Ansible reaches a host over the network; nothing where it takes another way, or where that cannot be read."""
    try:
        known = site.variables["hostvars"][host]
        values = {name: known.get(name) for name in ("ansible_connection", *LOGIN)}
    except Exception:
        return ()
    if str(values["ansible_connection"] or "ssh") not in ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"):
        return ()
    address, port, *options = (values[name] for name in LOGIN)
    return _plain_address(address or host), str(port or 22), *map(str, options)


def _open_ports(site, rows):
    """Return the ports that a policy opens on the host to anybody at all, over TCP."""
    own = [row for row in rows if row["group"] in ("all", *site.groups) and row.get("protocol", "tcp") == "tcp" and row.get("from", ["anywhere"])]
    return {str(port) for row in own for port in (row["port"] if is_list(row["port"]) else [row["port"]])}


def _policy(site, variable, network):
    rows = site[variable]
    columns = ["group", "port", "protocol", network]
    if not is_rows(rows, ["group", "port"]):
        yield f"{variable} has to be a list of rows, each with at least a group and a port."
        return
    # A misspelt `from` or `to` would mean the whole world.
    if strange := [column for row in rows for column in row if column not in columns]:
        yield f"{variable} has rows with {listed(strange)}: the columns are {listed(columns)}."
    if strange := [row["group"] for row in rows if row["group"] not in [*GROUPS, *site["groups"]]]:
        yield f"{variable} names {listed(strange)}: give a group of the inventory, or one of {listed(GROUPS)}."
    numbers = [row["port"] if is_list(row["port"]) else [row["port"]] for row in rows]
    strange = [port for row in numbers for port in row if not is_port(port)]
    # Those of the default policy are told by the variables that it has them from.
    if (strange or [] in numbers) and variable in site.given:
        yield f"{variable} names the port '{listed(strange)}': give numbers from 1 to 65535."
    # Rows of other hosts may hold what only these have to know as an address.
    own = [row[network] for row in rows if network in row and row["group"] in ("all", *site.groups)]
    networks = [item for row in own for item in (row if is_list(row) else [row])]
    if strange := [item for item in networks if not is_network(item)]:
        yield f"{variable} names the network '{listed(strange)}': give addresses or networks such as 192.0.2.0/24 and 2001:db8::/32."
    if strange := [row["protocol"] for row in rows if row.get("protocol", "tcp") not in ("tcp", "udp")]:
        yield f"{variable} names the protocol {listed(strange)}: give tcp or udp."


# --- Certificates -----------------------------------------------------------------------------


def certificates(site):
    """Say what is wrong with the certificates between the site's hosts."""
    given = [site[f"certificates_{name}"] for name in ("ca", "certificate", "key")]
    if any(given) and not all(given):
        yield (
            f"certificates_ca, certificates_certificate and certificates_key belong together: set all three for {site.host}, or none for the site's "
            "own authority."
        )
    elif all(given):
        bad = [name for name in ("certificates_ca", "certificates_certificate") if not is_certificate(site[name])]
        for name in bad:
            yield f"{name} is no certificate in PEM form: give the text of the file."
        if not bad and not belong_together(*given[1:]):
            yield "certificates_key is not the key of certificates_certificate: give the two that belong together."
    days, renewed = site["certificates_days"], site["certificates_renew_days"]
    if not is_whole(days, 1, 99999) or not is_whole(renewed) or int(renewed) >= int(days):
        yield f"certificates_renew_days is '{renewed}' and certificates_days '{days}': give whole numbers, the first one smaller."


def logs(site):
    """Say what is wrong with the host that keeps the logs."""
    site.settle(*HOSTS_OF_SITE)
    keepers = site["logs_hosts"]
    if not is_list(keepers):
        yield "logs_hosts has to be a list."
        return
    if len(keepers) > 1:
        yield f"The group logs has {len(keepers)} hosts: give one, which keeps what all of them log, or none."
    elif strange := [host for host in keepers if host not in site["app_site_hosts"]]:
        yield f"The group logs names {listed(strange)}, which is in no other part of the site: give a host of web, database, balancer or backup."
    elif keepers and len(site["app_site_hosts"]) < 2:
        yield f"The group logs names {listed(keepers)}, which is the whole site: its log is there anyway. Leave the group out."
    yield from given_ports(site, "logs_port")
    yield from whole_numbers(site, {"logs_max_mb": (100, None), "logs_max_days": (1, None)})


def doctor(site):
    """Say what is wrong with what a host has to have at least."""
    yield from whole_numbers(site, {"doctor_memory_mb": (0, None), "doctor_disk_mb": (0, None)})


def reboot(site):
    """Say what is wrong with how long reboot.yml waits."""
    yield from whole_numbers(site, {"hardening_reboot_timeout_seconds": BOUNDS["hardening_reboot_timeout_seconds"]})


def status(site):
    """Say what is wrong with the bounds of the status page."""
    names = ("timeout_seconds", "certificate_days", "backup_hours", "lag_seconds")
    yield from whole_numbers(
        site, dict.fromkeys((f"status_{name}" for name in names), (1, None)) | {"status_disk_percent": (1, 100), "status_memory_percent": (1, 100)}
    )
