"""Bad input about the database and its backups is refused in one sentence, before any host is touched."""

import pytest

PASSWORD = "a-password-of-24-letters"
ROLE = {"name": "reader", "password": PASSWORD}


def database(**keys):
    return {"postgresql_databases": [{"name": "shop", "owner": "shop"} | keys]}


def role(**keys):
    row = {name: value for name, value in (ROLE | keys).items() if value is not None}
    return {"postgresql_roles": [{"name": "shop", "password": PASSWORD}, row]}


def access(**keys):
    row = {"database": "shop", "role": "shop", "from": "192.0.2.10"} | keys
    return {"postgresql_access": [{name: value for name, value in row.items() if value is not None}]}


BAD = [
    ({"postgresql_version": 9}, "postgresql_version is '9': known are 15"),
    ({"postgresql_version": "latest"}, "postgresql_version is 'latest': known are 15"),
    ({"postgresql_port": 0}, "postgresql_port is '0': give a port number from 1 to 65535"),
    ({"postgresql_port": 65536}, "postgresql_port is '65536': give a port number"),
    ({"postgresql_port": "abc"}, "postgresql_port is 'abc': give a port number"),
    ({"postgresql_listen_addresses": []}, "postgresql_listen_addresses is []: give a list"),
    ({"postgresql_listen_addresses": "localhost"}, 'postgresql_listen_addresses is "localhost": give a list'),
    ({"postgresql_listen_addresses": ["a b"]}, 'postgresql_listen_addresses is ["a b"]: give a list'),
    ({"postgresql_max_connections": "many"}, "postgresql_max_connections is 'many': give a whole number"),
    ({"postgresql_max_connections": 1}, "postgresql_max_connections is '1': give a whole number from 10"),
    ({"postgresql_slow_statement_ms": "1s"}, "postgresql_slow_statement_ms is '1s': give a whole number"),
    ({"postgresql_memory_share": 1.5}, "postgresql_memory_share is '1.5': give a number from 0.05 to 1"),
    ({"postgresql_memory_share": "half"}, "postgresql_memory_share is 'half': give a number"),
    ({"postgresql_storage": "tape"}, "postgresql_storage is 'tape': known are ssd"),
    ({"postgresql_settings": ["work_mem=1MB"]}, "postgresql_settings has to be a mapping"),
    ({"postgresql_settings": {"work mem": "1MB"}}, "postgresql_settings has to be a mapping"),
    ({"postgresql_settings": {"work_mem": "1MB'\nport = 1"}}, "postgresql_settings has to be a mapping"),
    ({"postgresql_settings": {"port": 1}}, "postgresql_settings holds port: that is set by postgresql_port"),
    ({"postgresql_settings": {"Archive_Mode": "off"}}, "postgresql_settings holds archive_mode: that is set by"),
    ({"postgresql_settings": {"password_encryption": "md5"}}, "postgresql_settings holds password_encryption: this is fixed"),
    ({"postgresql_settings": {"hba_file": "/x"}}, "postgresql_settings holds hba_file: this is fixed"),
    ({"postgresql_settings": {"work_mem": ["8MB"]}}, "postgresql_settings has to be a mapping"),
    ({"postgresql_settings": {"wal_level": "minimal", "max_wal_senders": 0}}, "postgresql_settings has the wal_level minimal, from which nothing"),
    ({"postgresql_settings": {"hot_standby": "off"}}, "postgresql_settings holds hot_standby: this is fixed"),
    ({"postgresql_settings": {"restore_command": "cp"}}, "postgresql_settings holds restore_command: that is set by the role postgresql_restore"),
    ({"postgresql_settings": {"recovery_target_time": "x"}}, "postgresql_settings holds recovery_target_time: that is set by the playbook restore"),
    ({"postgresql_port": 5433}, "postgresql_port is 5433, and the application asks for 5432: give app_database_port, which postgresql_port follows"),
    ({"postgresql_listen_addresses": ["192.0.2.1"]}, 'postgresql_listen_addresses is ["192.0.2.1"], and the application on site1 asks for the server'),
    ({"postgresql_listen_addresses": ["::"]}, 'postgresql_listen_addresses is ["::"], and the application on site1 asks for the server at'),
    ({"postgresql_memory_mb": 0}, "postgresql_memory_mb is '0': give a whole number from 128"),
    ({"postgresql_cores": 0}, "postgresql_cores is '0': give a whole number from 1"),
    (role(connection_limit="many"), "postgresql_roles has to be a list of mappings in which connection_limit is a whole number"),
    (role(connection_limit=-5), "postgresql_roles has the connection_limit -5 of reader: give a whole number, or -1 for any"),
    (role(settings=["jit"]), "postgresql_roles has to be a list of mappings in which settings is a mapping"),
    (role(settings={"jit": ["off"]}), "postgresql_roles has settings of reader that are none: give values of one line"),
    (role(member_of=["nobody_at_all"]), "postgresql_roles has a role member_of nobody_at_all, which is neither in postgresql_roles nor PostgreSQL's own"),
    (role(member_of=["pg_monitr"]), "postgresql_roles has a role member_of pg_monitr, which is neither in postgresql_roles nor PostgreSQL's own"),
    (role(password=[PASSWORD]), "postgresql_roles has to be a list of mappings in which password is a text"),
    (role(databases=[["shop"]]), "postgresql_roles has to be a list of mappings in which databases is a list of texts"),
    ({"app_database_roles": [{"name": "shop", "password": PASSWORD, "databases": [["shop"]]}]}, "app_database_roles has to be a list of mappings in which"),
    ({"app_database_roles": [{"name": "shop", "password": PASSWORD, "connection_limit": "many"}]}, "app_database_roles has to be a list of mappings"),
    ({"app_database_roles": [{"name": "shop", "password": "swordfish"}]}, "app_database_roles: the password of shop is shorter than 16 characters"),
    ({"app_databases": [{"name": "shop", "owner": ["shop"]}]}, "app_databases has to be a list of mappings in which owner is a text"),
    (database(owner=["shop"]), "postgresql_databases has to be a list of mappings in which owner is a text"),
    (access(database=["shop"]), "postgresql_access has to be a list of mappings in which database is a text"),
    ({"postgresql_roles": "shop"}, "postgresql_roles has to be a list of mappings"),
    ({"postgresql_roles": ["shop"]}, "postgresql_roles has to be a list of mappings"),
    ({"postgresql_databases": {"name": "shop"}}, "postgresql_databases has to be a list of mappings"),
    (role(superuser=True), "postgresql_roles has an entry with superuser: known are name, password"),
    (database(encoding="LATIN1"), "postgresql_databases has an entry with encoding: known are name, owner, extensions"),
    (access(method="trust"), "postgresql_access has an entry with method: known are database, role, from"),
    ({"postgresql_databases": [{"name": "shop"}]}, "postgresql_databases has an entry without all of name, owner"),
    (access(role=None), "postgresql_access has an entry without all of database, role, from"),
    (role(name="Reader"), "postgresql_roles names shop, Reader: each name has to be there once"),
    (role(name='re"ader'), 'postgresql_roles names shop, re"ader: each name has to be there once'),
    (role(name="shop"), "postgresql_roles names shop, shop: each name has to be there once"),
    (role(name=7), "postgresql_roles names shop, 7: each name has to be there once"),
    (role(name="postgres"), "postgresql_roles names postgres: PostgreSQL keeps that name for itself"),
    (role(name="pg_reader"), "postgresql_roles names pg_reader: PostgreSQL keeps that name for itself"),
    (database(name="template1"), "postgresql_databases names template1: PostgreSQL keeps that name for itself"),
    (role(password=None), "postgresql_roles: the password of reader is not set"),
    (role(password=""), "postgresql_roles: the password of reader is not set"),
    (role(password="swordfish"), "postgresql_roles: the password of reader is shorter than 16 characters"),
    (role(password="md5" + "0" * 32), "postgresql_roles: the password of reader is an MD5 hash"),
    (role(attributes=["SUPERUSER"]), "postgresql_roles gives SUPERUSER: a role can have CREATEDB"),
    (database(owner="nobody"), "postgresql_databases names nobody, which is not in postgresql_roles"),
    (role(databases=["shop", "till"]), "postgresql_roles names till, which is not in postgresql_databases"),
    (access(role="nobody"), "postgresql_access names nobody, which is not in postgresql_roles"),
    (access(database="till"), "postgresql_access names till, which is not in postgresql_databases"),
    (database(extensions=['pg_trgm"; DROP']), "postgresql_databases names an extension that cannot be"),
    (access(**{"from": "0.0.0.0/0"}), "postgresql_access admits from 0.0.0.0/0: give the address"),
    (access(**{"from": "::/0"}), "postgresql_access admits from ::/0: give the address"),
    (access(**{"from": "web.example.org"}), "postgresql_access admits from web.example.org: give the address"),
    (access(**{"from": "300.1.1.1"}), "postgresql_access admits from 300.1.1.1: give the address"),
    (database(extensions=["postgis"]), "The extension postgis is asked for, and no package of postgresql_packages brings it: add postgresql-17-postgis-3."),
    (
        database(extensions=["vector"]) | {"postgresql_packages": ["postgresql-17-postgis-3"]},
        "The extension vector is asked for, and no package of postgresql_packages brings it: add postgresql-17-pgvector.",
    ),
    (access(**{"from": 7}), "postgresql_access admits from 7: give the address"),
    ({"postgresql_backup_passphrase": "hunter2"}, "postgresql_backup_passphrase is shorter than 16 characters"),
    ({"postgresql_backup_passphrase": "two lines of it\nand more"}, "postgresql_backup_passphrase is more than a line"),
    ({"postgresql_backup_name": "../x"}, "postgresql_backup_name is '../x': give letters"),
    ({"postgresql_backup_path": "backups"}, "postgresql_backup_path is 'backups': give an absolute path"),
    ({"postgresql_backup_compression": "rar"}, "postgresql_backup_compression is 'rar': known are zst"),
    ({"postgresql_backup_retention_days": 0}, "postgresql_backup_retention_days is '0': give a whole number from 1"),
    ({"postgresql_backup_retention_days": "all"}, "postgresql_backup_retention_days is 'all': give a whole number"),
    ({"postgresql_backup_archive_interval": 1}, "postgresql_backup_archive_interval is '1': give a whole number from 10"),
    ({"postgresql_backup_full_schedule": "weekly"}, "postgresql_backup_full_schedule is 'weekly': give the five fields"),
    ({"postgresql_backup_differential_schedule": "0 1 * *"}, "postgresql_backup_differential_schedule is '0 1 * *': give the five"),
    ({"postgresql_backup_full_schedule": "0 2 * * sunday"}, "postgresql_backup_full_schedule is '0 2 * * sunday': give the five fields of cron (minute 0-59,"),
    ({"postgresql_backup_check_schedule": "*/0 * * * *"}, "postgresql_backup_check_schedule is '*/0 * * * *': give the five fields"),
    ({"postgresql_backup_logical_schedule": "0 2 31 2 *"}, "postgresql_backup_logical_schedule is '0 2 31 2 *': give the five fields"),
    ({"postgresql_backup_processes": 0}, "postgresql_backup_processes is '0': give a whole number from 1 to 999"),
    ({"postgresql_backup_processes": 1000}, "postgresql_backup_processes is '1000': give a whole number from 1 to 999"),
    ({"postgresql_backup_server_version": 9}, "postgresql_backup_server_version is '9': known are 15"),
    ({"postgresql_backup_server_port": 0}, "postgresql_backup_server_port is '0': give a port number"),
    ({"postgresql_backup_notify": 'x" y'}, "postgresql_backup_notify is 'x\" y': give a mail address"),
]


