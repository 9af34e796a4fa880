"""What hosts may reach where the site's policy says so."""

import json

testinfra_hosts = ["ansible://debian13"]

KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)"


def reaches(host, address, port):
    return host.run(f"python3 -c %s %s {port}", KNOCK, address).rc == 0


def test_a_host_reaches_what_the_policy_names_and_nothing_else(host, site):
    """The other host is another site's."""
    elsewhere = site.addresses["debian12"]
    assert reaches(host, elsewhere, 22) and reaches(host, elsewhere, 443)
    try:
        policy = [{"group": "web", "port": 443, "to": ["10.0.0.0/8"]}]
        site.apply("harden", "--tags", "firewall", "-e", json.dumps({"firewall_outbound_policy": policy}))
        assert reaches(host, elsewhere, 443)
        refused = host.run("python3 -c %s %s 22", KNOCK, elsewhere)
        # At once, instead of waiting for an answer that never comes.
        assert refused.rc != 0 and "TimeoutError" not in refused.stderr, refused.stderr
        assert site.get(host="debian13").status_code == 200
    finally:
        run = site.play("harden", "--tags", "firewall")
    assert run.code == 0, run.output[-4000:]
    assert reaches(host, elsewhere, 22)
