# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with the names that an application's accounts and units have: an account that is somebody's would get another home and no shell."""

from __future__ import annotations

from collections.abc import Mapping

from .values import is_list, matches

# Of the package base-passwd, which every Debian has (/usr/share/base-passwd/passwd.master and group.master).
OF_DEBIAN = set(
    "root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc _apt nobody adm tty disk kmem dialout fax voice cdrom floppy tape "
    "sudo audio dip operator src shadow utmp video sasl plugdev staff users nogroup".split()
)
# Of packages that this collection installs, and of others that let their members become root, or read everybody's log.
OF_PACKAGES = set(
    "postgres haproxy nginx etcd sshd _ssh ssh chrony _chrony messagebus polkitd uuidd crontab input kvm render sgx netdev ssl-cert systemd-journal "
    "systemd-network systemd-resolve systemd-timesync stunnel4 docker lxd incus incus-admin libvirt wheel".split()
)
# Units of Debian's and of this collection's, by whose names an application's would replace or extend them.
UNITS = set(
    "apparmor apt-daily apt-daily-upgrade auditd certbot chrony cron dbus dpkg-db-backup e2scrub_all e2scrub_reap emergency etcd fail2ban fstrim getty haproxy "
    "logrotate man-db media-server networking nftables nginx patroni pgbackrest pgbackrest-server polkit postgresql postgresql-backup postgresql-drill "
    "postgresql-guard postgresql-receive qemu-guest-agent rescue rsync selfhost-acme selfhost-acme-install selfhost-aide selfhost-debian-upgrade "
    "selfhost-debsums selfhost-guard selfhost-logs selfhost-logs-keep selfhost-mounts selfhost-notify selfhost-notify-send ssh sshd stunnel4 systemd sysstat "
    "udev unattended-upgrades user uwsgi".split()
)
# What stops or holds the units of an application goes by the beginning of their names, and so do those of this collection.
OURS = "selfhost(-.*)?"
# useradd(8): what Debian takes as the name of an account.
NAME = "[a-z_][a-z0-9_-]{0,31}"


def accounts(site):
    """Say what is wrong with the accounts of an application, its groups, and the name of its units."""
    variables = {}
    for variable in ("app_user", "app_group", "app_build_user"):
        variables.setdefault(str(site[variable]), []).append(variable)
    admins = site.get("hardening_admins")
    logins = {str(row.get("name")) for row in admins if isinstance(row, Mapping)} if is_list(admins) else set()
    logins |= {str(site.get(name, "")) for name in ("ansible_user", "hardening_admin_group")}
    for name, bearers in variables.items():
        said = f"{' and '.join(bearers)} {'are' if len(bearers) > 1 else 'is'} '{name}'"
        if not matches(NAME, name):
            yield f"{said}: give at most 32 lower-case letters, digits, hyphens and underscores that begin with a letter."
        elif name in OF_DEBIAN | OF_PACKAGES:
            yield f"{said}, a name that Debian or a package has for itself: give one of the application's own, such as {name}_app (or another app_name)."
        elif name in logins:
            yield f"{said}, by which somebody logs in to the hosts: give one of the application's own, which nobody logs in by."
        elif "app_build_user" in bearers and len(bearers) > 1:
            yield f"{said}: give the account that builds a name of its own, so that what serves can change nothing that was built."
    service = str(site["app_service"])
    if not matches("[a-z][a-z0-9_-]{0,30}", service):
        yield f"app_service is '{service}': give at most 31 lower-case letters, digits, hyphens and underscores that begin with a letter."
    elif service in UNITS or matches(OURS, service):
        whose = f"{service}.service is another's" if service in UNITS else "this collection's own units begin so"
        own = service.replace("-", "_")
        yield f"app_service is '{service}', and {whose}: give a name of the application's own, such as {own}_app (or another app_name)."
