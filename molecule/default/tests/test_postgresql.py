"""The database as its application, another user of the host, and somebody outside see it."""

import socket

import pytest

testinfra_hosts = ["ansible://database"]


@pytest.fixture(scope="module")
def owner(variables):
    """Return the application's role and database."""
    database = variables["postgresql_databases"][0]
    role = next(row for row in variables["postgresql_roles"] if row["name"] == database["owner"])
    return {"database": database["name"], "role": role["name"], "password": role["password"], "port": variables["postgresql_port"]}


@pytest.fixture
def query(host, owner):
    """Return a function that asks as the superuser, over the socket, and returns the rows."""

    def run(sql, database="postgres"):
        with host.sudo("postgres"):
            out = host.check_output("cd / && psql -XAtq -p %s -d %s -c %s", str(owner["port"]), database, sql)
        return out.splitlines()

    return run


@pytest.fixture
def login(host, owner):
    """Return a function that connects over TCP and runs one statement."""

    def run(password, sql="SELECT 1", address="127.0.0.1", role=None, database=None):
        url = f"host={address} port={owner['port']} user={role or owner['role']} dbname={database or owner['database']} connect_timeout=5"
        return host.run("PGPASSWORD=%s psql -XAtqw %s -c %s", password, url, sql)

    return run


def test_the_application_logs_in_with_its_password(login, owner):
    done = login(owner["password"], "SELECT current_user")
    assert (done.rc, done.stdout.strip()) == (0, owner["role"]), done.stderr


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_refused(login, password):
    done = login(password)
    assert done.rc != 0
    assert "password authentication failed" in done.stderr or "no password supplied" in done.stderr


def test_the_superuser_has_no_way_in_over_tcp(login):
    done = login("anything", role="postgres", database="postgres")
    assert done.rc != 0
    assert "no pg_hba.conf entry" in done.stderr


def test_another_user_of_the_host_cannot_become_the_application_or_the_superuser(host, owner):
    with host.sudo("nobody"):
        for role, database in ((owner["role"], owner["database"]), ("postgres", "postgres")):
            done = host.run("cd / && psql -XAtqw -p %s -U %s -d %s -c 'SELECT 1'", str(owner["port"]), role, database)
            assert done.rc != 0
            assert "Peer authentication failed" in done.stderr


def test_nobody_outside_reaches_the_server(host, variables, owner):
    address = host.ansible.get_variables()["ansible_host"]
    with socket.socket() as client:
        client.settimeout(3)
        assert client.connect_ex((address, owner["port"])) != 0


def test_the_server_listens_on_the_loopback_alone(host, owner):
    listening = host.check_output("ss -Hltn sport = :%s", str(owner["port"]))
    addresses = {line.split()[3].rsplit(":", 1)[0] for line in listening.splitlines()}
    assert addresses
    assert addresses <= {"127.0.0.1", "[::1]"}


def test_no_rule_admits_by_anything_but_peer_and_scram(query):
    assert set(query("SELECT DISTINCT auth_method FROM pg_hba_file_rules")) == {"peer", "scram-sha-256"}
    assert query("SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL") == []


def test_the_rules_are_exactly_those_of_the_declared_roles(query, owner):
    rules = query("SELECT type, database[1], user_name[1], address, auth_method FROM pg_hba_file_rules")
    database, role = owner["database"], owner["role"]
    assert set(rules) == {
        "local|all|postgres||peer",
        f"local|{database}|{role}||peer",
        f"host|{database}|{role}|127.0.0.1|scram-sha-256",
        f"host|{database}|{role}|::1|scram-sha-256",
    }


def test_every_password_is_stored_for_scram(query):
    assert query("SELECT DISTINCT substr(rolpassword, 1, 14) FROM pg_authid WHERE rolpassword IS NOT NULL") == ["SCRAM-SHA-256$"]


def test_pages_on_disk_have_checksums(query):
    assert query("SHOW data_checksums") == ["on"]


def test_databases_are_utf8_and_sort_alike_everywhere(query):
    assert query("SELECT DISTINCT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database") == ["UTF8|C.UTF-8|C.UTF-8"]


