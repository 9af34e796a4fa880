"""Migrate within limits, and before that name what migrations break for code that does not know them.

Run with the interpreter, environment and folder of a release that knows them (or on standard input):

    python migrations.py plan LOCK_SECONDS STATEMENT_SECONDS          the planned ones, before a first release: nothing serves that they could break
    python migrations.py plan LOCK_SECONDS STATEMENT_SECONDS judge    the planned ones, for the release that still serves
    python migrations.py plan LOCK_SECONDS STATEMENT_SECONDS at-once  the planned ones, and migrates an empty database in the same start
    python migrations.py migrate LOCK_SECONDS STATEMENT_SECONDS       run the project's own `migrate`
    python migrations.py applied FILE                                 the applied ones, for the release whose list is in FILE

`plan` and `applied` print JSON on one line, the last one:

- `migrations`, their names
- `breaking`, empty when nothing breaks: `migration`, `operation`, `why`, and `packaged`, whether it came with a package and not with the
  project; of applied ones also `applied`, when that was, and `before`, a moment at which it was not yet, both in UTC as restore.yml takes them
- of a plan `plan`, the lines in which Django tells it; `summary`, these or what a long one comes to; `fresh`, whether the database had no
  release before; `known`, all migrations of the release, as `showmigrations --plan` lists them; and `migrated`, whether `migrate` has run,
  too: where none is planned, and at once

They exit 0 either way, unless that fails. What the project's own code prints goes to standard error.

`migrate` exits as `python manage.py migrate --noinput --no-color` does, which it runs. A statement waits LOCK_SECONDS for a lock at most, and
takes STATEMENT_SECONDS at most (PostgreSQL manual, "lock_timeout" and "statement_timeout"). The limits are set in each session that Django
opens, on whichever of the databases, since poolers refuse options of the startup packet. Behind a pooler a session may be somebody else's in
the next moment: there they are set for each transaction alone, and what runs outside of one (an index that is built CONCURRENTLY) has none.
Databases of other kinds have none either.

Between `migrate` and the switch, and after a rollback, the old code works on the new schema: it selects every column it
knows of, and inserts rows without the columns it does not know of. What takes something away from that is breaking:

- a table or a column that goes or changes its name
- a column that has to be filled, unless the database fills it: `default` is Python's, `db_default` the database's
  (Django manual, "Field.db_default")
- a column that no longer takes NULL, or takes less than before

A table that the plan itself makes is unknown to the old code, so whatever happens to it later in the plan passes. Of SQL the
words are judged. Python code is not judged, nor is an index or a constraint.
"""

import datetime
import functools
import io
import json
import os
import pathlib
import re
import runpy
import sys

# A first plan has hundreds of lines.
LINES_OF_SUMMARY = 30
# libpq's PQTRANS_IDLE: the next statement begins a transaction.
IDLE = 0

# Of SQL, what takes something away. Comments and strings are taken out first.
SQL = (
    (re.compile(r"\bdrop\s+table\b"), "drops a table"),
    (re.compile(r"\bdrop\s+(materialized\s+)?view\b"), "drops a view"),
    (re.compile(r"\balter\s+table\b[^;]*\bdrop\s+(?!constraint\b|default\b|not\b|identity\b|expression\b)"), "drops a column"),
    (re.compile(r"\balter\s+(table|view)\b[^;]*\brename\b(?!\s+constraint\b)"), "renames a table or a column"),
    (re.compile(r"\balter\s+table\b[^;]*\bset\s+not\s+null\b"), "forbids NULL"),
    (re.compile(r"\balter\s+table\b[^;]*\bset\s+schema\b"), "moves a table"),
    (re.compile(r"\balter\s+table\b[^;]*\balter\s+(column\s+)?\S+\s+(set\s+data\s+)?type\b"), "changes a column's type"),
    (re.compile(r"\balter\s+table\b[^;]*\badd\b(?![^,;]*\bdefault\b)[^,;]*\bnot\s+null\b"), "adds a column that has to be filled"),
    (re.compile(r"\btruncate\b"), "empties a table"),
)
QUOTED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)


