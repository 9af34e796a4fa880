# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a host of the site knows about itself.

Runs as the module `site_status`, and on each host for whoever tells somebody (role `notify`).
"""

from __future__ import annotations

import calendar
import csv
import glob
import http.client
import io
import json
import os
import re
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from .commands import Ended, hold
from .health import answer
from .hosts import host_without_port
from .paths import read_mapping, read_text
from .postgresql_server import RECOVERY

# One row, whatever the server is. What a standby lacks is measured where it is known: on the primary in bytes, on itself in seconds.
QUESTION = f"""
SELECT json_build_object(
    'version', current_setting('server_version'),
    'standby', {RECOVERY},
    'size', (SELECT sum(pg_database_size(oid)) FROM pg_database),
    'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    'max_connections', current_setting('max_connections')::int,
    'standbys', (SELECT coalesce(json_agg(json_build_object(
        'name', application_name, 'address', host(client_addr), 'state', state, 'sync', sync_state,
        'lag_bytes', pg_wal_lsn_diff(CASE WHEN {RECOVERY} THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, replay_lsn))
        ORDER BY application_name), '[]') FROM pg_stat_replication),
    'receiver', (SELECT status FROM pg_stat_wal_receiver LIMIT 1),
    'lag_seconds', CASE WHEN NOT {RECOVERY} THEN NULL
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
        ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())::int END
)"""


# What keeps two servers from being the primary, and what it reads, where there is more than one server.
GUARD, GUARDED = "/usr/local/sbin/postgresql-guard", "/etc/selfhost/postgresql-guard.json"
# Nobody waits longer than this for another host's.
RIVAL_SECONDS = 5
# More than any file has that is read here, but for logs, of which this is the end; and more than a program or a server answers. Whoever is asked, or keeps
# a file, may be somebody else's by now, and JSON takes twenty times its length.
MOST_BYTES = 4 << 20
# Of what a process or a timer notes, and of what a program says when it fails.
NOTE_BYTES, MOST_LETTERS = 200, 500


class Unknown(Exception):
    """Something could not be found out; the message says why."""


class Host:
    """Asks this host."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.seconds = parameters["timeout_seconds"]

    def output(self, *words):
        """Return what a command prints, in nobody's language and the time of no place."""
        plain = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
        try:
            done = hold(words, seconds=self.seconds, most=MOST_BYTES, stdin=subprocess.DEVNULL, env=plain)
        except Ended as ended:
            raise Unknown("%s %s" % (os.path.basename(words[0]), ended)) from None
        except OSError as error:
            raise Unknown("%s: %s" % (words[0], error.strerror)) from None
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["exit status %d" % done.returncode]
            raise Unknown(lines[-1][:MOST_LETTERS])
        return done.stdout

    def unit(self, name):
        """Return the state of a unit; times in seconds since 1970."""
        names = "ActiveState,SubState,Result,NRestarts,ActiveEnterTimestamp,ExecMainStartTimestamp,ExecMainExitTimestamp"
        text = self.output("systemctl", "show", "--timestamp=unix", "--property", names + ",NextElapseUSecRealtime,LastTriggerUSec", name)
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return {key: moment(value) if key.endswith(("Timestamp", "Realtime", "TriggerUSec")) else value for key, value in values.items()}

    def machine(self):
        """Return what is to be known of the machine itself."""
        failed = self.output("systemctl", "list-units", "--state=failed", "--plain", "--no-legend").splitlines()
        disks, seen = [], set()
        for path in self.parameters["paths"]:
            if not os.path.exists(path) or os.stat(path).st_dev in seen:
                continue
            seen.add(os.stat(path).st_dev)
            disks.append(disk(path))
        return {
            "up_seconds": int(float(read("/proc/uptime").split()[0])),
            "reboot_required": os.path.exists("/run/reboot-required"),
            "failed_units": [line.split()[0] for line in failed],
            "memory_percent": memory_percent(read("/proc/meminfo")),
            "upgrade_error": upgrade_error(read("/var/log/unattended-upgrades/unattended-upgrades.log", last=True)),
            "disks": disks,
        }

    def upgrades(self):
        """Return the packages for which a security upgrade waits."""
        return security_upgrades(self.output(*SIMULATED))

    def tables(self):
        """Return the tables of packet filters that are not ours."""
        return foreign_tables(self.output("nft", "list", "tables")) if os.path.exists("/usr/sbin/nft") else []

    def application(self):
        """Return the releases and what runs of them."""
        root, service = self.parameters["root"], self.parameters["service"]
        current = os.path.basename(link(os.path.join(root, "current")))
        releases = [load(path) for path in glob.glob(os.path.join(root, "releases/*/release.json"))]
        releases = sorted((release for release in releases if release), key=lambda row: str(row.get("released_at") or ""), reverse=True)
        sockets = self.output("systemctl", "list-units", "--plain", "--no-legend", "--state=active", service + "@*.service")
        maintenance, units = self.parameters["maintenance"], self.units()
        return {
            "service": service,
            "current": current,
            "running": re.findall(r"@(\S+)\.service", sockets),
            "releases": releases,
            "deploys": self.deploys(),
            "units": units,
            "missing": sorted(set(self.parameters["units"]) - {unit["name"] for unit in units}),
            "migrations": self.migrations() if current and self.parameters["run"] else [],
            "lock": read(os.path.join("/run/selfhost", service, "release.lock")).partition("\n")[0].strip(),
            "maintenance": int(os.stat(maintenance).st_mtime) if maintenance and os.path.exists(maintenance) else None,
        }

    def deploys(self, count=10):
        """Return the last deploys, the latest first. A line that was cut off by a crash is nobody's loss."""
        rows = []
        for line in read(self.parameters["log"] or "", last=True).splitlines():
            try:
                row = json.loads(line)
            except (RecursionError, ValueError):
                continue
            rows += [row] * isinstance(row, dict)
        return rows[: -count - 1 : -1]

    def units(self):
        """Return processes and timers."""
        service, rows = self.parameters["service"], []
        for path in sorted(glob.glob("/etc/systemd/system/%s-*.service" % glob.escape(service))):
            if self.parameters["mark"] not in read(path).splitlines():
                continue
            name = os.path.basename(path)[: -len(".service")]
            timer = os.path.exists(path[: -len("service")] + "timer")
            row = {"name": name[len(service) + 1 :], "kind": "timer" if timer else "process"}
            row |= {"release": read("/run/%s/release" % name, NOTE_BYTES).strip(), "service": self.unit(name + ".service")}
            if timer:
                row["timer"] = self.unit(name + ".timer")
            rows.append(row)
        return rows

    def migrations(self):
        """Return the migrations that are pending, or why nobody knows."""
        try:
            text = self.output(self.parameters["run"], "python", "manage.py", "showmigrations", "--plan", "--no-color")
        except Unknown as error:
            return str(error)
        return re.findall(r"^\[ \]\s+(\S+)", text, re.MULTILINE)

    def certificates(self):
        """Return the ends of all certificates, that on the port first."""
        rows = []
        if self.parameters["port"]:
            row = {"name": "port %d" % self.parameters["port"], "source": self.parameters["tls"]}
            asking = load(self.parameters["acme"] + "/status.json") if self.parameters["acme"] else None
            rows.append(row | {"sentence": str((asking or {}).get("sentence", ""))[:1000]} | self.visible_certificate())
        for path in self.parameters["certificates"]:
            if os.path.exists(path):
                rows.append({"name": path} | self.end(path, None))
        return rows

    def visible_certificate(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with socket.create_connection(("127.0.0.1", self.parameters["port"]), timeout=self.seconds) as connection:
                if self.parameters["proxy_protocol"]:
                    connection.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 %d\r\n" % self.parameters["port"])
                with context.wrap_socket(connection, server_hostname=host_without_port(self.parameters["host"])) as visitor:
                    return self.end(None, ssl.DER_cert_to_PEM_cert(visitor.getpeercert(binary_form=True)))
        except OSError as error:
            return {"error": "no TLS on port %d: %s" % (self.parameters["port"], error.strerror or error)}

    def end(self, path, pem):
        """Return when a certificate ends, for which names it is, who issued it, and whether it did so itself."""
        words = ["openssl", "x509", "-noout", "-enddate", "-subject", "-issuer", "-nameopt", "multiline", "-ext", "subjectAltName"]
        try:
            done = subprocess.run(words + (["-in", path] if path else []), input=pem, capture_output=True, text=True, timeout=self.seconds, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return {"error": "openssl gives no answer"}
        end = re.search(r"^notAfter=(.+)$", done.stdout, re.MULTILINE)
        if done.returncode or not end:
            return {"error": "no certificate can be read"}
        subject, issuer = (re.search(rf"^{word}=\n((?: .*\n?)*)", done.stdout, re.MULTILINE) for word in ("subject", "issuer"))
        issuer = issuer[1] if issuer else ""
        return {
            "end": int(ssl.cert_time_to_seconds(end[1])), "self_signed": (subject[1] if subject else "") == issuer,
            "issuer": ", ".join(re.findall(r"(?:organizationName|commonName) *= (.+)", issuer)),
            "names": re.findall(r"(?:DNS|IP Address):([^,\s]+)", done.stdout),
        }  # fmt: skip

    def backup(self):
        """Return the verdicts of the backups by kind; none when there was none yet."""
        return rows_of(self.parameters["backup"], "kinds")

    def alone(self):
        """Return whether the backups would be lost with this machine, as they say themselves."""
        return bool((load(self.parameters["backup"]) or {}).get("is_alone"))

    def places(self):
        """Return by place of when what it holds of the backups is."""
        return rows_of(self.parameters["backup"], "places")

    def awaited(self):
        """Return by kind since when a backup, or a drill, is awaited."""
        found = (load(self.parameters["backup"]) or {}).get("awaited")
        return {kind: since for kind, since in found.items() if isinstance(since, int)} if isinstance(found, dict) else {}

    def unkept(self):
        """Return the paths in no backup that hold something."""
        return sorted(path for path in set(self.parameters["unkept"]) if os.path.isdir(path) and os.listdir(path))

    def told(self):
        """Return the ways by which somebody is told of problems, and what keeps them from being gone."""
        settings = load(self.parameters["notify"]) or {}
        # The account of who sends may write what it likes.
        failures = load(os.path.join(settings.get("spool", ""), "failures")) or {}
        told = {way: row for way, row in failures.items() if isinstance(row, dict) and isinstance(row.get("text"), str)}
        return {"ways": settings.get("ways", []), "failures": told}

    def logs(self):
        """Return for how many seconds nothing that is logged here has reached the host that keeps it; since the boot, where nothing has."""
        try:
            return max(0, int(time.time() - os.stat(self.parameters["logs"]).st_mtime))
        except OSError:
            return int(float(read("/proc/uptime").split()[0]))

    def database(self):
        """Return what the server says of itself."""
        port = str(self.parameters["database_port"])
        # By runuser the journal would get two lines each time.
        become = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")
        return mapping(self.output(*become, "psql", "-XAtq", "-p", port, "-d", "postgres", "-c", QUESTION), "the server")

    def cluster(self):
        """Return the site's hosts with a database server."""
        return self.parameters["database_hosts"]

    def rivals(self):
        """Return the site's other database servers that are primaries, as this host's guard hears them, or as their Patroni says."""
        others = self.parameters.get("patroni_others")
        if others:
            context = self.trusting()
            with ThreadPoolExecutor(max_workers=len(others)) as pool:
                return sorted(name for name, leads in zip(others, pool.map(lambda address: self.leads(address, context), others.values())) if leads)
        try:
            peers = mapping(self.output(GUARD, "peers"), "the guard") if os.path.exists(GUARDED) else {}
        except Unknown:
            # As one of before, which knows no such word. That it does not work is told as a unit that failed.
            return []
        return sorted(name for name, peer in peers.items() if peer.get("recovery") is False)

    def trusting(self):
        """Return what proves this host to a Patroni, and that to it."""
        certificates = self.parameters["patroni_certificates"]
        try:
            context = ssl.create_default_context(cafile=certificates + "/ca.crt")
            context.load_cert_chain(certificates + "/host.crt", certificates + "/host.key")
        except OSError as error:
            raise Unknown("the certificates in %s: %s" % (certificates, error)) from None
        return context

    def leads(self, address, context):
        """Return whether a Patroni says of its own server that it runs as the primary. That one does not answer is told by its own host."""
        try:
            said = self.page("https://%s/patroni" % address, context, min(self.seconds, RIVAL_SECONDS))
        except Unknown:
            return False
        # Patroni 3 has the second word.
        return said.get("state") == "running" and said.get("role") in ("primary", "master")

    def failover(self):
        """Return what Patroni says of all servers, in rows, and whether somebody has told it to let be."""
        known = self.page("https://%s/cluster" % self.parameters["patroni"], self.trusting())
        members, kept = known.get("members"), ("name", "role", "state", "timeline", "lag", "pending_restart")
        if not isinstance(members, list) or not all(isinstance(row, dict) and row.get("name") for row in members):
            raise Unknown("Patroni names no servers")
        rows = [{"role": "", "state": ""} | {name: row[name] for name in kept if name in row} for row in members]
        return {"paused": known.get("pause", False), "members": rows}

    def voter(self):
        """Return whether this host's voter knows who leads the voters."""
        return {"healthy": self.page("http://%s/health" % self.parameters["voter"]).get("health") == "true"}

    def page(self, url, context=None, seconds=None):
        """Return the mapping that is found there as JSON, whatever its status."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        try:
            try:
                found = opener.open(url, timeout=seconds or self.seconds)
            except urllib.error.HTTPError as error:
                found = error
            with found:
                return mapping(found.read(MOST_BYTES), url)
        except (OSError, http.client.HTTPException) as error:
            raise Unknown("%s: %s" % (url, getattr(error, "reason", error))) from None

    def balancer(self):
        """Return the servers as the balancer sees them."""
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.seconds)
                connection.connect(self.parameters["balancer"])
                connection.sendall(b"show stat\n")
                while len(answer) < MOST_BYTES and (chunk := connection.recv(65536)):
                    answer += chunk
        except OSError as error:
            raise Unknown("HAProxy does not answer: %s" % (error.strerror or error)) from None
        return servers(answer.decode("utf-8", "replace"))


def disk(path):
    """Return how much of a file system is in use, of its bytes and of the files that it can hold, where it counts them."""
    space = os.statvfs(path)
    # As df does: what root keeps for itself is not to be had.
    usable = space.f_blocks - space.f_bfree + space.f_bavail
    return {
        "path": path,
        "size": usable * space.f_frsize,
        "free": space.f_bavail * space.f_frsize,
        "used_percent": round(100 * (1 - space.f_bavail / usable)) if usable else 0,
        "files_free": space.f_favail,
        "files_percent": round(100 * (1 - space.f_favail / space.f_files)) if space.f_files else 0,
    }


def memory_percent(text):
    """Return how much of the memory is in use and cannot be had, of what /proc/meminfo says, and swap with it; none where it says nothing."""
    rows = {name: int(rest.split()[0]) for name, _colon, rest in (line.partition(":") for line in text.splitlines()) if rest.split()}
    whole = rows.get("MemTotal", 0) + rows.get("SwapTotal", 0)
    return round(100 * (1 - (rows.get("MemAvailable", 0) + rows.get("SwapFree", 0)) / whole)) if whole else None


def upgrade_error(text):
    """Return the first error of the last run in the log of unattended-upgrades; empty for a run without one."""
    last = text.rpartition("Starting unattended upgrades script")[2]
    return next((line.partition(" ERROR ")[2].strip() for line in last.splitlines() if " ERROR " in line), "")


# What apt would do, by the lists that it has; it waits for nobody, and changes nothing.
SIMULATED = ("apt-get", "--quiet=2", "--simulate", "--option=Debug::NoLocking=true", "--option=APT::Get::Show-User-Simulation-Note=false", "dist-upgrade")


def security_upgrades(text):
    """Return the names of the packages for which a security upgrade waits, of what apt would do."""
    return sorted({line.split()[1] for line in text.splitlines() if line.startswith("Inst ") and "-security" in line.lower()})


def foreign_tables(text):
    """Return the tables of nftables that no role of ours has made, of lines such as `table inet filter`; fail2ban's are there by one of ours."""
    tables = (line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("table "))
    return [" ".join(table) for table in tables if not table[1].startswith(("selfhost", "f2b-"))]


def servers(text):
    """Return the servers in what `show stat` prints."""
    rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
    return [
        {
            "backend": row["pxname"],
            "server": row["svname"],
            "state": row["status"],
            "seconds": int(row["lastchg"] or 0),
            "check": row.get("check_status") or "",
            "sessions": int(row["scur"] or 0),
        }
        for row in rows
        if row.get("svname") not in (None, "FRONTEND", "BACKEND")
    ]


def moment(text):
    """Return the seconds of what systemctl writes as @SECONDS, or of a timer in words (`Sat 2026-01-31 03:30:00 UTC`); nothing for never."""
    if re.fullmatch(r"@[0-9]+", text):
        return int(text[1:]) or None
    try:
        return calendar.timegm(time.strptime(text.partition(" ")[2], "%Y-%m-%d %H:%M:%S UTC"))
    except ValueError:
        return None


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def read(path, most=MOST_BYTES, last=False):
    """Return the text of a plain file; nothing where there is none. The application may write where some of them lie."""
    return read_text(path, most, last)


def mapping(text, who):
    """Return what somebody has said as JSON, where that is a mapping."""
    try:
        content = json.loads(text)
    except (RecursionError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise Unknown("%s gives no answer that can be read" % who)
    return content


def load(path):
    return read_mapping(path, MOST_BYTES)


def rows_of(path, name):
    """Return the rows that a file has under a name; none where it has something else there."""
    found = (load(path) or {}).get(name)
    return {key: row for key, row in found.items() if isinstance(row, dict)} if isinstance(found, dict) else {}


SUBJECTS = {
    "machine": None, "upgrades": "at_length", "tables": "at_length", "application": "root", "certificates": None,
    "backup": "backup", "alone": "backup", "places": "backup", "awaited": "backup", "unkept": "unkept",
    "database": "database_port", "cluster": "database_port", "rivals": "database_port", "failover": "patroni", "voter": "voter",
    "balancer": "balancer", "told": "notify", "logs": "logs",
}  # fmt: skip


def look(parameters):
    """Return what the module site_status returns of its `questions`. Each subject is asked for by itself: one that fails hides no other, whatever it is."""
    host, status = Host(parameters), {"now": int(time.time())}
    for subject, parameter in SUBJECTS.items():
        if parameter is None or parameters[parameter]:
            try:
                status[subject] = getattr(host, subject)()
            except Exception as error:
                status[subject] = why(error)
    application = status.get("application")
    serves = isinstance(application, dict) and application["current"]
    return {
        "status": status,
        "release": checked(parameters, "release") if serves else {},
        "visitor": checked(parameters, "visitor") if serves or parameters["balancer"] else {},
    }


def why(error):
    """Return why something could not be found out, in a sentence where somebody has foreseen it."""
    return str(error) if isinstance(error, Unknown) else "%s: %s" % (type(error).__name__, error)


# What a question for health does not say.
QUESTION_OF_HEALTH = {"socket": None, "port": None, "proxy_protocol": False, "https": True, "prefix": "", "static_url": ""}
CHECK = {"status": [200], "text": None, "absent": None, "host": None, "headers": {}}


def checked(parameters, name):
    """Return what the health check of a name says, nothing where there is none; its options are those of the module health_check."""
    question = parameters[name]
    if not question:
        return {}
    checks = [CHECK | {key: value for key, value in check.items() if value is not None} for check in question["checks"]]
    try:
        return answer(QUESTION_OF_HEALTH | question | {"checks": checks, "request_timeout_seconds": parameters["timeout_seconds"]})
    except Exception as error:
        return {"msg": why(error), "answers": []}
