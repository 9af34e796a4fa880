"""Who reaches what: the exact ports of each host, from outside and from its neighbours."""

import concurrent.futures
import re

REFUSED = re.compile("certificate.required|reset by peer", re.IGNORECASE)
SSH, WEB, DATABASE = {22}, {22, 80, 443}, {5432}
# The voters' two, and Patroni's.
DECIDING = {2379, 2380, 8008}
# By host, and by who asks; None is somebody elsewhere.
REACHED = {
    ("web1", None): WEB,
    ("db1", None): SSH,
    ("web1", "db1"): WEB,
    ("db1", "web1"): SSH | DATABASE,
    ("db1", "db2"): SSH | DATABASE | DECIDING,
    ("db3", None): SSH,
    ("db3", "db1"): SSH | DATABASE | DECIDING,
}


def test_each_host_answers_whom_it_serves_and_nobody_else(site):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = dict(zip(REACHED, pool.map(lambda pair: site.open_ports(*pair), REACHED)))
    assert {pair: ports[4] for pair, ports in found.items()} == REACHED
    # The hosts do not speak with each other over IPv6.
    assert {pair: ports[6] for pair, ports in found.items()} == {pair: REACHED[pair[0], None] for pair in REACHED}


def test_voters_and_patroni_let_nobody_in_who_has_no_certificate_or_no_password(site):
    """Asked from a database host, which the firewall lets through."""
    address, certificates = site.addresses["db2"], "--cacert /etc/selfhost/ca.crt --cert /etc/selfhost/host.crt --key /etc/selfhost/host.key"
    ask = "python3 - <<'END'\nimport ssl, urllib.request as u\nc = ssl.create_default_context(cafile='/etc/selfhost/ca.crt')\n"
    known = "c.load_cert_chain('/etc/selfhost/host.crt', '/etc/selfhost/host.key')\n"
    opened = "o = u.build_opener(u.ProxyHandler({}), u.HTTPSHandler(context=c))\n"
    for port, path in ((2379, "health"), (8008, "patroni")):
        done = site.hosts["db1"].run(f"{ask}{opened}o.open('https://{address}:{port}/{path}', timeout=5)\nEND")
        # The server hangs up after that word, which may come first.
        assert done.rc != 0 and REFUSED.search(done.stderr), done.stderr
    done = site.hosts["db1"].run(f"{ask}{known}{opened}o.open('https://{address}:8008/restart', b'{{}}', timeout=5)\nEND")
    assert done.rc != 0 and "HTTP Error 401" in done.stderr, done.stderr
    done = site.hosts["db1"].run(f"ETCDCTL_API=3 etcdctl --endpoints https://{address}:2379 {certificates} get --prefix /")
    assert done.rc != 0 and "user name is empty" in done.stderr, done.stderr
