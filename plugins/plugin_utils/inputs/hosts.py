# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of its hosts: guard, operating system, firewall, certificates."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .values import (
    HOSTS_OF_SITE, belong_together, given_ports, is_certificate, is_list, is_network, is_port, is_rows, is_true, is_whole, listed, matches, ports, text_of, told, whole_numbers,
)  # fmt: skip

NAME = r"[a-z_][a-z0-9_-]{0,31}"
KEY = r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{16,}={0,3}( [^\n]*)?"
# The length of a line of base64 tells the length of the key: 544 characters for 3072 bits.
SHORT_RSA_KEY = re.compile("ssh-rsa [A-Za-z0-9+/=]{,530}( |$)")


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
    if not isinstance(options, Mapping) or not all(matches("[A-Za-z]+", key) and key.lower() not in ("include", "match") for key in options):
        yield (
            f"hardening_ssh_options is {text_of(options)}: give values by keyword, such as {{MaxSessions: 20}}; Include and Match belong into a file "
            "of yours in /etc/ssh/sshd_config.d."
        )
    sources = site["hardening_upgrade_sources"]
    if not is_list(sources) or not all(matches(r"/etc/apt/sources\.list(\.d/[A-Za-z0-9._-]+\.(list|sources))?", path) for path in sources):
        yield f"hardening_upgrade_sources is {text_of(sources)}: give a list of files such as /etc/apt/sources.list.d/monitoring.sources."
    ignored = site["hardening_fail2ban_ignore"]
    if strange := [value for value in (ignored if is_list(ignored) else [ignored]) if not is_list(ignored) or not is_network(value)]:
        yield f"hardening_fail2ban_ignore holds {listed(strange)}: give a list of addresses or networks such as 192.0.2.0/24 and 2001:db8::/32."
    if not matches("([01][0-9]|2[0-3]):[0-5][0-9]", site["hardening_automatic_reboot_time"]):
        yield f"hardening_automatic_reboot_time is '{site['hardening_automatic_reboot_time']}': give a quoted time of day such as \"03:30\"."
    size, age = site["hardening_journal_max_size"], site["hardening_journal_max_age"]
    if not matches("[1-9][0-9]*[KMGT]?", size) or not matches("[1-9][0-9]*(s|m|h|day|week|month|year)?", age):
        yield f"hardening_journal_max_size is '{size}' and hardening_journal_max_age '{age}': give a size such as 1G and an age such as 90day."


def _admins(site, admins):
    names = [str(admin["name"]) for admin in admins]
    if len(set(names)) < len(names) or not all(matches(NAME, name) and name != "root" for name in names):
        yield f"hardening_admins names {listed(names)}: give each administrator, once, a name of lower-case letters, digits, _ and - other than root."
        return
    keys = {admin["name"]: admin.get("keys") for admin in admins}
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


# --- Firewall ---------------------------------------------------------------------------------

# Groups that the product knows, whether or not the site uses them.
GROUPS = ("all", "web", "database", "balancer", "backup", "etcd", "logs")
# What the rows of the default policy derive from.
OF_POLICY = tuple(f"__firewall_{name}" for name in ("others", "web", "database", "balancers", "backup", "etcd", "backup_port", "media_port"))


def firewall(site):
    """Say what is wrong with the two tables of who may reach what."""
    site.settle(*HOSTS_OF_SITE, *OF_POLICY)
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


def status(site):
    """Say what is wrong with the bounds of the status page."""
    names = ("timeout_seconds", "disk_percent", "memory_percent", "certificate_days", "backup_hours", "lag_seconds")
    yield from whole_numbers(site, dict.fromkeys((f"status_{name}" for name in names), (1, None)))