def test_the_application_owns_its_database_and_nothing_more(query, owner):
    sql = (
        "SELECT pg_get_userbyid(datdba), rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls "
        f"FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = '{owner['database']}'"
    )
    assert query(sql) == [f"{owner['role']}|f|f|f|f|f"]


def test_the_application_may_create_tables_in_the_public_schema(login, owner):
    done = login(owner["password"], "BEGIN; CREATE TABLE probe_of_the_tests (id int); ROLLBACK")
    assert done.rc == 0, done.stderr


def test_another_role_cannot_connect_to_the_database(query, owner):
    """Even where a rule admitted it: the database itself is closed."""
    query("CREATE ROLE stranger_of_the_tests LOGIN")
    try:
        sql = f"SELECT has_database_privilege('stranger_of_the_tests', '{owner['database']}', 'CONNECT')"
        assert query(sql) == ["f"]
    finally:
        query("DROP ROLE stranger_of_the_tests")


def test_the_server_runs_with_what_its_files_say(query):
    assert query("SELECT name FROM pg_settings WHERE pending_restart") == []
    assert query("SELECT error FROM pg_file_settings WHERE error IS NOT NULL") == []


def test_the_server_takes_no_more_memory_than_its_share(query, variables):
    pages = int(query("SELECT setting FROM pg_settings WHERE name = 'shared_buffers'")[0])
    share = variables["postgresql_memory_mb"] * float(variables["postgresql_memory_share"])
    assert 0.2 * share <= pages * 8 / 1024 <= 0.25 * share


def test_statements_are_counted_without_their_secrets(query, owner):
    assert int(query("SELECT count(*) FROM pg_stat_statements")[0]) > 0
    assert query("SELECT query FROM pg_stat_statements WHERE query ~* 'password' AND query ~* '(create|alter) (role|user)'") == []


def test_a_slow_statement_is_logged(host, query, variables):
    query("SET log_min_duration_statement = 1; SELECT pg_sleep(0.01), 'slow one of the tests'")
    assert int(query("SELECT setting FROM pg_settings WHERE name = 'log_min_duration_statement'")[0]) == variables["postgresql_slow_statement_ms"]
    with host.sudo():
        assert "slow one of the tests" in host.check_output("cat /var/log/postgresql/postgresql-*-main.log")


def test_the_server_comes_back_after_a_reboot(host, variables):
    unit = f"postgresql@{variables['postgresql_version']}-main"
    assert unit in host.check_output("systemctl list-dependencies --plain postgresql.service")
    assert host.service("postgresql").is_enabled


def test_no_secret_is_in_a_log_or_in_the_reach_of_other_users(host, variables, owner):
    with host.sudo():
        found = host.run("grep -rlF -e %s /var/log/postgresql /etc/postgresql /etc/postgresql-common", owner["password"])
        assert found.stdout == ""
        files = host.check_output("find /etc/postgresql/*/main /var/lib/postgresql/*/main -maxdepth 1 -type f -perm /o+r -name '*hba*'")
        assert files == ""
        assert host.file(f"/var/lib/postgresql/{variables['postgresql_version']}/main").mode == 0o700


@pytest.mark.parametrize(
    ("kind", "candidate", "complaint"),
    [
        ("settings", "shared_buffers = lots", "invalid value"),
        ("settings", "no_such_setting = 1", "unrecognized configuration parameter"),
        ("settings", "shared_preload_libraries = nonesuch", "could not access file"),
        ("access", "local all all nonesuch", "invalid authentication method"),
    ],
)
def test_a_configuration_with_which_no_server_starts_is_found_out(host, query, kind, candidate, complaint):
    started = query("SELECT pg_postmaster_start_time()")
    with host.sudo():
        done = host.run("echo %s >/root/candidate; /usr/local/sbin/postgresql-try %s /root/candidate; rc=$?; rm /root/candidate; exit $rc", candidate, kind)
        assert done.rc == 1
        assert complaint in done.stderr
        assert host.check_output("ls /var/lib/postgresql | grep try- || true") == ""
    assert query("SELECT pg_postmaster_start_time()") == started