def test_bad_values(each_is_refused):
    each_is_refused(BAD, "app", "postgresql", "postgresql_backup")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"postgresql_port": 65536}, "postgresql_port is '65536': give a port number"),
        (role(password=None), "postgresql_roles: the password of reader is not set"),
        (role(password=""), "postgresql_roles: the password of reader is not set"),
        (role(password="swordfish"), "postgresql_roles: the password of reader is shorter than 16 characters"),
        ({"postgresql_backup_passphrase": "hunter2"}, "postgresql_backup_passphrase is shorter than 16 characters"),
    ],
    ids=["port", "no password", "empty password", "short password", "short passphrase"],
)
def test_the_whole_inventory_is_refused_in_one_sentence(refuse, variables, sentence):
    refuse(sentence, **variables)


def test_what_a_site_may_well_set_is_not_refused(sentences):
    assert not sentences(
        postgresql_version=17,
        postgresql_listen_addresses=["localhost", "192.0.2.1", "2001:db8::1"],
        postgresql_settings={"work_mem": "8MB", "pg_stat_statements.max": 10000, "jit": False},
        postgresql_access=[
            {"database": "shop", "role": "shop", "from": "192.0.2.10"},
            {"database": "shop", "role": "reader", "from": "2001:db8::/64"},
        ],
        postgresql_roles=[
            {"name": "shop", "password": PASSWORD},
            ROLE | {"databases": ["shop"], "member_of": ["pg_monitor"], "attributes": ["CREATEDB"], "settings": {"jit": "off"}},
        ],
        postgresql_databases=[{"name": "shop", "owner": "shop", "extensions": ["pg_trgm", "uuid-ossp", "postgis", "postgis_topology"]}],
        postgresql_packages=["postgresql-17-postgis-3"],
        postgresql_backup_passphrase="correct horse battery staple",
        postgresql_backup_full_schedule="*/30 1,2 * * sun",
        postgresql_backup_notify="dba@example.org",
    )


