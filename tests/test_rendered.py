"""What inputs become in the files of hosts."""

import ast
import collections
import json
import pathlib
import re
import shlex
import subprocess

import pytest
import yaml
from ansible.template import Templar, trust_as_template
from ansible_collections.selfhost.django.plugins.filter.decoded_paths import decoded_paths
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.facts import VARIABLES
from conftest import GOOD, GROUPS

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def rendered(controller):
    """Return a function that renders a text, or a template of a role, as it is on a host of a site with these variables."""

    def run(text, more=None, **variables):
        (site,) = controller.sites(GROUPS, GOOD | variables)
        facts = VARIABLES | {"ansible_managed": "Ours", "__nginx_internal_certificate": {"stat": {}}}
        names = collections.ChainMap(more or {}, facts, site.variables)
        text = (ROOT / "roles" / text).read_text() if text.endswith(".j2") else text
        return str(Templar(controller.loader, names).template(trust_as_template(text), escape_backslashes=False))

    return run


def lines_with(text, word):
    return [line.strip() for line in text.splitlines() if word in line]


SITE = "nginx/templates/site.conf.j2"


def test_paths_stand_in_nginx_as_it_compares_them(rendered):
    text = rendered(
        SITE,
        nginx_protected=[{"path": "/a%20b/", "networks": []}, {"path": "/a b/deeper/", "networks": []}, {"path": "/caf%C3%A9.x/", "networks": []}],
        nginx_rate_limits=[{"path": "/log%20in/", "requests_per_minute": 5}],
        nginx_redirects=[{"from": "/x%20y", "to": "https://x.example.org"}, {"from": "/100%25", "to": "/a%20b"}],
        nginx_static_locations=[{"url": "/my%20files/", "path": "/srv/files", "headers": {"X-A": 'a "b" \\'}}, {"url": "/one%20file", "path": "/srv/file"}],
    )
    # The longest first.
    assert lines_with(text, '"~^/') == ['"~^/café\\.x/" 1;', '"~^/a\\ b/deeper/" 2;', '"~^/a\\ b/" 3;']
    assert lines_with(text, '"~^1/') == ['"~^1/log\\ in/" $shop_network;']
    assert [line for line in lines_with(text, "location ") if " /" not in line] == [
        'location = "/x y" {', 'location = "/100%" {', 'location ^~ "/my files/" {', 'location = "/one file" {',
    ]  # fmt: skip
    assert lines_with(rendered(SITE), "location ^~ ") == ["location ^~ /static/ {", "location ^~ /media/ {"]
    assert lines_with(text, "return 301") == ["return 301 https://x.example.org;", "return 301 /a%20b;"]
    assert lines_with(text, "X-A") == ['add_header X-A "a \\"b\\" \\\\";']


@pytest.mark.parametrize(("path", "plain"), [
    ("/a", "/a"), ("/a%20b/%c3%a9", "/a b/é"), ("/größe", "/größe"), ("/100%25", "/100%"), ("/a%2Fb", "/a/b"), ("/a+b", "/a+b"),
])  # fmt: skip
def test_a_path_without_its_percent_signs(path, plain):
    assert decoded_paths([{"from": path, "to": "/%20"}], "from") == [{"from": plain, "to": "/%20"}]


def test_names_of_a_long_one_have_room_in_nginx(rendered):
    """Its hash of variables takes 46 letters (variables_hash_bucket_size, 64), and PCRE, before 10.44, 32 for a group."""
    text = rendered(SITE, app_name=31 * "a", app_path_prefix="/shop", nginx_protected=[{"path": "/", "users": {"ann": "$y$j9T$a$b"}}], nginx_hsts_seconds=1)
    names = set(re.findall(r"\$(a{31}\w*)", text))
    assert len(names) > 10 and max(map(len, names)) <= 46
    assert not re.findall(r"\(\?<\w+>", text)


def test_an_option_of_uwsgi_is_given_as_often_as_it_has_values(rendered):
    text = rendered("uwsgi/templates/uwsgi.ini.j2", uwsgi_options={"env": ["A=b", "C=d"], "lazy-apps": True, "cheaper": 2, "py-autoreload": False})
    assert text.splitlines()[-5:] == ["cheaper = 2", "env = A=b", "env = C=d", "lazy-apps = true", "py-autoreload = false"]


