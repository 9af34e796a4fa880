"""Makes a git repository of the probe, and commits good and bad revisions of it.

    probe_repository.py DIRECTORY [VARIANT [VERSION]]     prints the commit
    probe_repository.py DIRECTORY anew                    the same, of one that begins again with version 1

Each revision is the probe with one variant applied, so that a bad one leaves nothing behind in the next.
"""

import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent / "probe"
MARK = "made-from-the-probe"


def good(project):
    pass


def requirement(project):
    """Ask pip for a package that nobody has made."""
    with (project / "requirements.txt").open("a") as file:
        file.write("selfhost-django-no-such-package==1.0\n")


def migration(project):
    """Fail while the database is migrated."""
    (project / "pages/migrations/0002_fail.py").write_text(
        "from django.db import migrations\n\n\n"
        "def fail(apps, schema_editor):\n"
        '    raise RuntimeError("this migration fails")\n\n\n'
        "class Migration(migrations.Migration):\n"
        '    dependencies = [("pages", "0001_initial")]\n'
        "    operations = [migrations.RunPython(fail)]\n"
    )


def _operation(project, name, operation):
    (project / f"pages/migrations/0002_{name}.py").write_text(
        "from django.db import migrations, models\n\n\n"
        "class Migration(migrations.Migration):\n"
        '    dependencies = [("pages", "0001_initial")]\n'
        f"    operations = [{operation}]\n"
    )


def nullable(project):
    """Add a column that the old code need not know of."""
    _operation(project, "nullable", 'migrations.AddField("Note", "mood", models.TextField(null=True))')


def breaking(project):
    """Take something from the old code: here nothing that it misses, in words that look like it."""
    _operation(project, "breaking", 'migrations.RunSQL("ALTER TABLE pages_note ALTER COLUMN text SET NOT NULL", migrations.RunSQL.noop)')


def error(project):
    """Answer 500 on the start page, while /status/ says that all is well."""
    (project / "BREAK").write_text("500\n")


def check(project):
    """Fail what Django checks before a deployment, and nothing else."""
    with (project / "pages/models.py").open("a") as file:
        file.write(
            "\n\nfrom django.core import checks\n\n\n@checks.register(deploy=True)\n"
            'def refuse(app_configs, **options):\n    return [checks.Error("this check fails", id="pages.E001")]\n'
        )


def load(project):
    """Do not load at all."""
    (project / "BREAK").write_text("import\n")


def static(project):
    """Name a file in the style sheet that is not there, which collectstatic refuses."""
    with (project / "pages/static/pages/probe.css").open("a") as file:
        file.write('h1 { background: url("missing.png") }\n')


def connected(project, own=False):
    """Ask the database while the application loads, and keep the connection; or open one of its own, apart from Django's."""
    opens = (
        "import psycopg; self.own_connection = psycopg.connect(autocommit=True)" if own
        else "from django.db import connection; connection.cursor().execute('SELECT 1')"
    )  # fmt: skip
    (project / "pages/apps.py").write_text(
        "from django.apps import AppConfig\n\n\n"
        "class Config(AppConfig):\n"
        '    name = "pages"\n\n'
        "    def ready(self):\n"
        f"        {opens}\n"
    )
    with (project / "probe/settings.py").open("a") as file:
        file.write('DATABASES["default"]["CONN_MAX_AGE"] = 600\n')


def tenant(project, fails=False):
    """Let `migrate` do more than Django's: a part that fails, or writes a note; what listens to post_migrate writes one, too."""
    _operation(project, "tenant", 'migrations.AddField("Note", "tenant", models.TextField(null=True))')
    part = 'raise CommandError("the second tenant is away")' if fails else 'Note.objects.create(text="tenant")'
    (project / "pages/management/commands/migrate.py").write_text(
        "from django.core.management.base import CommandError\n"
        "from django.core.management.commands.migrate import Command as Django\n\n"
        "from pages.models import Note\n\n\n"
        "class Command(Django):\n"
        "    def handle(self, *args, **options):\n"
        "        super().handle(*args, **options)\n"
        f"        {part}\n"
    )
    with (project / "pages/models.py").open("a") as file:
        file.write(
            "\n\nfrom django.db.models.signals import post_migrate\n\n\n"
            "def listen(sender, **_signal):\n"
            '    if sender.label == "pages":\n'
            '        Note.objects.create(text="post_migrate")\n\n\n'
            "post_migrate.connect(listen)\n"
        )


def talkative(project):
    """Let settings print, and end without a line break, what could be taken for an answer."""
    with (project / "probe/settings.py").open("a") as file:
        file.write("""\nprint('{"breaking": []}\\nNo planned migration operations.\\n[X] pages.0001_initial', end="", flush=True)\n""")


VARIANTS = {function.__name__: function for function in (good, requirement, migration, nullable, breaking, check, error, load, static)}


class Repository:
    """A git repository of the probe, or of another small project; a new one begins with version 1, committed at a date (in Git's words)."""

    def __init__(self, directory, source=SOURCE, date=None):
        self.source = source
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        if not any(self.directory.iterdir()):
            self._git("init", "--quiet", "--initial-branch=main", "--template=")
            (self.directory / ".git" / MARK).touch()
            self.commit(date=date)
        # A commit replaces all that is in the directory: never somebody else's.
        elif not (self.directory / ".git" / MARK).exists():
            raise SystemExit(f"{self.directory} is neither empty nor a repository of the probe")

    @classmethod
    def anew(cls, directory):
        """Begin a repository of the probe again: its first commit is the same one every time, which hosts may have."""
        shutil.rmtree(cls(directory).directory)
        return cls(directory, date="2025-01-01T00:00:00+0000")

    def commit(self, variant="good", version="1", date=None):
        """Commit the project in this variant (of the probe, or a function that changes the project) and version; return the commit."""
        for path in self.directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                if path.name != ".git":
                    shutil.rmtree(path)
            else:
                path.unlink()
        shutil.copytree(self.source, self.directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (self.directory / "VERSION").write_text(f"{version}\n")
        # Each version names its assets anew, so that those of an older page are missed if they are gone.
        for style in self.directory.glob("pages/static/pages/probe.css"):
            style.write_text(f"{style.read_text()}/* Version {version} */\n")
        change = VARIANTS.get(variant, variant)
        change(self.directory)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--no-verify", "--allow-empty", f"--message={change.__name__}, version {version}", date=date)
        return self.head()

    def head(self):
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments, date=None):
        identity = ["-c", "user.name=probe", "-c", "user.email=probe@localhost", "-c", "commit.gpgSign=false"]
        result = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.directory,
            env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull} | ({"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return result.stdout.strip()


def main(directory, variant=None, version="1"):
    if variant == "anew":
        print(Repository.anew(directory).head())
        return
    repository = Repository(directory)
    print(repository.commit(variant, version) if variant else repository.head())


if __name__ == "__main__":
    main(*sys.argv[1:])
