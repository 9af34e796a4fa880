"""Which steps a release takes on a host."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.release_steps import release_steps, step_files

STEPS = ["build", "collectstatic", "commands", "migrate", "check"]


def test_a_new_release_takes_all_steps_and_one_that_is_kept_those_of_the_database():
    assert release_steps(STEPS, is_kept=False) == ["checkout", "virtualenv", "configure", "build", "seal", *STEPS[1:], "start", "health"]
    assert release_steps(["check"], is_kept=False) == ["checkout", "virtualenv", "configure", "seal", "check", "start", "health"]
    assert release_steps(STEPS, is_kept=True) == ["files", "commands", "migrate", "start", "health"]
    assert release_steps([], is_kept=True) == ["files", "start", "health"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_what_all_hosts_go_through_has_each_ones_steps_in_their_order(is_kept):
    every, mine = release_steps(STEPS), release_steps(STEPS, is_kept)
    assert [step for step in every if step in mine] == mine


def test_hooks_stand_around_their_steps():
    hooks = {"before_build": "/a.yml", "after_build": "/b.yml", "after_switch": "/c.yml"}
    assert step_files(["build", "start"], hooks) == ["/a.yml", "release/build.yml", "/b.yml", "release/start.yml"]
    assert step_files([], hooks) == []
