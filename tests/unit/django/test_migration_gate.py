"""What the migration gate lets pass and what it stops: migrations as Django writes them, with PostgreSQL's types."""

import datetime
import importlib.util
import os
import pathlib
import subprocess
import sys
import types

import django
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhost.django.plugins.filter.migration_gate import gate_answer, gate_refusal
from django.conf import settings
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState

GATE = pathlib.Path(__file__).resolve().parents[3] / "roles/django/files/migrations.py"
spec = importlib.util.spec_from_file_location("migration_gate", GATE)
gate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gate)

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "never asked"}}, USE_TZ=True)
django.setup()


def key():
    return models.BigAutoField(primary_key=True)


# What the serving release knows.
KNOWN = [
    migrations.CreateModel("Author", [("id", key()), ("name", models.CharField(max_length=50))]),
    migrations.CreateModel(
        "Book",
        [
            ("id", key()),
            ("title", models.CharField(max_length=100)),
            ("pages", models.IntegerField(null=True)),
            ("stock", models.IntegerField(db_default=0)),
            ("author", models.ForeignKey("shop.Author", models.CASCADE)),
            ("readers", models.ManyToManyField("shop.Author", related_name="+")),
        ],
    ),
    migrations.CreateModel("Report", [("id", key())], options={"managed": False}),
]


def add(name, field, model="Book"):
    return migrations.AddField(model, name, field)


def alter(name, field, model="Book"):
    return migrations.AlterField(model, name, field)


def created(*fields):
    return migrations.CreateModel("New", [("id", key()), *fields])


PASSES = {
    "nothing": [],
    "a nullable column": [add("isbn", models.CharField(max_length=13, null=True))],
    "a column that the database fills": [add("copies", models.IntegerField(db_default=1))],
    "a nullable key to another table": [add("editor", models.ForeignKey("shop.Author", models.SET_NULL, null=True, related_name="+"))],
    "a table between two": [add("translators", models.ManyToManyField("shop.Author", related_name="+"))],
    "a new table": [created(("text", models.TextField()))],
    "a column of a new table": [created(), add("text", models.TextField(default=""), "New")],
    "a new table, renamed": [created(), migrations.RenameModel("New", "Newer"), migrations.DeleteModel("Newer")],
    "a new table, moved": [created(), migrations.AlterModelTable("New", "elsewhere"), add("text", models.TextField(), "New")],
    "a new column, renamed in the new table": [created(("a", models.TextField())), migrations.RenameField("New", "a", "b")],
    "NULL allowed": [alter("title", models.CharField(max_length=100, null=True))],
    "a longer text": [alter("title", models.CharField(max_length=200))],
    "a text without end": [alter("title", models.TextField())],
    "a larger number": [alter("pages", models.BigIntegerField(null=True))],
    "a default of Python's": [alter("title", models.CharField(max_length=100, default=""))],
    "a default of the database's": [alter("pages", models.IntegerField(null=True, db_default=1))],
    "another name in Python alone": [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RenameField("Book", "title", "name")]),
    ],
    "a model that keeps its table": [
        migrations.AlterModelTable("Report", "other"),
        migrations.CreateModel("Proxy", [], options={"proxy": True}, bases=("shop.book",)),
        migrations.DeleteModel("Proxy"),
    ],
    "an unmanaged table": [migrations.DeleteModel("Report")],
    "an index": [migrations.AddIndex("Book", models.Index(fields=["title"], name="title"))],
    "a constraint": [migrations.AddConstraint("Book", models.UniqueConstraint(fields=["title"], name="once"))],
    "options": [migrations.AlterModelOptions("Book", {"ordering": ["title"]})],
    "Python code": [migrations.RunPython(migrations.RunPython.noop)],
    "no SQL": [migrations.RunSQL(migrations.RunSQL.noop)],
    "SQL that adds": [migrations.RunSQL("ALTER TABLE shop_book ADD COLUMN a int; CREATE INDEX b ON shop_book (a)")],
    "SQL that fills": [migrations.RunSQL("ALTER TABLE shop_book ADD a int NOT NULL DEFAULT 0")],
    "SQL that drops no data": [migrations.RunSQL("ALTER TABLE shop_book ALTER title DROP NOT NULL, DROP CONSTRAINT c; DROP INDEX i")],
    "words in quotes": [migrations.RunSQL(["-- drop table a\nUPDATE shop_book SET title = 'drop table b'", ("SELECT %s", ["x"])])],
}  # fmt: skip

