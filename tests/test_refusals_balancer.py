"""Bad input about the balancer is refused in one sentence, before any host is touched."""

from test_refusals_web import CERTIFICATE, KEY, OTHER_KEY

# Two web hosts behind a balancer that nothing is wrong with.
ADDRESSES = {"web1": "192.0.2.1", "web2": "192.0.2.2", "lb1": "192.0.2.3"}
GROUPS = {"web": ["web1", "web2"], "balancer": ["lb1"], "database": ["lb1"]}

BAD = [
    ({"app_web_hosts": []}, "The group balancer has lb1, and the group web has no host: name the web hosts"),
    (
        {"haproxy_servers": "{{ {inventory_hostname: '192.0.2.1'} }}"},
        "The group balancer has lb1, which the group web has too: both take the ports 80 and 443",
    ),
    ({"haproxy_servers": {"web 1": "192.0.2.1"}}, "haproxy_servers has web 1 at '192.0.2.1': give names of letters"),
    ({"haproxy_servers": {"web1": "web1.example.org"}}, "haproxy_servers has web1 at 'web1.example.org': give names of letters"),
    ({"haproxy_servers": {"web1": "300.1.1.1"}}, "haproxy_servers has web1 at '300.1.1.1': give names of letters"),
    ({"haproxy_connections_per_address": "few"}, "haproxy_connections_per_address is 'few': give a whole number of at least 0."),
    ({"haproxy_domains": []}, "haproxy_domains is empty or no list: name at least one host name"),
    ({"haproxy_domains": ["https://shop.example.org"]}, "haproxy_domains holds 'https://shop.example.org': give host names"),
    ({"app_balancer_tls": "offload"}, "app_balancer_tls has to be one of terminate, passthrough."),
    ({"haproxy_tls": "offload"}, "haproxy_tls has to be one of terminate, passthrough."),
    ({"haproxy_tls": "passthrough"}, "haproxy_tls is passthrough, and the web hosts expect terminate: set app_balancer_tls"),
    ({"app_balancer_tls": "passthrough"}, "app_tls_certificate is not set: with app_balancer_tls passthrough"),
    ({"haproxy_server_port": 65536}, "haproxy_server_port is '65536': give a port number from 1 to 65535"),
    ({"haproxy_timeout_seconds": "90s"}, "haproxy_timeout_seconds is '90s': give a whole number of at least 1"),
    ({"haproxy_max_connections": 10}, "haproxy_max_connections is '10': give a whole number of at least 100"),
    ({"haproxy_drain_seconds": -1}, "haproxy_drain_seconds is '-1': give a whole number of at least 0"),
    ({"haproxy_health_check": {"path": "status"}}, "haproxy_health_check is {'path': 'status'}: give a path that begins"),
    ({"haproxy_health_check": {"path": "/", "status": ["ok"]}}, "haproxy_health_check is {'path': '/', 'status': ['ok']}: give a path"),
    ({"app_health_checks": [{"path": "/#a"}]}, "haproxy_health_check is {'path': '/#a'}: give a path"),
    ({"haproxy_tls_certificate": CERTIFICATE}, "haproxy_tls_key is not set: haproxy_tls_certificate needs its private key"),
    ({"haproxy_tls_key": KEY}, "haproxy_tls_certificate is not set: haproxy_tls_key is of no use"),
    ({"haproxy_tls_certificate": CERTIFICATE, "haproxy_tls_key": OTHER_KEY}, "haproxy_tls_key is not the key of haproxy_tls_certificate"),
    ({"haproxy_tls_certificate": "/etc/ssl/shop.pem", "haproxy_tls_key": KEY}, "haproxy_tls_certificate is no certificate in PEM form"),
]
GOOD = [
    {},
    {"app_tls_certificate": CERTIFICATE, "app_tls_key": KEY, "app_balancer_tls": "passthrough"},
    {"app_domains": ["192.0.2.3", "2001:db8::3", "shop.example.org"], "haproxy_timeout_seconds": "120"},
]


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "haproxy", good=GOOD, groups=GROUPS, app_addresses=ADDRESSES)


def test_what_the_inventory_does_not_say_of_the_balancer_is_told_by_the_name_that_it_has(refuse):
    site = {"groups": GROUPS, "app_addresses": ADDRESSES}
    refuse("app_tls_key is not set: app_tls_certificate needs its private key", app_tls_certificate=CERTIFICATE, **site)
    refuse("app_tls_key is not the key of app_tls_certificate", app_tls_certificate=CERTIFICATE, app_tls_key=OTHER_KEY, **site)
    refuse("app_path_prefix is 'shop': give a path such as /shop", app_path_prefix="shop", **site)


def test_the_preflight_knows_the_group(refuse):
    refuse(
        "The group balancer has site1, which the group web has too",
        groups={"web": ["site1"], "database": ["site1"], "balancer": ["site1"]},
        app_addresses={"site1": "192.0.2.1"},
    )


def test_a_visitor_s_address_is_believed_by_addresses_alone(refuse):
    refuse("nginx_balancers holds 'lb.example.org': give IP addresses", nginx_balancers=["lb.example.org"])


def test_http3_is_for_visitors_who_reach_the_web_host(sentences):
    (said,) = sentences(GROUPS, ["app"], app_addresses=ADDRESSES, app_http3=True)
    assert said == "app_http3 is true, and visitors reach the group balancer, whose HAProxy speaks HTTP/2 with them: leave it at false."
    assert sentences(app_http3=True) == []