@pytest.mark.parametrize("host", ["db1.example.org,db2.example.org", "db1.example.org, db2.example.org ", " db1.example.org ,db2.example.org"])
def test_the_environment_knows_the_hosts_of_the_database_without_spaces(rendered, host):
    assert rendered("{{ django_environment.PGHOST }}", app_database_host=host) == "db1.example.org,db2.example.org"
    assert "@db1.example.org,db2.example.org:5432/" in rendered("{{ django_environment.DATABASE_URL }}", app_database_host=host)
    assert rendered("{{ app_database_options.sslmode }}", app_database_host="127.0.0.1 ") == "disable"


def shell_of(unit):
    """Return what the shell in a unit is told, as systemd makes it of the line (systemd.service(5), "Command Lines")."""
    (line,) = lines_with(unit, "ExecStart=")
    return shlex.split(line.replace("$$", "$").replace("%%", "%"))[-1]


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("printf %s. a 'b c'", "a.b c."),
        ("NAME='b c' sh -c 'printf %s \"$NAME\"'", "b c"),
        ("A=1 B=\"2 $((1 + 2))\" sh -c 'printf %s \"$A$B\"'", "12 3"),
        ("printf '%s' a=b", "a=b"),
    ],
)
def test_a_process_is_the_command_with_variables_that_stand_before_it(rendered, command, printed):
    unit = rendered("django/templates/process.service.j2", {"__django_entry": {"name": "worker", "command": command}})
    assert shell_of(unit).startswith("exec ")
    assert subprocess.run(["sh", "-euc", shell_of(unit)], capture_output=True, text=True, check=True).stdout == printed


def test_a_timer_runs_manage_py_with_variables_that_stand_before_it(rendered):
    for command in ("A=1 clearsessions", "A=1 python manage.py clearsessions"):
        unit = rendered("django/templates/timer.service.j2", {"__django_entry": {"name": "nightly", "command": command}})
        assert shell_of(unit) == "exec env A=1 python manage.py clearsessions"


WISHES = [("on", "on"), ("ON", "on"), (True, "on"), ("true", "on"), ("off", "off"), ("Off", "off"), (False, "off"), ("False", "off"), ("", ""), (None, "")]


@pytest.mark.parametrize(("wish", "shown"), WISHES)
def test_a_wish_of_maintenance_that_is_taken_is_done(rendered, wish, shown):
    *_others, play = yaml.safe_load((ROOT / "playbooks/maintenance.yml").read_text())
    given = {} if wish is None else {"maintenance": wish}
    wish = rendered(play["tasks"][0]["vars"]["__nginx_maintenance_wish"], given)
    tasks = yaml.safe_load((ROOT / "roles/nginx/tasks/maintenance.yml").read_text())
    done = [rendered(f"{{{{ {task['when']} }}}}", {"__nginx_maintenance_wish": wish}) == "True" for task in tasks]
    assert done == [shown == "on", shown == "off"]


@pytest.mark.parametrize(("store", "served_by", "told"), [
    (None, "nginx", "nginx"), ("/var/www/shop", "nginx", "/var/www/shop"), (None, "elsewhere", "elsewhere"),
])  # fmt: skip
def test_another_store_makes_another_release(rendered, store, served_by, told):
    (task,) = yaml.safe_load((ROOT / "roles/django/tasks/release/fetch.yml").read_text())
    given = {"app_static_served_by": served_by} | ({"app_static_store": store} if store else {})
    assert rendered(task["vars"]["__django_served_by"], **given) == told