STOPS = {
    "a dropped table": ([migrations.DeleteModel("Book")], "drops the table shop_book"),
    "a renamed table": ([migrations.RenameModel("Author", "Writer")], "renames the table shop_author to shop_writer"),
    "a moved table": ([migrations.AlterModelTable("Book", "books")], "renames the table shop_book to books"),
    "a dropped column": ([migrations.RemoveField("Book", "title")], "drops the column shop_book.title"),
    "a dropped key": ([migrations.RemoveField("Book", "author")], "drops the column shop_book.author_id"),
    "a dropped table between two": ([migrations.RemoveField("Book", "readers")], "drops the table shop_book_readers"),
    "a renamed column": ([migrations.RenameField("Book", "title", "name")], "renames the column shop_book.title to name"),
    "a column of another name": (
        [alter("title", models.CharField(max_length=100, db_column="name"))], "renames the column shop_book.title to name"
    ),
    "a column with a default of Python's alone": (
        [add("isbn", models.CharField(max_length=13, default=""))], "adds the column shop_book.isbn"
    ),
    "a key that has to be filled": (
        [add("editor", models.ForeignKey("shop.Author", models.CASCADE, default=1, related_name="+"))], "adds the column shop_book.editor_id"
    ),
    "NULL forbidden": ([alter("pages", models.IntegerField())], "forbids NULL in the column shop_book.pages"),
    "a shorter text": (
        [alter("title", models.CharField(max_length=10))], "changes the column shop_book.title from varchar(100) to varchar(10)"
    ),
    "a smaller number": ([alter("pages", models.SmallIntegerField(null=True))], "changes the column shop_book.pages from integer to smallint"),
    "another type": ([alter("title", models.IntegerField())], "changes the column shop_book.title"),
    "a default taken away": ([alter("stock", models.IntegerField())], "takes the default of the column shop_book.stock away"),
    "nested": ([migrations.SeparateDatabaseAndState(database_operations=[migrations.DeleteModel("Book")])], "drops the table shop_book"),
    "after something harmless": ([created(), migrations.RemoveField("Book", "title")], "drops the column shop_book.title"),
    "SQL that drops a table": ([migrations.RunSQL("drop table if exists shop_book")], "drops a table"),
    "SQL that drops a view": ([migrations.RunSQL("DROP MATERIALIZED VIEW totals")], "drops a view"),
    "SQL that drops a column": ([migrations.RunSQL("ALTER TABLE shop_book\n DROP COLUMN title")], "drops a column"),
    "SQL that drops a column without the word": ([migrations.RunSQL("ALTER TABLE shop_book DROP title")], "drops a column"),
    "SQL that renames": ([migrations.RunSQL([("ALTER TABLE shop_book RENAME TO %s", ["b"])])], "renames a table or a column"),
    "SQL that forbids NULL": ([migrations.RunSQL("ALTER TABLE shop_book ALTER pages SET NOT NULL")], "forbids NULL"),
    "SQL that changes a type": ([migrations.RunSQL("ALTER TABLE shop_book ALTER COLUMN pages TYPE text")], "changes a column's type"),
    "SQL that asks to be filled": ([migrations.RunSQL("ALTER TABLE shop_book ADD a int NOT NULL")], "adds a column that has to be filled"),
    "SQL that empties": ([migrations.RunSQL("TRUNCATE shop_book")], "empties a table"),
}  # fmt: skip


