"""Commands of manage.py, however they are written."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.manage_command import manage_command


@pytest.mark.parametrize(
    "text",
    [
        "loaddata 'a b.json'", "python manage.py loaddata 'a b.json'", " python3.13  manage.py loaddata 'a b.json'\n", "./manage.py loaddata 'a b.json'",
        "venv/bin/python ./manage.py loaddata 'a b.json'", "manage.py loaddata 'a b.json'",
    ],
)  # fmt: skip
def test_it_is_named_once(text):
    assert manage_command(text) == "python manage.py loaddata 'a b.json'"


def test_what_only_looks_alike_stays():
    assert manage_command("shell -c 'python manage.py x'") == "python manage.py shell -c 'python manage.py x'"
    assert manage_command("manage.python") == "python manage.py manage.python"
