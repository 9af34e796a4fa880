"""What a host has of somebody else, and when it is refused for it."""

import os

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.neighbours import look
from ansible_collections.selfhost.django.plugins.plugin_utils.neighbours import refusal

HBA = """# Ansible managed
# Who is not admitted here is refused.
# On the socket, a system user is the role of its own name.
local all "postgres" peer
"""


class Tree:
    """What a host has, in a folder."""

    def __init__(self, root):
        self.root = root

    def write(self, path, text=""):
        path = self.root / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def application(self, name, home=None, service=None, release=True, site=True):
        home = home or f"/srv/{name}"
        self.write(
            f"/etc/systemd/system/{service or name}@.service",
            f"[Service]\nWorkingDirectory={home}/releases/%i/code/\nExecStart=/usr/local/bin/{name}-serve %i\nSyslogIdentifier=uwsgi\n",
        )
        if release:
            (self.root / home.lstrip("/")).mkdir(parents=True)
            (self.root / home.lstrip("/") / "current").symlink_to("releases/none")
        if site:
            self.write(f"/etc/nginx/conf.d/{service or name}.conf", f"server {{\n    uwsgi_pass unix:{home}/current/app.sock;\n}}\n")

    def cluster(self, version, name, port=5432, start="auto", data=True, running=False):
        directory = f"/var/lib/postgresql/{version}/{name}"
        text = f"# port = 1\ndata_directory = '{directory}'\t\t# use data in another directory\nport = {port}\t\t\t\t# (change requires restart)\n"
        self.write(f"/etc/postgresql/{version}/{name}/postgresql.conf", text)
        self.write(f"/etc/postgresql/{version}/{name}/start.conf", f"# Automatic startup configuration\n# auto\n{start}\n")
        (self.root / directory.lstrip("/")).mkdir(parents=True)
        if data:
            self.write(f"{directory}/PG_VERSION", f"{version}\n")
        if running:
            self.write(f"{directory}/postmaster.pid", "1\n")

    def access(self, *databases, version="17"):
        rows = [f'local "{name}" "{name}" peer\nhost "{name}" "{name}" 127.0.0.1/32 scram-sha-256\n' for name in databases]
        self.write(f"/etc/postgresql/{version}/main/pg_hba.conf", HBA + "".join(rows))

    def refusal(self, **wanted):
        return refusal("h1", look(str(self.root)), wanted)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


ALL = {
    "application": "blog", "databases": ["blog"], "postgresql_version": "17", "postgresql_port": 5432,
    "balanced": ["blog.example.org", "10.0.0.2"], "backed_up": ["10.0.0.3"],
}  # fmt: skip


# --- Bare hosts, and a site's own -------------------------------------------------------------


def test_a_bare_host_is_anybodys(tree):
    assert tree.refusal(**ALL) == ""


def test_a_sites_own_host_is_its_own(tree):
    tree.application("blog")
    tree.cluster("17", "main")
    tree.access("blog")
    tree.write("/etc/haproxy/haproxy.cfg", HAPROXY)
    tree.write("/etc/pgbackrest.conf", "[main]\npg1-host=10.0.0.3\n")
    assert tree.refusal(**ALL | {"balanced": ["tiny.example.org", "10.0.0.8"]}) == ""


def test_what_is_not_asked_for_is_not_refused(tree):
    tree.application("tiny")
    tree.cluster("15", "main")
    assert tree.refusal(application=None, databases=None, postgresql_version=None) == ""


# --- Applications -----------------------------------------------------------------------------


def test_another_application_is_named_with_what_to_do(tree):
    tree.application("tiny")
    said = tree.refusal(application="blog")
    assert said.startswith("h1 already serves tiny, and this inventory's app_name is blog: ")
    assert "put app_name back" in said and "/etc/systemd/system/tiny" in said and "/etc/nginx/conf.d/tiny.conf" in said


@pytest.mark.parametrize("traces", [{"release": False}, {"site": False}, {"home": "/data/tiny"}, {"service": "web"}])
def test_one_trace_of_another_application_is_enough(tree, traces):
    tree.application("tiny", **traces)
    assert tree.refusal(application="blog").startswith("h1 already serves tiny")


def test_an_application_that_never_got_so_far_is_in_nobodys_way(tree):
    """What a run of another site left that was refused by nginx: the one that serves has its next run."""
    tree.application("tiny")
    tree.application("blog", release=False, site=False)
    assert tree.refusal(application="tiny") == ""
    assert tree.refusal(application="blog").startswith("h1 already serves tiny")


def test_an_application_that_moved_is_the_same(tree):
    tree.application("tiny", home="/data/tiny", service="web")
    assert tree.refusal(application="tiny") == ""


def test_units_of_others_are_no_application(tree):
    tree.write("/etc/systemd/system/worker@.service", "[Service]\nWorkingDirectory=/srv/tiny/releases/%i/\nExecStart=/usr/bin/worker %i\n")
    (tree.root / "srv/tiny").mkdir(parents=True)
    (tree.root / "srv/tiny/current").symlink_to("releases/none")
    assert tree.refusal(application="blog") == ""


