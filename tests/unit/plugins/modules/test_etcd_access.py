"""How the voters come to ask for passwords: voters of straw, that answer as etcd does."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.etcd import Refused, end_of, reason
from ansible_collections.selfhost.django.plugins.modules.etcd_access import Wrong, settle

GIVEN = {"root_password": "r" * 20, "user": "patroni", "password": "p" * 20, "prefix": "/shop/"}


class Voters:
    """A store of users and roles behind a door."""

    def __init__(self, users=(), enabled=False):
        self.users, self.roles, self.enabled, self.name = dict(users), set(), enabled, None

    def log_in(self, name, password):
        self.name = None
        if not self.enabled:
            raise Refused("etcdserver: authentication is not enabled")
        if self.users.get(name) != password:
            raise Refused("etcdserver: authentication failed, invalid user ID or password")
        self.name = name

    def ask(self, path, **fields):
        if self.enabled and self.name != "root":
            raise Refused("etcdserver: permission denied")
        there = {"auth/role/add": self.roles, "auth/user/add": self.users}.get(path)
        if there is not None and fields["name"] in there:
            raise Refused("etcdserver: %s name already exists" % path.split("/")[1])
        if path == "auth/role/add":
            self.roles.add(fields["name"])
        elif path in ("auth/user/add", "auth/user/changepw"):
            self.users[fields["name"]] = fields["password"]
        elif path == "auth/enable":
            self.enabled = True


def test_new_voters_ask_for_passwords_from_then_on():
    voters = Voters()
    assert settle(voters, GIVEN)
    assert voters.enabled
    assert voters.users == {"root": "r" * 20, "patroni": "p" * 20}
    assert not settle(voters, GIVEN)


def test_what_an_interrupted_run_left_is_made_good():
    voters = Voters({"root": "another"})
    voters.roles.add("root")
    assert settle(voters, GIVEN)
    assert voters.users["root"] == "r" * 20


def test_a_changed_password_is_set_by_root():
    voters = Voters({"root": "r" * 20, "patroni": "former"}, enabled=True)
    assert settle(voters, GIVEN)
    assert voters.users["patroni"] == "p" * 20


def test_without_any_password_nothing_can_be_done():
    with pytest.raises(Wrong, match="put back the former etcd_root_password"):
        settle(Voters({"root": "former", "patroni": "former"}, enabled=True), GIVEN)


def test_a_prefix_ends_where_the_next_word_begins():
    assert end_of("/shop/") == "/shop0"


def test_a_reason_is_found_in_each_of_its_forms():
    assert reason(b'{"error": "no", "code": 3}') == "no"
    assert reason(b'{"error": {"message": "no"}}') == "no"
    assert reason(b"no\n") == "no"
