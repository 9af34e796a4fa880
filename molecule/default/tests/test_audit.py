"""What auditors that are not ours say of a host."""

import json
import pathlib
import re
import subprocess
import sys
import time
import uuid

import pytest

testinfra_hosts = ["ansible://all"]

# Debian's package, unpacked beside the system: it adds nothing that it would then find.
LYNIS = """
cd "$1"
apt-get -qq update
apt-get -qq download lynis
dpkg-deb --extract lynis_*.deb .
cp usr/sbin/lynis usr/share/lynis/
cd usr/share/lynis
sh ./lynis audit system --quick --quiet --no-colors --profile "$1/etc/lynis/default.prf" --plugindir "$1/etc/lynis/plugins" \\
    --logfile "$1/log" --report-file "$1/report" >/dev/null
"""


@pytest.fixture(scope="module")
def lynis(reach):
    """Return Lynis' report, lines by key."""
    unit = f"lynis-{uuid.uuid4().hex[:8]}"
    directory = reach.root("mktemp -d /root/lynis.XXXXXX").strip()
    try:
        # Every file of this directory is made for the account that reads it, which is root.
        reach.root(f"cat >{directory}/run <<'END'\n{LYNIS}END\nchown -R root:root {directory}")
        # It takes minutes on a slow machine: longer than a login waits.
        reach.root(f"systemd-run --quiet --collect --unit={unit} sh -eu {directory}/run {directory}")
        deadline = time.monotonic() + 3600
        # 3 or 4: it is over. On a machine that is this busy a login may fail, which is 255 of ssh.
        while reach.ssh(f"systemctl --quiet is-active {unit}").returncode in (0, 255) and time.monotonic() < deadline:
            time.sleep(5)
        lines = reach.root(f"cat {directory}/report || journalctl --unit={unit}").splitlines()
    finally:
        reach.root(f"rm -rf {directory}")
    report = {}
    for key, value in (line.split("=", 1) for line in lines if re.match(r"\w+(\[\])?=", line)):
        report.setdefault(key, []).append(value)
    assert "hardening_index" in report, lines
    return report


def test_lynis_is_content(reach, lynis, figure):
    owns_kernel = reach.ssh("systemd-detect-virt --container --quiet").returncode != 0
    index, suggestions = int(lynis["hardening_index"][0]), lynis.get("suggestion[]", [])
    figure(
        f"{reach.name}: Lynis {lynis['lynis_version'][0]} on {'a kernel of its own' if owns_kernel else 'a shared kernel'}:"
        f" hardening index {index}, {len(suggestions)} suggestions ({', '.join(sorted({row.split('|')[0] for row in suggestions}))})"
    )
    assert index >= (88 if owns_kernel else 85), suggestions


def test_ssh_audit_finds_nothing(reach, figure):
    result = subprocess.run(
        [pathlib.Path(sys.executable).with_name("ssh-audit"), "--json", "--timeout=60", "--port", str(reach.port), reach.address],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    report = json.loads(result.stdout)
    found = {"fail": [], "warn": []}
    for kind in ("kex", "key", "enc", "mac"):
        assert report[kind], f"{kind} was not looked at"
        for algorithm in report[kind]:
            for level, sentences in found.items():
                sentences += [f"{algorithm['algorithm']}: {note}" for note in algorithm["notes"].get(level, [])]
    figure(f"{reach.name}: ssh-audit: {len(found['fail'])} failures, {len(found['warn'])} warnings")
    assert found == {"fail": [], "warn": []}
    assert (report["cves"], result.returncode) == ([], 0)
