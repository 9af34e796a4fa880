"""Visitors who come all the time, in all ways, and notice everything: for tests that say "nobody notices".

    with Load("https://10.88.2.13") as load:
        ...
    load.check()            # every request was answered, none badly
    print(load.report())

They read the start page with its assets as a browser does, on a connection that they keep and on one for each request, write, wait for a
slow page, and upload. Each waits for its answer before it asks again, so that a server that is slow is asked less and never flooded.
"""

import collections
import contextlib
import dataclasses
import http.client
import io
import json
import re
import select
import ssl
import threading
import time
import urllib.parse

import urllib3

# Whose certificate it is, is other tests' affair.
UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNVERIFIED.check_hostname, UNVERIFIED.verify_mode = False, ssl.CERT_NONE

ASSET = re.compile(r'(?:href|src)="([^"]+)"')
ASSET_OF_ASSET = re.compile(r"""url\(["']?([^"')]+)["']?\)""")
SHOWN = {name: re.compile(rf'id="{name}">([^<]*)<') for name in ("version", "release")}


class Refused(Exception):
    """An answer that no visitor should get."""


class Upload(io.BytesIO):
    """A body that is sent in pieces, as over a slow line."""

    def read(self, size=-1):
        time.sleep(0.005)
        return super().read(size)


@dataclasses.dataclass
class Failure:
    """What a visitor complained about."""

    when: float
    phase: str
    kind: str
    text: str

    def __str__(self):
        return f"{time.strftime('%H:%M:%S', time.localtime(self.when))} during {self.phase}: {self.kind}: {self.text}"


@dataclasses.dataclass
class Seen:
    """Which code gave an answer: asked for at `since`, answered at `until`."""

    since: float
    until: float
    kind: str
    version: str
    release: str


class Load:
    """Visitors of a site at `url`.

    `mirrors`: where else each asset of each page has to be found, by name: functions that take its path and return the status of the answer.
    `slow`: how many wait for the slow page; each keeps a worker of the application busy.
    `phase`: what the test is doing just now, which failures then name.
    """

    def __init__(self, url, *, mirrors=None, headers=None, slow=1, slow_seconds=5, upload_mb=3, timeout_seconds=60, pause_seconds=0.2):
        self.url, self.mirrors, self.headers = url, mirrors or {}, headers or {}
        self.slow_seconds, self.upload_mb, self.pause_seconds = slow_seconds, upload_mb, pause_seconds
        self.timeout_seconds = timeout_seconds
        self.phase = "the load alone"
        self.failures, self.seen = [], []
        # What the start page of each version named.
        self.assets = {}
        self.requests, self.worst = collections.Counter(), {}
        self.connections = self.repeated = 0
        self.waiting = {}
        self.lock, self._stop = threading.Lock(), threading.Event()
        visits = [
            ("page, kept connection", self._visit_pages, True),
            ("page, new connections", self._visit_pages, False),
            ("status, kept connection", self._visit_status, True),
            ("write, kept connection", self._write, True),
            ("write, new connections", self._write, False),
            ("upload, kept connection", self._upload, True),
            ("upload, new connections", self._upload, False),
            *((f"slow, {'new connections' if number % 2 else 'kept connection'}", self._wait, not number % 2) for number in range(slow)),
        ]
        self._threads = [threading.Thread(target=self._come_again, args=visit, daemon=True) for visit in visits]
        # Every one of them has to have been answered, or the test has shown nothing.
        self.kinds = {visit[0] for visit in visits}

    # --- In and out ---------------------------------------------------------------------------

    def __enter__(self):
        self.started = time.time()
        for thread in self._threads:
            thread.start()
        self.wait(1, self.timeout_seconds)
        return self

    def __exit__(self, *_exception):
        self._stop.set()
        deadline = time.monotonic() + 2 * self.timeout_seconds
        for thread in self._threads:
            thread.join(timeout=max(0, deadline - time.monotonic()))
        self.ended = time.time()
        with self.lock:
            for kind, since in self.waiting.values():
                self.failures.append(Failure(since, self.phase, kind, "was never answered"))

    def wait(self, answers, seconds=60, kinds=()):
        """Wait until visitors of each kind were answered or disappointed some more times; return whether it came so."""
        kinds = [kind for kind in self.kinds if kind.startswith(tuple(kinds))] if kinds else self.kinds
        before, deadline = self._tally(), time.monotonic() + seconds
        while any(self._tally()[kind] < before[kind] + answers for kind in kinds):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def look(self):
        """Let those who come often come again, a few times; return which versions answered them."""
        since = time.time()
        assert self.wait(3, kinds=("page", "status", "write")), self.report()
        return self.versions(since)

    def _tally(self):
        with self.lock:
            return self.requests + collections.Counter(failure.kind for failure in self.failures)

    # --- What came of it ----------------------------------------------------------------------

    def check(self):
        """Fail unless visitors of every kind came and each request was answered as it should be."""
        assert not self.failures, f"{self.report()}\n" + "\n".join(str(failure) for failure in self.failures[:40])
        missing = self.kinds - {kind for kind, count in self.requests.items() if count}
        assert not missing, f"nobody was answered of: {', '.join(sorted(missing))}"

    def report(self):
        """Say in one line what was asked, how much of it failed and how long the longest wait was."""
        worst = ", ".join(f"{kind} {seconds:.1f} s ({phase})" for kind, (seconds, phase) in sorted(self.worst.items()))
        seconds = getattr(self, "ended", time.time()) - self.started
        return (
            f"{sum(self.requests.values())} requests in {seconds:.0f} s over {self.connections} connections, "
            f"{len(self.failures)} failed, {self.repeated} repeated on a new connection; longest wait: {worst}"
        )

    def versions(self, since=0.0, until=float("inf")):
        """Return which versions gave the answers to what was asked after one moment and answered before another."""
        with self.lock:
            return {seen.version for seen in self.seen if since <= seen.since and seen.until <= until}

    def releases(self, since=0.0, until=float("inf")):
        with self.lock:
            return {seen.release for seen in self.seen if since <= seen.since and seen.until <= until}

    # --- Visitors -----------------------------------------------------------------------------

    def _come_again(self, kind, visit, keeps):
        with contextlib.closing(Browser(self, kind, keeps)) as browser:
            while not self._stop.is_set():
                try:
                    visit(browser)
                # Whatever it is: a visitor who silently went away would make the load easier to bear.
                except Exception as error:
                    with self.lock:
                        self.failures.append(Failure(time.time(), self.phase, kind, str(error) if isinstance(error, Refused) else repr(error)))
                    # An outage is told a few times a second, not a few thousand times.
                    self._stop.wait(0.2)
                self._stop.wait(self.pause_seconds)

    def _visit_pages(self, browser):
        page = browser.get("/").decode()
        browser.note(**{name: found.group(1) for name, pattern in SHOWN.items() if (found := pattern.search(page))})
        if not (assets := ASSET.findall(page)):
            raise Refused("the start page names no asset")
        # A browser fetches them after the page, and what a style sheet names after that.
        for asset in assets:
            content = browser.get(asset)
            if asset.endswith(".css"):
                named = {urllib.parse.urljoin(asset, path) for path in ASSET_OF_ASSET.findall(content.decode())}
                assets += sorted(named - set(assets))
        with self.lock:
            self.assets[browser.version] = list(assets)
        for name, ask in self.mirrors.items() if browser.keeps else ():
            for asset in assets:
                if (status := ask(asset)) != 200:
                    raise Refused(f"{asset} on {name}: answered {status} instead of 200")

    def _visit_status(self, browser):
        browser.note(**json.loads(browser.get("/status/")))

    def _write(self, browser):
        data = urllib.parse.urlencode({"text": "written under load"})
        browser.note(**json.loads(browser.ask("POST", "/write/", data, {"Content-Type": "application/x-www-form-urlencoded"})))

    def _upload(self, browser):
        body, content_type = urllib3.encode_multipart_formdata({"file": ("load.bin", b"\0" * (self.upload_mb << 20), "application/octet-stream")})
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
        browser.note(**json.loads(browser.ask("POST", "/upload/", Upload(body), headers, expected=201)))
        self._stop.wait(10 * self.pause_seconds)

    def _wait(self, browser):
        browser.note(**json.loads(browser.get(f"/slow/?seconds={self.slow_seconds}")))