# --- Databases --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "wanted", "refused"),
    [
        (["tiny"], ["blog"], True),
        (["tiny", "small"], ["blog"], True),
        (["tiny"], [], True),
        (["tiny", "blog"], ["blog"], False),
        (["blog", "old"], ["blog", "new"], False),
        ([], ["blog"], False),
        (["postgres"], ["blog"], False),
    ],
)
def test_databases_of_which_none_is_declared_are_somebody_elses(tree, there, wanted, refused):
    tree.access(*there)
    said = tree.refusal(databases=wanted)
    assert bool(said) == refused
    if refused:
        assert said.startswith("The PostgreSQL server of h1 already serves the database ") and there[0] in said
        assert "/etc/postgresql/17/main/pg_hba.conf" in said


def test_access_from_other_hosts_counts_as_well(tree):
    tree.write("/etc/postgresql/17/main/pg_hba.conf", HBA + 'hostssl "tiny" "tiny" 10.0.0.2/32 scram-sha-256\nhostssl all backup 10.0.0.4/32 scram-sha-256\n')
    assert "tiny" in tree.refusal(databases=["blog"])


def test_access_that_somebody_else_wrote_is_none_of_ours(tree):
    tree.write("/etc/postgresql/17/main/pg_hba.conf", 'local all postgres peer\nhost "tiny" "tiny" 127.0.0.1/32 scram-sha-256\n')
    assert tree.refusal(databases=["blog"]) == ""


def test_neither_links_nor_pipes_are_opened(tree):
    """The postgres account may put what it likes in the place of its file."""
    tree.access("tiny")
    path = tree.root / "etc/postgresql/17/main/pg_hba.conf"
    path.rename(tree.root / "elsewhere")
    path.symlink_to(tree.root / "elsewhere")
    assert tree.refusal(databases=["blog"]) == ""
    path.unlink()
    os.mkfifo(path)
    assert tree.refusal(databases=["blog"]) == ""


# --- Clusters ---------------------------------------------------------------------------------

WANTED = {"postgresql_version": "17", "postgresql_port": 5432}


@pytest.mark.parametrize(
    ("clusters", "sentence"),
    [
        # Debian 12 became 13 in place.
        ([("15", "main", {})], "h1 already has the PostgreSQL cluster 15/main, and postgresql_version is 17"),
        ([("15", "main", {"start": "manual"})], "h1 already has the PostgreSQL cluster 15/main, and postgresql_version is 17"),
        ([("15", "main", {"port": 5433})], "h1 already has the PostgreSQL cluster 15/main, and postgresql_version is 17"),
        ([("18", "main", {})], "h1 already has the PostgreSQL cluster 18/main, and postgresql_version is 17"),
        ([("17", "main", {"data": False}), ("15", "main", {})], "h1 already has the PostgreSQL cluster 15/main, and postgresql_version is 17"),
        # Another one on the same port.
        ([("17", "other", {})], "h1 already has the PostgreSQL cluster 17/other on port 5432"),
        ([("17", "main", {}), ("17", "other", {})], "h1 already has the PostgreSQL cluster 17/other on port 5432"),
        ([("17", "main", {}), ("15", "main", {})], "h1 already has the PostgreSQL cluster 15/main on port 5432"),
        ([("17", "main", {}), ("17", "other", {"start": "manual", "running": True})], "h1 already has the PostgreSQL cluster 17/other on port 5432"),
        # What may be there.
        ([("17", "main", {})], ""),
        ([("17", "main", {"port": 5433})], ""),
        ([("15", "main", {"data": False})], ""),
        ([("17", "other", {"port": 5433})], ""),
        ([("17", "main", {}), ("17", "main-restored", {"start": "manual"})], ""),
        # After pg_upgradecluster.
        ([("17", "main", {}), ("15", "main", {"port": 5433, "start": "manual"})], ""),
    ],
)
def test_clusters(tree, clusters, sentence):
    for version, name, rest in clusters:
        tree.cluster(version, name, **rest)
    said = tree.refusal(**WANTED)
    assert said.startswith(sentence) and bool(said) == bool(sentence), said


def test_one_that_patroni_starts_is_in_the_way_while_it_is_stopped(tree):
    tree.cluster("17", "main")
    tree.cluster("15", "main", start="manual")
    assert tree.refusal(**WANTED) == ""
    tree.write("/etc/patroni/15-main.yml")
    assert tree.refusal(**WANTED).startswith("h1 already has the PostgreSQL cluster 15/main on port 5432")


def test_the_sentence_says_what_to_do(tree):
    tree.cluster("15", "main")
    said = tree.refusal(**WANTED)
    assert "set postgresql_version to 15" in said and "the playbook upgrade_postgresql" in said and "pg_dropcluster 15 main" in said


