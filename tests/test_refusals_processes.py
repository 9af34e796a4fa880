"""Bad processes and timers are refused in one sentence, before any host is touched."""

import datetime

WORKER = {"name": "worker", "command": "celery --app=shop worker"}
NIGHTLY = {"name": "nightly", "command": "clearsessions", "schedule": "*-*-* 03:30:00"}

GOOD = [
    {"app_processes": [WORKER, WORKER | {"name": "beat_2", "hosts": "one", "stop_seconds": 600}], "app_timers": [NIGHTLY]},
    {"app_timers": [NIGHTLY | {"schedule": schedule, "name": f"t{number}"} for number, schedule in enumerate((
        "daily", "Mon..Fri *-*-* 22:30 Europe/Berlin", "*:0/15", "*-*~1 00:00:00", "hourly", "Sat,Sun 12:00 Etc/GMT+1", "2026-12-24"))]},
    {"app_processes": [WORKER | {"name": f"w{number}", "command": command} for number, command in enumerate((
        "sh -c 'sleep 5; exec celery worker'", "celery worker 2>&1 | cat", "celery worker &>/dev/null", "celery --id $(hostname)",
        'echo "a;b" a\\;b "" \'&&\'', "QUEUE=mail NAME='a b' celery worker", "celery\tworker", "cdparanoia -d", "env FOO=1 celery"))]},
    {"app_timers": [NIGHTLY | {"schedule": datetime.date(2026, 12, 24)}]},
    {"app_timers": [NIGHTLY | {"persistent": True, "hosts": "all", "timeout_seconds": "60"}]},
]  # fmt: skip
BAD = [
    ({"app_processes": [{"name": "worker"}]}, "app_processes holds {"),
    ({"app_processes": [WORKER | {"user": "root"}]}, "app_processes holds {"),
    ({"app_timers": [{"name": "nightly", "command": "clearsessions"}]}, "app_timers holds {"),
    ({"app_timers": ["clearsessions"]}, "app_timers holds \"clearsessions\": give each entry name, command, schedule and, where wanted, hosts"),
    ({"app_processes": [WORKER | {"name": "My_Worker"}]}, "app_processes names one 'My_Worker': give at most 31 lower-case letters"),
    ({"app_processes": [WORKER | {"name": ""}]}, "app_processes names one '': give at most 31"),
    ({"app_timers": [NIGHTLY | {"name": "../x"}]}, "app_timers names one '../x': give at most 31"),
    ({"app_processes": [WORKER, WORKER]}, "app_processes and app_timers name two 'worker': give each a name of its own"),
    ({"app_processes": [WORKER], "app_timers": [NIGHTLY | {"name": "worker"}]}, "app_processes and app_timers name two 'worker'"),
    ({"app_processes": [WORKER | {"command": " "}]}, "The command of worker in app_processes is '': give one command on one line."),
    ({"app_timers": [NIGHTLY | {"command": "clearsessions && expire_carts"}]},
     "The command of nightly in app_timers is 'clearsessions && expire_carts': only the first of several would run; give one command, or sh -c '…'"),
    ({"app_processes": [WORKER | {"command": "sleep 5; celery worker"}]}, "The command of worker in app_processes is 'sleep 5; celery worker': only the first"),
    ({"app_processes": [WORKER | {"command": "celery worker &"}]}, "The command of worker in app_processes is 'celery worker &': only the first"),
    ({"app_processes": [WORKER | {"command": "celery worker --name 'a"}]},
     "The command of worker in app_processes is 'celery worker --name 'a': close its quotes."),
    ({"app_timers": [NIGHTLY | {"command": "a\nb"}]}, "The command of nightly in app_timers is 'a b': give one command on one line."),
    *[
        ({"app_processes": [WORKER | {"command": command}]}, f"The command of worker in app_processes is {what}")
        for command, what in (
            (None, "not set: give one command on one line."), (["celery", "worker"], "a list: give one command on one line."), ({"a": "b"}, "a mapping: give"),
            (5, "the number 5: put it into quotes."), (True, "True, which YAML makes of a word such as yes: put it into quotes."),
            ("a\rb", "'a b': give one command on one line."),
            ("exec celery worker", "'exec celery worker', which begins with a word of the shell: begin with the"),
            (". env.sh", "'. env.sh', which begins with a word of the shell"),
        )
    ],
    ({"app_timers": [NIGHTLY | {"command": None}]}, "The command of nightly in app_timers is not set: give one command on one line."),
    ({"app_timers": [NIGHTLY | {"schedule": None}]}, "schedule of nightly in app_timers is not set: give what systemd.time(7)"),
    ({"app_timers": [NIGHTLY | {"schedule": 210}]}, "schedule of nightly in app_timers is the number 210: put it into quotes."),
    ({"app_timers": [NIGHTLY | {"schedule": ["daily"]}]}, "schedule of nightly in app_timers is a list: give what systemd.time(7)"),
    ({"app_name": "media", "app_processes": [WORKER | {"name": "server"}]},
     "app_processes names one 'server', and media-server is another's unit: give it another name, such as server_1."),
    ({"app_name": "apt", "app_timers": [NIGHTLY | {"name": "daily-upgrade"}]}, "app_timers names one 'daily-upgrade', and apt-daily-upgrade is another's unit"),
    ({"app_processes": [WORKER | {"hosts": "web1"}]}, "hosts of worker in app_processes is 'web1': give all, or one"),
    ({"app_timers": [NIGHTLY | {"hosts": ""}]}, "hosts of nightly in app_timers is '': give all, or one"),
    ({"app_processes": [WORKER | {"stop_seconds": "soon"}]}, "stop_seconds of worker in app_processes is 'soon': give a whole number"),
    ({"app_timers": [NIGHTLY | {"timeout_seconds": 0}]}, "timeout_seconds of nightly in app_timers is '0': give a whole number"),
    ({"app_timers": [NIGHTLY | {"schedule": "30 3 * * *"}]}, "schedule of nightly in app_timers is '30 3 * * *': give what systemd.time(7)"),
    ({"app_timers": [NIGHTLY | {"schedule": ""}]}, "schedule of nightly in app_timers is '': give what systemd.time(7)"),
    ({"app_timers": [NIGHTLY | {"schedule": "daily\nUnit=x"}]}, "schedule of nightly in app_timers is 'daily Unit=x': give"),
]


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "app", good=GOOD)
