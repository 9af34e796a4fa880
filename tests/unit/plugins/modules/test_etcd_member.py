"""How a voter without data comes to vote: with voters of straw, that answer as etcd does."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.etcd import Refused
from ansible_collections.selfhost.django.plugins.modules import etcd_member

NAMES = ("db1", "db2", "db3")


def url(name):
    return f"https://{name}:2380"


class Voters:
    """Those that are left, and their list."""

    def __init__(self, *names, refusals=(), answering=True, guarded=True):
        self.members = [{"ID": str(number), "name": name, "peerURLs": [url(name)]} for number, name in enumerate(names)]
        self.refusals, self.answering, self.guarded, self.asked = list(refusals), answering, guarded, []

    def log_in(self, name, password):
        if not self.answering:
            raise OSError("connection refused")
        if not self.guarded:
            raise Refused("etcdserver: authentication is not enabled")
        if password != "root's":
            raise Refused("etcdserver: authentication failed, invalid user ID or password")

    def ask(self, path, **fields):
        self.asked.append(path)
        if path != "cluster/member/list" and self.refusals:
            raise Refused(self.refusals.pop(0))
        if path == "cluster/member/remove":
            self.members = [member for member in self.members if member["ID"] != fields["ID"]]
        elif path == "cluster/member/add":
            # It has no name before it has started.
            self.members.append({"ID": "9", "peerURLs": fields["peerURLs"]})
        return {"members": self.members}


def joined(voters, name="db3", names=NAMES, password="root's", seconds=60):
    given = {"root_password": password, "name": name, "peer_url": url(name), "voters": list(names), "seconds": seconds}
    return etcd_member.join(voters, given)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(etcd_member, "PAUSE", 0)


def of(*names):
    return ",".join(f"{name}={url(name)}" for name in names)


@pytest.mark.parametrize(
    ("there", "names", "removed", "cluster"),
    [
        pytest.param(NAMES, NAMES, "db3", of(*NAMES), id="lost with its data"),
        pytest.param(("db1", "db2"), NAMES, "", of(*NAMES), id="an interrupted run took it off"),
        pytest.param(("db1", "db2", "old"), NAMES, "old", of(*NAMES), id="in the place of another host"),
        pytest.param(NAMES[:2] + ("old", "db3"), NAMES, "db3", of("db1", "db2", "db3", "old"), id="one goes at a time, its own first"),
        pytest.param(("db1", "db2", "web1"), ("db1", "db2", "web1", "db3", "db4"), "", of("db1", "db2", "db3", "web1"), id="one more"),
    ],
)
def test_who_votes_then(there, names, removed, cluster):
    said = joined(Voters(*there), names=names)
    assert said == {"changed": True, "cluster": cluster, "removed": removed}


def test_where_nobody_votes_yet_it_begins_with_the_others():
    voters = Voters(answering=False)
    assert joined(voters) == {"changed": False, "cluster": "", "removed": ""}
    assert voters.asked == []


def test_before_passwords_are_asked_for_it_is_taken_in_as_well():
    assert joined(Voters("db1", "db2", guarded=False))["cluster"] == of(*NAMES)


def test_it_waits_until_they_are_ready_for_it_and_no_longer():
    assert joined(Voters(*NAMES, refusals=["etcdserver: unhealthy cluster"] * 3))["removed"] == "db3"
    with pytest.raises(Refused, match="unhealthy cluster"):
        joined(Voters(*NAMES, refusals=["etcdserver: unhealthy cluster"] * 3), seconds=-1)


@pytest.mark.parametrize("refusal", ["etcdserver: no leader", "etcdserver: permission denied"])
def test_what_they_refuse_is_not_done(refusal):
    voters = Voters(*NAMES, refusals=[refusal])
    with pytest.raises(Refused, match=refusal):
        joined(voters)
    assert len(voters.members) == 3


def test_who_cannot_log_in_changes_nothing():
    with pytest.raises(Refused, match="authentication failed"):
        joined(Voters(*NAMES), password="another")
