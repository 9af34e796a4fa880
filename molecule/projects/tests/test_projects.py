"""Small projects of three shapes, deployed one after another as sites of their own: with variables alone, as an operator would.

What real projects ask of a deploy, and the tests that show it. Files are in ../../release/tests where they have no path, but
test_virtualenv and test_static, which are here; this one is meant where there is just a name.

== ================================================ ==============================================================================
 1 a revision and its Python; tracked files         test_virtualenv: packages_that_cannot_be_had; subfolder (a step rewrites one)
 2 folder and modules of any name                   subfolder (top level), package (other names), committed (plain)
 3 packages from files, the project, a list         subfolder (nested files), package (extras, compiled), committed (list);
                                                    test_virtualenv (hashes, compiled only where a virtualenv is built)
 4 one environment, quoted once                     test_release: changed_environment; committed (password in DATABASE_URL);
                                                    package (settings explicit: the fallback refuses to load)
 5 files beside and inside the release              package
 6 order of the steps, first release, globs, time   subfolder (collectstatic first), committed (first release, glob), package (time-out)
 7 one user                                         subfolder (who owns what was written), test_release: operator_runs_management
 8 a database of its own, its extensions            committed (PostGIS), and every migration here
 9 writable folders that outlive a release          subfolder (log, uploads)
10 the application server                           package (large headers), test_virtualenv: another_interpreter,
                                                    test_release: a_bad_release (one that does not load)
11 the web server                                   subfolder (prefix, extra location), package (mappings with headers, no uploads), test_static
12 health is more than one URL                      package; tests/unit/plugins/modules/test_health_check.py;
                                                    ../../interruptions/tests/test_interruptions.py: fails_its_check_after_the_switch
13 timers and workers                               committed, test_processes
14 what did not change is skipped                   package, test_release: same_revision
15 rollback over a newer schema                     subfolder (a row is written), test_rollback: migrations_that_the_old_code
16 a migration of minutes                           committed
17 no collectstatic over committed files            committed
== ================================================ ==============================================================================
"""

import json
import re

import pytest
from playing import ROOT, repositories

PROJECTS = ROOT / "molecule/shared/projects"


class Project:
    """One of the projects as a site of its own on all hosts."""

    def __init__(self, site, shape, directory):
        self.site = site
        self.name = shape
        self.directory = PROJECTS / shape
        self.repository = repositories().Repository(directory, self.directory / "code")

    def play(self, playbook, *arguments):
        # What the inventory's own project sets and these do not.
        unset = {"app_first_release_commands": [], "app_release_commands": [], "app_repository": str(self.repository.directory)}
        return self.site.apply(playbook, "-e", json.dumps(unset), "-e", f"@{self.directory}/variables.yml", *arguments)

    def install(self, *arguments):
        """The first release, and all that is below it."""
        return self.play("site", "--tags", "app,postgresql,django,uwsgi,nginx,deploy", *arguments)

    def pages(self, path="/", **arguments):
        """What visitors of each host see, all of whom are answered."""
        answers = {host: self.site.get(path, host, **arguments) for host in self.site.web}
        assert {answer.status_code for answer in answers.values()} == {200}, {host: answer.text for host, answer in answers.items()}
        return {host: answer.text for host, answer in answers.items()}

    def assets(self, pages):
        """The style sheets that pages name, fetched."""
        return {
            host: {name: self.site.get(name, host) for name in re.findall(r'(?:href|src)="(/[^"]+\.css)"', page)}
            for host, page in pages.items()
        }

    def remove(self):
        for host in self.site.hosts.values():
            host.check_output(
                f"systemctl disable --now {self.name}.service 2>/dev/null; systemctl stop '{self.name}[@-]*' 2>/dev/null; "
                f"rm -rf /etc/systemd/system/{self.name}[.@-]* /etc/nginx/conf.d/{self.name}.conf /etc/nginx/{self.name} "
                f"/etc/uwsgi/{self.name}.ini /usr/local/bin/{self.name}-* /etc/{self.name} /srv/{self.name} /var/lib/{self.name} /var/log/{self.name}; "
                "systemctl daemon-reload; systemctl reset-failed; cd /; "
                f"sed -i '/\"{self.name}\"/d' /etc/postgresql/*/main/pg_hba.conf; "
                f"sudo -u postgres dropdb --if-exists --force {self.name}; sudo -u postgres dropuser --if-exists {self.name}; "
                f"userdel {self.name} 2>/dev/null; true"
            )


