"""Who reaches what: the exact ports of each host, from outside and from its neighbours."""

import concurrent.futures

SSH, WEB = {22}, {22, 80, 443}
# By host, and by who asks; None is somebody elsewhere.
REACHED = {
    ("web1", None): WEB,
    ("db1", None): SSH,
    ("db2", None): SSH,
    ("backup1", None): SSH,
    ("web1", "db1"): WEB,
    ("web1", "backup1"): WEB | {8873},
    ("db1", "web1"): SSH | {5432},
    ("db1", "db2"): SSH | {5432},
    ("db2", "backup1"): SSH | {5432, 8432},
    ("backup1", "db1"): SSH | {8432},
    # But while uploads are restored.
    ("backup1", "web1"): SSH,
}


def test_each_host_answers_whom_it_serves_and_nobody_else(site):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = dict(zip(REACHED, pool.map(lambda pair: site.open_ports(*pair), REACHED)))
    assert {pair: ports[4] for pair, ports in found.items()} == REACHED
    # The hosts do not speak with each other over IPv6.
    assert {pair: ports[6] for pair, ports in found.items()} == {pair: REACHED[pair[0], None] for pair in REACHED}
