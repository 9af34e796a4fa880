"""Ports and paths that two roles need are declared once: change one, and whoever needs it follows."""

import pathlib
import re

import pytest
import yaml
from conftest import GOOD

ROLES = sorted((pathlib.Path(__file__).resolve().parent.parent / "roles").iterdir())
DEFAULTS = {role.name: yaml.safe_load((role / "defaults/main.yml").read_text()) for role in ROLES}
PORTS = [(role, name, value) for role, values in DEFAULTS.items() for name, value in values.items() if name.endswith("_port") and isinstance(value, int)]
PATHS = [(role, name, value) for role, values in DEFAULTS.items() for name, value in values.items() if str(value).startswith("/")]
# The port that browsers take with https, whatever the site's is; and what roles of their own keep beside the certificates.
APART = ("port | int == 443", "/etc/selfhost/postgresql-guard.json", "/etc/selfhost/media-server")
# Debian's own, and no role's.
OF_DEBIAN = re.compile(r"/(etc/(systemd/system|passwd|group)|usr/s?bin(/python3|/nologin)?|usr/local/s?bin|var/(lib|run)/postgresql|var/tmp)")
PATH = re.compile(r"(?<![\w~.}/>$)-])/(?:etc|run|srv|usr|var)(?:/(?:[\w.@+-]|{{ ?\w+ ?}})+)+")


def lines(role):
    """Return what a role's YAML and templates say, without comments. A program that is no template has constants of its own."""
    paths = [path for kind in ("defaults", "vars", "tasks", "handlers", "templates") for path in (role / kind).rglob("*") if path.is_file()]
    return [line for path in paths for line in path.read_text().splitlines() if not line.lstrip().startswith("#") and not any(words in line for words in APART)]


LINES = {role.name: lines(role) for role in ROLES}


@pytest.mark.parametrize(("owner", "name", "value"), [*PORTS, *PATHS], ids=[name for _owner, name, _value in [*PORTS, *PATHS]])
def test_a_port_or_path_of_one_role_is_written_in_no_other(owner, name, value):
    literal = re.compile(rf"(?<![\w.-]){re.escape(str(value))}(?![\w.-])")
    assert [(role, line) for role in LINES if role != owner for line in LINES[role] if literal.search(line)] == [], f"read {name}"


def test_no_path_is_written_in_two_roles():
    roles = {}
    for role, text in LINES.items():
        for path in PATH.findall("\n".join(text)):
            roles.setdefault(path.rstrip("."), set()).add(role)
    assert {path: names for path, names in roles.items() if len(names) > 1 and not OF_DEBIAN.fullmatch(path)} == {}


ADDRESSES = {"web1": "192.0.2.1", "db1": "192.0.2.2", "backup1": "192.0.2.3", "lb1": "192.0.2.4"}
GROUPS = {"web": ["web1"], "database": ["db1"], "backup": ["backup1"], "balancer": ["lb1"]}


@pytest.mark.parametrize(
    ("variables", "host", "wanted"),
    [
        ({}, "db1", [22, 5432, 8432]),
        ({}, "web1", [22, 443, 8873]),
        ({}, "backup1", [22, 8432, 8873]),
        ({}, "lb1", [22, 80, 443]),
        ({"app_database_port": 6432}, "db1", [22, 6432, 8432]),
        ({"postgresql_port": 6432}, "db1", [22, 6432, 8432]),
        ({"postgresql_backup_tls_port": 9432}, "db1", [22, 5432, 9432]),
        ({"postgresql_backup_tls_port": 9432, "media_backup_port": 9873}, "backup1", [22, 9432, 9873]),
        ({"app_backup_port": 9432, "app_media_backup_port": 9873}, "backup1", [22, 9432, 9873]),
        ({"nginx_https_port": 8443}, "web1", [22, 8443, 8873]),
        ({"app_http_port": 8080, "app_https_port": 8443}, "lb1", [22, 8080, 8443]),
        ({"hardening_ssh_port": 2222}, "lb1", [80, 443, 2222]),
        ({"logs_port": 9532}, "logs", [22, 8432, 8873, 9532]),
    ],
)
def test_the_firewall_opens_the_ports_that_roles_listen_on(controller, variables, host, wanted):
    groups, host = (GROUPS | {"logs": ["backup1"]}, "backup1") if host == "logs" else (GROUPS, host)
    sites = {site.host: site for site in controller.sites(groups, GOOD | {"app_addresses": ADDRESSES} | variables)}
    # To nobody is not open.
    rows = [row["port"] for row in sites[host]["__firewall_rows"] if row.get("from", ["anywhere"])]
    assert sorted(int(port) for row in rows for port in (row if isinstance(row, list) else [row])) == wanted


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"app_https_port": 8443}, {"nginx_https_port": 8443, "haproxy_server_port": 8443}),
        ({"nginx_https_port": 8443}, {"app_https_port": 443, "haproxy_server_port": 8443}),
        ({"app_database_port": 6432}, {"postgresql_port": 6432, "postgresql_backup_server_port": 6432}),
        ({"postgresql_port": 6432}, {"postgresql_backup_server_port": 6432, "__status_postgresql_port": 6432}),
        ({"app_backup_port": 9432}, {"postgresql_backup_tls_port": 9432}),
        ({"nginx_name": "site"}, {"app_maintenance_file": "/etc/nginx/site/maintenance.html"}),
        ({"app_certificate_path": "/etc/c"}, {"postgresql_backup_tls_ca": "/etc/c/ca.crt", "postgresql_certificate_path": "/etc/c"}),
        ({"postgresql_backup_path": "/b"}, {"status_paths": ["/", "/var", "/var/log", "/srv/shop", "/srv/shop/shared/media", "/var/lib/postgresql", "/b",
                                                             "/var/backups/postgresql", "/var/lib/media-backup"]}),
    ],
)  # fmt: skip
def test_who_needs_a_fact_follows_it(controller, variables, wanted):
    site = controller.sites(GROUPS, GOOD | {"app_addresses": ADDRESSES} | variables)[0]
    assert {name: site[name] for name in wanted} == wanted


