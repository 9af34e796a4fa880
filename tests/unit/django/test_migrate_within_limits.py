"""Which limits a project's own `migrate` works within: with the server, behind a pooler, and in databases of other kinds."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import types

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[3] / "roles/django/files/migrations.py"
spec = importlib.util.spec_from_file_location("migrations", PROGRAM)
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

LIMITS = {"lock_timeout": 10, "statement_timeout": 900}
INTRANS = 2


class Driver:
    """A connection of psycopg's to a server process 7, as far as it is asked here."""

    def __init__(self, process):
        self.info = types.SimpleNamespace(backend_pid=process, transaction_status=program.IDLE)
        self.autocommit, self.said = True, []

    def cursor(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def execute(self, sql):
        self.said.append(sql)
        if not self.autocommit:
            self.info.transaction_status = INTRANS

    def fetchone(self):
        return (7,)


def opened(process=7, vendor="postgresql"):
    connection = types.SimpleNamespace(vendor=vendor, connection=Driver(process), execute_wrappers=[])
    program.limit(LIMITS, connection=connection, sender=None, signal=None)
    return connection


def run(connection, *statements):
    """Run statements as Django does, and return what reached the database for them."""
    connection.connection.said.clear()
    for sql in statements:
        def execute(sql, _params, _many, _context):
            connection.connection.execute(sql)

        for wrapper in connection.execute_wrappers:
            execute = (lambda wrapper, inner: lambda *words: wrapper(inner, *words))(wrapper, execute)
        execute(sql, None, False, {"connection": connection})
    return connection.connection.said


def test_a_session_of_the_server_is_limited_once():
    connection = opened()
    assert connection.connection.said[1:] == ["SET SESSION lock_timeout = '10s'", "SET SESSION statement_timeout = '900s'"]
    assert connection.execute_wrappers == []


def test_behind_a_pooler_each_transaction_is_limited_and_nothing_else():
    connection = opened(process=12345)
    assert [sql for sql in connection.connection.said if "SET" in sql] == [], "the session may be somebody else's"
    assert run(connection, "CREATE INDEX CONCURRENTLY") == ["CREATE INDEX CONCURRENTLY"]
    local = ["SET LOCAL lock_timeout = '10s'", "SET LOCAL statement_timeout = '900s'"]
    for _transaction in range(2):
        connection.connection.autocommit, connection.connection.info.transaction_status = False, program.IDLE
        assert run(connection, "SAVEPOINT a", "ALTER TABLE b") == [*local, "SAVEPOINT a", "ALTER TABLE b"]


def test_a_connection_that_is_opened_again_is_limited_once():
    connection = opened(process=12345)
    program.limit(LIMITS, connection=connection)
    assert len(connection.execute_wrappers) == 1


@pytest.mark.parametrize("vendor", ["sqlite", "mysql"])
def test_other_databases_are_asked_for_nothing(vendor):
    connection = opened(vendor=vendor)
    assert connection.connection.said == [] and connection.execute_wrappers == []


MANAGE = """
import sys
print("manage.py with", *sys.argv)
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
OWN = """
import sys
from django.core.management.commands import migrate
class Command(migrate.Command):
    def handle(self, *args, **options):
        super().handle(*args, **options)
        from django.db.backends.signals import connection_created
        print("hooks:", len(connection_created.receivers), "interactive:", options["interactive"])
        sys.exit(3)
"""


def test_the_projects_own_migrate_runs_and_its_exit_status_is_told(tmp_path):
    (tmp_path / "shelf/management/commands").mkdir(parents=True)
    for name, text in {
        "manage.py": MANAGE,
        "settings.py": 'INSTALLED_APPS = ["shelf"]\nDATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db"}}\n',
        "shelf/__init__.py": "",
        "shelf/management/__init__.py": "",
        "shelf/management/commands/__init__.py": "",
        "shelf/management/commands/migrate.py": OWN,
    }.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-", "migrate", "10", "900"], input=PROGRAM.read_text(), cwd=tmp_path, env=os.environ | {"DJANGO_SETTINGS_MODULE": "settings"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines()[0] == "manage.py with manage.py migrate --noinput --no-color"
    assert done.stdout.splitlines()[-1] == "hooks: 1 interactive: False"
