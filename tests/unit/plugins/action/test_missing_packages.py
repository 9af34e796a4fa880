"""Which packages are installed in one transaction."""

import pathlib

import pytest
import yaml
from ansible_collections.selfhost.django.plugins.action.missing_packages import missing

ROOT = pathlib.Path(__file__).resolve().parents[4]
LISTS = {"__nginx_packages": ["nginx", "openssl"], "__django_packages": ["git", "openssl"], "__haproxy_packages": ["haproxy"]}
ROLES = {"web": ["django", "nginx"], "balancer": ["haproxy"]}


class Site(dict):
    """A host of the group web."""

    def is_in(self, group):
        return group == "web"


@pytest.mark.parametrize(
    ("packages", "names"),
    [([], ["git", "openssl", "nginx"]), (["git", "haproxy"], ["openssl", "nginx"]), (["git", "openssl", "nginx"], [])],
)
def test_what_the_hosts_roles_name_and_it_lacks(packages, names):
    assert missing(Site(LISTS), ROLES, {"selfhost": {"packages": packages}}) == names


def test_all_is_the_group_of_every_host():
    assert missing(Site(LISTS), {"all": ["haproxy"], "database": ["django"]}, {}) == ["haproxy"]


def test_nothing_is_known_of_a_host_that_nobody_has_looked_at():
    assert missing(Site(LISTS), ROLES, {}) == ["git", "openssl", "nginx"]


def test_every_role_of_the_playbook_has_its_list():
    (play,) = yaml.safe_load((ROOT / "playbooks/packages.yml").read_text())
    roles = play["tasks"][0]["selfhost.django.missing_packages"]["roles"]
    for role in {role for names in roles.values() for role in names}:
        assert f"__{role}_packages" in yaml.safe_load((ROOT / f"roles/{role}/vars/main.yml").read_text())


def test_what_the_inventory_names_for_the_application_waits_for_the_firewall():
    listed = yaml.safe_load((ROOT / "roles/django/vars/main.yml").read_text())
    assert not [name for name in listed["__django_packages"] if "{{" in name]
    assert "app_system_packages" in listed["__django_all_packages"] and "app_build_packages" in listed["__django_all_packages"]