def migration(name, operations):
    made = migrations.Migration(name, "shop")
    made.operations = operations
    return made


def judge(*plans):
    state = migration("0001_initial", KNOWN).mutate_state(ProjectState())
    plan = [migration(f"{number:04}_next", operations) for number, operations in enumerate(plans, 2)]
    return gate.judge_plan(plan, state, connection)


@pytest.mark.parametrize("name", PASSES)
def test_what_the_old_code_lives_with_passes(name):
    assert judge(PASSES[name]) == []


@pytest.mark.parametrize("name", STOPS)
def test_what_breaks_the_old_code_is_named(name):
    operations, why = STOPS[name]
    (finding,) = judge(operations)
    assert finding["migration"] == "shop.0002_next"
    assert finding["why"].startswith(why)
    assert finding["operation"]


def test_a_table_made_by_an_earlier_migration_of_the_plan_is_unknown_to_the_old_code():
    assert judge([created(("text", models.TextField()))], [migrations.RemoveField("New", "text")]) == []


def test_every_breaking_operation_is_listed():
    found = judge([migrations.RemoveField("Book", "pages"), migrations.RenameField("Book", "title", "name")], [migrations.DeleteModel("Book")])
    assert [finding["migration"] for finding in found] == ["shop.0002_next", "shop.0002_next", "shop.0003_next"]


def test_a_short_plan_is_shown_whole_and_a_long_one_is_summed_up():
    names = ["shop.0001_initial", "shop.0002_next", "auth.0001_initial"]
    short, long = (["Planned operations:", *(f"    Create model {number}" for number in range(count))] for count in (29, 30))
    assert gate.summary(names, short) == short
    assert gate.summary(names, long) == ["3 migrations of 2 applications are planned; -v shows them."]
    assert gate.summary(names[:2], long) == ["2 migrations of 1 application are planned; -v shows them."]


# --- The answer -------------------------------------------------------------------------------

SETTINGS = """
import os, sys
SECRET_KEY = "x"
INSTALLED_APPS = ["shelf"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
print('{"breaking": [{"migration": "x"}]}')
print("[X]  shelf.0009_invented", end="")
os.system("echo from a child")
os.write(1, b"straight to the descriptor")
import atexit
atexit.register(print, '{"migrations": [], "breaking": [], "known": "at the end"}')
"""
MIGRATION = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = %s
    operations = [%s]
