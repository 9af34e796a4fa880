"""The commands `selfhost` and `selfhost init`, and the playbook doctor, as somebody at a laptop sees them."""

import os
import re
import shutil
import subprocess

import pytest
import requests
import yaml
from playing import ROOT, SSH_CONFIG, Site, fresh
from terminal import Terminal

testinfra_hosts = ["ansible://probe"]

PROGRAM = ROOT / "bin/selfhost"
NEWCOMER = ROOT / "molecule/inventories/newcomer.yml"
# As in group_vars of the lab: how its hosts are entered.
SSH = f"-F {SSH_CONFIG}"


def selfhost(site, *words, code=0):
    """Return what the command prints for a site; it has to end with that code."""
    done = subprocess.run([PROGRAM, "-i", site.inventory, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def current(site):
    """The release that serves."""
    return site.current()[site.web[0]]


def test_commands_run_in_the_release_that_serves(site):
    assert "no issues" in selfhost(site, "manage", "check")
    assert selfhost(site, "run", "sh", "-c", "echo $APP_RELEASE '$0'").split() == [current(site), "$0"]
    selfhost(site, "manage", "nonsense", code=1)


def test_the_terminal_is_the_commands(site):
    terminal = Terminal(PROGRAM, "-i", site.inventory, "shell")
    terminal.read(b">>> ")
    terminal.type(b"6 * 7\n")
    terminal.read(b"42")
    terminal.type(b"exit()\n")
    assert terminal.wait() == 0


def test_psql_works_as_the_application(site):
    printed = selfhost(site, "psql", "-XAtc", "SELECT current_user, current_database(), 'a b'")
    assert printed == "probe|probe|a b\n"


def test_logs_of_every_part(site):
    marks = {
        "app": "uwsgi", "web": "GET /status/", "database": "LOG:", "deploys": '"what": "release"', "backups": "backup",
    }  # fmt: skip
    site.version()
    for part, mark in marks.items():
        assert mark in selfhost(site, "logs", part, "-n", "2000"), part
    selfhost(site, "logs", "balancer", code=2)


def test_a_log_that_is_followed_ends_with_the_terminal(site):
    terminal = Terminal(PROGRAM, "-i", site.inventory, "logs", "web", "--follow")
    terminal.read(b"access.log")
    requests.get(f"https://{site.addresses[site.web[0]]}/status/?followed", verify=False, timeout=30)
    terminal.read(b"?followed")
    terminal.type(b"\x03")
    assert terminal.wait() == 130
    site.wait("nobody to follow", lambda: not site.hosts[site.web[0]].run("pgrep --full '[t]ail --lines'").stdout)


def test_the_environment_without_its_secrets(site):
    shown = selfhost(site, "config")
    assert f"APP_RELEASE={current(site)}" in shown
    secret = (ROOT / ".cache/lab/release/database_password").read_text().split()[0]
    assert secret not in shown
    assert "PGPASSWORD=********" in shown
    assert selfhost(site, "config", "PGPASSWORD").strip() == secret


def test_what_runs(site):
    (row,) = [row for row in selfhost(site, "ps").splitlines() if "probe@" in row]
    assert row.split()[:3] == [site.web[0], f"probe@{current(site)}.service", "active"]


def test_a_login_and_a_command_on_a_host(site):
    terminal = Terminal(PROGRAM, "-i", site.inventory, "ssh")
    terminal.read(b"$ ")
    terminal.type(b"exit 3\n")
    assert terminal.wait() == 3
    assert "load average" in selfhost(site, "--on", site.web[0], "ssh", "uptime")
    assert "status: ok" in selfhost(site, "ssh", *"sudo -u postgres pgbackrest info".split())


def test_what_site_would_do_is_told_and_not_done(site, repository):
    version, serving = site.version(), current(site)
    repository.commit("good", fresh("dry"))
    try:
        said = selfhost(site, "site", "--check", "--diff")
    finally:
        repository.commit("good", version)
    assert re.search(rf"Release \S+ is\s+to\s+take\s+the\s+place\s+of\s+{serving}", said), said[-4000:]
    assert (site.version(), current(site)) == (version, serving)


def test_nothing_stands_in_the_way_of_a_site_that_is_there(site):
    assert "Nothing stands in the way of site.yml." in selfhost(site, "doctor")


def test_rows_travel_as_nobodys_and_come_back_whole(site, tmp_path):
    # What visitors write meanwhile is theirs.
    first = "SELECT count(*) FROM pages_note WHERE text = 'somebody'"
    copies = "SELECT count(*) FROM pg_database WHERE datname LIKE 'probe\\_%'"
    selfhost(site, "manage", "shell", "-c", "from pages.models import Note; Note.objects.create(text='somebody')")
    before = "1\n"
    assert "kB, as it is." in selfhost(site, "dump", tmp_path / "whole", "--as-is")
    assert "kB, anonymized." in selfhost(site, "dump", tmp_path / "nobodys")
    assert (tmp_path / "whole").stat().st_mode & 0o777 == 0o600
    assert (selfhost(site, "psql", "-XAtc", first), selfhost(site, "psql", "-XAtc", copies)) == (before, "0\n")
    with site.visitors(pause_seconds=1):
        selfhost(site, "load", tmp_path / "nobodys")
        assert selfhost(site, "psql", "-XAtc", first) == "0\n"
    # What ends in the middle changes nothing.
    (tmp_path / "torn").write_bytes((tmp_path / "whole").read_bytes()[:-2000])
    selfhost(site, "load", tmp_path / "torn", code=2)
    assert selfhost(site, "psql", "-XAtc", first) == "0\n"
    selfhost(site, "load", tmp_path / "whole")
    assert selfhost(site, "psql", "-XAtc", first) == before
    # The application writes there as before.
    selfhost(site, "manage", "shell", "-c", "from pages.models import Note; Note.objects.filter(text='somebody').delete()")
    assert selfhost(site, "psql", "-XAtc", first) == "0\n"
    site.healthy()


@pytest.fixture(scope="module")
def newcomer(site):
    """A bare host, and what removes it."""
    Site(str(NEWCOMER)).apply("../molecule/shared/create")
    yield Site(str(NEWCOMER))
    subprocess.run(["docker", "rm", "--force", "selfhost-release-newcomer"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(newcomer, site, tmp_path_factory):
    """What `selfhost init` makes of answers at a terminal."""
    folder = tmp_path_factory.mktemp("laptop") / "shop"
    terminal = Terminal(PROGRAM, "init", folder, "--admin", "ops")
    for question, answer in {
        "1.": site.repository.directory, "2.": "probe", "3.": newcomer.addresses["newcomer"], "4.": "", "5.": f"{SSH_CONFIG.parent}/id_ed25519.pub",
    }.items():  # fmt: skip
        terminal.read(question.encode())
        terminal.type(f"{answer}\n".encode())
    assert b"site.yml" not in terminal.read(b"Next:")
    assert terminal.wait() == 0
    settings = folder / "ansible.cfg"
    settings.write_text(settings.read_text().replace("ssh_args = ", f"ssh_args = {SSH} "))
    return folder


def at(folder, *words):
    """Run the command in that folder, with its settings alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run([PROGRAM, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_init_makes_a_vault_that_nobody_reads_without_its_password(folder):
    assert (folder / ".vault-password").stat().st_mode & 0o777 == 0o600
    assert ".vault-password" in (folder / ".gitignore").read_text()
    assert (folder / "group_vars/all/vault.yml").read_text().startswith("$ANSIBLE_VAULT;")
    words = ["ansible-vault", "view", "group_vars/all/vault.yml"]
    vault = yaml.safe_load(subprocess.run(words, cwd=folder, env=os.environ | {"ANSIBLE_CONFIG": "ansible.cfg"}, capture_output=True, text=True).stdout)
    assert len(set(vault.values())) == len(vault) >= 8
    assert min(map(len, vault.values())) >= 64
    done = at(folder.parent, "init", "shop", "--repository=x", "--name=x", "--host=x", f"--key={SSH_CONFIG.parent}/id_ed25519.pub")
    assert (done.returncode, "not empty" in done.stderr) == (2, True)


def test_all_that_stands_in_the_way_is_told_at_once_and_nothing_is_changed(folder, newcomer):
    host = newcomer.addresses["newcomer"]
    subprocess.run(
        ["docker", "exec", "selfhost-release-newcomer", "sh", "-c", "sed -i 's/^ID=.*/ID=ubuntu/; s/^VERSION_ID=.*/VERSION_ID=24.04/' /etc/os-release"], check=True
    )
    command = ["docker", "exec", "selfhost-release-newcomer", "find", "/etc", "/srv", "/usr", "/var", "/root", "-xdev", "-newer", "/etc/os-release", "-type", "f"]
    before = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    hosts = yaml.safe_load((folder / "hosts.yml").read_text())
    hosts["web"]["hosts"] |= {
        "refused": {"ansible_host": host, "ansible_port": 2}, "away": {"ansible_host": "10.88.2.250"}, "unknown": {"ansible_host": "nowhere.invalid"},
        "locked": {"ansible_host": host, "ansible_user": "nobody1", "hardening_bootstrap_user": "nobody2"},
    }  # fmt: skip
    (folder / "wrong.yml").write_text(yaml.safe_dump(hosts))
    wishes = {
        "app_domains": ["www.no-such-name.example.net"], "app_version": "mian", "app_request_timeout_seconds": "soon",
        "doctor_memory_mb": 10_000_000, "doctor_disk_mb": 100_000_000,
    }  # fmt: skip
    done = at(folder, "-i", "wrong.yml", "doctor", "-e", yaml.safe_dump(wishes, default_flow_style=True, width=10_000).strip())
    assert done.returncode == 2
    said = done.stdout[done.stdout.index("PLAY RECAP") :]
    for sentence in (
        r"^app_request_timeout_seconds is 'soon'", r"ubuntu 24.04: install Debian 13 or 12", r"MB of memory, and a site needs 10000000",
        r"MB free at /, and a site needs", r"^Nothing answers on port 2 of", r"^away does not answer at 10.88.2.250", r"^nowhere.invalid is no name",
        r"^locked lets in neither nobody1 nor nobody2", r"^www.no-such-name.example.net of app_domains has no address", r"^app_version mian is no branch",
    ):  # fmt: skip
        assert len(re.findall(sentence, said, re.MULTILINE)) == 1, (sentence, said)
    after = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    # A login is written down, by those who do so.
    assert {path for path in set(after) - set(before) if not path.startswith(("/var/log/", "/var/cache/apt/"))} == set()


@pytest.mark.long
def test_from_answers_to_a_served_page(folder, newcomer):
    subprocess.run(
        ["docker", "exec", "selfhost-release-newcomer", "sh", "-c", "sed -i 's/^ID=.*/ID=debian/; s/^VERSION_ID=.*/VERSION_ID=13/' /etc/os-release"], check=True
    )
    done = at(folder, "doctor")
    assert done.returncode == 0, done.stdout
    done = at(folder, "site")
    assert done.returncode == 0, done.stdout[-6000:]
    assert requests.get(f"https://{newcomer.addresses['newcomer']}/", verify=False, timeout=30).status_code == 200
    assert "no issues" in at(folder, "manage", "check").stdout
    shutil.rmtree(folder)
