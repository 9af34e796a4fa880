"""Names and addresses, as each program wants them."""

import urllib.parse

import pytest
from ansible_collections.selfhost.django.plugins.filter.hosts import database_options, database_urls, libpq_variables, site_names
from ansible_collections.selfhost.django.plugins.module_utils.hosts import host_in_url, host_without_port
from psycopg.conninfo import conninfo_to_dict


@pytest.mark.parametrize(
    ("host", "in_url"),
    [
        ("shop.example.org", "shop.example.org"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("[2001:db8::7]", "[2001:db8::7]"),
        ("2001:0DB8:0:0::7", "[2001:db8::7]"),
        ("*.example.org", "*.example.org"),
    ],
)
def test_a_host_before_a_port(host, in_url):
    assert host_in_url(host) == in_url


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("shop.example.org", "shop.example.org"),
        ("shop.example.org:8443", "shop.example.org"),
        ("192.0.2.7:8443", "192.0.2.7"),
        ("[2001:db8::7]:8443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_host_without_its_port(value, host):
    assert host_without_port(value) == host


@pytest.mark.parametrize(
    ("domains", "wanted"),
    [
        (["shop.example.org", "192.0.2.7"], {"canonical": "shop.example.org", "allowed_hosts": ["shop.example.org", "192.0.2.7"], "endings": []}),
        (["2001:DB8::7"], {
            "canonical": "[2001:db8::7]", "hosts": ["[2001:db8::7]"], "allowed_hosts": ["[2001:db8::7]"], "server_names": ["[2001:db8::7]"],
            "certificate": ["2001:DB8::7"],
        }),
        ([".example.org"], {
            "canonical": "example.org", "hosts": ["example.org"], "endings": [".example.org"], "allowed_hosts": [".example.org"],
            "server_names": [".example.org"], "certificate": ["example.org", "*.example.org"],
        }),
        (["*.example.org", "example.org"], {
            "canonical": "example.org", "hosts": ["example.org"], "endings": [".example.org"], "allowed_hosts": [".example.org", "example.org"],
            "server_names": ["*.example.org", "example.org"], "certificate": ["*.example.org", "example.org"],
        }),
        (["*.example.org"], {"canonical": "", "hosts": [], "endings": [".example.org"]}),
    ],
)  # fmt: skip
def test_names_of_a_site(domains, wanted):
    assert wanted.items() <= site_names(domains).items()


@pytest.mark.parametrize(
    ("domains", "served", "redirected"),
    [
        (["shop.se"], [], []),
        (["shop.se", "www.shop.se"], [], ["www.shop.se"]),
        (["www.shop.se", "shop.se", "shop.dk"], ["shop.dk"], ["shop.se"]),
        # Operators and checks use addresses, and who they are of is nobody's name.
        (["shop.se", "192.0.2.7", "2001:db8::7"], [], []),
        (["192.0.2.7", "shop.se"], [], []),
        (["*.shop.se", "shop.se", "www.shop.se"], [], ["www.shop.se"]),
        ([".shop.se", "shop.se"], [], []),
    ],
)
def test_names_that_lead_to_the_canonical_one(domains, served, redirected):
    assert site_names(domains, served)["redirected"] == redirected


OF_SHOP = {"engine": "postgresql", "user": "shop", "password": "a/b@c d", "port": 6432, "name": "shop"}


@pytest.mark.parametrize(
    ("hosts", "options", "urls"),
    [
        ("127.0.0.1", {}, ["127.0.0.1:6432/shop"]),
        ("db.example.org", {"sslmode": "require"}, ["db.example.org:6432/shop?sslmode=require"]),
        ("2001:db8::7", {"sslmode": "require"}, ["[2001:db8::7]:6432/shop?sslmode=require"]),
        ("a.example.org,192.0.2.7", {}, ["a.example.org,192.0.2.7:6432/shop", "192.0.2.7,a.example.org:6432/shop?target_session_attrs=prefer-standby"]),
        ("2001:db8::7,2001:db8::8", {"sslmode": "require"}, [
            ":6432/shop?host=2001%3Adb8%3A%3A7%2C2001%3Adb8%3A%3A8&sslmode=require",
            ":6432/shop?host=2001%3Adb8%3A%3A8%2C2001%3Adb8%3A%3A7&sslmode=require&target_session_attrs=prefer-standby",
        ]),
        ("/run/postgresql", {}, [":6432/shop?host=%2Frun%2Fpostgresql"]),
    ],
)  # fmt: skip
def test_urls_of_a_database(hosts, options, urls):
    assert database_urls(hosts, options=options, **OF_SHOP) == [f"postgresql://shop:a%2Fb%40c%20d@{url}" for url in urls]


@pytest.mark.parametrize("hosts", ["2001:db8::7", "2001:db8::7,2001:db8::8", "2001:db8::7,192.0.2.7,db.example.org", "/run/postgresql"])
def test_libpq_and_readers_of_urls_find_every_host_and_the_port(hosts):
    url = database_urls(hosts, options={}, **OF_SHOP)[0]
    read = conninfo_to_dict(url)
    assert (read["host"], read["port"], read["user"], read["password"]) == (hosts, "6432", "shop", "a/b@c d")
    parts = urllib.parse.urlsplit(url)
    assert (parts.hostname or dict(urllib.parse.parse_qsl(parts.query))["host"], parts.port) == (hosts, 6432)


PROVED = {"sslmode": "verify-full", "sslrootcert": "/ca.crt", "target_session_attrs": "read-write", "connect_timeout": 5}


@pytest.mark.parametrize(
    ("host", "hosts", "options"),
    [
        pytest.param("127.0.0.1", ["web1"], {"sslmode": "disable"}, id="one host"),
        pytest.param("127.0.0.1", ["db1"], {}, id="a tunnel, or a pool of connections"),
        pytest.param("127.0.0.1", [], {}, id="somebody else's by a tunnel"),
        pytest.param("db.example.org", [], {}, id="somebody else's"),
        pytest.param("192.0.2.7", ["db1"], PROVED, id="another host of the site"),
        pytest.param("192.0.2.7", ["web1"], PROVED, id="its own by its address"),
        pytest.param("192.0.2.7,192.0.2.8", ["web1", "db2"], PROVED, id="this one and another"),
    ],
)
def test_options_of_the_connections_of_a_host(host, hosts, options):
    assert database_options(host, hosts, "web1", "/ca.crt") == options


@pytest.mark.parametrize(
    ("option", "variable"),
    [("sslmode", "PGSSLMODE"), ("target_session_attrs", "PGTARGETSESSIONATTRS"), ("connect_timeout", "PGCONNECT_TIMEOUT"), ("application_name", "PGAPPNAME")],
)
def test_an_option_of_a_connection_as_libpq_reads_it_from_the_environment(option, variable):
    assert libpq_variables({option: 5}) == {variable: "5"}
