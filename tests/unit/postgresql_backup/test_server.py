"""pgBackRest's server lets whoever asks read any file that it can read itself: so there is nothing that those may not know."""

import importlib.util
import pathlib
import re

import jinja2
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
spec = importlib.util.spec_from_file_location("postgresql_backup_filter", ROOT / "plugins/filter/postgresql_backup.py")
filters = importlib.util.module_from_spec(spec)
spec.loader.exec_module(filters)

OWN = {"type": "path", "path": "/srv/backups", "passphrase": "told-by-the-protocol"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "WRITES", "secret": "SWORDFISH", "passphrase": "OF-THE-STORE"}
READABLE = S3 | {"reader_key": "READS", "reader_secret": "only-reads"}


@pytest.fixture
def written():
    """Return a function that writes a template for a host of a kind."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "roles/postgresql_backup/templates"), trim_blocks=True)
    environment.filters |= {"comment": lambda text: f"# {text}", "basename": lambda path: path.rsplit("/", 1)[-1]}

    def write(template, role, repositories):
        names = {
            "ansible_managed": "managed", "inventory_hostname": "backup1", "postgresql_backup_addresses": {"backup1": "192.0.2.1", "db1": "192.0.2.2"},
            "postgresql_backup_name": "main", "postgresql_backup_repositories": repositories, "postgresql_backup_retention_days": 21,
            "postgresql_backup_database_hosts": ["db1"], "postgresql_backup_passphrase": "", "postgresql_backup_tablespace_paths": ["/srv/tables"],
            "postgresql_backup_tls_ca": "/etc/selfhost/ca.crt", "postgresql_backup_tls_certificate": "/etc/selfhost/host.crt",
            "postgresql_backup_tls_key": "/etc/selfhost/host.key", "postgresql_backup_tls_port": 8432, "postgresql_backup_user": "backup",
            "postgresql_backup_service_sandbox": "NoNewPrivileges=true\nProtectHome=true\n",
            "__postgresql_backup_role": role, "__postgresql_backup_peers": ["db1"], "__postgresql_backup_hosts": ["backup1"],
            "__postgresql_backup_numbered": filters.postgresql_backup_numbered(repositories, 13), "__postgresql_backup_elsewhere": filters.postgresql_backup_elsewhere(repositories),
            "__postgresql_backup_readable": filters.postgresql_backup_readable(repositories), "__postgresql_backup_data": "/var/lib/postgresql/17/main",
            "__postgresql_backup_server_directory": "/run/pgbackrest-server", "__postgresql_backup_server_file": "/etc/pgbackrest/server.conf",
            "__postgresql_backup_configuration": "/etc/pgbackrest/pgbackrest.conf", "__postgresql_backup_server_user": "postgres",
            "postgresql_backup_processes": 1, "postgresql_backup_server_port": 5432, "__postgresql_backup_socket": "/var/run/postgresql",
            "postgresql_backup_compression": "zst",
        }  # fmt: skip
        return environment.get_template(template).render(names)

    return write


def test_the_server_of_a_backup_host_knows_no_key_that_writes(written):
    text = written("pgbackrest-server.conf.j2", "backup", [S3, OWN, READABLE])
    assert re.findall("^repo[0-9]+-(?:path|s3-key|s3-key-secret)=.*", text, re.MULTILINE) == [
        "repo2-path=/srv/backups", "repo3-path=/shop", "repo3-s3-key=READS", "repo3-s3-key-secret=only-reads",
    ]  # fmt: skip
    assert "WRITES" not in text
    assert "SWORDFISH" not in text
    assert "tls-server-key-file=/run/pgbackrest-server/host.key" in text


def test_the_server_of_a_database_host_knows_no_repository(written):
    text = written("pgbackrest-server.conf.j2", "database", [OWN, READABLE])
    assert not re.search("^repo", text, re.MULTILINE)


def test_a_database_host_asks_for_the_repositories_that_it_may_read(written):
    text = written("pgbackrest.conf.j2", "database", [S3, OWN, READABLE])
    assert re.findall("^(repo[0-9]+-host)=", text, re.MULTILINE) == ["repo2-host", "repo3-host"]
    assert not any(word in text for word in ("WRITES", "SWORDFISH", "told-by-the-protocol", "tls-server"))


def test_the_backup_host_logs_in_as_who_reads(written):
    assert "pg1-user=backup\n" in written("pgbackrest.conf.j2", "backup", [OWN])


def test_a_store_with_a_name_is_found_and_known_by_its_certificate(written):
    lines = ("BindReadOnlyPaths=-/etc/resolv.conf -/etc/ssl/certs", "BindReadOnlyPaths=/etc/pgbackrest/repository-2.crt")
    unit = written("pgbackrest-server.service.j2", "backup", [OWN, READABLE | {"ca": "CA"}])
    assert all(unit.count(line) == 1 for line in lines)
    assert not any(line in written("pgbackrest-server.service.j2", "backup", [OWN, S3]) for line in lines)


@pytest.mark.parametrize("role", ["backup", "database"])
def test_the_server_sees_what_it_is_there_for(written, role):
    unit = written("pgbackrest-server.service.j2", role, [S3, OWN])
    (hidden,) = re.findall("^TemporaryFileSystem=(.*)", unit, re.MULTILINE)
    assert {"/etc:ro", "/home:ro", "/root:ro", "/run:ro", "/srv:ro", "/var:ro"} <= set(hidden.split())
    shown = {path.lstrip("-").split(":")[0] for line in re.findall("^Bind(?:ReadOnly)?Paths=(.*)", unit, re.MULTILINE) for path in line.split()}
    files = {
        "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/openssl.cnf",
        "/etc/pgbackrest/server.conf", "/etc/selfhost/ca.crt", "/etc/selfhost/host.crt", "/run/pgbackrest-server",
    }  # fmt: skip
    assert shown - files == ({"/srv/backups"} if role == "backup" else {"/run/postgresql", "/var/lib/postgresql/17", "/srv/tables"})
    assert re.findall("^BindPaths=(.*)", unit, re.MULTILINE) == ["/run/pgbackrest-server"]
    assert "ProtectHome" not in unit
