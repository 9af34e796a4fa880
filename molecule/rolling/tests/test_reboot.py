"""Web hosts reboot, by the playbook and by themselves, and no visitor notices."""

import contextlib

import pytest
from load import Load

testinfra_hosts = ["ansible://lb1"]


def the_playbook(site):
    """All web hosts in turn; the balancer's own reboot would be noticed."""
    run = site.apply("reboot", "--limit", ",".join(site.web), "-e", "reboot_all=true")
    # Left alone, nobody is rebooted without a reason.
    assert "nothing to reboot for" in run.text


def themselves(site):
    """One after another, as after an unattended upgrade: without anybody who drains them."""
    for name in site.web:
        site.reboot(name)
        site.healthy()


@pytest.mark.parametrize("how", [the_playbook, pytest.param(themselves, marks=pytest.mark.long)], ids=lambda how: how.__name__)
def test_nobody_notices_that_web_hosts_reboot(site, how, figure):
    before = {name: site.boot(name) for name in site.web}
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(Load(site.url, slow=2, pause_seconds=0.3))
        load.phase = how.__name__
        how(site)
        site.healthy()
        load.look()
    figure(f"web hosts rebooted by {how.__name__.replace('_', ' ')}: {load.report()}")
    load.check()
    after = {name: site.boot(name) for name in site.web}
    assert not set(before.values()) & set(after.values())
    for name in site.web:
        assert site.hosts[name].run("systemctl is-system-running").stdout.strip() == "running"