class Judge:
    """Walks through a plan and collects what breaks the old code."""

    def __init__(self, connection):
        self.connection = connection
        # Tables that the old code does not know.
        self.made = set()

    def judge(self, operation, app, before, after):
        """Return why an operation breaks the old code, or None."""
        judge = getattr(self, "judge_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.kind(operation)).lower(), None)
        return judge(operation, app, before, after) if judge else None

    @staticmethod
    def kind(operation):
        """Return the name of Django's class behind an operation, which may be of a class derived from it."""
        return next((parent.__name__ for parent in type(operation).__mro__ if parent.__module__.startswith("django.")), "")

    @staticmethod
    def model(state, app, name):
        return state.apps.get_model(app, name)

    def column(self, state, app, model, name):
        """Return a field that has a column of its own in a table that the old code knows, or None."""
        model = self.model(state, app, model)
        field = model._meta.get_field(name)
        if not self.known(model) or field.db_parameters(self.connection)["type"] is None:
            return None
        return field

    def known(self, model):
        return model._meta.managed and not model._meta.proxy and model._meta.db_table not in self.made

    # --- Tables -------------------------------------------------------------------------------

    def judge_create_model(self, operation, app, before, after):
        options = self.model(after, app, operation.name)._meta
        if options.managed and not options.proxy:
            self.made.add(options.db_table)
            self.made.update(field.remote_field.through._meta.db_table for field in options.local_many_to_many)

    def judge_delete_model(self, operation, app, before, after):
        model = self.model(before, app, operation.name)
        if self.known(model):
            return f"drops the table {model._meta.db_table}"

    def judge_rename_model(self, operation, app, before, after):
        return self.moved(self.model(before, app, operation.old_name), self.model(after, app, operation.new_name))

    def judge_alter_model_table(self, operation, app, before, after):
        return self.moved(self.model(before, app, operation.name), self.model(after, app, operation.name))

    def moved(self, old, new):
        tables = [(old._meta.db_table, new._meta.db_table)] + [
            (mine.remote_field.through._meta.db_table, theirs.remote_field.through._meta.db_table)
            for mine, theirs in zip(old._meta.local_many_to_many, new._meta.local_many_to_many)
        ]
        if not self.known(old):
            self.made.update(table for _old, table in tables)
            return None
        return next((f"renames the table {old} to {new}" for old, new in tables if old != new), None)

    # --- Columns ------------------------------------------------------------------------------

    def judge_add_field(self, operation, app, before, after):
        field = self.model(after, app, operation.model_name)._meta.get_field(operation.name)
        if field.many_to_many:
            self.made.add(field.remote_field.through._meta.db_table)
            return None
        if self.column(after, app, operation.model_name, operation.name) and not self.filled(field):
            return f"adds the column {self.name(field)}, which older code leaves empty and which has to be filled"

    def judge_remove_field(self, operation, app, before, after):
        model = self.model(before, app, operation.model_name)
        field = model._meta.get_field(operation.name)
        if field.many_to_many:
            through = field.remote_field.through
            dropped = through._meta.auto_created and self.known(model) and through._meta.db_table not in self.made
            return f"drops the table {through._meta.db_table}" if dropped else None
        if self.column(before, app, operation.model_name, operation.name):
            return f"drops the column {self.name(field)}"

    def judge_rename_field(self, operation, app, before, after):
        old = self.column(before, app, operation.model_name, operation.old_name)
        new = self.model(after, app, operation.model_name)._meta.get_field(operation.new_name)
        if old and old.column != new.column:
            return f"renames the column {self.name(old)} to {new.column}"

    def judge_alter_field(self, operation, app, before, after):
        old = self.column(before, app, operation.model_name, operation.name)
        new = self.model(after, app, operation.model_name)._meta.get_field(operation.name)
        if old is None:
            return None
        old_type, new_type = (field.db_parameters(self.connection)["type"] for field in (old, new))
        if new_type is None:
            return f"drops the column {self.name(old)}"
        if old.column != new.column:
            return f"renames the column {self.name(old)} to {new.column}"
        if old.null and not new.null:
            return f"forbids NULL in the column {self.name(old)}"
        if self.filled(old) and not self.filled(new):
            return f"takes the default of the column {self.name(old)} away"
        if not self.wider(old_type, new_type):
            return f"changes the column {self.name(old)} from {old_type} to {new_type}"

    @staticmethod
    def name(field):
        return f"{field.model._meta.db_table}.{field.column}"

    @staticmethod
    def filled(field):
        """Whether a row that does not name this column can be inserted."""
        # `db_default` and generated columns: Django 5.0 and later. A key is an identity or a serial column.
        has_default = getattr(field, "has_db_default", None)
        default = has_default() if has_default else False
        if not has_default and hasattr(field, "db_default"):
            default = not getattr(field.db_default, "__name__", "") == "NOT_PROVIDED"
        return field.null or default or getattr(field, "generated", False) or field.get_internal_type().endswith("AutoField")

    @staticmethod
    def wider(old, new):
        """Whether a column of the new type takes whatever the old one took."""
        integers = ["smallint", "integer", "bigint"]
        lengths = [re.fullmatch(r"(?:varchar|character varying)\((\d+)\)", kind or "") for kind in (old, new)]
        return (
            old == new
            or (old in integers and new in integers and integers.index(old) <= integers.index(new))
            or (all(lengths) and int(lengths[0][1]) <= int(lengths[1][1]))
            or (lengths[0] is not None and new in ("text", "varchar", "character varying"))
        )

    # --- Code ---------------------------------------------------------------------------------

    def judge_run_sql(self, operation, app, before, after):
        return self.judge_sql(operation.sql)

    def judge_sql(self, sql):
        """Return why statements break the old code: a string, or a list of strings or of pairs with their parameters."""
        if isinstance(sql, (list, tuple)):
            sql = ";".join(part[0] if isinstance(part, (list, tuple)) else part for part in sql)
        words = QUOTED.sub(" ", str(sql)).lower()
        return next((why for pattern, why in SQL if pattern.search(words)), None)


def unfold(operation):
    """Yield the operations that reach the database."""
    if hasattr(operation, "database_operations"):
        for inner in operation.database_operations:
            yield from unfold(inner)
    else:
        yield operation


def is_packaged(migration):
    """Whether a migration came with a package that was installed."""
    path = getattr(sys.modules.get(type(migration).__module__), "__file__", None) or ""
    return bool({"site-packages", "dist-packages"} & set(pathlib.Path(path).parts))


def moments(applied):
    """Return when a migration was applied, and a moment before that; applied is an aware time, or one in the settings' own zone."""
    applied = applied.astimezone(datetime.timezone.utc).replace(microsecond=0)
    return {"applied": f"{applied}", "before": f"{applied - datetime.timedelta(seconds=1)}"}


def judge_plan(plan, state, connection):
    """Return what breaks: dictionaries of `migration`, `operation`, `why`, `packaged`."""
    judge = Judge(connection)
    breaking = []
    for migration in plan:
        for operation in migration.operations:
            after = state.clone()
            inner_state = state
            for inner in unfold(operation):
                inner_after = inner_state.clone()
                inner.state_forwards(migration.app_label, inner_after)
                why = judge.judge(inner, migration.app_label, inner_state, inner_after)
                if why:
                    name = f"{migration.app_label}.{migration.name}"
                    breaking.append({"migration": name, "operation": inner.describe(), "why": why, "packaged": is_packaged(migration)})
                inner_state = inner_after
            operation.state_forwards(migration.app_label, after)
            state = after
    return breaking


def known_migrations(text):
    """Return the keys (app, name) in what `showmigrations --plan` printed."""
    return {tuple(key.split(".", 1)) for key in re.findall(r"^\[[X ]\]\s+(\S+)", text, re.MULTILINE)}


def with_squashed(keys, replacements):
    """Return the keys of migrations, with those that say the same: what a squashed one among them replaces, and those that replace only them.

    replacements are the squashed migrations by their keys, as Django's loader has them.
    """
    known = set(keys)
    for name, migration in replacements.items():
        replaced = set(map(tuple, migration.replaces))
        if name in keys:
            known |= replaced
        elif replaced <= keys:
            known.add(name)
    return known


def answers():
    """Return where the answer goes, and send what everybody else prints to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return stream


def told(command, **arguments):
    """Return what one of Django's own commands prints. A project's `migrate` may do more, also when it is only asked for the plan."""
    from django.core.management import call_command

    text = io.StringIO()
    call_command(command, no_color=True, stdout=text, **arguments)
    return text.getvalue()


def summary(names, lines):
    """Return what is shown of a plan: its lines, or a sentence when they are many; names are its migrations, as app.name."""
    if len(lines) <= LINES_OF_SUMMARY:
        return lines
    apps = len({name.split(".")[0] for name in names})
    return [f"{len(names)} migrations of {apps} application{'s' if apps > 1 else ''} are planned; -v shows them."]


def main(mode, *arguments):
    if mode == "migrate":
        limit_all(*arguments)
        migrate()
        return
    stream = answers()
    if mode == "plan":
        limit_all(*arguments[:2])
        answer = planned("judge" in arguments[2:])
        answer["migrated"] |= answer["fresh"] and "at-once" in arguments[2:]
        if answer["migrated"]:
            # Also where nothing is planned: a project's own `migrate` may do more, one that failed half-way may have left that undone, and what
            # listens to Django's signal post_migrate does its part with every release.
            try:
                migrate()
            except SystemExit as end:
                if end.code:
                    raise
    else:
        # A release without a list has never migrated.
        answer = applied(pathlib.Path(arguments[0])) if os.path.exists(arguments[0]) else {"migrations": [], "breaking": []}
    # On a line of its own, even where something else came before.
    stream.write(f"\n{json.dumps(answer)}\n")
    stream.close()


def planned(judge):
    """Return the answer on what is planned."""
    import django

    django.setup()
    from django.core.management.commands import migrate as command, showmigrations
    from django.db import connection

    lines = told(command.Command(), plan=True).splitlines()
    answer = judge_planned(connection, judge)
    known = told(showmigrations.Command(), format="plan")
    return answer | {"plan": lines, "summary": summary(answer["migrations"], lines), "known": known, "migrated": not answer["migrations"]}


def applied(path):
    """Return the answer on what was applied since the release whose list is in a file."""
    import django

    django.setup()
    from django.db import connection

    return judge_applied(connection, path.read_text())


def judge_planned(connection, judge):
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    graph, applied = executor.loader.graph, executor.loader.applied_migrations
    plan = [migration for migration, _backwards in executor.migration_plan(graph.leaf_nodes())]
    before = [name for name in applied if name in graph.nodes]
    names = [".".join(key(migration)) for migration in plan]
    return {"migrations": names, "fresh": not before, "breaking": breaking(executor, plan, before, connection) if judge else []}


def judge_applied(connection, text):
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    graph, applied = executor.loader.graph, executor.loader.applied_migrations
    keys = with_squashed(known_migrations(text), executor.loader.replacements)
    everything = [migration for migration, _backwards in executor.migration_plan(graph.leaf_nodes(), clean_start=True)]
    plan = [migration for migration in everything if key(migration) in applied and key(migration) not in keys]
    before = [key(migration) for migration in everything if key(migration) in keys]
    names = sorted(".".join(name) for name in set(applied) - keys)
    # The loader's own table has, of a squashed one, the migration and not its record.
    times = {".".join(name): moments(record.applied) for name, record in executor.recorder.applied_migrations().items()}
    found = breaking(executor, plan, before, connection)
    return {"migrations": names, "breaking": [finding | times[finding["migration"]] for finding in found]}


def breaking(executor, plan, before, connection):
    if not plan:
        return []
    state = executor.loader.project_state(before) if before else executor._create_project_state()
    return judge_plan(plan, state, connection)


def key(migration):
    return migration.app_label, migration.name


# --- Limits ------------------------------------------------------------------------------------


def limit_all(lock_seconds, statement_seconds):
    """Limit each connection that Django will open; the arguments are whole numbers of seconds, as text."""
    # Before the settings are loaded: Django's own modules that they import later find it in place.
    from django.db.backends.signals import connection_created

    limits = {"lock_timeout": int(lock_seconds), "statement_timeout": int(statement_seconds)}
    connection_created.connect(functools.partial(limit, limits), weak=False)


def migrate():
    """Run the project's own `migrate`, and exit where it fails."""
    # As for a program that is given by its path.
    sys.path[0] = os.getcwd()
    sys.argv = ["manage.py", "migrate", "--noinput", "--no-color"]
    runpy.run_path("manage.py", run_name="__main__")


def limit(limits, connection, **_others):
    """Limit a connection that Django has just opened; limits are seconds by the name of a setting."""
    if connection.vendor != "postgresql":
        return
    if is_pooled(connection.connection):
        wrappers = connection.execute_wrappers
        # It stays with Django's connection, which may be opened again.
        if not any(isinstance(wrapper, OfTransactions) for wrapper in wrappers):
            wrappers.append(OfTransactions(limits))
    else:
        ask(connection.connection, limits, "SESSION")


def is_pooled(driver):
    """Whether a pooler answers instead of the server: it makes up the process that it names."""
    with driver.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0] != driver.info.backend_pid


def ask(driver, limits, scope):
    """Set the limits, for a SESSION or LOCAL to the transaction."""
    with driver.cursor() as cursor:
        for name, seconds in limits.items():
            cursor.execute(f"SET {scope} {name} = '{seconds}s'")


class OfTransactions:
    """Sets the limits first in each transaction (a wrapper of Django's, "execute_wrapper")."""

    def __init__(self, limits):
        self.limits = limits

    def __call__(self, execute, sql, params, many, context):
        driver = context["connection"].connection
        if not driver.autocommit and driver.info.transaction_status == IDLE:
            ask(driver, self.limits, "LOCAL")
        return execute(sql, params, many, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
