"""Where no secret may be: Ansible's output, the process list, files that everybody reads, the journal."""

import threading

import pytest
from playing import fresh

SECRETS = ("app_secret_key", "app_database_password", "postgresql_backup_passphrase")
# On the host, the secrets come from where they lie, so that looking for them does not spread them.
PRINT_SECRETS = (
    ". /srv/probe/current/environment; printf '%s\\n' \"$SECRET_KEY\" \"$PGPASSWORD\"; "
    "sed -n 's/^repo1-cipher-pass=//p' /etc/pgbackrest/pgbackrest.conf /etc/pgbackrest.conf 2>/dev/null"
)


@pytest.fixture(scope="module")
def secrets(all_variables):
    values = {str(variables[name]) for variables in all_variables.values() for name in SECRETS}
    assert all(len(value) >= 16 for value in values)
    return values


def test_neither_output_nor_process_list_shows_a_secret(site, repository, secrets):
    """The whole site is run, as talkative as below -vvvv, with a new release to make."""
    version = fresh("secret")
    repository.commit("good", version)
    stop = threading.Event()
    seen = {}

    def watch(host):
        lines = set()
        while not stop.is_set():
            lines |= set(host.check_output("for n in $(seq 20); do ps -eww -o args; sleep 0.1; done | sort -u").splitlines())
        seen[host] = "\n".join(lines)

    watchers = [threading.Thread(target=watch, args=(host,)) for host in site.hosts.values()]
    for watcher in watchers:
        watcher.start()
    run = site.play("site", "-vvv", "--diff")
    stop.set()
    for watcher in watchers:
        watcher.join()
    assert run.code == 0, run.output[-4000:]
    assert site.version() == version
    assert [secret for secret in secrets if secret in run.output] == []
    for processes in seen.values():
        assert "manage.py" in processes, "the release's own commands were not seen"
        assert [secret for secret in secrets if secret in processes] == []


def test_nobody_reads_a_secret_in_any_file(site):
    """A file that everybody reads is laid out on purpose, so that the search is known to find one."""
    for host in site.hosts.values():
        host.check_output(f"({PRINT_SECRETS}) >/var/tmp/leak && chmod 0644 /var/tmp/leak")
        found = host.run(
            f"({PRINT_SECRETS}) | su -s /bin/sh nobody -c "
            "'grep --recursive --files-with-matches --fixed-strings --devices=skip --file=- "
            "/boot /etc /home /opt /root /run /srv /tmp /usr /var 2>/dev/null'"
        )
        host.check_output("rm /var/tmp/leak")
        assert found.stdout.split() == ["/var/tmp/leak"]


def test_the_journal_holds_no_secret(site):
    for host in site.hosts.values():
        count = host.run(
            f"umask 077; ({PRINT_SECRETS}) >/root/patterns; "
            "journalctl --no-pager | grep --fixed-strings --count --file=/root/patterns; rm /root/patterns"
        )
        assert count.stdout.strip() == "0", count
        # Nor what health checks send; of the question itself sudo writes a line.
        assert host.run("journalctl --no-pager | grep --count 'health_check.*[I]nvoked with'").stdout.strip() == "0"
