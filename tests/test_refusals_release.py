"""What a deploy is asked on the command line, and hooks, are refused in one sentence, before any host is touched."""

import pathlib

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


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "app", "django", good=GOOD)