@pytest.mark.parametrize(("hosts", "has_guard", "is_settled"), [(["site1"], False, False), (["site1"], True, True), (["site1", "site2"], False, True)])
def test_a_server_whose_others_have_left_the_inventory_forgets_them(rendered, hosts, has_guard, is_settled):
    """Its guard would ask whoever has the address now, and their slots would hold back its log until the disk is full."""
    units = {"units": {"postgresql-guard.timer": {"enabled": has_guard}}}
    more = {"ansible_facts": VARIABLES["ansible_facts"] | {"selfhost": units}, "ansible_check_mode": False}
    given = {"postgresql_hosts": hosts, "postgresql_addresses": {"site1": "192.0.2.1", "site2": "192.0.2.2"}}

    def is_done(file, name):
        (task,) = (task for task in yaml.safe_load((ROOT / "roles/postgresql/tasks" / file).read_text()) if task["name"] == name)
        conditions = task["when"] if isinstance(task["when"], list) else [task["when"]]
        return all(rendered(f"{{{{ {condition} }}}}", more, **given) == "True" for condition in conditions)

    for file, name in (("main.yml", "See who is the primary"), ("configure.yml", "configure | Guard against a second primary"), ("main.yml", "Replicate")):
        assert is_done(file, name) is is_settled, name
    assert is_done("replication.yml", "replication | Write the password that hosts log in to each other with") is (len(hosts) > 1)
    asked = json.loads(rendered("postgresql/templates/postgresql-guard.json.j2", more, **given))["hosts"]
    assert list(asked) == hosts
    slots = yaml.safe_load((ROOT / "roles/postgresql/tasks/slots.yml").read_text())[0]["selfhost.django.postgresql_slots"]["slots"]
    assert ast.literal_eval(rendered(slots, more, **given)) == [f"standby_{host}" for host in hosts[1:]]


@pytest.mark.parametrize(("voters", "asked"), [(["site1"], {"site2": "192.0.2.2:8008", "site3": "[2001:db8::3]:8008"}), ([], {})])
def test_a_host_knows_where_the_patronis_of_the_others_are(rendered, voters, asked):
    given = {
        "app_database_hosts": ["site1", "site2", "site3"], "app_addresses": {"site1": "192.0.2.1", "site2": "192.0.2.2", "site3": "2001:db8::3"},
        "app_etcd_hosts": voters,
    }  # fmt: skip
    assert json.loads(rendered("{{ __status_questions.patroni_others | to_json }}", **given)) == asked
    assert json.loads(rendered("{{ __status_questions.patroni | to_json }}", **given)) == ("192.0.2.1:8008" if voters else None)


@pytest.mark.parametrize("keeper", ["site1", "backup1"])
def test_room_is_asked_for_where_a_dump_comes_by_before_it_is_laid_down(rendered, keeper):
    """On the backup host, which keeps it, and on the database host; where both are one nothing is laid down."""
    rows = yaml.safe_load((ROOT / "roles/postgresql_restore/tasks/dump.yml").read_text())
    tasks = [task for row in rows for task in row.get("block", [row])]
    asked = [number for number, task in enumerate(tasks) if task.get("selfhost.django.postgresql_restore", {}).get("step") == "room"]
    (laid,) = [number for number, task in enumerate(tasks) if "fetch.yml" in yaml.safe_dump(task)]
    assert len(asked) == 2 and max(asked) < laid
    order = {"database": "shop", "headroom_mb": 9}
    more = {"__postgresql_restore_plan": {"keeper": keeper, "order": order}, "__postgresql_restore_located": {"result": {"path": "/a.dump", "bytes": 7}}}
    on_keeper, here = (tasks[number] for number in asked)

    def order_of(task):
        given = task["selfhost.django.postgresql_restore"]["order"]
        if isinstance(given, dict):
            return {name: rendered(text, more) for name, text in given.items()}
        way = {name: rendered(text, more) for name, text in task["vars"]["__postgresql_restore_way"].items()}
        return json.loads(rendered(given.replace("}}", "| to_json }}"), more | {"__postgresql_restore_way": way}))

    is_apart = keeper != "site1"
    assert order_of(on_keeper) == {"headroom_mb": "9", "bytes": "7", "spool": "/var/lib"}
    assert order_of(here) == order | {"bytes": "7", "spool": "/var/lib" if is_apart else ""}
    assert rendered(f"{{{{ {on_keeper['when']} }}}}", more) == str(is_apart) and "when" not in here
    assert "delegate_to" not in here and rendered(on_keeper["delegate_to"], more) == keeper