def test_a_server_behind_a_pooler_and_elsewhere_is_not_refused(sentences):
    assert not sentences(postgresql_port=5432, app_database_port=6432)
    assert not sentences(app_database_port=6432)
    assert not sentences(postgresql_listen_addresses=["192.0.2.1"], app_database_host="192.0.2.1")


def test_who_is_to_reach_the_server_finds_it(sentences):
    groups = {"web": ["site1"], "database": ["site2"]}
    site = {"app_addresses": {"site1": "192.0.2.1", "site2": "192.0.2.2"}}
    (said,) = sentences(groups, ["postgresql"], postgresql_listen_addresses=["localhost", "::1"], **site)
    assert said.startswith('postgresql_listen_addresses is ["localhost", "::1"], where site1 cannot reach site2: give')
    assert sentences(groups, ["postgresql"], postgresql_listen_addresses=["192.0.2.2"], **site) == []
    alone = {"web": ["site1"], "database": ["site1"], "balancer": ["site2"]}
    assert sentences(alone, ["postgresql"], postgresql_listen_addresses=["localhost"], **site) == [], "nobody else comes to it"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_wal_senders": 0}, "postgresql_settings has max_wal_senders 0, and the site's other hosts need 4: give more, or leave it out."),
        ({"max_replication_slots": "1"}, "postgresql_settings has max_replication_slots 1, and the site's other hosts need 2"),
        ({"max_wal_senders": 4, "max_replication_slots": 2, "wal_level": "logical"}, ""),
    ],
)
def test_there_is_room_for_those_who_follow(sentences, settings, sentence):
    groups = {"database": ["site1", "site2"], "backup": ["site3"]}
    site = {"app_addresses": {"site1": "192.0.2.1", "site2": "192.0.2.2", "site3": "192.0.2.3"}}
    passwords = {f"vault_postgresql_{name}_password": PASSWORD for name in ("replication", "backup")}
    said = sentences(groups, ["postgresql"], postgresql_settings=settings, **site, **passwords)
    assert len(said) == bool(sentence) and "".join(said).startswith(sentence)


def test_a_refusal_tells_no_secret(preflight):
    _code, output = preflight(arguments=["-vvv"], **role(password="swordfish"), postgresql_backup_passphrase="hunter2")
    assert "swordfish" not in output
    assert PASSWORD not in output
    _code, output = preflight(arguments=["-vvv"], postgresql_backup_passphrase="hunter2")
    assert "hunter2" not in output


def test_an_unknown_kind_of_backup(each_is_refused):
    bad = [({"backup_type": kind}, f"backup_type is '{kind}': known are full, diff, incr, logical, media and offsite.") for kind in ("weekly", "")]
    each_is_refused(bad, "backup", good=[{}, {"backup_type": "logical"}])
