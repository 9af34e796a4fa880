"""Where the certificate that visitors see comes from, unless somebody says so."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.tls_source import LETS_ENCRYPT, obstacle, tls_source

OWN = "https://ca.example.org/directory"
HOOKS = {"auth": "/a", "cleanup": "/b"}


@pytest.mark.parametrize(
    ("domains", "given", "source"),
    [
        (["shop.example.se"], {}, "acme"),
        (["shop.example.se", "www.shop.example.se"], {}, "acme"),
        (["shop.example.se"], {"given": True}, "files"),
        # Debian's certbot asks for no addresses, whoever is asked.
        (["192.0.2.7"], {}, "self_signed"),
        (["2001:db8::7"], {"directory": OWN}, "self_signed"),
        (["shop.example.se", "192.0.2.7"], {}, "self_signed"),
        # Nobody public vouches for these; one's own authority may.
        (["shop.test"], {}, "self_signed"),
        (["shop.local"], {}, "self_signed"),
        (["Shop.Example.ORG"], {}, "self_signed"),
        (["localhost"], {}, "self_signed"),
        (["shop"], {}, "self_signed"),
        (["shop.test"], {"directory": OWN}, "acme"),
        # No ending of a reserved name is one by itself.
        (["contest.se", "mylocal.se", "nonexample.com"], {}, "acme"),
        (["*.shop.se", "shop.se"], {}, "self_signed"),
        ([".shop.se"], {}, "self_signed"),
        (["*.shop.se", "shop.se"], {"dns_hooks": HOOKS}, "acme"),
        (["shop.se"], {"entrances": ["web1", "web2"]}, "acme"),
        (["shop.se"], {"entrances": ["web1", "web2", "web3", "web4", "web5", "web6"]}, "self_signed"),
        (["shop.se"], {"balancer_tls": "passthrough"}, "self_signed"),
    ],
)
def test_where_it_comes_from(domains, given, source):
    assert tls_source(domains, **({"directory": LETS_ENCRYPT, "entrances": ["web1"]} | given)) == source


def test_what_is_in_the_way_is_told_with_what_would_be_right():
    assert obstacle(["shop.se"], LETS_ENCRYPT, {}, ["web1"]) == ""
    assert obstacle(["shop.se", "*.shop.se"], LETS_ENCRYPT, {}, ["web1"]) == (
        "app_domains holds *.shop.se: give app_acme_dns_hooks, since an authority proves a pattern by the DNS alone."
    )
    assert obstacle(["shop.se"], OWN, {}, list("abcdef")).startswith("visitors reach the site by 6 hosts: put one balancer in front")