@pytest.mark.parametrize("letters", [7, 56, 57, 80])
def test_the_slot_of_a_backup_host_has_one_name_everywhere(controller, letters):
    """Patroni drops those that it is not told of, and PostgreSQL takes 63 letters."""
    host = "b" * letters
    sites = {site.host: site for site in controller.sites(GROUPS | {"backup": [host]}, GOOD | {"app_addresses": ADDRESSES | {host: "192.0.2.3"}})}
    assert sites["db1"]["postgresql_foreign_slots"] == [sites[host]["__postgresql_backup_slot"]] == [f"backup_{host}"[:63]]


def test_the_inner_server_is_always_the_one_that_gives_up(controller):
    site = controller.sites(GROUPS, GOOD | {"app_addresses": ADDRESSES, "app_request_timeout_seconds": 100})[0]
    limits = [int(site[name]) for name in ("uwsgi_request_timeout_seconds", "nginx_read_timeout_seconds", "haproxy_timeout_seconds")]
    assert limits == [100, 115, 130]
    assert {int(site[name]) for name in ("uwsgi_drain_seconds", "django_drain_seconds")} == {100}


ENVIRONMENT = {"ALLOWED_HOSTS": "[2001:db8::7],shop.example.org,.example.org", "PGHOST": "2001:db8::5,2001:db8::6"}


def test_an_ipv6_address_has_brackets_where_it_takes_them(controller):
    named = {"app_domains": ["2001:DB8:0::7", "shop.example.org", "*.example.org"], "app_database_host": "2001:db8::5,2001:db8::6"}
    site = controller.sites(GROUPS, GOOD | {"app_addresses": ADDRESSES} | named)[0]
    environment = site["django_environment"]
    assert ENVIRONMENT.items() <= environment.items()
    assert "@:5432/shop?host=2001%3Adb8%3A%3A5%2C2001%3Adb8%3A%3A6&" in environment["DATABASE_URL"]
    assert "host=2001%3Adb8%3A%3A6%2C2001%3Adb8%3A%3A5&" in environment["DATABASE_REPLICA_URLS"]
    assert site["app_canonical_host"] == "[2001:db8::7]"
    assert "PGSSLMODE" in environment


def test_static_files_that_are_served_elsewhere_have_no_location(controller):
    kinds = {
        served_by: [row["url"] for row in controller.sites(GROUPS, GOOD | {"app_addresses": ADDRESSES, "app_static_served_by": served_by})[0]["nginx_static_locations"]]
        for served_by in ("nginx", "elsewhere")
    }
    assert kinds == {"nginx": ["/static/", "/media/"], "elsewhere": ["/media/"]}


def test_what_all_roles_share_needs_no_facts_of_a_host(controller):
    """The inputs of role app are validated in each play, and many of these gather none."""
    (site,) = controller.sites({"web": ["site1"], "database": ["site1"]}, GOOD)
    for name in DEFAULTS["app"]:
        site.get(name)
    assert site.by_example == set()


def tasks(node):
    """Yield every mapping of a list of tasks, blocks and what is in them included."""
    for one in node if isinstance(node, list) else [node] if isinstance(node, dict) else ():
        yield one
        for part in one.values() if isinstance(one, dict) else ():
            yield from tasks(part)


def test_no_task_registers_what_another_gives_as_a_variable_of_its_own():
    """What is registered outranks the variables of a task, for the rest of the run."""
    registered, given = set(), set()
    for path in (path for role in ROLES for kind in ("tasks", "handlers") for path in (role / kind).rglob("*.yml")):
        for task in filter(lambda one: isinstance(one, dict), tasks(yaml.safe_load(path.read_text()))):
            registered |= {task["register"]} if isinstance(task.get("register"), str) else set()
            given |= set(task["vars"]) if isinstance(task.get("vars"), dict) else set()
    assert registered and given and registered & given == set()
