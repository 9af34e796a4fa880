"""What the command `selfhost` makes of what is typed, of an inventory and of what hosts answer."""

import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "bin/selfhost"
loader = importlib.machinery.SourceFileLoader("selfhost", str(PROGRAM))
selfhost = importlib.util.module_from_spec(importlib.util.spec_from_loader("selfhost", loader))
# Nothing is left beside the program.
sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
loader.exec_module(selfhost)
sys.dont_write_bytecode = before


@pytest.mark.parametrize(
    ("playbook", "words", "expected"),
    [
        ("deploy", [], []),
        ("deploy", ["v1.2"], ["--extra-vars", '{"deploy_version": "v1.2"}']),
        ("deploy", ["v1.2", "--check"], ["--extra-vars", '{"deploy_version": "v1.2"}', "--check"]),
        ("deploy", ["--ask-vault-pass"], ["--ask-vault-pass"]),
        # A revision of digits alone stays a text.
        ("rollback", ["1234567"], ["--extra-vars", '{"rollback_to": "1234567"}']),
        ("restore", ["2026-01-31 14:00:00+01:00"], ["--extra-vars", '{"restore_target_time": "2026-01-31 14:00:00+01:00"}']),
        ("deploy", ['a" "b'], ["--extra-vars", '{"deploy_version": "a\\" \\"b"}']),
        ("site", ["--check"], ["--check"]),
    ],
)
def test_words_of_a_playbook(playbook, words, expected):
    assert selfhost.playbook_arguments(playbook, words) == expected


def test_a_playbook_reads_each_of_these_variables():
    texts = {name: "".join(path.read_text() for path in ROOT.glob("roles/*/**/*.yml")) for name in ("roles",)}
    for playbook, variable in selfhost.WORDS.items():
        assert variable in (ROOT / f"playbooks/{playbook}.yml").read_text() + texts["roles"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"inventory_hostname": "web1"}, ["ssh", "-C", "web1"]),
        ({"inventory_hostname": "web1", "ansible_host": "192.0.2.1", "ansible_user": "ops"}, ["ssh", "-C", "-l", "ops", "192.0.2.1"]),
        ({"inventory_hostname": "web1", "ansible_port": 2222}, ["ssh", "-C", "-p", "2222", "web1"]),
        ({"inventory_hostname": "web1", "ansible_ssh_args": "-F 'my file'"}, ["ssh", "-F", "my file", "web1"]),
        (
            {"inventory_hostname": "web1", "ansible_ssh_common_args": "-J lb", "ansible_ssh_private_key_file": "~/.ssh/id"},
            ["ssh", "-C", "-J", "lb", "-i", "~/.ssh/id", "web1"],
        ),
    ],
)
def test_the_way_to_a_host(variables, expected):
    assert selfhost.ssh_arguments(variables, "-C") == expected


def test_which_hosts_are_meant():
    assert selfhost.chosen(["web1", "web2"], None, "web") == ["web1", "web2"]
    assert selfhost.chosen(["web1", "web2"], "web2", "web") == ["web2"]
    with pytest.raises(selfhost.Mistake, match="db1, which is no host of the group web: give one of web1, web2"):
        selfhost.chosen(["web1", "web2"], "db1", "web")
    with pytest.raises(selfhost.Mistake, match="No host of the inventory is in the group balancer"):
        selfhost.chosen([], None, "balancer")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("SECRET_KEY", "abc", "********"),
        ("PGPASSWORD", "abc", "********"),
        ("AWS_ACCESS_KEY_ID", "abc", "********"),
        ("stripe_api_token", "abc", "********"),
        ("SENTRY_DSN", "https://abc@sentry.example.org/1", "********"),
        ("SECRET_KEY", "", ""),
        ("DATABASE_URL", "postgres://shop:a%40b@db1:5432/shop", "postgres://shop:********@db1:5432/shop"),
        ("REDIS_URL", "redis://:abc@127.0.0.1/0", "redis://:********@127.0.0.1/0"),
        ("DATABASE_REPLICA_URLS", "postgres://a:b@c/d postgres://e:f@g/h", "postgres://a:********@c/d postgres://e:********@g/h"),
        ("ALLOWED_HOSTS", "www.example.org", "www.example.org"),
        ("PGHOST", "db1,db2", "db1,db2"),
    ],
)
def test_nobody_sees_secrets_over_a_shoulder(name, value, shown):
    assert selfhost.masked({name: value}) == [f"{name}={shown}"]


@pytest.mark.parametrize(
    ("part", "follow", "kept", "expected"),
    [
        ("app", False, None, "sudo journalctl --no-pager --output=short-iso --lines=9  --unit='shop.service' --unit='shop@*' --unit='shop-*'"),
        ("web", True, None, "sudo tail --lines=9 --follow=name --retry /var/log/nginx/access.log /var/log/nginx/error.log"),
        # There all is a journal, and each host's its own.
        (
            "app", True, "web1",
            "sudo journalctl --directory=/var/log/selfhost-logs/web1 --no-pager --output=short-iso --lines=9 --follow "
            "--unit='shop.service' --unit='shop@*' --unit='shop-*'",
        ),
        ("web", False, "web1", "sudo journalctl --directory=/var/log/selfhost-logs/web1 --no-pager --output=short-iso --lines=9  _SELFHOST_LOG=nginx"),
    ],
)  # fmt: skip
def test_what_shows_a_log(part, follow, kept, expected):
    assert selfhost.log_command(part, 9, follow, "shop", "shop", kept) == expected


