"""The status page asks what a deploy asks, or it would tell of problems that nobody has."""

import pathlib

import yaml

ROLES = pathlib.Path(__file__).parents[3] / "roles"
# Where the answer is expected from, and how long it may take, is each one's own.
OWN = {"socket", "timeout_seconds", "request_timeout_seconds", "lock"}


def asked_by(path):
    """The arguments of the health check in a file of tasks."""
    (question,) = [task["selfhost.django.health_check"] for task in yaml.safe_load((ROLES / path).read_text()) if "selfhost.django.health_check" in task]
    return {name: value for name, value in question.items() if name not in OWN}


def asked(name):
    """What the page asks."""
    question = yaml.safe_load((ROLES / "status/vars/main.yml").read_text())[f"__status_{name}"]
    return {name: value for name, value in question.items() if name not in OWN}


def test_a_release_is_asked_as_before_its_first_visitor():
    assert asked("release") == asked_by("django/tasks/release/health.yml")


def test_a_visitors_question_leaves_nothing_out():
    assert set(asked("visitor")) == set(asked_by("nginx/tasks/visit.yml"))
