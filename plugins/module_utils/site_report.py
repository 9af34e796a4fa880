# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""One page on how every host of a site is: what is a problem, and how it is laid out.

Runs on the controller for `status.yml`, and on each host for whoever tells somebody (role `notify`).
"""

from __future__ import annotations

import datetime

from .certificate_rows import COLUMNS, certificate_rows

# Until a site says otherwise.
LIMITS = {"disk_percent": 85, "memory_percent": 95, "certificate_days": 21, "backup_hours": 26, "lag_seconds": 300}
PHYSICAL = ("full", "diff", "incr")
# Of the kinds of backups, what is not called by its word.
CALLED = {"drill": "restore drill"}
WEEK_HOURS = 8 * 24
PENDING_SHOWN = 3
# How much a line matters, the worst first.
LEVELS = ("bad", "warn", "note")
REASON_LENGTH = 160
SAME_DEPLOY_SECONDS = 120
# What two clocks may differ by.
CLOCKS_SECONDS = 3600
# A host that keeps logs may be rebooted.
UNSENT_SECONDS = 600


def age(seconds):
    """Return a span in its largest fitting unit."""
    if seconds is None:
        return "never"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{max(0, int(seconds))} s"


def is_to_come(moment, now):
    """Whether a moment lies ahead by more than two clocks may differ: it was written down while a clock was wrong."""
    return bool(moment) and moment > now + CLOCKS_SECONDS


def size(amount):
    """Return an amount of bytes in its largest fitting unit."""
    amount = float(amount or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def clock(text):
    """Return an ISO time to the minute, in UTC; what is no time stays as it is."""
    try:
        moment = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return str(text or "")
    if moment.tzinfo:
        moment = moment.astimezone(datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M")


def cell(text, level=""):
    return {"text": " ".join(str("" if text is None else text).split()), "level": level}


class Page:
    """Collects tables and problems."""

    def __init__(self, limits):
        self.limits, self.problems, self.sections = limits, [], []

    def problem(self, host, about, text, level="bad"):
        """Note a problem; return its level, for the cell that shows it.

        about is what it is about, the same words as long as it lasts, whatever the text says of it: a subject, and below it what else.
        """
        self.problems.append({"host": host, "level": level, "about": about, "text": cell(text)["text"]})
        return level

    def section(self, title, columns, rows):
        """Add a table; columns that are empty in every row are left out."""
        rows = [[value if isinstance(value, dict) else cell(value) for value in row] for row in rows]
        used = [number for number, _name in enumerate(columns) if any(row[number]["text"] for row in rows)]
        if rows:
            self.sections.append(
                {"title": title, "columns": [columns[number] for number in used], "rows": [[row[number] for number in used] for row in rows]}
            )


def subject(page, host, data, name, about=None):
    """Return what is known of a subject; a sentence in its place is a problem, which is about what else is told of it."""
    found = data["status"].get(name)
    if isinstance(found, str):
        page.problem(host, about or name, f"The {name} could not be looked at: {found}")
        return None
    return found


def answered(page, host, about, result, who):
    """Return the cell of a health check."""
    if not result:
        return cell("")
    if result.get("msg"):
        return cell("no", page.problem(host, about, f"{who}: {result['msg']}."))
    return cell(f"yes, {max(answer['seconds'] for answer in result['answers']):.2f} s" if result.get("answers") else "yes")


def web_row(page, host, data):
    """Return the row of a web host."""
    application = subject(page, host, data, "application")
    if application is None:
        return [host, cell("unknown", "bad")] + [""] * 8
    current = application["current"]
    if not current:
        return [host, cell("none yet", page.problem(host, "application/none", "There is no release yet.", "warn"))] + [""] * 8
    record = next((row for row in application["releases"] if row.get("release") == current), {})
    level = ""
    if current not in application["running"]:
        level = page.problem(host, "application/current", f"Release {current} is the current one, but its unit does not run.")
    others = [release for release in application["running"] if release != current]
    if others:
        page.problem(host, "application/beside", f"{', '.join(others)} runs beside the current release: the next deploy stops it.", "warn")
    pending = application["migrations"]
    if isinstance(pending, str):
        migrations = cell("unknown", page.problem(host, "application/migrations", f"The migrations could not be looked at: {pending}"))
    elif pending:
        shown = ", ".join(pending[:PENDING_SHOWN]) + (", …" if len(pending) > PENDING_SHOWN else "")
        migrations = cell(f"{len(pending)} pending", page.problem(host, "application/migrations", f"Migrations are pending: {shown}.", "warn"))
    else:
        migrations = cell("all applied")
    maintenance = cell("")
    if application["maintenance"]:
        since = age(data["status"]["now"] - application["maintenance"])
        maintenance = cell(f"on for {since}", page.problem(host, "application/maintenance", "Visitors see the maintenance page.", "warn"))
    return [
        host,
        cell(current, level),
        str(record.get("version", "")),
        str(record.get("revision", ""))[:12],
        clock(record.get("released_at")),
        record.get("released_by"),
        answered(page, host, "application/release", data.get("release"), "The release does not answer its health checks"),
        answered(page, host, "application/visitor", data.get("visitor"), "Visitors are not answered"),
        migrations,
        maintenance,
    ]


def unit_rows(page, host, data):
    """Return the rows of processes and timers."""
    application, now = data["status"].get("application"), data["status"]["now"]
    if not isinstance(application, dict):
        return []
    rows, current = [], application["current"]
    for unit in application["units"]:
        service, about = unit["service"], f"application/{unit['kind']}/{unit['name']}"
        state, level, last, upcoming = service["ActiveState"], "", "", ""
        result = "" if service["Result"] in ("success", "") else service["Result"]
        if unit["kind"] == "process":
            started = service["ActiveEnterTimestamp"]
            if state != "active":
                level = page.problem(host, about, f"Process {unit['name']} is {state}{f' ({result})' if result else ''}.")
            elif unit["release"] != current:
                level = page.problem(host, about, f"Process {unit['name']} runs {unit['release'] or 'an unknown release'} instead of {current}.", "warn")
            elif int(service["NRestarts"] or 0):
                level = page.problem(host, about, f"Process {unit['name']} was restarted {service['NRestarts']} times.", "warn")
            last = f"up for {age(now - started)}" if started and state == "active" else ""
        else:
            timer, ended = unit["timer"], service["ExecMainExitTimestamp"]
            running = state in ("activating", "active")
            began = service["ExecMainStartTimestamp"]
            if timer["ActiveState"] != "active":
                level = page.problem(host, about, f"Timer {unit['name']} is {timer['ActiveState']}: nothing starts it.")
            elif result:
                level = page.problem(host, about, f"The last run of timer {unit['name']} failed ({result}).")
            state = "running" if running else ("failed" if result else ("ok" if ended else "not run yet"))
            last = f"runs for {age(now - began)}" if running and began else (f"{age(now - ended)} ago" if ended else "")
            upcoming = f"in {age(timer['NextElapseUSecRealtime'] - now)}" if timer["NextElapseUSecRealtime"] else ""
        rows.append([host, unit["name"], unit["kind"], cell(state, level), unit["release"], last, upcoming])
    for name in application["missing"]:
        if current:
            level = page.problem(host, f"application/missing/{name}", f"{name} is not there: deploy to install it.", "warn")
            rows.append([host, name, "", cell("missing", level), "", "", ""])
    return rows


def is_same_deploy(entry, other):
    """Tell whether two hosts wrote down the same deploy, which they do some time apart."""
    if any(entry.get(name) != other.get(name) for name in ("by", "what", "version", "verdict")):
        return False
    try:
        times = [datetime.datetime.fromisoformat(str(row.get("at", "")).replace("Z", "+00:00")) for row in (entry, other)]
        return abs((times[0] - times[1]).total_seconds()) < SAME_DEPLOY_SECONDS
    except (ValueError, TypeError):
        return False


def deploy_rows(page, hosts):
    """Return the last deploys, each once, with the hosts that wrote it down. That the last one failed is a problem, though what was before serves."""
    deploys = []
    for host, data in hosts.items():
        application = data["status"].get("application")
        for entry in application["deploys"] if isinstance(application, dict) else []:
            same = [names for names, other in deploys if host not in names and is_same_deploy(entry, other)]
            if same:
                same[0].append(host)
            else:
                deploys.append(([host], entry))
    deploys.sort(key=lambda item: str(item[1].get("at", "")), reverse=True)
    if deploys and deploys[0][1].get("verdict") == "failed":
        names, entry = deploys[0]
        said = f"The last {entry.get('what')}, of {entry.get('version')}, failed in step {entry.get('step') or 'unknown'}."
        page.problem(", ".join(names), "application/deploy", said, "warn")
    rows = []
    for names, entry in deploys[:8]:
        verdict = entry.get("verdict", "")
        reason = f"{entry['step']}: {entry.get('reason', '')}" if entry.get("step") else entry.get("reason", "")
        rows.append(
            [
                clock(entry.get("at")),
                entry.get("by"),
                entry.get("what"),
                entry.get("version"),
                cell(verdict, "" if verdict == "ok" else "warn"),
                ", ".join(names),
                reason if len(reason) <= REASON_LENGTH else reason[:REASON_LENGTH] + "…",
            ]
        )
    return rows


def database_row(page, host, data):
    """Return the row of a database server."""
    found = subject(page, host, data, "database")
    if found is None:
        return [host, cell("no answer", "bad")] + [""] * 5
    lag, standbys = "", []
    if found["standby"]:
        level = "" if found["receiver"] == "streaming" else page.problem(host, "database/receiver", "The standby receives nothing from its primary.")
        if not level and (found["lag_seconds"] or 0) > page.limits["lag_seconds"]:
            level = page.problem(host, "database/lag", f"The standby is {age(found['lag_seconds'])} behind its primary.", "warn")
        lag = cell(f"{age(found['lag_seconds'])}, {found['receiver'] or 'not connected'}", level)
    for standby in found["standbys"]:
        behind = standby["lag_bytes"]
        standbys.append(f"{standby['name']} {standby['state']}, {'unknown' if behind is None else size(behind)} behind")
    connections = f"{found['connections']} of {found['max_connections']}"
    level = ""
    if found["connections"] > 0.9 * found["max_connections"]:
        level = page.problem(host, "database/connections", f"The database has {connections} connections.", "warn")
    return [
        host,
        "standby" if found["standby"] else "primary",
        found["version"].split(" ")[0],
        size(found["size"]),
        cell(connections, level),
        lag,
        "; ".join(standbys),
    ]


def cluster_problems(page, hosts):
    """Note what no database server knows by itself: that there is more than one primary, or none, and that they are of several versions."""
    known = {host: data["status"] for host, data in hosts.items() if "database" in data["status"]}
    rivals = {host: subject(page, host, hosts[host], "rivals") or [] for host in known}
    # Of several sites in one inventory each has its own.
    for cluster in dict.fromkeys(tuple(subject(page, host, hosts[host], "cluster") or [host]) for host in known):
        found = {host: known[host]["database"] for host in cluster if isinstance(known.get(host, {}).get("database"), dict)}
        # What a guard has heard of a server that says itself what it is was a moment earlier.
        heard = {name for host in cluster for name in rivals.get(host, []) if name not in found}
        primaries = [host for host in cluster if host in heard or host in found and not found[host]["standby"]]
        if len(primaries) > 1:
            text = (
                f"{' and '.join(primaries)} are primaries, each for itself: what is written to one of them the others lack. Stop the one whose data is not to "
                "be kept, then build it anew: database.yml -e postgresql_rebuild=HOST."
            )
            page.problem(", ".join(primaries), "database/primaries", text)
        # Where there are voters they tell; and who was not asked may be the primary.
        if found and not primaries and all(host in hosts for host in cluster) and not any("failover" in known[host] for host in found):
            text = (
                f"None of the database servers that answer ({', '.join(found)}) is the primary: nothing can be written. Start it, or, if it is lost: "
                "switchover.yml -e switchover_force=true."
            )
            page.problem(", ".join(found), "database/primary", text)
        versions = {host: row["version"].partition(".")[0] for host, row in found.items()}
        if len(set(versions.values())) > 1:
            told = ", ".join(f"{host} {version}" for host, version in versions.items())
            text = f"The database servers are of different versions: {told}. None follows one of another version: upgrade or rebuild what is left behind."
            page.problem(", ".join(found), "database/versions", text, "warn")


def failover_rows(page, hosts):
    """Return the rows of the servers as Patroni sees them, from the first host that can say, and of the voters."""
    asked = {host: subject(page, host, data, "failover") for host, data in hosts.items() if "failover" in data["status"]}
    known = next(filter(None, asked.values()), {"members": [], "paused": False})
    members = {row["name"]: row for row in known["members"]}
    voters = {host: subject(page, host, data, "voter") for host, data in hosts.items() if "voter" in data["status"]}
    healthy = [host for host, said in voters.items() if said and said["healthy"]]
    if known["paused"]:
        page.problem(", ".join(asked), "failover/paused", "Patroni is paused: nobody takes the place of a dead primary (patronictl resume).", "warn")
    leader = next((row for row in members.values() if row["role"] == "leader"), None)
    if members and not leader:
        page.problem(", ".join(asked), "failover/primary", "There is no primary.")
    rows = []
    for host in dict.fromkeys([*asked, *voters]):
        row, level, vote = members.get(host, {}), "", ""
        if host in asked and (not row or row["state"] not in ("running", "streaming")):
            # One that could not be rewound never starts, and tries without an end.
            way = f" Where it stays so, have it built anew: database.yml -e postgresql_rebuild={host}." if leader and row and row is not leader else ""
            level = page.problem(host, "failover/server", f"The server is {row.get('state') or 'unknown to the voters'}.{way}")
        elif row.get("pending_restart"):
            page.problem(host, "failover/restart", "A setting of the server waits for a restart.", "warn")
        if host in voters:
            vote = cell("votes") if host in healthy else cell("does not vote", page.problem(host, "voter", "The voter knows no leader, or does not answer."))
        lag = row.get("lag", "")
        role = str(row.get("role", "")).replace("_", " ")
        rows.append([host, role, cell(row.get("state"), level), str(row.get("timeline", "")), size(lag) if isinstance(lag, int) else lag, vote])
    return rows


def backup_rows(page, host, data):
    """Return the rows of the backups."""
    kinds, awaited = subject(page, host, data, "backup"), subject(page, host, data, "awaited") or {}
    if kinds is None:
        return []
    if not kinds:
        return [[host, "", cell("none yet", page.problem(host, "backup/none", "There is no backup yet.", "warn")), "", "", "", ""]]
    now, rows = data["status"]["now"], []
    physical = [kinds[kind].get("succeeded") or 0 for kind in PHYSICAL if kind in kinds]
    hours = {kind: WEEK_HOURS if kind == "drill" else page.limits["backup_hours"] for kind in {*kinds, *awaited}}
    for kind, row in sorted(kinds.items()):
        good, level, name = row.get("succeeded"), "", CALLED.get(kind, f"{kind} backup")
        # A full backup is as good as a differential one of the same age.
        latest = max(physical) if kind in PHYSICAL else good
        if row.get("verdict") != "ok":
            level = page.problem(host, f"backup/{kind}", f"The last {name} failed: {row.get('message') or 'no reason given'}")
        elif kind != "archive" and is_to_come(latest, now):
            text = f"The last good {name} is of a time that is still to come (in {age(latest - now)}): the clock was wrong. Make a new one."
            level = page.problem(host, f"backup/{kind}", text, "warn")
        elif kind != "archive" and (not latest or now - latest > hours[kind] * 3600):
            level = page.problem(host, f"backup/{kind}", f"The last good {name} is {age(now - latest)} old.", "warn")
        rows.append(
            [
                host,
                CALLED.get(kind, kind),
                cell(row.get("verdict"), level),
                f"{age(now - good)} ago" if good else "never",
                row.get("label"),
                size(row["size_bytes"]) if row.get("size_bytes") else "",
                row.get("message"),
            ]
        )
    # Where backups are too old already, or are another host's to make, no other kind is awaited.
    is_fresh = now - max(physical, default=0) <= page.limits["backup_hours"] * 3600
    for kind, since in sorted(awaited.items()):
        overdue = now - since - hours[kind] * 3600
        if kind not in kinds and is_fresh and overdue > 0:
            text = f"There is no {CALLED.get(kind, f'{kind} backup')} yet, though the first one has been due for {age(overdue)}."
            rows.append([host, CALLED.get(kind, kind), cell("none yet", page.problem(host, f"backup/{kind}", text, "warn")), "never", "", "", ""])
    if not physical:
        page.problem(host, "backup/physical", "There is no physical backup yet.", "warn")
    return rows


def place_rows(page, host, data):
    """Return the rows of the places that hold backups: how old what each holds is, and what is only on this machine."""
    found = subject(page, host, data, "places") or {}
    now, kinds = data["status"]["now"], data["status"].get("backup")
    kinds = kinds if isinstance(kinds, dict) else {}
    made = {"backup": max((kinds[kind].get("succeeded") or 0 for kind in PHYSICAL if kind in kinds), default=0)}
    made |= {name: (kinds.get(kind) or {}).get("succeeded") or 0 for name, kind in (("dumps", "logical"), ("uploads", "media"))}
    rows = []
    for place, row in sorted(found.items()):
        cells = []
        for name, last in made.items():
            moment, level = row.get(name), ""
            if (row.get("is_elsewhere") or name == "backup") and last and not (name == "backup" and row.get("is_partial")):
                if not moment:
                    text = f"No {name} is in {place} yet." if name == "backup" else f"No {name} are in {place} yet."
                    level = page.problem(host, f"backup/place/{place}", text, "warn")
                elif is_to_come(moment, now):
                    verb = "is" if name == "backup" else "are"
                    text = f"The newest {name} in {place} {verb} of a time that is still to come (in {age(moment - now)}): the clock was wrong."
                    level = page.problem(host, f"backup/place/{place}", text, "warn")
                elif now - moment > page.limits["backup_hours"] * 3600:
                    text = f"The newest {name} in {place} {'is' if name == 'backup' else 'are'} {age(now - moment)} old."
                    level = page.problem(host, f"backup/place/{place}", text, "warn")
            cells.append(cell(f"{age(now - moment)} old" if moment else "", level))
        rows.append([host, place, *cells])
    if any(row.get("is_elsewhere") for row in found.values()):
        for name, last in made.items():
            if last and not any(row.get(name) for row in found.values() if row.get("is_elsewhere")):
                page.problem(host, f"backup/here/{name}", f"Only on this machine: {name}.", "note")
    return rows


def alone_note(page, host, data):
    """Remind of backups that would be lost with the machine."""
    if subject(page, host, data, "alone"):
        page.problem(
            host,
            "alone",
            "The backups are on this machine alone, and lost with it: give postgresql_backup_repositories one elsewhere, or the site a host in the group backup.",
            "note",
        )


def told_problems(page, hosts):
    """Remind of hosts that tell nobody, and note those whose messages wait."""
    known = {host: subject(page, host, data, "told") for host, data in hosts.items()}
    silent = [host for host, told in known.items() if told and not told["ways"]]
    if silent:
        page.problem(", ".join(silent), "told", "Nobody is told of problems: set notify_mail_to or notify_urls, or run site.yml where they are set.", "note")
    for host, told in known.items():
        for way, failure in (told or {}).get("failures", {}).items():
            page.problem(host, f"told/{way}", f"Messages wait, since {way} fails: {failure['text']}.", "warn")


def unsent_problem(page, host, data):
    """Note a log that is on this host alone, though another one is to keep it, too."""
    seconds = subject(page, host, data, "logs") or 0
    if seconds > UNSENT_SECONDS:
        page.problem(host, "logs", f"What is logged here has not reached the host that keeps it for {age(seconds)}.", "warn")


def unkept_problem(page, host, data):
    """Note files that a lost machine would take with it."""
    paths = subject(page, host, data, "unkept")
    if paths:
        page.problem(host, "unkept", f"In no backup: {', '.join(paths)}. A host in the group backup would copy what is there.")


def balancer_rows(page, host, data):
    """Return the rows of the servers behind a balancer."""
    found = subject(page, host, data, "balancer")
    rows = []
    if "application" not in data["status"]:
        answered(page, host, "balancer/visitor", data.get("visitor"), "Visitors are not answered")
    for server in found or []:
        state, level = server["state"], ""
        if not state.startswith(("UP", "no check")):
            about, worst = f"balancer/{server['server']}", "bad" if state.startswith("DOWN") else "warn"
            level = page.problem(host, about, f"{server['server']} is {state} at the balancer.", worst)
        rows.append([host, server["backend"], server["server"], cell(state, level), f"for {age(server['seconds'])}", server["check"], str(server["sessions"])])
    return rows


def told_otherwise(status):
    """Return the units whose failure is told as that of what they run: processes, timers, the release that serves, the drill."""
    units, application = set(), status.get("application")
    if isinstance(application, dict) and application.get("service"):
        service = application["service"]
        units |= {f"{service}-{unit['name']}.service" for unit in application["units"]} | {f"{service}@{application['current']}.service"}
    drill = status["backup"].get("drill") if isinstance(status.get("backup"), dict) else None
    return units | ({"postgresql-drill.service"} if drill and drill.get("verdict") != "ok" else set())


def ends_cell(page, host, data):
    """Return the cell of the days that certificates have left."""
    ends, level = [], ""
    for certificate in subject(page, host, data, "certificates", "certificate") or []:
        name = certificate["name"]
        if "error" in certificate:
            level = page.problem(host, f"certificate/{name}", f"Certificate of {name}: {certificate['error']}.")
            ends.append("unknown")
            continue
        days = (certificate["end"] - data["status"]["now"]) // 86400
        if days < page.limits["certificate_days"]:
            ending = "ended" if days < 0 else f"ends in {days} days"
            level = page.problem(host, f"certificate/{name}", f"The certificate of {name} {ending}.")
        ends.append(f"{days}{' (self-signed)' if certificate['self_signed'] else ''}")
    return cell(", ".join(ends), level)


def machine_row(page, host, data):
    """Return the row of a machine."""
    if data.get("unreachable"):
        return [host, cell("not reached", "bad")] + [""] * 6
    machine, status, ends = subject(page, host, data, "machine"), data["status"], ends_cell(page, host, data)
    tables, waiting = subject(page, host, data, "tables"), subject(page, host, data, "upgrades")
    if tables:
        text = f"Somebody else's packet filter is in force, too: {', '.join(tables)}. What it denies, firewall_policy does not open."
        page.problem(host, "machine/tables", text, "note")
    if machine is None:
        return [host, cell("unknown", "bad"), "", "", ends, "", "", ""]
    disks, worst = [], ""
    for disk in machine["disks"]:
        path, shown = disk["path"], f"{disk['path']} {disk['used_percent']} %"
        if disk["used_percent"] >= page.limits["disk_percent"]:
            worst = page.problem(host, f"machine/disk/{path}", f"{path} is {disk['used_percent']} % full, {size(disk['free'])} are free.")
        if disk.get("files_percent", 0) >= page.limits["disk_percent"]:
            text = f"{path} holds {disk['files_percent']} % of the files that it can, room is left for {disk['files_free']} more."
            worst, shown = page.problem(host, f"machine/files/{path}", text), f"{shown}, {disk['files_percent']} % of its files"
        disks.append(shown)
    memory = machine.get("memory_percent") or 0
    if memory >= page.limits["memory_percent"]:
        page.problem(host, "machine/memory", f"The memory is {memory} % in use.")
    if machine.get("upgrade_error"):
        page.problem(host, "machine/upgrade", f"The last automatic upgrade failed: {machine['upgrade_error']}", "warn")
    reboot = page.problem(host, "machine/reboot", "A reboot is required.", "warn") if machine["reboot_required"] else ""
    failed = machine["failed_units"]
    for unit in sorted(set(failed) - told_otherwise(status)):
        page.problem(host, f"machine/unit/{unit}", f"The unit {unit} failed.", "warn")
    return [
        host,
        f"up for {age(machine['up_seconds'])}",
        cell(", ".join(disks), worst),
        f"{memory} %" if memory else "",
        ends,
        "" if waiting is None else f"{len(waiting)} wait" if waiting else "none wait",
        cell("required" if machine["reboot_required"] else "", reboot),
        cell(", ".join(failed), "warn" if failed else ""),
    ]


def normalized(page, hosts):
    """Return the hosts with what is known of each, and note those of which nothing is known."""
    rows = {}
    for host, asked in hosts.items():
        asked = asked or {}
        if asked.get("unreachable"):
            page.problem(host, "host", "The host could not be reached.")
        elif "status" not in asked:
            page.problem(host, "host", f"The host could not be asked: {asked.get('msg', 'it was not tried')}")
        rows[host] = {"status": {"now": 0}, **asked, "known": "status" in asked}
    return rows


def site_report(hosts, limits):
    """Judge and lay out what is known of the hosts."""
    page = Page(LIMITS | limits)
    hosts = normalized(page, hosts)
    known = {host: data for host, data in hosts.items() if data["known"]}
    web = {host: data for host, data in known.items() if "application" in data["status"]}
    page.section(
        "Web hosts",
        ["Host", "Release", "Version", "Revision", "Since (UTC)", "By", "Release answers", "Visitors get", "Migrations", "Maintenance page"],
        [web_row(page, host, data) for host, data in web.items()],
    )
    currents = {str(data["status"]["application"]["current"]).split("-", maxsplit=1)[0] for data in web.values() if isinstance(data["status"].get("application"), dict)}
    if len(currents) > 1:
        page.problem(", ".join(web), "revisions", "The web hosts serve different revisions.")
    told_problems(page, known)
    for host, data in known.items():
        alone_note(page, host, data)
        unsent_problem(page, host, data)
        if "unkept" in data["status"]:
            unkept_problem(page, host, data)
    for host, data in web.items():
        if isinstance(data["status"].get("application"), dict) and data["status"]["application"]["lock"]:
            page.problem(host, "application/lock", f"The deploy lock is held: {data['status']['application']['lock']}.", "warn")
    page.section(
        "Balancer",
        ["Host", "Backend", "Server", "State", "Since", "Check", "Sessions"],
        [row for host, data in known.items() if "balancer" in data["status"] for row in balancer_rows(page, host, data)],
    )
    page.section(
        "Processes and timers",
        ["Host", "Name", "Kind", "State", "Release", "Last", "Next"],
        [row for host, data in web.items() for row in unit_rows(page, host, data)],
    )
    page.section(
        "Database",
        ["Host", "Role", "Version", "Size", "Connections", "Lag", "Standbys"],
        [database_row(page, host, data) for host, data in known.items() if "database" in data["status"]],
    )
    cluster_problems(page, hosts)
    page.section("Failover", ["Host", "Role", "State", "Timeline", "Behind", "Voter"], failover_rows(page, known))
    page.section(
        "Backups",
        ["Host", "Kind", "Verdict", "Last good", "Label", "Size", "Message"],
        [row for host, data in known.items() if "backup" in data["status"] for row in backup_rows(page, host, data)],
    )
    page.section(
        "Where backups are",
        ["Host", "Place", "Backup", "Dumps", "Uploads"],
        [row for host, data in known.items() if "backup" in data["status"] for row in place_rows(page, host, data)],
    )
    page.section(
        "Machines",
        ["Host", "State", "Disks", "Memory", "Days of certificates", "Security upgrades", "Reboot", "Failed units"],
        [machine_row(page, host, data) for host, data in hosts.items()],
    )
    page.section("Certificates", COLUMNS, [row for host, data in known.items() for row in certificate_rows(page, host, data["status"])])
    page.section(
        "Releases to go back to",
        ["Host", "Release", "Version", "Since (UTC)", "By"],
        [
            [host, release["release"], release.get("version"), clock(release.get("released_at")), release.get("released_by")]
            for host, data in web.items()
            if isinstance(data["status"].get("application"), dict)
            for release in data["status"]["application"]["releases"]
            if release.get("release") and release["release"] != data["status"]["application"]["current"]
        ],
    )
    page.section("Last deploys", ["At (UTC)", "By", "What", "Version", "Verdict", "Hosts", "Reason"], deploy_rows(page, web))
    problems = sorted(page.problems, key=lambda problem: LEVELS.index(problem["level"]))
    result = {"problems": problems, "sections": page.sections, "headline": headline(problems, len(hosts))}
    return result | {"text": text(result)}


def headline(problems, count):
    """Return the page in one sentence. A note is no problem."""
    problems = [problem for problem in problems if problem["level"] != "note"]
    hosts = f"{count} host{'s' if count > 1 else ''}"
    if not problems:
        return f"All is well on {hosts}."
    bad = sum(problem["level"] == "bad" for problem in problems)
    parts = [f"{bad} problem{'s' if bad > 1 else ''}"] if bad else []
    warnings = len(problems) - bad
    parts += [f"{warnings} warning{'s' if warnings > 1 else ''}"] if warnings else []
    return f"{' and '.join(parts)} on {hosts}."


def text(page):
    """Return the page as lines for a terminal, aligned."""
    lines = [page["headline"]]
    marks = dict(zip(LEVELS, ("!!", " !", "  ")))
    if page["problems"]:
        width = max(len(problem["host"]) for problem in page["problems"])
        lines += [f"{marks[problem['level']]} {problem['host']:{width}}  {problem['text']}" for problem in page["problems"]]
    for section in page["sections"]:
        table = [section["columns"], *([value["text"] or "-" for value in row] for row in section["rows"])]
        widths = [max(len(row[number]) for row in table) for number in range(len(section["columns"]))]
        lines += ["", section["title"].upper()]
        lines += ["  ".join(f"{value:{width}}" for value, width in zip(row, widths)).rstrip() for row in table]
    return "\n".join(lines)
