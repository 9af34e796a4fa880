"""What a restore's plan and progress are told by the hosts: by what these have registered, or have not."""

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.action import postgresql_restore_plan, postgresql_restore_progress

NOTHING = {"journal": None, "beside": None, "tablespaces": False, "trouble": "", "paused": False, "voters": True, "histories": "", "free_bytes": 10**12,
           "beside_bytes": 0}  # fmt: skip
BACKUP = {"label": "20260104-031500F", "timestamp": {"stop": 1767496500}, "archive": {"stop": "000000010000000000000004"}, "info": {"size": 1}}
SEEN = NOTHING | {"running": True, "information": {"backup": [BACKUP]}}
PLAN = {"looks": "look", "hosts": ["db1", "db2"], "version": "17"}
PROGRESS = {
    "host": "db1", "web_hosts": ["web1"], "stood_down": ["db2"],
    "registers": {"stopped": "stopped", "stood_down": "stood_down", "swapped": "swapped"},
}  # fmt: skip


def run(plugin, arguments, **known):
    """Return what an action says; known is what each host has registered."""
    action = plugin.ActionModule.__new__(plugin.ActionModule)
    given = {name: option.get("default") for name, option in plugin.ActionModule.SPEC.items()} | arguments
    return action.decide(given, {"hostvars": {"db1": {}, "db2": {}, "web1": {}} | known})


def test_a_host_that_does_not_answer_is_none_that_was_seen():
    look = {"db1": {"look": {"seen": SEEN | {"primary": True}}}, "db2": {"look": {"unreachable": True}}}
    said = run(postgresql_restore_plan, PLAN, **look)
    assert (said["host"], said["order"]["sets"]) == ("db1", ["20260104-031500F"])
    with pytest.raises(AnsibleActionFail, match=r"^No database host is the primary, and db2 did not answer\.$"):
        run(postgresql_restore_plan, PLAN, db1={"look": {"seen": SEEN | {"primary": False, "running": False}}}, db2={"look": {"unreachable": True}})
    with pytest.raises(AnsibleActionFail, match=r"^db1, db2 did not answer\.$"):
        run(postgresql_restore_plan, PLAN)


@pytest.mark.parametrize(
    ("known", "is_stopped", "refusal", "is_done"),
    [
        ({}, False, "The application was not stopped on web1: nothing was restored.", False),
        ({"web1": {"stopped": {"rc": 0}}}, True, "Patroni was not stopped on db2: nothing was restored.", False),
        ({"web1": {"stopped": {"rc": 0}}, "db2": {"stood_down": {"state": "stopped"}}}, True, "", False),
        ({"web1": {"stopped": {"rc": 0}}, "db2": {"stood_down": {"state": "stopped"}}, "db1": {"swapped": {"failed": True}}}, True, "", False),
        ({"web1": {"stopped": {"rc": 0}}, "db2": {"stood_down": {"state": "stopped"}}, "db1": {"swapped": {"result": {}}}}, True, "", True),
    ],
)
def test_how_far_it_has_come(known, is_stopped, refusal, is_done):
    said = run(postgresql_restore_progress, PROGRESS, **known)
    assert said == {"is_stopped": is_stopped, "refusal": refusal, "is_done": is_done}