@pytest.fixture(scope="module", autouse=True)
def probe_away(site):
    """The probe's own site makes room, since a host serves one application, and comes back."""
    for host in site.hosts.values():
        host.check_output(
            "test ! -f /etc/nginx/conf.d/probe.conf || mv /etc/nginx/conf.d/probe.conf /root; systemctl reload nginx; "
            "test ! -L /srv/probe/current || mv -T /srv/probe/current /root/probe-current; "
            "sed -i '/\"probe\"/d' /etc/postgresql/*/main/pg_hba.conf"
        )
    yield
    for host in site.hosts.values():
        host.check_output(
            "test ! -f /root/probe.conf || mv /root/probe.conf /etc/nginx/conf.d; systemctl reload nginx; "
            "test ! -L /root/probe-current || mv -T /root/probe-current /srv/probe/current"
        )
    # It has who may connect to the database anew, too.
    site.apply("database", "--tags", "app,postgresql")
    site.healthy()


@pytest.fixture
def project(request, site, tmp_path):
    made = Project(site, re.match(r"test_(\w+?)_", request.node.name)[1], tmp_path / "repository")
    made.remove()
    yield made
    made.remove()


def more_style(sheet):
    sheet.write_text(sheet.read_text() + "p { color: gray }\n")


def test_subfolder_with_top_level_modules_and_a_prefix(project, site):
    project.install()
    project.play("status", "-e", "status_strict=true")
    first = project.pages("/words/")
    for host, page in first.items():
        assert "version=1 words=0" in page
        # A tracked file that a build command rewrote, and the prefix as the application knows it.
        assert re.search(r"revision=[0-9a-f]{40} here=/words/<", page), page
        assert site.get("/", host).headers["Location"].endswith("/words/")
        # What the application looked up in the manifest at import.
        icon = site.get("/words/icon/", host).headers["Location"]
        assert re.fullmatch(r"/words/static/words/icon\.[0-9a-f]{12}\.svg", icon)
        assert site.get(icon, host).headers["Content-Type"] == "image/svg+xml"
    assert all("Ein Wort" in page for page in project.pages("/words/", headers={"Accept-Language": "de"}).values())

    def add_a_word(text):
        for host in site.web:
            answer = site.post("/words/add/", host, data={"text": text}, files={"file": (f"{text}.txt", text)})
            assert answer.status_code == 201, answer.text
            upload = site.get(answer.json()["url"], host)
            assert (upload.status_code, upload.text) == (200, text)

    add_a_word("first")

    def mood(directory):
        """A new column that the code before can live with, and a new style sheet."""
        (directory / "src/words/migrations/0002_mood.py").write_text(
            "from django.db import migrations, models\n\n\n"
            "class Migration(migrations.Migration):\n"
            '    dependencies = [("words", "0001_initial")]\n'
            '    operations = [migrations.AddField("Word", "mood", models.TextField(null=True))]\n'
        )
        models = directory / "src/words/models.py"
        models.write_text(models.read_text() + "    mood = models.TextField(null=True)\n")
        more_style(directory / "src/words/static/words/site.css")

    project.repository.commit(mood, "2")
    project.play("deploy")
    for host, page in project.pages("/words/").items():
        assert "version=2 words=1" in page
        assert site.get("/words/uploads/words/first.txt", host).text == "first"
        old, new = (set(re.findall(r'href="([^"]+\.css)"', text)) for text in (first[host], page))
        assert old != new and {site.get(name, host).status_code for name in old | new} == {200}
    add_a_word("second")

    # And back, over the newer schema: pages that are read prove little, a row has to be written.
    run = project.play("rollback")
    assert "words.0002_mood" in run.text, run.output[-4000:]
    assert all("version=1 words=2" in page for page in project.pages("/words/").values())
    add_a_word("third")
    for host in site.hosts.values():
        log = host.file("/srv/subfolder/shared/log/words.log")
        assert log.content_string.split() == ["added", "first", "added", "second", "added", "third"]
        # What git is told of the code's owner is root's.
        strange = host.check_output("find /srv/subfolder/shared /srv/subfolder/home -mindepth 1 -not -user subfolder").split()
        assert strange == ["/srv/subfolder/home/.gitconfig"]


