"""What a look at a host tells of packages, units and accounts."""

import grp
import pwd

from ansible_collections.selfhost.django.plugins.modules.host_facts import accounts, packages, units

SHOWN = """\
Id=nginx.service
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no

Id=shop.service
ActiveState=failed
UnitFileState=disabled
NeedDaemonReload=yes

"""


def test_what_is_removed_or_half_installed_is_no_installed_package():
    assert packages("nginx installed\nold config-files\nbroken half-configured\nlibc6 installed\nlibc6 installed\n") == ["libc6", "nginx"]


def test_units_are_told_by_name():
    assert units(SHOWN) == {
        "nginx.service": {"active": True, "enabled": True, "stale": False},
        "shop.service": {"active": False, "enabled": False, "stale": True},
    }


def test_a_host_without_systemd_has_no_unit():
    assert units("") == {}


def test_accounts_have_their_groups():
    people = [pwd.struct_passwd(("shop", "x", 990, 991, "", "/srv/shop", "/bin/sh")), pwd.struct_passwd(("odd", "x", 5, 4, "", "/", "/bin/false"))]
    groups = [grp.struct_group(("shop", "x", 991, [])), grp.struct_group(("www-data", "x", 33, ["shop", "deploy"]))]
    users, members = accounts(people, groups)
    assert users["shop"] == {"uid": 990, "group": "shop", "home": "/srv/shop", "shell": "/bin/sh", "groups": ["www-data"]}
    assert users["odd"]["group"] == "4"
    assert members == {"shop": [], "www-data": ["deploy", "shop"]}