class Browser:
    """Asks on one connection for each address, which it keeps, or on a new one for each request."""

    def __init__(self, load, kind, keeps):
        self.load, self.kind, self.keeps = load, kind, keeps
        self.connection = None
        self.since = self.until = 0.0
        self.version = ""

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def get(self, path):
        return self.ask("GET", path)

    def ask(self, method, path, body=None, headers=None, expected=200):
        """Return the body of the answer; a bad one, and none, is an error."""
        load = self.load
        request = (method, path, body, {**load.headers, **(headers or {}), **({} if self.keeps else {"Connection": "close"})})
        self.since = time.time()
        with load.lock:
            load.waiting[self] = (self.kind, self.since)
        try:
            status, content = self._ask(request)
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"{method} {path}: {error!r} after {time.time() - self.since:.1f} s") from error
        finally:
            with load.lock:
                del load.waiting[self]
        self.until = time.time()
        if status != expected:
            raise Refused(f"{method} {path}: answered {status} instead of {expected}: {content[:200]!r}")
        with load.lock:
            load.requests[self.kind] += 1
            load.worst[self.kind] = max(load.worst.get(self.kind, (0, "")), (self.until - self.since, load.phase))
        return content

    def note(self, version="", release="", **_rest):
        """Remember which code gave the last answer."""
        if not version:
            raise Refused("the answer does not say which version gave it")
        self.version = version
        with self.load.lock:
            self.load.seen.append(Seen(self.since, self.until, self.kind, version, release))

    def _ask(self, request):
        # A server may close a connection that is idle; a browser sees that before it asks, and opens another.
        if self.connection and (self.connection.sock is None or select.select([self.connection.sock], [], [], 0)[0]):
            self.close()
        kept = self.connection is not None
        if not kept:
            self.connection = self._connect()
        answer = None
        try:
            self.connection.request(*request)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # Closed as idle just while the request was on its way, before a word of an answer. Browsers ask again where that is harmless
            # (RFC 9112, 9.3.1); counted and told.
            closed = isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)) and answer is None
            if not (closed and kept and request[0] == "GET"):
                raise
            with self.load.lock:
                self.load.repeated += 1
            return self._ask(request)
        if not self.keeps:
            self.close()
        return answer.status, content

    def _connect(self):
        url = urllib.parse.urlsplit(self.load.url)
        with self.load.lock:
            self.load.connections += 1
        if url.scheme == "https":
            return http.client.HTTPSConnection(url.netloc, timeout=self.load.timeout_seconds, context=UNVERIFIED)
        return http.client.HTTPConnection(url.netloc, timeout=self.load.timeout_seconds)