def test_package_with_extras_and_files_of_its_own(project, site):
    project.install()
    pages = project.pages()
    for host, page in pages.items():
        # What the project's own migrate adds.
        assert "version=1 fruit=1" in page and "Readable by one user" in page
        # Compiled against libpq, not the ready-made driver; headers of 21 kB.
        answer = site.get("/api/", host, headers={f"X-Large-{number}": "x" * 7000 for number in range(3)})
        assert answer.status_code == 200 and answer.json()["driver"].startswith("2.9")
        shared = site.get("/open/orchard.css", host)
        assert (shared.status_code, shared.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert shared.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in site.get("/static/fruit/orchard.css", host).headers
        # Uploads are not served here: the application answers.
        assert "Not Found" in site.get("/media/", host).text
    for sheets in project.assets(pages).values():
        assert {sheet.status_code for sheet in sheets.values()} == {200}
        # What was compressed after collectstatic is what a visitor gets.
        assert "h1{color:darkgreen}" in {sheet.text for sheet in sheets.values()}
    for host in site.hosts.values():
        for path in ("/srv/package/current/code/orchard/configuration/local.py", "/etc/package/orchard.ini"):
            assert host.run(f"sudo -u package cat {path}").rc == 0
            for other in ("www-data", "nobody"):
                assert host.run(f"sudo -u {other} cat {path}").rc != 0
        # A command that hangs is given up; an hour is too long for a test.
        hanging = host.run(
            "sed 's/3600/1/' /usr/local/bin/package-run >/usr/local/bin/package-hurry; chmod 0755 /usr/local/bin/package-hurry; "
            "/usr/local/bin/package-hurry --release $(basename $(readlink /srv/package/current)) sleep 60; code=$?; rm /usr/local/bin/package-hurry; exit $code"
        )
        assert hanging.rc != 0 and "It was stopped after 1 seconds (django_step_timeout_seconds)." in hanging.stderr

    # A file that changes is a release of its own.
    changed = ["-e", json.dumps({"app_files": [{"path": "orchard/configuration/local.py", "content": CHANGED_FILE}, INI]})]
    project.play("deploy", *changed)
    assert all("once more" in page for page in project.pages().values())
    run = project.play("deploy", *changed)
    assert set(re.findall(r"changed=(\d+)", run.output)) == {"0"}, run.output[-4000:]


CHANGED_FILE = 'SECRET_KEY = "{{ app_secret_key }}"\nDATABASE_PASSWORD = "{{ app_database_password }}"\n'
INI = {"path": "/etc/package/orchard.ini", "owner": "package", "mode": "0400", "content": "[orchard]\nmotto = Readable by one user, once more\n"}


def test_committed_files_and_a_long_first_migration(project, site):
    run = project.install()
    # That it goes on is shown all the while.
    assert re.search(r"still running: \[.*\]: .*Migrate the database, \d+ s", run.output) and "ASYNC POLL" not in run.output, run.output[-4000:]
    pages = project.pages()
    for page in pages.values():
        assert "version=1" in page
        # PostGIS computed it, from the initial data.
        assert re.findall(r"<li>(\w+) (\d+) km", page) == [("Oslo", "1154"), ("Rome", "1434")], page
    for sheets in project.assets(pages).values():
        (sheet,) = sheets.values()
        assert (sheet.status_code, sheet.text) == (200, "h1 { color: navy }\n")
        assert "immutable" not in sheet.headers["Cache-Control"]

    def beats():
        """Signs of life of worker and timer, by host, with the release that each runs."""
        return {host: set(re.findall(r"(\w+)@([\w-]+)", page)) for host, page in project.pages().items()}

    def current():
        return site.each("basename $(readlink /srv/committed/current)")

    def all_beat():
        return all({("worker", release), ("timer", release)} <= beats()[host] for host, release in current().items())

    site.wait("worker and timer", all_beat, 180)

    def style(directory):
        more_style(directory / "assets/site.css")

    project.repository.commit(style, "2")
    project.play("deploy")
    pages = project.pages()
    for page in pages.values():
        # The initial data came once.
        assert "version=2" in page and page.count("<li>") == 2
    for sheets in project.assets(pages).values():
        assert "gray" in next(iter(sheets.values())).text
    site.wait("worker and timer of the new release", all_beat, 180)
