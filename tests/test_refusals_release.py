"""What a deploy is asked on the command line, and hooks, are refused in one sentence, before any host is touched."""

import pathlib

import pytest

SITE = {
    "app_name": "shop",
    "app_repository": "/code",
    "app_secret_key": "k" * 50,
    "app_database_password": "p" * 16,
    "app_database_host": "db.example.org",
    "app_database_hosts": [],
}
FILE = str(pathlib.Path(__file__).resolve())

GOOD = [
    {"deploy_serial": "50%", "deploy_version": "v1.2"},
    {"deploy_serial": 2, "app_hooks": {"before_migrate": FILE, "after_switch": FILE}},
]
BAD = [
    ({"deploy_version": "--upload-pack=x"}, "deploy_version is '--upload-pack=x': give a branch, a tag or a commit."),
    ({"deploy_serial": 0}, "deploy_serial is '0': give the number of hosts that switch at once, at least 1, or a percentage of them (50%)."),
    ({"deploy_serial": "150%"}, "deploy_serial is '150%': give the number"),
    ({"django_serial": "all"}, "django_serial is 'all': give the number"),
    ({"app_hooks": [FILE]}, "app_hooks is no mapping: give moments and the paths of task files."),
    ({"app_hooks": {"before_lunch": FILE}}, "app_hooks names before_lunch: a moment is before_ or after_ one of fetch, checkout,"),
    ({"app_hooks": {"after_switch": "hooks/announce.yml"}}, "app_hooks names hooks/announce.yml: give the absolute path of a task file"),
    ({"app_hooks": {"after_switch": "/nowhere/announce.yml"}}, "app_hooks names /nowhere/announce.yml: give the absolute path"),
]


@pytest.fixture(scope="module")
def said(sentences):
    return sentences([SITE | case for case in [*GOOD, *(case for case, _sentence in BAD)]], ("app", "check"), ("django", "check"))


def test_good_values_are_not_refused(said):
    assert said[: len(GOOD)] == [[]] * len(GOOD)


@pytest.mark.parametrize("number", range(len(BAD)), ids=[sentence[:50] for _case, sentence in BAD])
def test_refusal(said, number):
    (sentence,) = said[len(GOOD) + number]
    assert sentence.startswith(BAD[number][1])
