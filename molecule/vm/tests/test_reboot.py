"""What a reboot must leave as it was, and what only a host with a kernel of its own can show."""

import concurrent.futures
import dataclasses
import json
import time

import pytest

testinfra_hosts = ["ansible://all"]

# Seconds until a site has to answer once SSH is back: on a processor that virtualises, and on an emulated one.
SECONDS = {"kvm": 60, "qemu": 180}
STATE = {
    "the firewall's rules": "nft --stateless list table inet selfhost",
    "AppArmor's profiles": "aa-status --json | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[\"profiles\"], sort_keys=True))'",
    "the audit's rules": "auditctl -l",
    "what listens": "ss --no-header --tcp --udp --listening --numeric | awk '{ print $1, $5 }' | sort --unique",
}
# Says which of the kernel's parameters are not what the file says, and which the kernel does not have.
PARAMETERS = """
sed -n 's/^-\\?\\([^#= ]*\\) *= */\\1 /p' /etc/sysctl.d/99-selfhost.conf | while read -r name value; do
  for file in /proc/sys/$(echo "$name" | tr . /); do
    if [ ! -e "$file" ]; then echo "$file is missing"
    elif [ "$(cat $file)" != "$value" ]; then echo "$file is $(cat $file), not $value"; fi
  done
done
"""


@dataclasses.dataclass
class Reboot:
    """What was seen of a host before and after it."""

    before: dict
    after: dict
    # From the first login until the site answered.
    seconds: float
    processor: str


@pytest.fixture(scope="session")
def reboots(site, figure):
    """Reboot all hosts at once; return what was seen, by host."""

    def state(name):
        return {what: site.hosts[name].check_output(command) for what, command in STATE.items()}

    def reboot(name):
        before = state(name)
        site.reboot(name)
        started = time.monotonic()
        site.wait(f"the site on {name}", lambda: site.serves(name), seconds=600)
        seconds = time.monotonic() - started
        site.hosts[name].run("systemctl is-system-running --wait")
        return Reboot(before, state(name), seconds, site.hosts[name].check_output("systemd-detect-virt"))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        reboots = dict(zip(site.hosts, pool.map(reboot, site.hosts), strict=True))
    for name, seen in reboots.items():
        figure(f"{name} ({seen.processor}): the site answered {seen.seconds:.0f} s after SSH")
    return reboots


@pytest.fixture
def seen(host, reboots):
    """What was seen of this host's reboot."""
    return reboots[host.backend.get_hostname()]


def test_the_site_answers_soon_after_ssh(seen):
    assert seen.seconds <= SECONDS[seen.processor]


def test_every_unit_is_up(host, reboots):
    assert host.run("systemctl is-system-running").stdout.strip() == "running", host.run("systemctl --failed --plain --no-legend").stdout


@pytest.mark.parametrize("what", STATE)
def test_the_reboot_has_changed_nothing(seen, what):
    assert seen.before[what]
    assert seen.after[what] == seen.before[what]


def test_every_parameter_of_the_kernel_is_as_configured(host, reboots):
    with host.sudo():
        assert int(host.check_output("grep -c '^[^#]*=' /etc/sysctl.d/99-selfhost.conf")) > 20
        # It came with Linux 6.6; Debian 12 has 6.1.
        missing = "/proc/sys/kernel/io_uring_disabled is missing" if host.system_info.codename == "bookworm" else ""
        assert host.check_output(PARAMETERS) == missing


def test_what_runs_under_a_profile_of_apparmor_is_held_to_it(host, reboots):
    """Of the profiles that only complain, none is of a program that runs here."""
    with host.sudo():
        processes = json.loads(host.check_output("aa-status --json"))["processes"]
    modes = {name: {process["status"] for process in found} for name, found in processes.items()}
    assert modes.get("/usr/sbin/chronyd") == {"enforce"}
    # The latter, from Debian 13 on, give a program its name and forbid nothing: that of uwsgi-core, say.
    assert set.union(*modes.values()) <= {"enforce", "unconfined"}, modes


def test_the_audit_is_on_and_hears_of_a_change(host, reboots):
    with host.sudo():
        assert "enabled 0" not in host.check_output("auditctl -s")
        host.check_output("touch /etc/sudoers.d/heard && rm /etc/sudoers.d/heard")
        assert "/etc/sudoers.d/heard" in host.check_output("ausearch --input-logs --start recent --key privileges")
        assert host.check_output("journalctl --boot --quiet _TRANSPORT=audit") == "", "the journal has no copy"


def test_a_dry_run_over_everything_finds_nothing_to_do(site, reboots):
    run = site.apply("site", "--check")
    changed = {line.split()[0]: line.split("changed=")[1].split()[0] for line in run.output.splitlines() if "changed=" in line}
    assert set(changed.values()) == {"0"}, run.output
