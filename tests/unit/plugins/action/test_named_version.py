"""What is said of a version that is nowhere."""

import pytest
from ansible_collections.selfhost.django.plugins.action.release_fetch import ActionModule

NOWHERE = "app_version v9 is no branch, tag or commit of /code."


@pytest.mark.parametrize(
    ("result", "variables", "said"),
    [
        ({"failed": True, "msg": NOWHERE}, {}, NOWHERE),
        ({"failed": True, "msg": NOWHERE}, {"deploy_version": "v9"}, "deploy_version v9 is no branch, tag or commit of /code."),
        ({"failed": True, "msg": "app_python x does not run"}, {"deploy_version": "v9"}, "app_python x does not run"),
    ],
)
def test_the_variable_that_gave_it_is_named(result, variables, said):
    assert ActionModule._told(dict(result), variables)["msg"] == said
