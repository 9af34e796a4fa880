"""Which commands have changed files taken over."""

import pathlib

import pytest
import yaml
from ansible_collections.selfhost.django.plugins.filter.readers_of import readers_of

ROOT = pathlib.Path(__file__).resolve().parents[4]
ROWS = [{"files": "^/etc/systemd/", "command": ["reload"]}, {"files": r"/logind\.d/", "command": ["restart", "logind"]}]


@pytest.mark.parametrize(
    ("paths", "commands"),
    [
        ([], []),
        (["/etc/issue"], []),
        (["/etc/logind.d/a"], [["restart", "logind"]]),
        (["/etc/systemd/logind.d/a", "/etc/systemd/b"], [["reload"], ["restart", "logind"]]),
        (["/srv/etc/systemd/a"], []),
    ],
)
def test_each_command_once_in_the_order_of_the_rows(paths, commands):
    assert readers_of(paths, ROWS) == commands


# What a first run of role hardening writes, and the first words of what takes it over.
WRITTEN = {
    "/etc/systemd/system/selfhost-mounts.service": ["systemctl daemon-reload", "systemctl restart selfhost-mounts.service"],
    "/etc/systemd/system/polkit.service.d/selfhost.conf": ["systemctl daemon-reload", "sh -euc"],
    "/etc/systemd/system.conf.d/selfhost.conf": ["systemctl daemon-reload"],
    "/etc/systemd/resolved.conf.d/selfhost.conf": ["sh -uc"],
    "/etc/systemd/journald.conf.d/selfhost.conf": ["systemctl restart systemd-journald.service"],
    "/usr/share/pam-configs/selfhost-umask": ["env DEBIAN_FRONTEND=noninteractive pam-auth-update"],
    "/etc/audit/rules.d/selfhost.rules": ["augenrules --load"],
    "/etc/sysctl.d/99-selfhost.conf": ["systemctl restart systemd-sysctl.service"],
    "/etc/fail2ban/jail.local": ["systemctl restart fail2ban.service"],
    "/usr/local/sbin/selfhost-logged-in": [],
    "/etc/issue": [],
}


@pytest.mark.parametrize("path", WRITTEN)
def test_what_role_hardening_writes_is_taken_over(path):
    handler = yaml.safe_load((ROOT / "roles/hardening/handlers/main.yml").read_text())[0]
    commands = [" ".join(words) for words in readers_of([path], handler["vars"]["__hardening_readers"])]
    assert len(commands) == len(WRITTEN[path]) and all(map(str.startswith, commands, WRITTEN[path]))
