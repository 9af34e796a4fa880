"""The page on how the site is: what is a problem, and how it is laid out."""

import copy

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import site_look, site_report

LIMITS = {"disk_percent": 85, "certificate_days": 21, "backup_hours": 26}
NOW = 1_800_000_000
DAY = 86400
UNIT = {"ActiveState": "active", "Result": "success", "NRestarts": "0", "ActiveEnterTimestamp": NOW - 60}
JOB = UNIT | {"ActiveState": "inactive", "ExecMainStartTimestamp": NOW - 90, "ExecMainExitTimestamp": NOW - 80}
GOOD = {
    "now": NOW,
    "machine": {
        "up_seconds": 5 * DAY,
        "reboot_required": False,
        "failed_units": [],
        "disks": [{"path": "/", "size": 10**11, "free": 6 * 10**10, "used_percent": 40}],
    },
    "application": {
        "current": "abc-1",
        "running": ["abc-1"],
        "releases": [
            {"release": "abc-1", "revision": "abcdef0123456789", "version": "v2", "released_at": "2027-01-15T07:00:00Z", "released_by": "ops@desk"},
            {"release": "aaa-1", "version": "v1", "released_at": "2027-01-14T09:30:00+01:00", "released_by": "ops@desk"},
        ],
        "deploys": [{"at": "2027-01-15T07:00:00Z", "by": "ops@desk", "what": "deploy", "version": "v2", "verdict": "ok"}],
        "units": [
            {"name": "worker", "kind": "process", "release": "abc-1", "service": UNIT},
            {
                "name": "nightly",
                "kind": "timer",
                "release": "",
                "service": JOB,
                "timer": UNIT | {"NextElapseUSecRealtime": NOW + 7200, "LastTriggerUSec": NOW - 90},
            },
        ],
        "missing": [],
        "migrations": [],
        "lock": "",
        "maintenance": None,
    },
    "certificates": [{"name": "port 443", "end": NOW + 90 * DAY, "self_signed": False}],
    "database": {
        "standby": False,
        "version": "17.2 (Debian)",
        "size": 5 * 10**9,
        "connections": 7,
        "max_connections": 100,
        "receiver": None,
        "lag_seconds": None,
        "standbys": [{"name": "db2", "state": "streaming", "sync": "async", "lag_bytes": 0}],
    },
    "backup": {
        "full": {"verdict": "ok", "message": "", "succeeded": NOW - 5 * DAY, "label": "F", "size_bytes": 10**9},
        "diff": {"verdict": "ok", "message": "", "succeeded": NOW - 3600, "label": "D", "size_bytes": 10**7},
        "drill": {"verdict": "ok", "message": "", "succeeded": NOW - 6 * DAY, "label": "F", "size_bytes": None},
    },
    "balancer": [{"backend": "shop", "server": "web1", "state": "UP", "seconds": 600, "check": "L7OK", "sessions": 1}],
}
ANSWER = {"changed": False, "answers": [{"path": "/", "status": 200, "seconds": 0.12}]}


def page(status=None, **hosts):
    known = {"web1": {"status": status or GOOD, "release": ANSWER, "visitor": ANSWER}} | hosts
    return site_report.site_report(known, LIMITS)


def broken(*path, value):
    """Return the good state with one value changed."""
    status = copy.deepcopy(GOOD)
    place = status
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return status


def test_a_good_site_has_no_problem_and_every_section():
    result = page()
    assert result["problems"] == []
    assert result["headline"] == "All is well on 1 host."
    titles = [section["title"] for section in result["sections"]]
    assert titles == [
        "Web hosts", "Balancer", "Processes and timers", "Database", "Backups", "Machines", "Certificates", "Releases to go back to", "Last deploys",
    ]  # fmt: skip
    for shown in ("abc-1", "v2", "abcdef012345", "2027-01-15 07:00", "2027-01-14 08:30", "in 2 h", "db2 streaming, 0 B behind", "90", "ops@desk"):
        assert shown in result["text"], shown


def test_a_note_is_shown_and_is_no_problem():
    result = page(broken("alone", value=True))
    assert result["headline"] == "All is well on 1 host."
    assert result["text"].splitlines()[1].startswith("   web1  The backups are on this machine alone, and lost with it: give postgresql_backup_repositories")
    worse = page(broken("alone", value=True) | {"unkept": ["/srv/shop/shared/media"]})
    assert [problem["level"] for problem in worse["problems"]] == ["bad", "note"] and worse["headline"] == "1 problem on 1 host."
    assert page(broken("alone", value=False))["problems"] == []


