"""A process that has gone, or came back, did not stay up."""

import pytest
from ansible_collections.selfhost.django.plugins.modules.process_watch import fallen

UP, GONE, BACK = (
    f"Id=shop-{name}.service\nActiveState={state}\nNRestarts={restarts}\n"
    for name, state, restarts in [("up", "active", 0), ("gone", "failed", 0), ("back", "active", 3)]
)


@pytest.mark.parametrize("shown, names", [
    ([UP], []),
    ([UP, UP], []),
    ([UP, GONE], ["shop-gone.service"]),
    ([BACK, UP, GONE], ["shop-back.service", "shop-gone.service"]),
    # A timer is never restarted, and systemd says nothing of it.
    (["Id=shop-nightly.timer\nActiveState=active\n"], []),
])  # fmt: skip
def test_what_does_not_stay_up_is_named(shown, names):
    assert fallen("\n".join(shown)) == names
