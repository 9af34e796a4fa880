#!/usr/bin/env python3
"""Measures what this collection costs and what its servers give, on lab hosts over SSH; the results are README.md's neighbours.

Results of a trial (fewer than three runs, or another scale than 1) go into .cache/bench. Interrupted, it removes its hosts.
"""

import argparse
import datetime
import importlib
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time

import lab as labs
import report

# d is last: it makes the first host one of several.
ORDER = "abcefghd"
MODULES = {path.stem[0]: path.stem for path in (labs.HERE / "parts").glob("[a-h]_*.py")}
VERSIONS = """
. /etc/os-release; echo "hosts: $PRETTY_NAME"
for package in nginx uwsgi-core python3 pgbackrest; do echo "$package: $(dpkg-query --show --showformat '${Version}' $package 2>/dev/null)"; done
echo "postgresql: $(runuser -u postgres -- psql -At -c 'show server_version')"
if [ -x /srv/site/venv/bin/python ]; then
  /opt/uv/bin/uv pip list --python /srv/site/venv 2>/dev/null | awk '/^(django|wagtail|gunicorn) / { print $1 ": " $2 }'
fi
"""


def machine():
    """Return what this machine is, by name."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    facts = {"cores": os.cpu_count(), "processor": cpu[1] if cpu else platform.machine(), "memory": f"{memory / 2**20:.0f} GB", "kernel": platform.release()}
    facts["controller"] = labs.run(["ansible-playbook", "--version"])[1].splitlines()[0]
    facts["controller's Python"] = re.search(r"python version = (\S+)", labs.run(["ansible-playbook", "--version"])[1])[1]
    wrk = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return facts | {"wrk": (wrk.stdout + wrk.stderr).split("[")[0].removeprefix("wrk").strip()}


def versions(lab):
    """Return the versions of what runs on the hosts that stand, by name."""
    found = {}
    for host, stands in (("h1", lab.hosts), ("floor", lab.floored)):
        if stands:
            found |= dict(line.split(": ", 1) for line in lab.ssh(host, VERSIONS)[1].splitlines() if ": " in line)
    return found


def measure(letter, lab):
    """Return the result of one part; that it failed is a result, too."""
    revision = labs.run(["git", "describe", "--always", "--dirty"])[1].strip()
    started, load = time.monotonic(), os.getloadavg()[0]
    result = {"date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"), "revision": revision, "runs": lab.runs, "scale": lab.scale}
    try:
        result["rows"] = importlib.import_module(f"parts.{MODULES[letter]}").measure(lab)
    except Exception as error:
        # Whatever it is: the other parts go on.
        result["error"] = " ".join((str(error) or repr(error)).split()).replace("|", "/")[-600:]
    return result | {"load": [load, os.getloadavg()[0]], "seconds": time.monotonic() - started}


def keep(results, directory):
    """Write the results as JSON, Markdown and a plot."""
    (directory / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (directory / "RESULTS.md").write_text(report.document(results))
    import plot

    plot.draw(results, directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="letters of parts, separated by commas")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1)
    arguments = parser.parse_args()
    wanted = [letter for letter in ORDER if not arguments.only or letter in arguments.only.split(",")]
    if arguments.only and len(wanted) != len(set(arguments.only.split(","))):
        parser.error(f"--only {arguments.only}: give letters of {', '.join(sorted(ORDER))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = labs.Lab(arguments.runs, arguments.scale)
    directory = labs.HERE if arguments.scale == 1 and arguments.runs >= 3 else labs.CACHE
    path = directory / "results.json"
    # Parts that are not measured now keep what they had, with its date.
    results = json.loads(path.read_text()) if path.exists() else {"machine": {}, "parts": {}}
    results["machine"] |= machine()
    try:
        lab.clear()
        for letter in wanted:
            print(f"== Measuring {letter}", flush=True)
            result = results["parts"][letter] = measure(letter, lab)
            print(report.part(letter, result), flush=True)
            keep(results, directory)
        results["machine"] |= versions(lab)
        keep(results, directory)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    finally:
        print("== Removing the hosts", flush=True)
        lab.clear()
    sys.exit(any("error" in results["parts"][letter] for letter in wanted))


if __name__ == "__main__":
    main()