def test_what_failed_is_told_once_by_what_it_is_and_not_as_a_unit_too():
    """The unit of a drill, of a process, of a timer's last run, of the release that serves; what nothing else tells of, as the unit that it is."""
    status = broken("backup", "drill", value={"verdict": "failed", "message": "a page is damaged", "succeeded": None, "label": "F", "size_bytes": None})
    status["application"] |= {"service": "shop", "running": []}
    status["application"]["units"][0]["service"] = UNIT | {"ActiveState": "failed", "Result": "exit-code"}
    status["application"]["units"][1]["service"] = JOB | {"ActiveState": "failed", "Result": "exit-code"}
    status["machine"]["failed_units"] = ["cron.service", "postgresql-drill.service", "shop-nightly.service", "shop-worker.service", "shop@abc-1.service"]
    texts = [problem["text"] for problem in page(status)["problems"]]
    assert sorted(texts) == [
        "Process worker is failed (exit-code).", "Release abc-1 is the current one, but its unit does not run.",
        "The last restore drill failed: a page is damaged", "The last run of timer nightly failed (exit-code).", "The unit cron.service failed.",
    ]  # fmt: skip
    # A drill that was started by hand may have failed before it could say so.
    status["backup"]["drill"] |= {"verdict": "ok", "succeeded": NOW}
    assert "The unit postgresql-drill.service failed." in [problem["text"] for problem in page(status)["problems"]]


def test_a_log_that_waits_is_a_warning_after_a_while():
    assert page(GOOD | {"logs": 599})["problems"] == []
    (problem,) = page(GOOD | {"logs": 7300})["problems"]
    assert problem["level"] == "warn" and problem["text"] == "What is logged here has not reached the host that keeps it for 2 h."


def test_that_nobody_is_told_is_a_note_for_all_such_hosts_and_that_messages_wait_a_warning():
    nobody, somebody = GOOD | {"told": {"ways": [], "failures": {}}}, GOOD | {"told": {"ways": ["mail"], "failures": {"mail": {"text": "refused"}}}}
    problems = page(nobody, web2={"status": nobody}, web3={"status": somebody})["problems"]
    assert [(problem["host"], problem["level"]) for problem in problems] == [("web3", "warn"), ("web1, web2", "note")]
    assert problems[0]["text"] == "Messages wait, since mail fails: refused."


