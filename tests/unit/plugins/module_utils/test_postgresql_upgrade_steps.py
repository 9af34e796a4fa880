"""A server that Patroni runs is taken from it in an order in which nobody else becomes the primary, and in which nobody is left without one."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import postgresql_upgrade as upgrade


class Host:
    """A host as far as an upgrade sees it: which files there are, and what was run, in one line each."""

    def __init__(self, *versions, fails="", config="ttl: 20\n"):
        self.files = {f"/etc/patroni/{version}-main.yml" for version in versions}
        self.files |= {f"/etc/postgresql/{version}/main/{name}" for version in (*versions, "15") for name in ("postgresql.conf", "postgresql.base.conf")}
        self.ran, self.noted, self.fails, self.config = [], [], fails, config

    def run(self, *words, check=True, answers="", **_rest):
        line = " ".join(words)
        if "show-config" in line:
            return self.config
        self.ran.append(line)
        if self.fails and self.fails in line and check:
            raise upgrade.Wrong("it failed")
        if "pause" in words and "/etc/patroni" in line:
            self.config += "pause: true\n"
        if words[0] == "rm":
            self.files -= set(words)
        if "remove" in words:
            assert answers == f"{words[-1]}\nYes I am aware\n"
        return ""

    def place(self, word):
        """Where a command with a word in it stands among those that were run."""
        return next(number for number, line in enumerate(self.ran) if word in line)

    def is_ordered(self, *words):
        places = [self.place(word) for word in words]
        return places == sorted(places)


@pytest.fixture
def made(monkeypatch):
    def make(*versions, **rest):
        host = Host(*versions, **rest)
        monkeypatch.setattr(upgrade, "run", host.run)
        monkeypatch.setattr(upgrade.os.path, "exists", lambda path: path in host.files)
        monkeypatch.setattr(upgrade.os.path, "lexists", lambda path: path in host.files)
        monkeypatch.setattr(upgrade, "journal", dict)
        monkeypatch.setattr(upgrade, "note", lambda **row: host.noted.append(row))
        return host

    return make


def test_patroni_lets_a_server_go_before_it_is_copied(made):
    host = made("15")
    upgrade.upgraded("15", "17", "main", 2, False)
    assert host.is_ordered(
        "remove 17-main", "pause --wait", "start.conf", "stop patroni@15-main", "mv /etc/postgresql/15/main/postgresql.base.conf",
        "rm --force /etc/patroni/15-main.yml /etc/systemd/system/postgresql@15-main.service.d/patroni.conf", "disable patroni@15-main",
        "stop postgresql@15-main", "pg_upgradecluster",
    )  # fmt: skip
    assert host.noted == [{"old": "15", "new": "17", "phase": "upgraded"}]


def test_a_plain_server_is_upgraded_without_patroni(made):
    host = made()
    upgrade.upgraded("15", "17", "main", 2, False)
    assert not [line for line in host.ran if "patroni" in line]


def test_one_that_cannot_be_upgraded_serves_as_a_plain_one(made):
    host = made("15", fails="pg_upgradecluster")
    with pytest.raises(upgrade.Wrong, match="PostgreSQL 15 runs as before"):
        upgrade.upgraded("15", "17", "main", 2, False)
    assert host.is_ordered("pg_upgradecluster", "start postgresql@15-main") and "/etc/patroni/15-main.yml" not in host.files
    # The standbys stay what they are: nobody resumes.
    assert not [line for line in host.ran if "resume" in line] and not host.noted


@pytest.mark.parametrize("fails", ["pause --wait", "remove 17-main"])
def test_voters_that_do_not_answer_leave_all_as_it_was(made, fails):
    host = made("15", fails=fails)
    with pytest.raises(upgrade.Wrong, match="PostgreSQL 15 runs as before"):
        upgrade.upgraded("15", "17", "main", 2, False)
    assert host.ran[-1].endswith("resume") and "/etc/patroni/15-main.yml" in host.files
    assert not [line for line in host.ran if "systemctl" in line or "unfinished" in line]


def test_one_that_was_paused_by_a_run_that_was_killed_is_not_paused_again(made):
    host = made("15", config="pause: true\n")
    upgrade.upgraded("15", "17", "main", 2, False)
    assert not [line for line in host.ran if "pause --wait" in line]


def test_the_way_back_takes_the_new_server_from_patroni(made):
    host = made("17")
    upgrade.exchanged("17", "15", "main")
    assert host.is_ordered(
        "remove 15-main", "pause --wait", "stop patroni@17-main", "stop postgresql@17-main", "/etc/postgresql/17/main/start.conf",
        "/etc/postgresql/15/main/start.conf",
    )  # fmt: skip
    assert host.noted == [{"old": "17", "new": "15", "phase": "upgraded"}]


def test_a_standby_is_taken_from_patroni_for_good(made):
    host = made("15")
    assert upgrade.retired("15", "main")
    assert host.is_ordered("stop patroni@15-main", "disable patroni@15-main", "stop postgresql@15-main", "s/^")
    assert not [line for line in host.ran if "pause" in line]


def test_the_voters_forget_a_cluster_that_is_removed(made):
    host = made("17")
    assert upgrade.removed("15", "17", "main")
    assert host.is_ordered("patronictl -c /etc/patroni/17-main.yml remove 15-main", "pg_dropcluster 15 main")


def test_what_has_become_of_an_upgrade_is_known_after_a_power_cut(powered, monkeypatch):
    """It goes before the mark by which a cluster that was never finished is known, which may lie on another disk."""
    monkeypatch.setattr(upgrade, "JOURNAL", str(powered.directory / "upgrade.json"))
    upgrade.note(old="15", new="17", phase="upgraded")
    powered.cut(after_others=False)
    assert upgrade.journal() == {"old": "15", "new": "17", "phase": "upgraded"}
