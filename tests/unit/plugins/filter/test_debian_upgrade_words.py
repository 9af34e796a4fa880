"""What the hosts of a run have said becomes what their upgrade needs to know."""

import json

from ansible_collections.selfhost.django.plugins.filter.debian_upgrade import debian_upgrade_refusals, debian_upgrade_stale

LOOK = {
    "number": "12", "name": "bookworm", "mark": "", "room_mb": {"/": 9000}, "held": [], "broken": [], "is_busy": False, "has_kernel": False, "strange": {},
    "simulation": {"error": "", "download_mb": 1, "added_mb": 1, "removed": ["postgresql-15"]},
}  # fmt: skip


def host(primary, look=LOOK):
    facts = {"selfhost": {"neighbours": {"clusters": [{"version": "15", "name": "main"}]}}}
    server = {"running": True, "primary": primary}
    return {"__hardening_upgrade_look": {"host": look}, "ansible_facts": facts, "__postgresql_before_reboot": {"server": server}}


GROUPS = {"all": ["db1", "db2"], "database": ["db1", "db2"]}


def test_the_standby_is_first_and_its_server_has_to_stay():
    known = {"db1": host(True), "db2": host(False)}
    said = debian_upgrade_refusals(["db1", "db2"], known, GROUPS, True)
    assert said[0] == "db2: apt would remove postgresql-15." and said[-1].startswith("db2, db1 wait for the upgrade")


def test_one_host_is_asked_what_the_inventory_says_of_its_server():
    known = {"h": host(True, LOOK | {"simulation": LOOK["simulation"] | {"removed": []}})}
    groups = {"all": ["h"], "database": ["h"]}
    assert debian_upgrade_refusals(["h"], known, groups, True) == []
    (said,) = debian_upgrade_refusals(["h"], known, groups, False)
    assert said.startswith("postgresql_version is not set")
    assert debian_upgrade_refusals(["h"], known, {"all": ["h"]}, False) == []


def test_backups_are_read_as_the_hosts_told():
    fresh = json.dumps({"kinds": {"diff": {"succeeded": 90000}}})
    assert debian_upgrade_stale([{"item": "b", "stdout": fresh}], 100000) == ""
    assert debian_upgrade_stale([{"item": "b", "stdout": ""}, {"item": "c"}], 100000).startswith("The newest backup on b, c is older than a day")
