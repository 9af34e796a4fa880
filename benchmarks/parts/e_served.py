"""What visitors get over HTTPS, beside other servers: requests in a second, and the time that 99 of 100 answers take at most."""

import pathlib
import time

from lab import FLOOR, SITE, run
from report import read_wrk, row

STATIC, PAGE, TRIVIAL = "/static/bench/style.css", "/admin/login/", "/trivial/"
BROWSER = "Accept-Encoding: gzip, deflate, br, zstd"
OURS, FLOOR_HOST = f"https://{SITE['h1']}", f"https://{FLOOR['floor']}"
PLAIN, TUNED = (f"{FLOOR_HOST}:443", "Debian's nginx, plain"), (f"{FLOOR_HOST}:9443", "nginx, tuned by hand")
GUNICORNS = [(f"{FLOOR_HOST}:8443", "gunicorn, sync"), (f"{FLOOR_HOST}:8444", "gunicorn, gthread")]
# What is asked for, with which header, and who else serves it.
KINDS = {
    "static file": (STATIC, "Accept-Encoding: identity", [PLAIN, TUNED]),
    "static file, compressed": (STATIC, BROWSER, [PLAIN, TUNED]),
    "Wagtail's login": (PAGE, "Accept-Encoding: identity", GUNICORNS),
    "trivial page": (TRIVIAL, "Accept-Encoding: identity", GUNICORNS),
}


def ask(url, header, connections, seconds):
    """Ask for a page on so many connections, which are kept. One thread of the client leaves the servers a core."""
    words = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--timeout=30s", "--latency", f"--header={header}", url]
    figures = read_wrk(run(words, f"wrk of {url}")[1])
    settle()
    return figures


def settle(idle_share=0.8, patience_seconds=20):
    """Wait until the processors have little to do: what wrk left behind in a server's queue is worked off before the next one is asked.

    A request that comes later is no proof of that: threads take what came first in no order.
    """
    end = time.monotonic() + patience_seconds
    while time.monotonic() < end:
        before = ticks()
        time.sleep(0.5)
        idle, everything = (after - earlier for after, earlier in zip(ticks(), before))
        if idle >= idle_share * everything:
            return


def ticks():
    """Return how long the processors were idle, and all of their time, since the machine started (proc_stat(5))."""
    words = pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    figures = [int(word) for word in words]
    return figures[3] + figures[4], sum(figures)


def measure(lab):
    """Return the rows of part e."""
    lab.site()
    lab.floor()
    lab.by_hand("floor_served.sh")
    seconds = max(2, round(3 * lab.scale))
    rows = []
    for kind, (path, header, others) in KINDS.items():
        for connections in (1, 16, 128):
            servers = [OURS, *(url for url, _name in others)]
            figures = {server: [] for server in servers}
            for server in servers:
                # Unmeasured: caches, and workers that load on the first request.
                ask(server + path, header, connections, 1)
            for _run in range(lab.runs):
                for server in servers:
                    figures[server].append(ask(server + path, header, connections, seconds))
            for url, name in others:
                for place, what, unit in ((0, "", "requests/s"), (1, ", p99", "ms")):
                    ours, beside = ([figure[place] for figure in figures[server]] for server in (OURS, url))
                    rows.append(row(f"{kind}, {connections} connection{'s' * (connections > 1)}{what}", ours, unit, beside, name))
    return rows
