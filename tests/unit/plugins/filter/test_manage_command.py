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


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("A=1 clearsessions", "A=1 "), ("A=1 python manage.py clearsessions", "A=1 "),
        ("A='b c'  B=\"d \\\" e\" ./manage.py clearsessions", "A='b c'  B=\"d \\\" e\" "),
        ("A=$(date +%s) clearsessions", "A=$(date +%s) "), ("A=`date +%s` B= clearsessions", "A=`date +%s` B= "), ("A=b\\ c clearsessions", "A=b\\ c "),
    ],
)  # fmt: skip
def test_variables_stand_before_it(text, variables):
    assert manage_command(text) == f"{variables}python manage.py clearsessions"


def test_what_only_looks_alike_stays():
    assert manage_command("shell -c 'python manage.py x'") == "python manage.py shell -c 'python manage.py x'"
    assert manage_command("loaddata a=b c") == "python manage.py loaddata a=b c"
    assert manage_command("manage.python") == "python manage.py manage.python"
