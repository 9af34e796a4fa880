# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Facts of a host that nobody has asked yet, so that what an inventory makes of them can be judged by its form."""

from __future__ import annotations

_ADDRESS = {"address": "192.0.2.10", "alias": "eth0", "interface": "eth0", "gateway": "192.0.2.1", "network": "192.0.2.0", "netmask": "255.255.255.0", "prefix": "24"}
_ADDRESS6 = {"address": "2001:db8::10", "interface": "eth0", "gateway": "2001:db8::1", "prefix": "64"}

# As `ansible.builtin.setup` names them (Ansible's documentation, "Discovering variables: facts and magic variables").
EXAMPLE = {
    "all_ipv4_addresses": ["192.0.2.10"],
    "all_ipv6_addresses": ["2001:db8::10"],
    "architecture": "x86_64",
    "date_time": {"date": "2026-01-31", "epoch": "1769860800", "hour": "12", "iso8601": "2026-01-31T12:00:00Z", "minute": "00", "tz": "UTC", "year": "2026"},
    "default_ipv4": _ADDRESS,
    "default_ipv6": _ADDRESS6,
    "distribution": "Debian",
    "distribution_major_version": "13",
    "distribution_release": "trixie",
    "distribution_version": "13.1",
    "dns": {"nameservers": ["192.0.2.1"]},
    "domain": "example.org",
    "env": {"HOME": "/root", "PATH": "/usr/bin:/bin"},
    "eth0": {"ipv4": _ADDRESS, "ipv6": [_ADDRESS6]},
    "fqdn": "host.example.org",
    "hostname": "host",
    "interfaces": ["lo", "eth0"],
    "kernel": "6.12.0",
    "local": {},
    "machine": "x86_64",
    "machine_id": "0" * 32,
    "memfree_mb": 1024,
    "memory_mb": {"real": {"free": 1024, "total": 2048, "used": 1024}, "swap": {"free": 0, "total": 0, "used": 0}},
    "memtotal_mb": 2048,
    "mounts": [{"device": "/dev/vda1", "fstype": "ext4", "mount": "/", "size_available": 2 * 10**10, "size_total": 4 * 10**10}],
    "nodename": "host",
    "os_family": "Debian",
    "pkg_mgr": "apt",
    "processor_cores": 2,
    "processor_count": 1,
    "processor_nproc": 2,
    "processor_vcpus": 2,
    "python": {"executable": "/usr/bin/python3", "version": {"major": 3, "micro": 5, "minor": 13}},
    "python_version": "3.13.5",
    "service_mgr": "systemd",
    "swaptotal_mb": 0,
    "system": "Linux",
    "uptime_seconds": 3600,
    "user_id": "root",
    "virtualization_role": "guest",
    "virtualization_type": "kvm",
}
# With `inject_facts_as_vars`, Ansible's default for long, they are variables of their own as well.
VARIABLES = {"ansible_facts": EXAMPLE} | {f"ansible_{name}": value for name, value in EXAMPLE.items()}
