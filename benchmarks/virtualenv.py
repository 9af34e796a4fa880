#!/usr/bin/env python3
"""Times what builds a virtualenv, pip and uv in turn, with an empty cache of wheels and with a full one.

    virtualenv.py REQUIREMENT... [--runs N] [--uv SPECIFIER]     e.g.  virtualenv.py 'wagtail>=7.0,<7.1' 'psycopg[binary]'

Both write byte code, as pip does by default: the sandbox of a release cannot. The seconds of the processor hold on a busy machine too.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def build(tool, uv, directory, requirements):
    """Return the seconds that a fresh virtualenv with the requirements takes: on the clock, of the processor."""
    venv, cache = directory / "venv", directory / f"cache-{tool}"
    started, used = time.monotonic(), os.times()
    if tool == "pip":
        run(sys.executable, "-m", "venv", "--clear", venv)
        run(venv / "bin/pip", "--cache-dir", cache, "install", "--quiet", *requirements)
    else:
        run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, "--cache-dir", cache, venv)
        run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", venv, "--cache-dir", cache, *requirements)
    ended, now = time.monotonic(), os.times()
    return ended - started, now.children_user + now.children_system - used.children_user - used.children_system


def run(*words):
    subprocess.run([str(word) for word in words], check=True, stdin=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirements", nargs="+")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--uv", default="uv")
    arguments = parser.parse_args()
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        tools = pathlib.Path(name) / "tools"
        run(sys.executable, "-m", "venv", tools)
        run(tools / "bin/pip", "install", "--quiet", arguments.uv)
        for _run in range(arguments.runs):
            for tool in ("pip", "uv"):
                with tempfile.TemporaryDirectory(dir=name) as directory:
                    for state in ("cold", "warm"):
                        figures = build(tool, tools / "bin/uv", pathlib.Path(directory), arguments.requirements)
                        seconds.setdefault((tool, state), []).append(figures)
    for (tool, state), figures in sorted(seconds.items()):
        clock, processor = (statistics.median(values) for values in zip(*figures, strict=True))
        print(f"{tool:4} {state}   {clock:5.1f} s on the clock   {processor:5.1f} s of the processor   (median of {len(figures)})")


if __name__ == "__main__":
    main()