@pytest.mark.parametrize(
    ("status", "level", "text"),
    [
        (broken("application", "running", value=[]), "bad", "Release abc-1 is the current one, but its unit does not run."),
        (broken("application", "running", value=["abc-1", "aaa-1"]), "warn", "aaa-1 runs beside the current release"),
        (broken("application", "migrations", value=["a.1", "a.2", "a.3", "a.4"]), "warn", "Migrations are pending: a.1, a.2, a.3, …."),
        (broken("application", "migrations", value="no database"), "bad", "The migrations could not be looked at: no database"),
        (broken("application", "maintenance", value=NOW - 60), "warn", "Visitors see the maintenance page."),
        (broken("application", "lock", value="ops@desk ships v3"), "warn", "The deploy lock is held: ops@desk ships v3."),
        (broken("application", "current", value=""), "warn", "There is no release yet."),
        (broken("application", "deploys", 0, value={"at": "2027-01-15T07:00:00Z", "what": "rollback", "version": "v1", "verdict": "failed", "step": "visit"}),
         "warn", "The last rollback, of v1, failed in step visit."),
        (broken("application", "missing", value=["beat"]), "warn", "beat is not there: deploy to install it."),
        (broken("application", "units", 0, "release", value="aaa-1"), "warn", "Process worker runs aaa-1 instead of abc-1."),
        (broken("application", "units", 0, "service", value=UNIT | {"ActiveState": "failed", "Result": "exit-code"}), "bad",
         "Process worker is failed (exit-code)."),
        (broken("application", "units", 0, "service", value=UNIT | {"NRestarts": "3"}), "warn", "Process worker was restarted 3 times."),
        (broken("application", "units", 1, "service", value=JOB | {"ActiveState": "failed", "Result": "timeout"}), "bad",
         "The last run of timer nightly failed (timeout)."),
        (broken("application", "units", 1, "timer", "ActiveState", value="inactive"), "bad", "Timer nightly is inactive: nothing starts it."),
        (broken("application", value="nothing to read"), "bad", "The application could not be looked at: nothing to read"),
        (broken("certificates", 0, value={"name": "port 443", "end": NOW + 3 * DAY, "self_signed": False}), "bad", "The certificate of port 443 ends in 3 days."),
        (broken("certificates", 0, value={"name": "port 443", "error": "no TLS"}), "bad", "Certificate of port 443: no TLS."),
        (broken("unkept", value=["/srv/shop/shared/media", "/srv/shop/shared/private"]), "bad",
         "In no backup: /srv/shop/shared/media, /srv/shop/shared/private. A host in the group backup would copy what is there."),
        (broken("database", value="connection refused"), "bad", "The database could not be looked at: connection refused"),
        (broken("database", value=GOOD["database"] | {"standby": True}), "bad", "The standby receives nothing from its primary."),
        (broken("database", "connections", value=95), "warn", "The database has 95 of 100 connections."),
        (broken("backup", value={}), "warn", "There is no backup yet."),
        (broken("backup", "diff", "succeeded", value=NOW - 3 * DAY), "warn", "The last good diff backup is 3 d old."),
        # A clock that was ahead for a while must not keep a backup fresh for years.
        (broken("backup", "diff", "succeeded", value=NOW + 400 * DAY), "warn",
         "The last good diff backup is of a time that is still to come (in 400 d): the clock was wrong. Make a new one."),
        (broken("backup", "drill", value={"verdict": "failed", "message": "a row is missing", "succeeded": None}), "bad",
         "The last restore drill failed: a row is missing"),
        (broken("balancer", 0, "state", value="DOWN"), "bad", "web1 is DOWN at the balancer."),
        (broken("balancer", 0, "state", value="DRAIN"), "warn", "web1 is DRAIN at the balancer."),
        (broken("balancer", value="HAProxy does not answer"), "bad", "The balancer could not be looked at: HAProxy does not answer"),
        (broken("machine", "disks", 0, "used_percent", value=91), "bad", "/ is 91 % full, 60 GB are free."),
        (broken("machine", "disks", 0, value=GOOD["machine"]["disks"][0] | {"files_percent": 100, "files_free": 0}), "bad",
         "/ holds 100 % of the files that it can, room is left for 0 more."),
        (broken("machine", "reboot_required", value=True), "warn", "A reboot is required."),
        (broken("machine", "failed_units", value=["cron.service"]), "warn", "The unit cron.service failed."),
        (broken("machine", "memory_percent", value=97), "bad", "The memory is 97 % in use."),
        (broken("machine", "upgrade_error", value="dpkg is locked"), "warn", "The last automatic upgrade failed: dpkg is locked"),
        (broken("database", value=GOOD["database"] | {"standby": True, "receiver": "streaming", "lag_seconds": 900}), "warn",
         "The standby is 15 min behind its primary."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_first(status, level, text):
    result = page(status)
    found = [problem for problem in result["problems"] if problem["text"].startswith(text)]
    assert found and found[0]["level"] == level, result["problems"]
    assert found[0]["host"] == "web1"
    assert result["text"].splitlines()[0] == result["headline"] != "All is well on 1 host."
    assert text in "\n".join(result["text"].splitlines()[1 : 1 + len(result["problems"])])


@pytest.mark.parametrize("subject", site_look.SUBJECTS)
def test_what_could_not_be_looked_at_hides_nothing_else(subject):
    """Of the host itself, and of the others."""
    status = broken("certificates", 0, value={"name": "port 443", "end": NOW + 3 * DAY, "self_signed": False})
    status["backup"]["diff"]["succeeded"] = NOW - 3 * DAY
    status |= {"places": {"here": {"backup": NOW - 9 * DAY}}, "alone": True, "unkept": ["/srv"], "tables": ["ip nat"], "cluster": ["web1"], "rivals": ["web2"]}
    status |= {"told": {"ways": [], "failures": {"mail": {"text": "refused"}}}, "logs": 7000}
    status |= {"failover": {"paused": True, "members": []}, "voter": {"healthy": False}}
    whole = {(problem["about"], problem["text"]) for problem in page(status, web2={"status": GOOD})["problems"]}
    found = {(problem["about"], problem["text"]) for problem in page(status | {subject: "odd words"}, web2={"status": GOOD})["problems"]}
    told = f"The {subject} could not be looked at: odd words"
    assert told in {text for _about, text in found}
    # All else is told, but for what is known by this subject alone.
    own = {"application": ("application", "balancer/visitor"), "certificates": ("certificate",), "places": ("backup/place", "backup/here"),
           "rivals": ("database/primaries",), "cluster": ("database",), "tables": ("machine/tables",)}.get(subject, (subject,))  # fmt: skip
    assert {about for about, _text in whole - found} <= {about for about, _text in whole if about.startswith(own)}


def test_hosts_that_do_not_answer_are_told_of():
    silent = {"unreachable": True, "msg": "no route"}
    result = page(web2=silent, web3={"failed": True, "msg": "no python"})
    assert result["headline"] == "2 problems on 3 hosts."
    assert [(problem["host"], problem["text"]) for problem in result["problems"]] == [
        ("web2", "The host could not be reached."),
        ("web3", "The host could not be asked: no python"),
    ]
    assert "not reached" in result["text"]


# --- Several database servers -----------------------------------------------------------------

PRIMARY = {"now": NOW, "machine": GOOD["machine"], "database": GOOD["database"] | {"standbys": []}}
STANDBY = PRIMARY | {"database": PRIMARY["database"] | {"standby": True, "receiver": "streaming", "lag_seconds": 0}}
OLDER = STANDBY | {"database": STANDBY["database"] | {"version": "15.13 (Debian)"}}
SILENT = PRIMARY | {"database": "connection refused"}
BOTH = "db1 and db2 are primaries, each for itself: what is written to one of them the others lack. Stop the one whose data is not to be kept"


NONE = "None of the database servers that answer ({}) is the primary: nothing can be written."


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        pytest.param({"db1": PRIMARY}, [], id="one alone"),
        pytest.param({"db1": STANDBY}, [("bad", "db1", NONE.format("db1"))], id="a standby alone"),
        pytest.param({"db1": PRIMARY, "db2": STANDBY}, [], id="a pair"),
        pytest.param({"db1": PRIMARY, "db2": PRIMARY}, [("bad", "db1, db2", BOTH)], id="two primaries"),
        pytest.param({"db1": PRIMARY, "db2": PRIMARY, "db3": STANDBY}, [("bad", "db1, db2", BOTH)], id="two of three"),
        pytest.param({"db1": PRIMARY | {"rivals": ["db2"]}, "db2": STANDBY}, [], id="a guard has heard it, before it became a standby"),
        pytest.param({"db1": PRIMARY | {"rivals": ["db2"]}, "db2": ""}, [("bad", "db1, db2", BOTH)], id="a guard hears another one, which was not asked"),
        pytest.param({"db1": STANDBY | {"rivals": ["db2"]}, "db2": ""}, [], id="a standby, whose guard hears the primary"),
        pytest.param({"db1": STANDBY, "db2": ""}, [], id="a standby, of which the primary was not asked"),
        pytest.param({"db1": STANDBY, "db2": STANDBY}, [("bad", "db1, db2", NONE.format("db1, db2"))], id="no primary"),
        pytest.param({"db1": STANDBY, "db2": SILENT}, [("bad", "db1", NONE.format("db1"))], id="one that does not answer"),
        pytest.param({"db1": STANDBY, "db2": None}, [("bad", "db1", NONE.format("db1"))], id="one whose host is dead"),
        pytest.param({"db1": SILENT, "db2": SILENT}, [], id="nobody answers, which is told of each"),
        pytest.param({"db1": PRIMARY, "db2": OLDER}, [("warn", "db1, db2", "The database servers are of different versions: db1 17, db2 15.")], id="versions"),
    ],
)  # fmt: skip
def test_what_no_database_server_knows_by_itself(servers, told):
    asked = {host: {"status": status | {"cluster": list(servers)}} if status else {"unreachable": True} for host, status in servers.items() if status != ""}
    abouts = ("database/primaries", "database/primary", "database/versions")
    found = [problem for problem in site_report.site_report(asked, LIMITS)["problems"] if problem["about"] in abouts]
    assert [(problem["level"], problem["host"]) for problem in found] == [(level, hosts) for level, hosts, _text in told], found
    assert all(problem["text"].startswith(text) for problem, (_level, _hosts, text) in zip(found, told)), found


def test_the_servers_of_several_sites_are_no_cluster():
    asked = {host: {"status": PRIMARY | {"cluster": [host]}} for host in ("debian12", "debian13")}
    assert site_report.site_report(asked, LIMITS)["problems"] == []


def test_that_there_is_no_primary_is_told_once_where_the_voters_know():
    members = [{"name": name, "role": "replica", "state": "streaming"} for name in ("db1", "db2")]
    status = STANDBY | {"cluster": ["db1", "db2"], "failover": {"paused": False, "members": members}}
    told = [problem["text"] for problem in site_report.site_report({"db1": {"status": status}, "db2": {"status": status}}, LIMITS)["problems"]]
    assert told == ["There is no primary."]


def test_checks_that_fail_are_told_and_different_revisions_too():
    failed = {"answers": [{"path": "/", "status": 500, "seconds": 0.1}], "msg": "/ answered 500 instead of 200"}
    other = broken("application", value=GOOD["application"] | {"current": "bbb-1", "running": ["bbb-1"]})
    result = page(web2={"status": other, "release": failed, "visitor": failed})
    assert "The web hosts serve different revisions." in result["text"]
    assert "The release does not answer its health checks: / answered 500" in result["text"]
    assert "Visitors are not answered: / answered 500" in result["text"]


def test_the_columns_are_aligned_and_the_worst_is_first():
    status = broken("machine", "reboot_required", value=True)
    status["machine"]["disks"][0]["used_percent"] = 99
    lines = page(status)["text"].splitlines()
    assert lines[0] == "1 problem and 1 warning on 1 host."
    assert lines[1].startswith("!! web1") and lines[2].startswith(" ! web1")
    head, row = (lines[lines.index("WEB HOSTS") + number] for number in (1, 2))
    assert head.index("Version") == row.index("v2")
    assert all(line == line.rstrip() for line in lines)


def test_a_deploy_that_failed_before_a_good_one_is_no_problem_any_more():
    entry = GOOD["application"]["deploys"][0]
    assert page(broken("application", "deploys", value=[entry, entry | {"at": "2027-01-15T06:00:00Z", "verdict": "failed"}]))["problems"] == []


def test_a_deploy_that_several_hosts_wrote_down_is_one_and_two_of_one_host_are_two():
    entry = GOOD["application"]["deploys"][0]
    twice = broken("application", "deploys", value=[entry | {"at": "2027-01-15T07:00:50Z"}, entry])
    result = page(twice, web2={"status": broken("application", "deploys", value=[entry | {"at": "2027-01-15T07:00:05Z"}])})
    (section,) = (section for section in result["sections"] if section["title"] == "Last deploys")
    hosts = section["columns"].index("Hosts")
    assert sorted(row[hosts]["text"] for row in section["rows"]) == ["web1", "web1, web2"]


MEMBERS = [
    {"name": "db1", "role": "leader", "state": "running", "timeline": 3},
    {"name": "db2", "role": "quorum_standby", "state": "streaming", "timeline": 3, "lag": 0},
]


def of_voters(members=MEMBERS, paused=False, healthy=True):
    """Two database hosts under Patroni and a third voter, as their hosts tell."""
    machine = {"now": NOW, "machine": GOOD["machine"]}
    failover = {"failover": {"paused": paused, "members": members}, "voter": {"healthy": True}}
    return {name: {"status": machine | more} for name, more in (("db1", failover), ("db2", failover), ("b1", {"voter": {"healthy": healthy}}))}


def failover_of(**what):
    page = site_report.site_report(of_voters(**what), LIMITS)
    (table,) = [section for section in page["sections"] if section["title"] == "Failover"]
    return [problem["text"] for problem in page["problems"]], [[cell["text"] for cell in row] for row in table["rows"]]


def test_servers_and_voters_are_told_of():
    problems, rows = failover_of()
    assert problems == []
    assert rows == [
        ["db1", "leader", "running", "3", "", "votes"], ["db2", "quorum standby", "streaming", "3", "0 B", "votes"], ["b1", "", "", "", "", "votes"],
    ]  # fmt: skip


def test_what_keeps_them_from_replacing_a_primary_is_a_problem():
    assert failover_of(healthy=False)[0] == ["The voter knows no leader, or does not answer."]
    assert failover_of(members=MEMBERS[:1])[0] == ["The server is unknown to the voters."]
    assert failover_of(members=[MEMBERS[0], MEMBERS[1] | {"state": "start failed"}])[0] == [
        "The server is start failed. Where it stays so, have it built anew: database.yml -e postgresql_rebuild=db2."
    ]
    assert "There is no primary." in failover_of(members=MEMBERS[1:])[0]
    assert failover_of(paused=True)[0] == ["Patroni is paused: nobody takes the place of a dead primary (patronictl resume)."]


def test_what_a_machine_tells_beside_its_problems():
    said = page(broken("tables", value=["ip nat"]))
    assert said["headline"] == "All is well on 1 host."
    (problem,) = [problem for problem in said["problems"] if problem["about"] == "machine/tables"]
    assert problem["level"] == "note" and problem["text"].startswith("Somebody else's packet filter is in force, too: ip nat.")
    assert "could not be looked at" in page(broken("tables", value="no right to"))["problems"][0]["text"]
    assert "none wait" in page(broken("upgrades", value=[]))["text"]
    assert "2 wait" in page(broken("upgrades", value=["a", "b"]))["text"]


@pytest.mark.parametrize(
    ("kind", "hours", "text"),
    [
        ("drill", 1, ""), ("drill", 8 * 24, ""), ("drill", 11 * 24, "There is no restore drill yet, though the first one has been due for 3 d."),
        ("media", 1, ""), ("media", 26, ""), ("media", 30, "There is no media backup yet, though the first one has been due for 4 h."),
        ("media", -9 * 24, ""), ("full", 30 * 24, ""),
    ],
)  # fmt: skip
def test_what_never_ran_is_told_when_it_is_overdue(kind, hours, text):
    backup = {"full": {"verdict": "ok", "message": "", "succeeded": NOW - 3600, "label": "F", "size_bytes": 1}}
    said = page(GOOD | {"backup": backup, "awaited": {kind: NOW - hours * 3600}})
    assert [(problem["text"], problem["level"], problem["about"]) for problem in said["problems"]] == ([(text, "warn", f"backup/{kind}")] if text else [])
    assert ("none yet" in said["text"]) is bool(text)


def test_where_backups_are_too_old_no_other_is_awaited():
    """As on a host whose server has become a standby: the primary makes them."""
    backup = {"full": {"verdict": "ok", "message": "", "succeeded": NOW - 3 * DAY, "label": "F", "size_bytes": 1}}
    told = [problem["text"] for problem in page(GOOD | {"backup": backup, "awaited": {"drill": NOW - 40 * DAY}})["problems"]]
    assert told == ["The last good full backup is 3 d old."]


def test_of_a_place_that_gets_dumps_and_uploads_alone_no_backup_is_awaited():
    kinds = {"full": {"verdict": "ok", "succeeded": NOW - 3600}, "logical": {"verdict": "ok", "succeeded": NOW - 3600}}
    places = {"/srv/b": {"is_elsewhere": False, "backup": NOW - 3600}, "b of keeper": {"is_elsewhere": True, "is_partial": True, "dumps": NOW - 3600}}
    told = [problem["text"] for problem in page(GOOD | {"backup": kinds, "places": places})["problems"]]
    assert "Only on this machine: backup." in told
    assert not any("b of keeper" in sentence for sentence in told)


def test_a_place_elsewhere_that_lacks_what_was_made_is_told():
    kinds = {"full": {"verdict": "ok", "succeeded": NOW - 3600}, "logical": {"verdict": "ok", "succeeded": NOW - 3600}}
    places = {"/srv/b": {"is_elsewhere": False, "backup": NOW - 3600}, "b at s3": {"is_elsewhere": True, "backup": NOW - 3 * DAY}}
    said = page(GOOD | {"backup": kinds, "places": places})
    told = [problem["text"] for problem in said["problems"]]
    assert "The newest backup in b at s3 is 3 d old." in told
    assert "No dumps are in b at s3 yet." in told
    assert "Only on this machine: dumps." in told
    assert not any("/srv/b" in sentence or "uploads" in sentence for sentence in told)
    assert "WHERE BACKUPS ARE" in said["text"]


def test_what_a_place_holds_of_a_time_to_come_is_no_fresh_backup():
    kinds = {"full": {"verdict": "ok", "succeeded": NOW - 3600, "label": "a", "size_bytes": 1, "message": ""}}
    said = page(GOOD | {"backup": kinds, "places": {"b at s3": {"is_elsewhere": True, "backup": NOW + 40 * DAY}}})
    told = [problem["text"] for problem in said["problems"]]
    assert "The newest backup in b at s3 is of a time that is still to come (in 40 d): the clock was wrong." in told
