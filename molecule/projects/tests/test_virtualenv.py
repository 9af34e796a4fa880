"""What a release runs on: its packages, its interpreter, and the server that fits it. Every test leaves the release that it found."""

import json
import re
import threading

import pytest

testinfra_hosts = ["ansible://probe"]

PYTHON = "/usr/local/bin/python-of-another-make"
COMPILED = {
    "app_python": PYTHON,
    "app_build_packages": ["gcc", "libc6-dev", "python3-dev"],
    "app_pip_packages": ["lru-dict==1.3.0"],
    "app_pip_arguments": ["--no-binary=lru-dict"],
}
LOCKED = "sqlparse==0.5.3 --hash=sha256:{}\n"
RIGHT_HASH = "cf2196ed3418f3ba5de6af7e82c694a9fbdbfecccdfc72e281548517081f16ca"


def locked(digest):
    def locked(project):
        """Ask for one package alone, which has to be this very file."""
        (project / "requirements.txt").write_text(LOCKED.format(digest))

    return locked


def new_python(project):
    (project / "pyproject.toml").write_text('[project]\nname = "probe"\nversion = "1"\nrequires-python = ">=4.2"\n')


BAD = {
    # case: (change of the project, arguments of the deploy, step that fails, what the message has to say)
    "hash": (locked("0" * 64), {}, "virtualenv", r"Hash mismatch for `sqlparse==0\.5\.3`"),
    "project": (new_python, {}, "fetch", r"The project asks for Python >=4\.2 \(pyproject\.toml\) and this host's app_python is 3\.\d+\.\d+: "),
    "package": (
        "good",
        {"app_pip_packages": ["sqlparse==99.0"]},
        "virtualenv",
        r"there is no version of sqlparse==99\.0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_packages_that_cannot_be_had_are_named(case, repository, site):
    change, variables, step, reason = BAD[case]
    before = site.version()
    repository.commit(change, "bad")
    try:
        run = site.play("deploy", "-e", json.dumps(variables))
    finally:
        repository.commit("good", before)
    assert run.code != 0
    text = run.text.replace("''", "'")
    assert f"The release failed in step '{step}'" in text, run.output[-4000:]
    assert re.search(reason, text), run.output[-4000:]
    assert site.version() == before


def server(host):
    """The process that serves the current release: its id, its command, and the pages' workers."""
    unit = "probe@$(basename $(readlink /srv/probe/current)).service"
    pid = host.check_output(f"systemctl show --property MainPID --value {unit}")
    return pid, host.check_output(f"tr '\\0' ' ' </proc/{pid}/cmdline"), host.check_output(f"pgrep --parent {pid}").split()


class Visitors:
    """One for each host, who asks for a slow page again and again."""

    def __init__(self, site):
        self.site, self.answers, self.stop = site, [], threading.Event()
        self.threads = [threading.Thread(target=self.visit, args=(name,)) for name in site.web]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def visit(self, name):
        while not self.stop.is_set():
            try:
                self.answers.append(self.site.get("/slow/?seconds=3", name).status_code)
            except OSError as error:
                self.answers.append(repr(error))

    def __exit__(self, *_exception):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_another_interpreter_brings_its_server_and_nothing_is_compiled_twice(repository, site):
    """The system's own Python under another name: Debian's server is not for it. What is in the way of the compiler later on shows who compiles."""
    version = site.version()
    virtualenvs = {}
    for host in site.hosts.values():
        host.check_output(f"cp $(readlink --canonicalize /usr/bin/python3) {PYTHON}")
        virtualenvs[host] = host.check_output("readlink --canonicalize /srv/probe/current/venv")
        assert server(host)[1].startswith("/usr/bin/uwsgi --plugin python3 ")
    try:
        site.apply("web", "--tags", "django", "-e", json.dumps(COMPILED))
        site.apply("deploy", "-e", json.dumps(COMPILED))
        for host in site.hosts.values():
            pid, command, workers = server(host)
            assert "/venv/bin/pyuwsgi " in command
            assert host.check_output("probe-run python -c 'import lru, sys; print(lru.LRU(1).get_size(), sys.base_prefix)'") == "1 /usr"
            # What an interruption leaves: this virtualenv is needed again at the end.
            host.check_output(f"cd {virtualenvs[host]} && rm .complete pyvenv.cfg && rm -r lib/python3*/site-packages/django")
            # A reload on the server's own wish loses nobody.
            with Visitors(site) as visitors:
                host.check_output(f"kill -HUP {pid}")
                reloaded = f"while [ -d /proc/{workers[0]} ] || ! pgrep --parent {pid}; do sleep 1; done"
                host.check_output(f"timeout 120 sh -c '{reloaded}'")
            assert set(visitors.answers) == {200}
            assert site.version() == version
            assert server(host)[0] == pid
            # Limits of a release, as systemd took them; whether the kernel keeps to them is no matter of a container.
            limits = host.check_output(f"systemctl show --property MemoryMax --property TasksMax $(ps --no-headers -o unit {pid})").splitlines()
            assert len(limits) == 2 and all(re.fullmatch(r"(MemoryMax|TasksMax)=[1-9][0-9]*", limit) for limit in limits)
            host.check_output("chmod a-x $(readlink --canonicalize /usr/bin/gcc)")
            assert host.run("sudo -u probe gcc --version").rc != 0

        # The hash is the right one, and the compiled package comes from the host's cache.
        repository.commit(locked(RIGHT_HASH), version)
        packages = ["Django~=5.2.0", "psycopg[binary]~=3.2"]
        with Visitors(site) as visitors:
            run = site.play("deploy", "-e", json.dumps(COMPILED | {"app_pip_packages": COMPILED["app_pip_packages"] + packages}))
        assert run.code == 0, run.output[-4000:]
        assert len(visitors.answers) > 3 and set(visitors.answers) == {200}
        for host in site.hosts.values():
            assert "/venv/bin/pyuwsgi " in server(host)[1]
            assert host.check_output("probe-run python -c 'import lru, sqlparse; print(sqlparse.__version__)'") == "0.5.3"
    finally:
        for host in site.hosts.values():
            host.run("chmod a+x $(readlink --canonicalize /usr/bin/gcc)")
        repository.commit("good", version)
        # The interpreter stays: releases to go back to were built with it.
        run = site.play("deploy")
    assert run.code == 0, run.output[-4000:]
    assert site.version() == version
    for host in site.hosts.values():
        assert host.check_output("readlink --canonicalize /srv/probe/current/venv") == virtualenvs[host]
        assert server(host)[1].startswith("/usr/bin/uwsgi --plugin python3 ")
