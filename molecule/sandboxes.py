"""How far services are walled in, as systemd itself reckons it: for the tests of every scenario whose hosts have units of ours."""

import re

# Debian's, which our drop-ins wall in as far as they work.
DEBIANS = ["nginx.service", "postgresql@*.service", "patroni@*.service", "haproxy.service", "etcd.service"]
# Units that are there only while they work, and as whom.
PASSING = {"postgresql-backup-": "--uid=postgres", "postgresql-backup-media-": ""}


def exposures(host):
    """Return systemd's figure, 0 to 10, of every service of ours and of Debian's that a host has."""
    with host.sudo():
        names = host.check_output("find /etc/systemd/system -maxdepth 1 -type f -name '*.service' -printf '%f\\n'").split()
        units = set()
        for name in [*names, *DEBIANS]:
            running = host.check_output(f"systemctl list-units --all --plain --no-legend '{name.replace('@.', '@*.')}'").splitlines()
            # A template's instance, or the unit itself, which may be asleep.
            units |= {line.split()[0] for line in running} or ({name.replace("@.", "@1.")} if name in names else set())
        passing = {f"{name}exposure": option for name, option in PASSING.items() if host.file(f"/etc/systemd/system/{name}.service.d").exists}
        for name, option in passing.items():
            host.check_output(f"systemd-run --quiet --collect --unit={name} {option} sleep infinity")
            units.add(f"{name}.service")
        lines = {unit: host.check_output(f"systemd-analyze security --no-pager '{unit}' | tail -n 1") for unit in units}
        for name in passing:
            host.check_output("systemctl stop %s", name)
    return {unit: float(re.search(r": ([0-9.]+) ", line)[1]) for unit, line in lines.items()}


def test_services_are_walled_in(host, site, figure):
    found = exposures(host)
    name = host.backend.get_hostname()
    figure(f"{name}: exposure by systemd-analyze security: " + ", ".join(f"{unit} {level}" for unit, level in sorted(found.items())))
    application = re.compile(rf"{site.variables['_meta']['hostvars'][name]['app_name']}(@.*|-.*)?\.service")
    debians = re.compile(r"(nginx|haproxy|etcd|postgresql@.*|patroni@.*)\.service")
    ours = {unit: level for unit, level in found.items() if not debians.fullmatch(unit)}
    assert "selfhost-guard.service" in ours
    assert {unit: level for unit, level in ours.items() if application.fullmatch(unit) and level > 2.0} == {}
    assert {unit: level for unit, level in ours.items() if level > 3.0} == {}
    # As shipped: 9.6, 9.6 and 9.2.
    assert {unit: level for unit, level in found.items() if debians.fullmatch(unit) and level > 4.0} == {}
