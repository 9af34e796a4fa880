"""What a look at a host tells of packages, units and accounts."""

import grp
import pwd

from ansible_collections.selfhost.django.plugins.modules.host_facts import accounts, has_package_lists, leftovers, packages, passwordless, read, units

SHOWN = """\
Id=nginx.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no

Id=shop.service
LoadState=loaded
ActiveState=failed
UnitFileState=disabled
NeedDaemonReload=yes

Id=firewalld.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
NeedDaemonReload=no

"""


def test_what_is_removed_or_half_installed_is_no_installed_package():
    assert packages("nginx installed\nold config-files\nbroken half-configured\nlibc6 installed\nlibc6 installed\n") == ["libc6", "nginx"]


def test_what_is_neither_whole_nor_gone_is_left_over():
    assert leftovers("nginx installed\nold config-files\nbroken half-configured\ngone not-installed\n") == ["broken", "old"]


def test_an_image_may_come_without_lists_of_packages():
    assert not has_package_lists(["lock", "partial", "auxfiles", "archive_debian_dists_trixie_InRelease"])
    assert has_package_lists(["lock", "archive_debian_dists_trixie_main_binary-amd64_Packages"])
    assert has_package_lists(["archive_debian_dists_trixie_main_binary-amd64_Packages.lz4"])


def test_units_are_told_by_name():
    assert units(SHOWN) == {
        "nginx.service": {"active": True, "enabled": True, "masked": False, "stale": False},
        "shop.service": {"active": False, "enabled": False, "masked": False, "stale": True},
    }


def test_a_masked_unit_is_told():
    assert units("Id=old.socket\nActiveState=inactive\nUnitFileState=masked\nNeedDaemonReload=no\n")["old.socket"]["masked"] is True


def test_a_host_without_systemd_has_no_unit():
    assert units("") == {}


def test_accounts_have_their_groups():
    people = [pwd.struct_passwd(("shop", "x", 990, 991, "", "/srv/shop", "/bin/sh")), pwd.struct_passwd(("odd", "x", 5, 4, "", "/", "/bin/false"))]
    groups = [grp.struct_group(("shop", "x", 991, [])), grp.struct_group(("www-data", "x", 33, ["shop", "deploy"]))]
    users, members = accounts(people, groups)
    assert users["shop"] == {"uid": 990, "group": "shop", "home": "/srv/shop", "shell": "/bin/sh", "groups": ["www-data"], "passwordless": False}
    assert users["odd"]["group"] == "4"
    assert members == {"shop": [], "www-data": ["deploy", "shop"]}


def test_an_account_without_a_password_is_told_and_no_hash_is():
    without = passwordless("root:!:1::::::\nops:*:1::::::\nann:$y$j9T$salt$hash:1::::::\nlocked:!$y$j9T$salt$hash:1::::::\nopen::1::::::\n\n")
    assert without == {"ops"}
    users, _members = accounts([pwd.struct_passwd((name, "x", 1, 1, "", "/", "/bin/sh")) for name in ("ops", "ann")], [], without)
    assert [users[name]["passwordless"] for name in ("ops", "ann")] == [True, False]


def test_a_file_that_is_not_there_has_no_text(tmp_path):
    (tmp_path / "shadow").write_text("ops:*:\n")
    assert (read(tmp_path / "shadow"), read(tmp_path / "none")) == ("ops:*:\n", "")