@pytest.mark.parametrize("part", sorted(selfhost.LOGS))
def test_every_log_is_kept_and_of_one_host_alone(part):
    command = selfhost.log_command(part, 9, False, "shop", "shop", "db1")
    assert "--directory=/var/log/selfhost-logs/db1 " in command and "/var/log/" not in command.replace("/var/log/selfhost-logs/db1", "")
    for name in ("../web1", "web1; reboot", "."):
        with pytest.raises(selfhost.Mistake, match="--on names"):
            selfhost.log_command(part, 9, False, "shop", "shop", name)


def test_what_runs():
    shown = """
Id=shop-mail.timer
ActiveState=active
SubState=waiting
ActiveEnterTimestamp=Sun 2026-11-29 06:00:00 UTC

Id=shop-worker.service
MainPID=0
NRestarts=5
MemoryCurrent=[not set]
ActiveState=failed
SubState=failed
ActiveEnterTimestamp=

Id=shop@4f1c2d3e5a6b-0a1b2c3d.service
MainPID=812
NRestarts=0
MemoryCurrent=123456789
ActiveState=active
SubState=running
ActiveEnterTimestamp=Sun 2026-11-29 06:00:00 UTC
"""
    assert selfhost.units(shown) == [
        ["shop-mail.timer", "active (waiting)", "Sun 2026-11-29 06:00:00 UTC", "-", "-"],
        ["shop@4f1c2d3e5a6b-0a1b2c3d.service", "active (running)", "Sun 2026-11-29 06:00:00 UTC", "123 MB", "0"],
        ["shop-worker.service", "failed (failed)", "-", "-", "5"],
    ]
    assert selfhost.units("") == []


@pytest.fixture
def inventory(tmp_path):
    """An inventory with a vault whose password nobody gives."""
    (tmp_path / "hosts.yml").write_text("web: {hosts: {web1: {ansible_host: 192.0.2.1}}}\ndatabase: {hosts: {db1: , db2: }}\n")
    (tmp_path / "group_vars/all").mkdir(parents=True)
    (tmp_path / "group_vars/all/app.yml").write_text('app_name: shop\nansible_user: "{{ app_name }}ops"\n')
    (tmp_path / "group_vars/all/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    return tmp_path / "hosts.yml"


def test_an_inventory_is_read_without_its_secrets(inventory):
    site = selfhost.Site(str(inventory))
    assert site.hosts("web") == ["web1"]
    assert site.hosts("backup database") == ["db1", "db2"]
    assert site.hosts("balancer") == []
    assert site.ssh("web1")[-3:] == ["-l", "shopops", "192.0.2.1"]
    assert site.app("web1") == {
        "app_name": "shop", "app_service": "shop", "app_run_command": "/usr/local/bin/shop-run",
        "app_database_name": "shop", "app_database_port": 5432, "app_database_user": "shop",
        "app_anonymize": "", "app_takes_data": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["depoly"], "There is no command depoly: give one of backup,"),
        (["logs", "nginx"], "There is no log of nginx: give one of app, web,"),
        (["logs", "balancer"], "No host of the inventory is in the group balancer"),
        (["--on", "gone1", "logs", "web", "--kept"], "No host of the inventory is in the group logs"),
        (["--on", "db1", "shell"], "--on names db1, which is no host of the group web: give one of web1."),
    ],
)
def test_a_mistake_is_a_sentence(inventory, words, sentence):
    done = subprocess.run([sys.executable, PROGRAM, "-i", inventory, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["load", "shop.dump"], "shop of db1 takes no rows from elsewhere: its inventory would have to say app_takes_data: true."),
        (["dump", "shop.dump"], "app_anonymize names no file: give it one with the SQL that makes rows nobody's, or dump them as they are (--as-is)."),
    ],
)
def test_production_takes_no_rows_and_gives_none_that_are_somebodys(inventory, words, sentence):
    """Nobody is asked for that: there is no such host."""
    inventory.write_text("web: {hosts: {web1: }}\ndatabase: {hosts: {db1: }}\n")
    done = subprocess.run([sys.executable, PROGRAM, "-i", inventory, *words], cwd=inventory.parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"selfhost: {sentence}\n")
    assert not (inventory.parent / "shop.dump").exists()


def test_rows_are_put_into_a_database_by_its_owner_alone():
    """What a table of theirs calls meanwhile has no more rights than the application."""
    for script in (selfhost.ANONYMIZED, selfhost.LOAD):
        for line in script.splitlines():
            if re.search(r"psql|pg_restore .*--dbname", line) and "copy/early" not in line:
                assert '--username="$2"' in line
    assert "SET ROLE" not in selfhost.LOAD
    assert "--role" not in selfhost.LOAD


def test_without_hosts(tmp_path):
    (tmp_path / "hosts.yml").write_text("web:\n")
    done = subprocess.run([sys.executable, PROGRAM, "-i", tmp_path / "hosts.yml", "ps"], capture_output=True, text=True)
    assert "The inventory has no hosts: name one with -i." in done.stderr
