"""What one visitor may take, and what becomes of requests that nobody waits for any more."""

import contextlib
import json
import socket
import ssl
import statistics
import time

CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


def connect(site, port=443):
    connection = socket.create_connection((site.address, port), timeout=10)
    return CONTEXT.wrap_socket(connection) if port == 443 else connection


def answer(site, head):
    """Return the status of the answer to a request, without its body."""
    with connect(site) as connection:
        connection.sendall(head)
        return int(connection.recv(16).split()[1])


def header(site, size, lines):
    """Return a request whose header takes so many bytes, most of them in so many lines."""
    head = f"GET /status/ HTTP/1.1\r\nHost: {site.address}\r\nConnection: close\r\n".encode()
    each = (size - len(head) - 2) // lines
    for number in range(lines):
        length = each if number + 1 < lines else size - len(head) - 2
        head += b"X-%03d: " % number + b"a" * (length - 9) + b"\r\n"
    return head + b"\r\n"


def test_requests_whose_visitors_have_left_are_not_worked_off(site, figure):
    with contextlib.ExitStack() as stack:
        for _number in range(60):
            stack.enter_context(connect(site)).sendall(f"GET /slow/?seconds=5 HTTP/1.1\r\nHost: {site.address}\r\n\r\n".encode())
        time.sleep(1)
    began = time.monotonic()
    assert site.get("/status/").status_code == 200
    waited = time.monotonic() - began
    figure(f"after 60 requests of 5 s whose visitors left, the next one waits {waited:.1f} s")
    # What each worker has begun, and no more.
    assert waited < 15


# Prints, of the server that runs and then of its workers, whether the end of a child (SIGCHLD, the 17th bit) has a handler.
HEEDS = """
set -eu
master=$(systemctl show --property=MainPID --value 'probe@*.service')
for process in $master $(pgrep --parent "$master"); do
  echo $process $((0x$(sed -n 's/^SigCgt:[[:space:]]*//p' /proc/$process/status) >> 16 & 1))
done
"""


def test_workers_that_end_together_are_replaced_at_once_and_an_ended_program_interrupts_none(site, figure):
    (host, *_others) = site.hosts.values()

    def settled():
        """The workers, once none of them has a handler: for a moment after its fork each has the master's."""
        (master, *workers) = (line.split() for line in host.check_output(HEEDS).splitlines())
        assert master[1] == "1"
        return {heeded for _worker, heeded in workers} == {"0"} and [worker for worker, _heeded in workers]

    def heed_none():
        return site.wait("workers that are interrupted by nothing", settled)

    former, waited = heed_none(), []
    for _time in range(5):
        host.check_output(f"kill -KILL {' '.join(heed_none())}")
        began = time.monotonic()
        assert site.get("/status/").status_code == 200
        waited.append(time.monotonic() - began)
    figure(f"after all workers died, the next request waits {statistics.median(waited):.2f} s")
    assert not set(former) & set(heed_none())


def test_idle_connections_of_one_address_leave_the_site_to_others(site):
    (host, *_others) = site.hosts.values()
    with contextlib.ExitStack() as stack:
        refused = 0
        for _number in range(1500):
            try:
                connection = stack.enter_context(connect(site, 80))
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
            except OSError:
                refused += 1
        assert refused >= 1100
        program = "import ssl, sys, urllib.request; print(urllib.request.urlopen('https://%s/status/' % sys.argv[1], context=ssl._create_unverified_context()).status)"
        assert host.check_output("timeout 10 python3 -c %s %s", program, site.address).strip() == "200"
    # The kernel forgets those that are closed in its own time.
    site.wait("this address to be let in again", site.serves)


def test_a_header_of_the_largest_size_passes_and_a_larger_one_is_refused_by_the_first_server(site):
    sizes = {32 * 1024: 200, 33 * 1024 + 500: 400, 64 * 1024: 400, 128 * 1024: 400}
    assert {(size, lines): answer(site, header(site, size, lines)) for size in sizes for lines in (1, 4, 30)} == {
        (size, lines): status for size, status in sizes.items() for lines in (1, 4, 30)
    }
    found = {length: site.get("/status/?" + "q" * length).status_code for length in (16_000, 17_000, 31_000)}
    assert found == {16_000: 200, 17_000: 414, 31_000: 414}


def test_a_path_is_asked_for_only_so_often(site):
    limits = {"nginx_rate_limits": [{"path": "/no/such/", "requests_per_minute": 5}]}
    try:
        site.apply("web", "--tags", "nginx", "-e", json.dumps(limits))
        begun, codes = time.monotonic(), []
        while 429 not in codes and len(codes) < 30:
            codes.append(site.get("/no/such/page").status_code)
        # One more for each twelve seconds that they took.
        *passed, last = codes
        assert last == 429 and set(passed) == {404} and 5 <= len(passed) <= 5 + (time.monotonic() - begun) // 12
        assert site.get("/status/").status_code == 200
    finally:
        site.apply("web", "--tags", "nginx")


def test_an_upload_beyond_what_tmp_holds_is_stored(site):
    (host, *_others) = site.hosts.values()
    pid = host.check_output("systemctl show --property MainPID --value probe@$(basename $(readlink /srv/probe/current)).service").strip()
    enter = f"nsenter --mount --target {pid}"
    host.check_output(f"{enter} mount -t tmpfs -o size=1m tmpfs /tmp")
    try:
        url, browser = f"{site.url}/upload/", site.session()
        browser.get(url, timeout=60)
        form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        stored = browser.post(url, data=form, files={"file": ("large.bin", b"x" * 20_000_000)}, headers={"Referer": url}, timeout=120)
        assert (stored.status_code, stored.json()["size"]) == (201, 20_000_000)
    finally:
        host.check_output(f"{enter} umount /tmp")


def test_of_what_a_step_of_a_deploy_prints_without_end_the_last_is_kept(site):
    (host, *_others), release = site.hosts.values(), next(iter(site.current().values()))
    noise = "head --bytes=50M /dev/zero | tr '\\0' x"
    run = f"probe-run --release {release} sh -euc \"{noise}; {noise} >&2; cat; echo why >&2; exit 7\""
    told = host.check_output(
        f"code=0; echo given | {run} >/tmp/told 2>/tmp/reason || code=$?; wc --bytes </tmp/told; tail --bytes=6 /tmp/told; "
        "wc --bytes </tmp/reason; tail --bytes=4 /tmp/reason; echo $code; rm /tmp/told /tmp/reason"
    )
    megabytes = str(4 << 20)
    assert told.split() == [megabytes, "given", megabytes, "why", "7"]