def test_data_without_a_configuration_is_a_cluster(tree):
    tree.write("/var/lib/postgresql/15/main/PG_VERSION", "15\n")
    assert tree.refusal(**WANTED).startswith("h1 already has the PostgreSQL cluster 15/main")
    (tree.root / "var/lib/postgresql/15/main/PG_VERSION").unlink()
    assert tree.refusal(**WANTED) == ""


def test_a_cluster_that_was_never_finished_takes_no_others_place(tree):
    tree.cluster("17", "main")
    tree.cluster("15", "main", port=5433)
    tree.write("/var/lib/postgresql/17-main.unfinished")
    assert tree.refusal(**WANTED).startswith("h1 already has the PostgreSQL cluster 15/main, and postgresql_version is 17")


def test_the_port_is_the_one_that_wins(tree):
    tree.cluster("17", "other")
    tree.write("/etc/postgresql/17/other/conf.d/10-port.conf", "PORT = 5433\n")
    assert tree.refusal(**WANTED) == ""
    tree.write("/var/lib/postgresql/17/other/postgresql.auto.conf", "port = '5432'\n")
    assert tree.refusal(**WANTED).startswith("h1 already has the PostgreSQL cluster 17/other on port 5432")


@pytest.mark.parametrize("line", ["port = \u00b2", f"port = {'9' * 5000}", "port = -1", "data_directory = 'a\0b'", f"data_directory = '/{'x' * 5000}'"])
def test_a_configuration_that_makes_no_sense_is_the_servers_affair(tree, line):
    """It is the postgres account's, and whoever looks is root."""
    tree.cluster("17", "other")
    tree.write("/etc/postgresql/17/other/conf.d/10-odd.conf", line + "\n")
    tree.refusal(**WANTED)


@pytest.mark.parametrize("what", ["pipe", "folder"])
def test_a_configuration_that_is_none_is_not_waited_for(tree, what, in_time):
    tree.cluster("17", "other")
    path = tree.root / "etc/postgresql/17/other/postgresql.conf"
    path.unlink()
    {"pipe": os.mkfifo, "folder": os.mkdir}[what](path)
    assert tree.refusal(**WANTED).startswith("h1 already has the PostgreSQL cluster 17/other on port 5432")


# --- Balancers and backup hosts ---------------------------------------------------------------

HAPROXY = """frontend http
    acl ours req.hdr(host),host_only -i -m str tiny.example.org www.tiny.example.org
backend site
    default-server send-proxy-v2 check
    server web1 10.0.0.8:443 verifyhost web1
    server web2 [fd00::9]:443 verifyhost web2
"""


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        (["blog.example.org", "10.0.0.2"], True),
        (["tiny.example.org", "10.0.0.2"], False),
        (["blog.example.org", "10.0.0.8"], False),
        (["blog.example.org", "fd00::9"], False),
    ],
)
def test_the_balancer_of_another_site(tree, wanted, refused):
    tree.write("/etc/haproxy/haproxy.cfg", HAPROXY)
    said = tree.refusal(balanced=wanted)
    assert bool(said) == refused
    if refused:
        assert said.startswith("h1 already is the balancer of another site (") and "tiny.example.org" in said and "/etc/haproxy/haproxy.cfg" in said


def test_debians_configuration_is_nobodys(tree):
    tree.write("/etc/haproxy/haproxy.cfg", "global\n    daemon\ndefaults\n    mode http\n")
    tree.write("/etc/pgbackrest.conf", "[main]\npg1-path=/var/lib/postgresql/17/main\n")
    assert tree.refusal(balanced=["blog.example.org"], backed_up=["10.0.0.3"]) == ""


@pytest.mark.parametrize("path", ["/etc/pgbackrest.conf", "/etc/pgbackrest/pgbackrest.conf"])
@pytest.mark.parametrize(("wanted", "refused"), [(["10.0.0.3"], True), (["10.0.0.3", "10.0.0.7"], False)])
def test_the_backup_host_of_another_site(tree, path, wanted, refused):
    tree.write(path, "[main]\npg1-host=10.0.0.7\npg1-host-port=8432\npg2-host=10.0.0.8\n")
    said = tree.refusal(backed_up=wanted)
    assert bool(said) == refused
    if refused:
        assert said.startswith("h1 already keeps the backups of another site (of the servers 10.0.0.7, 10.0.0.8)")


def test_the_backup_host_of_this_site_whose_server_has_a_new_address(tree):
    tree.write("/etc/pgbackrest/pgbackrest.conf", "[main]\npg1-host=10.0.0.7\n")
    tree.write("/etc/pgbackrest/postgresql-backup.json", '{"hosts": {"db1": {"host": "10.0.0.7"}}}')
    assert tree.refusal(backed_up=["db1", "10.0.0.9"]) == ""
    assert tree.refusal(backed_up=["shop-db", "10.0.0.9"]).startswith("h1 already keeps the backups of another site (of the servers 10.0.0.7, db1)")
