"""The status page asks what a deploy asks, or it would tell of problems that nobody has."""

import pathlib

import yaml

ROLES = pathlib.Path(__file__).parents[3] / "roles"
# Where the answer is expected from, and how long it may take, is each one's own.
OWN = {"socket", "timeout_seconds", "request_timeout_seconds", "lock"}


def questions(path):
    """The arguments of every health check in a file of tasks."""
    tasks = yaml.safe_load((ROLES / path).read_text())
    return [task["selfhost.django.health_check"] for task in tasks if "selfhost.django.health_check" in task]


def test_a_release_is_asked_as_before_its_first_visitor():
    asked, _visit = questions("status/tasks/ask.yml")
    (before,) = questions("django/tasks/release/health.yml")
    assert {name: value for name, value in asked.items() if name not in OWN} == {name: value for name, value in before.items() if name not in OWN}


def test_a_visitors_question_leaves_nothing_out():
    _release, asked = questions("status/tasks/ask.yml")
    (after,) = questions("nginx/tasks/visit.yml")
    assert set(asked) == set(after)