"""
SQUASHED = MIGRATION + "    replaces = [('shelf', '0001_initial'), ('shelf', '0002_less')]\n"
BOOK = "migrations.CreateModel('Book', [('id', models.BigAutoField(primary_key=True))])"


# Says that it ran, and ends as some programs do.
MANAGE = """
import pathlib, sys
from django.core.management import execute_from_command_line
print("manage.py", *sys.argv[1:])
execute_from_command_line(sys.argv)
pathlib.Path("ran").write_text(" ".join(sys.argv[1:]))
sys.exit(0)
"""


@pytest.fixture
def project(tmp_path):
    """Return a function that runs the gate as the role does, on a project whose settings print."""
    (tmp_path / "shelf/migrations").mkdir(parents=True)
    for name, text in {
        "settings.py": SETTINGS,
        "manage.py": MANAGE,
        "shelf/__init__.py": "",
        "shelf/models.py": "from django.db import models\nclass Book(models.Model):\n    title = models.TextField()\n",
        "shelf/migrations/__init__.py": "",
        "shelf/migrations/0001_initial.py": MIGRATION
        % ([], "migrations.CreateModel('Book', [('id', models.BigAutoField(primary_key=True)), ('title', models.TextField())])"),
    }.items():
        (tmp_path / name).write_text(text)
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(tmp_path)}

    def run(*words, program="-"):
        return subprocess.run(
            [sys.executable, program, *words], input=GATE.read_text(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout  # fmt: skip

    run.migrate = lambda: run("migrate", program="-mdjango")
    run.directory = tmp_path
    return run


def answer(output):
    return gate_answer({"stdout": output})


def test_an_answer_is_read_whatever_settings_print(project):
    first = answer(project("plan", "10", "900"))
    assert (first["migrations"], first["fresh"], first["breaking"]) == (["shelf.0001_initial"], True, [])
    assert first["plan"] == ["Planned operations:", "shelf.0001_initial", "    Create model Book"]
    known = first["known"]
    assert gate.known_migrations(known) == {("shelf", "0001_initial")}, known
    project.migrate()
    lines = ["Planned operations:", "  No planned migration operations."]
    again = {"migrations": [], "fresh": False, "breaking": [], "plan": lines, "summary": lines, "known": "[X]  shelf.0001_initial\n", "migrated": True}
    assert not (project.directory / "ran").exists(), "what is planned waits for the verdict"
    assert answer(project("plan", "10", "900", "judge")) == again
    assert (project.directory / "ran").read_text() == "migrate --noinput --no-color"
    (project.directory / "shelf/migrations/0002_less.py").write_text(MIGRATION % ([("shelf", "0001_initial")], "migrations.RemoveField('Book', 'title')"))
    (finding,) = answer(project("plan", "10", "900", "judge"))["breaking"]
    assert (finding["migration"], finding["why"], finding["packaged"]) == ("shelf.0002_less", "drops the column shelf_book.title", False)
    assert answer(project("plan", "10", "900"))["breaking"] == [], "nothing serves that it could break"
    assert answer(project("applied", "none")) == {"migrations": [], "breaking": []}, "that release never migrated"
    project.migrate()
    (project.directory / "known").write_text(known)
    applied = answer(project("applied", "known"))
    assert applied["migrations"] == ["shelf.0002_less"] and [row["migration"] for row in applied["breaking"]] == ["shelf.0002_less"]
    (finding,) = applied["breaking"]
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(finding["applied"])
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5)


def test_an_empty_database_is_migrated_by_the_same_start_and_no_other(project):
    first = answer(project("plan", "10", "900", "at-once"))
    assert (first["migrations"], first["fresh"], first["migrated"]) == (["shelf.0001_initial"], True, True)
    assert (project.directory / "ran").read_text() == "migrate --noinput --no-color"
    (project.directory / "shelf/migrations/0002_less.py").write_text(MIGRATION % ([("shelf", "0001_initial")], "migrations.RemoveField('Book', 'title')"))
    later = answer(project("plan", "10", "900", "at-once"))
    assert (later["migrations"], later["fresh"], later["migrated"]) == (["shelf.0002_less"], False, False)


def test_squashed_migrations_are_judged_after_a_rollback_like_others(project):
    migrations = project.directory / "shelf/migrations"
    (migrations / "0002_less.py").write_text(MIGRATION % ([("shelf", "0001_initial")], "migrations.RemoveField('Book', 'title')"))
    (migrations / "0001_squashed_0002.py").write_text(SQUASHED % ([], BOOK))
    project.migrate()
    (project.directory / "known").write_text(answer(project("plan", "10", "900"))["known"])
    assert answer(project("applied", "known")) == {"migrations": [], "breaking": []}
    (migrations / "0003_gone.py").write_text(MIGRATION % ([("shelf", "0001_squashed_0002")], "migrations.DeleteModel('Book')"))
    project.migrate()
    # Also where the release that is gone back to knows what was replaced, and not yet what replaces it.
    for _known in ("squashed", "replaced"):
        applied = answer(project("applied", "known"))
        assert applied["migrations"] == ["shelf.0003_gone"]
        assert [row["why"] for row in applied["breaking"]] == ["drops the table shelf_book"]
        (project.directory / "known").write_text("[X]  shelf.0001_initial\n[X]  shelf.0002_less\n")


def test_a_migrate_that_fails_with_nothing_planned_fails_the_gate(project):
    project.migrate()
    (project.directory / "manage.py").write_text("import sys\nsys.exit('no room')\n")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        project("plan", "10", "900")
    assert failed.value.returncode == 1 and failed.value.stdout.strip() == "" and "no room" in failed.value.stderr


def test_a_moment_before_a_migration_is_one_that_can_be_restored_to():
    applied = datetime.datetime(2026, 1, 31, 14, 0, 0, 900000, datetime.timezone(datetime.timedelta(hours=1)))
    assert gate.moments(applied) == {"applied": "2026-01-31 13:00:00+00:00", "before": "2026-01-31 12:59:59+00:00"}


def test_a_migration_of_a_package_is_told_from_one_of_the_project(monkeypatch):
    made = migration("0002_next", [])
    type(made).__module__ = "shop.migrations.0002_next"
    for path, packaged in (("/srv/shop/venv/lib/python3.13/site-packages/shop/migrations/0002_next.py", True), ("/srv/shop/code/shop/0002.py", False)):
        monkeypatch.setitem(sys.modules, "shop.migrations.0002_next", types.SimpleNamespace(__file__=path))
        assert gate.is_packaged(made) is packaged


def test_settings_that_end_the_program_leave_no_answer():
    assert gate_answer({"skipped": True})["breaking"] == []
    with pytest.raises(AnsibleFilterError, match="sys.exit"):
        gate_answer({"stdout": 'hello\n{"breaking": 1}\n[1]\n'})


# --- What is said -----------------------------------------------------------------------------


def finding(name, packaged=False, **more):
    return {"migration": name, "operation": "Remove field a from b", "why": "drops the column b.a", "packaged": packaged} | more


def test_a_release_that_is_stopped_is_told_each_finding_on_a_line_and_what_to_do():
    said = gate_refusal({"breaking": [finding("shop.0002"), finding("shop.0003"), finding("wagtailcore.0099", True)]}, "abc-1").splitlines()
    assert said[:4] == [
        "These migrations break release abc-1, which serves until the switch, and again after a rollback:",
        "- shop.0002 drops the column b.a (Remove field a from b)",
        "- shop.0003 drops the column b.a (Remove field a from b)",
        "- wagtailcore.0099 drops the column b.a (Remove field a from b, of a package)",
    ]
    assert [line.split(":")[0] for line in said[4:7]] == ["What you can do", "- shop", "- wagtailcore"]
    own, theirs, last = said[5:]
    assert "in two steps" in own and "upgrade of a package" in theirs and "maintenance=on" in theirs
    assert last.endswith("-e deploy_allow_breaking_migrations=true.")
    assert "wagtailcore" not in gate_refusal({"breaking": [finding("shop.0002")]}, "abc-1")


def test_a_rollback_that_is_refused_is_told_the_moment_to_restore_to():
    times = [{"applied": f"2026-01-31 13:00:0{second}+00:00", "before": f"2026-01-31 13:00:0{second - 1}+00:00"} for second in (5, 3)]
    answer = {"breaking": [finding("shop.0003", **times[0]), finding("shop.0002", **times[1])]}
    said = gate_refusal(answer, "abc-1", is_rollback=True, restored_by="-e restore_in_place=shop/main")
    assert "- shop.0002 drops the column b.a (Remove field a from b, applied 2026-01-31 13:00:03+00:00)" in said.splitlines()
    assert "playbooks/restore.yml -e 'restore_target_time=\"2026-01-31 13:00:02+00:00\"' -e restore_in_place=shop/main" in said
    elsewhere = gate_refusal(answer, "abc-1", is_rollback=True)
    assert "restore.yml" not in elsewhere and "to the moment before, 2026-01-31 13:00:02+00:00" in elsewhere
