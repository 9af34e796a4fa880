"""Two web hosts behind a balancer, as a visitor, an operator and an attacker see them."""

import concurrent.futures
import contextlib
import socket
import threading

import pytest
import requests
import yaml


class Visitors:
    """Ask and write until they are stopped, on kept connections and on new ones; remember what was not answered as it should be."""

    def __init__(self, site):
        self.site, self.stop, self.count, self.failures = site, threading.Event(), 0, []
        kept = site.session()
        self.ways = [
            lambda: kept.get(f"{site.url}/", timeout=60),
            lambda: kept.post(f"{site.url}/write/", data={"text": "kept"}, timeout=60),
            lambda: site.get("/"),
            lambda: site.post("/write/", data={"text": "new"}),
        ]

    def visit(self):
        while not self.stop.wait(0.05):
            for number, way in enumerate(self.ways):
                try:
                    answer = way().status_code
                except requests.RequestException as error:
                    answer = repr(error)
                self.count += 1
                if answer != 200:
                    self.failures.append((number, answer))

    def __enter__(self):
        self.thread = threading.Thread(target=self.visit, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.stop.set()
        self.thread.join(timeout=300)

    def see(self, number):
        """Wait until so many more requests were answered."""
        goal = self.count + number
        self.site.wait("visitors to be served", lambda: self.count >= goal)


@contextlib.contextmanager
def away(site, names, *units):
    """Stop units on web hosts, and bring the hosts back."""
    for name in names:
        site.hosts[name].check_output("systemctl stop %s" % " ".join(units))
    try:
        yield
    finally:
        for name in names:
            site.hosts[name].check_output("systemctl start %s" % " ".join(units))
        site.healthy()


def own_address(address):
    """Address by which a host that has the given one sees this machine."""
    with socket.create_connection((address, 443), timeout=10) as connection:
        return connection.getsockname()[0]


def served_by(site, requests_made=8):
    """The releases that answered; each web host's has its own name, since their Pythons differ."""
    return {site.get("/status/").json()["release"] for _ in range(requests_made)}


def test_visitors_reach_the_balancer_alone(site):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = dict(zip(site.addresses, pool.map(site.open_ports, site.addresses)))
    assert {name: ports[4] for name, ports in found.items()} == {"lb1": {22, 80, 443}, "web1": {22}, "web2": {22}}
    assert all(ports[6] == ports[4] for ports in found.values())
    assert {name: site.listening(name) for name in site.hosts} == {"lb1": {22, 80, 443, 5432, 19532}, "web1": {22, 443}, "web2": {22, 443}}
    # Not even their neighbours, who might tell them any address of a visitor; nor does one over IPv6, which the hosts do not speak with each other.
    assert site.open_ports("web1", seen_from="web2") == {4: {22}, 6: {22}}
    assert site.open_ports("lb1", seen_from="web2") == {4: {22, 80, 443, 5432, 19532}, 6: {22, 80, 443}}


def test_both_web_hosts_serve_and_know_whom(site):
    assert served_by(site) == set(site.current().values())
    spoofed = {
        "X-Forwarded-For": "192.0.2.66", "X-Real-IP": "192.0.2.66", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Port": "81", "Forwarded": "for=192.0.2.66;proto=http", "Proxy": "evil.example.org",
    }  # fmt: skip
    address6, *_others = site.own_addresses("lb1", 6)
    for address, url in ((site.address, site.url), (address6, f"https://[{address6}]")):
        own = own_address(address)
        for _host in site.web:
            told = requests.get(f"{url}/whoami/", headers=spoofed | {"Host": site.address}, verify=False, timeout=30).json()
            assert told["remote_address"] == own
            assert (told["scheme"], told["secure"], told["host"], told["port"]) == ("https", True, site.address, "443")
            assert told["url"] == f"https://{site.address}/whoami/"
            assert told["forwarded"] == {"HTTP_X_FORWARDED_FOR": own, "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_REAL_IP": own}


def test_http_is_redirected_and_unknown_hosts_get_no_answer(site):
    redirect = requests.get(f"http://{site.address}/slow/?seconds=1", allow_redirects=False, timeout=30)
    assert (redirect.status_code, redirect.headers["Location"]) == (308, f"https://{site.address}/slow/?seconds=1")
    for scheme in ("http", "https"):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{scheme}://{site.address}/", headers={"Host": "evil.example.org"}, verify=False, timeout=30)


def test_slow_and_large_requests_pass_and_too_large_ones_are_refused(site):
    assert site.get("/slow/?seconds=5", timeout=60).json()["seconds"] == 5
    url, browser = f"{site.url}/upload/", site.session()
    browser.get(url, timeout=60)
    form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    files = {"file": ("large.bin", b"x" * 20_000_000)}
    stored = browser.post(url, data=form, files=files, headers={"Referer": url}, timeout=120)
    assert (stored.status_code, stored.json()["size"]) == (201, 20_000_000)
    assert site.post("/write/", data=b"x" * 27_000_000, timeout=120).status_code == 413


def test_a_host_that_fails_is_not_noticed_and_none_at_all_is_said(site):
    release = site.current()["web1"]
    with Visitors(site) as visitors:
        with away(site, ["web1"], "nginx"):
            site.wait("the balancer to notice", lambda: site.servers()["web1"] == "DOWN")
            visitors.see(20)
            assert served_by(site) == {site.current()["web2"]}
        visitors.see(20)
    assert visitors.failures == []
    with away(site, site.web, "nginx"):
        page = site.get("/")
        assert page.status_code == 503
        assert page.headers["Retry-After"] == "30" and page.headers["Cache-Control"] == "no-store"
        assert "Please try again in a minute" in page.text
    # The application alone: nginx is there and answers 503 until the balancer has noticed.
    with away(site, ["web1"], f"probe@{release}.socket", f"probe@{release}.service"):
        assert {site.get("/").status_code for _ in range(10)} == {200}
        site.wait("the balancer to notice", lambda: site.servers()["web1"] == "DOWN")
    site.wait("both hosts to serve", lambda: served_by(site) == set(site.current().values()))


def play_of(site, directory, tasks_from, hosts):
    """What a release does at the balancer, alone."""
    task = {"ansible.builtin.include_role": {"name": "haproxy", "tasks_from": tasks_from}}
    path = directory / f"{tasks_from}.yml"
    path.write_text(yaml.safe_dump([{"hosts": hosts, "become": True, "gather_facts": False, "roles": ["app"], "tasks": [task]}]))
    return site.play(path.with_suffix(""))


def test_a_drained_host_finishes_what_it_has_and_gets_nothing_new(site, tmp_path):
    releases = site.current()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        # One on each host.
        slow = [pool.submit(site.get, "/slow/?seconds=15", timeout=60) for _ in range(2)]
        site.wait("the slow requests to run", lambda: site.sessions() == {"web1": 1, "web2": 1})
        try:
            run = play_of(site, tmp_path, "drain", "web1")
            assert run.code == 0, run.output
            assert site.sessions()["web1"] == 0
            assert site.servers() == {"web1": "DRAIN", "web2": "UP"}
            assert served_by(site) == {releases["web2"]}
            assert {request.result().status_code for request in slow} == {200}
            # The last one stays, whoever asks.
            run = play_of(site, tmp_path, "drain", "web2")
            assert run.code == 0 and "No other web host is up to take over: web2 stays." in run.text, run.output
            assert site.servers() == {"web1": "DRAIN", "web2": "UP"}
        finally:
            run = play_of(site, tmp_path, "admit", "web")
    assert run.code == 0, run.output
    assert site.servers() == {"web1": "UP", "web2": "UP"}
    assert served_by(site) == set(releases.values())


def test_a_change_of_the_balancer_loses_no_request_and_admits_who_was_left_out(site):
    site.admin("set server site/web1 state drain")
    try:
        with Visitors(site) as visitors:
            for _reload in range(3):
                site.balancer.check_output("systemctl reload haproxy")
                visitors.see(20)
            assert site.servers()["web1"] == "DRAIN"
            site.apply("balancer", "-e", "haproxy_max_connections=3000")
            visitors.see(20)
        assert visitors.failures == []
        assert "Maxconn: 3000" in site.admin("show info")
        assert site.servers()["web1"] == "UP"
    finally:
        run = site.play("balancer")
    assert run.code == 0, run.output
    assert site.servers() == {"web1": "UP", "web2": "UP"}


def test_commands_are_for_root_alone(site):
    refused = site.balancer.run("runuser -u haproxy -- socat - UNIX-CONNECT:/run/haproxy/admin.sock </dev/null")
    assert refused.rc != 0 and "Permission denied" in refused.stderr
