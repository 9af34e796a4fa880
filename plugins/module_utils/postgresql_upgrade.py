# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""The clusters of a host, and how one of them becomes one of a later version. The old one stays as it was."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import subprocess

from . import neighbours
from .paths import open_directory, write_file
from .postgresql_server import RECOVERY, SESSION

# What has become of an upgrade, of root's alone.
JOURNAL = "/var/lib/selfhost-postgresql-upgrade.json"
# Held by who is at work on the clusters.
LOCK = "/run/selfhost-postgresql-upgrade.lock"
HOME = "/var/lib/postgresql"
CHECK = HOME + "/upgrade-check"
SOCKETS = "/var/run/postgresql"
QUERY = f"""SELECT json_build_object(
  'standby', {RECOVERY}, 'checksums', current_setting('data_checksums') = 'on',
  'next', pg_snapshot_xmax(pg_current_snapshot())::text::bigint * (NOT {RECOVERY})::int,
  'prepared', (SELECT count(*) FROM pg_prepared_xacts),
  'slots', (SELECT coalesce(json_object_agg(slot_name, slot_type), '{{}}') FROM pg_replication_slots),
  'standbys', (SELECT coalesce(json_object_agg(application_name, state), '{{}}') FROM pg_stat_replication),
  'tablespaces', (SELECT count(*) FROM pg_tablespace WHERE spcname NOT LIKE 'pg\\_%'))"""


# The descriptor of the lock, which programs that are started hold with us: one may outlive a run that is killed.
HELD = []


class Wrong(Exception):
    """It cannot be done; the message is a sentence."""


def run(*words, user=None, check=True, cwd="/", answers=""):
    """Run a command as root, or as another account; return what it prints. Raise Wrong with the end of what it says where it fails."""
    words = ["runuser", "-u", user, "--", *words] if user else list(words)
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, errors="replace", check=False, input=answers, env=os.environ | {"LC_ALL": "C.UTF-8"},
        pass_fds=HELD,
    )  # fmt: skip
    if check and done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise Wrong("%s failed: %s" % (os.path.basename(words[3] if user else words[0]), " | ".join(line.strip() for line in said[-12:] if line.strip())))
    return done.stdout if done.returncode == 0 else ""


def sql(port, statement, check=True, database="postgres"):
    """Return what a server answers as postgres, over its socket."""
    words = ["psql", "--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--quiet", "--set", "ON_ERROR_STOP=1", "--host", SOCKETS]
    target = "dbname='%s' options='%s'" % (database.replace("\\", "\\\\").replace("'", "\\'"), SESSION)
    return run(*words, "--port", str(port), "--dbname", target, "--command", statement, user="postgres", check=check).strip()


def databases(port):
    """Return the names of the databases of a server that can be entered."""
    return sql(port, "SELECT datname FROM pg_database WHERE datallowconn").splitlines()


def journal():
    """Return what has become of the last upgrade."""
    try:
        with open(JOURNAL, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def note(**row):
    """Write that down, on the disk when this returns."""
    folder = open_directory(os.path.dirname(JOURNAL))
    try:
        write_file(folder, os.path.basename(JOURNAL), json.dumps(row).encode(), 0, 0, 0o644)
    finally:
        os.close(folder)


def mark(version, name):
    """Return the path that stands while a cluster is made: it holds nobody's data yet, and is not started (role postgresql)."""
    return "%s/%s-%s.unfinished" % (HOME, version, name)


def megabytes(path):
    """Return the size of what is below a directory of postgres'."""
    return int((run("du", "--summarize", "--block-size=1M", path, check=False) or "0").split()[0])


def look(version, name, port):
    """Return what a host has of clusters, and whether there is a server of this version to be had, once nobody is at work on them."""
    wait_for_others()
    clusters = [row for row in neighbours.clusters() if row["name"] == name]
    answer = sql(port, QUERY, check=False)
    policy = run("apt-cache", "policy", "postgresql-%s" % version)
    space = os.statvfs(HOME) if os.path.isdir(HOME) else os.statvfs("/")
    return {
        "clusters": clusters, "journal": journal(), "server": json.loads(answer) if answer else None,
        "patroni": {row["version"]: patroni(row["version"], name) for row in clusters},
        "offered": os.path.exists("/usr/lib/postgresql/%s/bin/postgres" % version) or "Candidate:" in policy and "Candidate: (none)" not in policy,
        "size_mb": {row["version"]: megabytes("%s/%s/%s" % (HOME, row["version"], name)) for row in clusters},
        "free_mb": space.f_bavail * space.f_frsize >> 20,
    }  # fmt: skip


# --- Patroni ---------------------------------------------------------------------------------


def patroni_file(version, name):
    """Return the path of what Patroni reads for a cluster; it is there where Patroni runs the server."""
    return "/etc/patroni/%s-%s.yml" % (version, name)


def patronictl(version, name, seconds, *words, check=True, answers=""):
    """Have Patroni's own command ask the voters as a cluster's Patroni does, or tell them something."""
    try:
        return run("timeout", str(seconds), "patronictl", "-c", patroni_file(version, name), *words, check=check, answers=answers)
    except Wrong as wrong:
        raise Wrong("patronictl %s: %s" % (words[0], wrong)) from None


def patroni_state(is_managed, said):
    """Return what Patroni is to a cluster, by what `show-config` prints: nothing, `runs`, `paused`, or `silent` where the voters do not answer."""
    if not is_managed:
        return ""
    return "silent" if not said else "paused" if "pause: true" in said.splitlines() else "runs"


def patroni(version, name):
    """Ask whether Patroni runs a cluster's server, and whether the voters answer."""
    is_managed = os.path.exists(patroni_file(version, name))
    return patroni_state(is_managed, patronictl(version, name, 30, "show-config", check=False) if is_managed else "")


def forget(asked, version, name):
    """Have the voters forget what they know of a cluster that nobody's Patroni runs; the cluster `asked` says how they are reached.

    Patroni's documentation has it so for a major upgrade: another cluster is to come under its name, or none.
    """
    scope = "%s-%s" % (version, name)
    if patroni(asked, name):
        patronictl(asked, name, 60, "remove", scope, answers="%s\nYes I am aware\n" % scope)


def pause(version, name):
    """Have nobody become the primary, and no Patroni start or stop a server, from now on."""
    if patroni(version, name) not in ("", "paused"):
        patronictl(version, name, 120, "pause", "--wait")


def make_way(serving, coming, name):
    """Where Patroni runs the server, prepare the voters for another cluster in its place, or leave all as it is."""
    try:
        forget(serving, coming, name)
        pause(serving, name)
    except Wrong as wrong:
        patronictl(serving, name, 30, "resume", check=False)
        raise Wrong(
            "%s | PostgreSQL %s runs as before. See whether the voters agree (systemctl status etcd), and run this again, or run it with "
            "postgresql_version: %s, which starts the application." % (wrong, serving, serving)
        ) from None


def release(version, name):
    """Take a server from Patroni, as the role's README does by hand: it is a plain cluster then, and runs on where Patroni is paused.

    A host that dies within it starts its server by the one or by the other.
    """
    path, unit, configuration = patroni_file(version, name), "%s-%s" % (version, name), "/etc/postgresql/%s/%s/" % (version, name)
    if not os.path.exists(path):
        return
    run("systemctl", "stop", "patroni@%s.service" % unit)
    # Patroni's begins with what was there before it came.
    if os.path.lexists(configuration + "postgresql.base.conf"):
        run("mv", configuration + "postgresql.base.conf", configuration + "postgresql.conf", user="postgres")
    run("rm", "--force", path, "/etc/systemd/system/postgresql@%s.service.d/patroni.conf" % unit)
    run("systemctl", "daemon-reload")
    run("systemctl", "disable", "patroni@%s.service" % unit)


# --- Before ----------------------------------------------------------------------------------


def missing_extensions(new, port):
    """Return the extensions that databases have and that no package brings for the new version, with a database of each."""
    found = {}
    for database in databases(port):
        for name in sql(port, "SELECT extname FROM pg_extension", database=database).split():
            if not os.path.exists("/usr/share/postgresql/%s/extension/%s.control" % (new, name)):
                found.setdefault(name, database)
    return found


def checked(old, new, name, port):
    """Have pg_upgrade look at the cluster, which runs on meanwhile, and at an empty one of the new version, which is gone afterwards."""
    if lacking := missing_extensions(new, port):
        extension, database = next(iter(lacking.items()))
        raise Wrong(
            "The database %s has the extension %s, which no package brings for PostgreSQL %s: name the package in postgresql_packages." % (database, extension, new)
        )
    programs = "/usr/lib/postgresql/%s/bin"
    run("rm", "--recursive", "--force", CHECK, user="postgres")
    run("install", "--directory", "--mode=0700", CHECK, user="postgres")
    try:
        sums = sql(port, "SHOW data_checksums") == "on"
        options = ["--data-checksums"] if sums else ["--no-data-checksums"] * (int(new) >= 18)
        run(programs % new + "/initdb", "--pgdata", CHECK + "/data", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *options, user="postgres")
        words = ["-b", programs % old, "-B", programs % new, "-d", "/etc/postgresql/%s/%s" % (old, name), "-D", CHECK + "/data", "-p", str(port), "-P", "50432"]
        try:
            run(programs % new + "/pg_upgrade", "--check", *words, user="postgres", cwd=CHECK)
        except Wrong as wrong:
            reports = glob.glob(CHECK + "/data/pg_upgrade_output.d/*/*.txt")
            raise Wrong("%s | %s" % (wrong, " | ".join(" ".join(neighbours.read(path).split())[:600] for path in reports))) from None
    finally:
        run("rm", "--recursive", "--force", CHECK, user="postgres", check=False)


# --- The upgrade -----------------------------------------------------------------------------


def start_mode(version, name, word):
    """Say whether systemd starts a cluster: auto or manual."""
    run("sed", "--in-place", "--regexp-extended", r"s/^\s*(auto|manual|disabled)\s*$/%s/" % word, "/etc/postgresql/%s/%s/start.conf" % (version, name), user="postgres")
    run("systemctl", "daemon-reload")


def stop(version, name):
    """Stop a cluster's server, whoever runs it."""
    release(version, name)
    run("systemctl", "stop", "postgresql@%s-%s.service" % (version, name))
    if os.path.lexists("%s/%s/%s/postmaster.pid" % (HOME, version, name)):
        run("pg_ctlcluster", version, name, "stop", "--mode", "fast", user="postgres", check=False)


def drop_unfinished(version, name):
    """Take away what an interrupted run left: it never held anybody's data."""
    stop(version, name)
    run("pg_dropcluster", version, name, user="postgres", check=False)
    for path in ("%s/%s/%s" % (HOME, version, name), "/etc/postgresql/%s/%s" % (version, name)):
        run("rm", "--recursive", "--force", path, user="postgres")


def alone():
    """Wait until nobody else is at work on the clusters, a run that was killed say, and keep others away for as long as this program runs."""
    HELD.append(os.open(LOCK, os.O_WRONLY | os.O_CREAT, 0o600))
    fcntl.flock(HELD[0], fcntl.LOCK_EX)


def wait_for_others():
    """Wait until nobody is at work on the clusters: what a run that was killed has begun is still done to its end."""
    descriptor = os.open(LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def upgraded(old, new, name, jobs, clone):
    """Make a cluster of the new version of a copy of the old one, whose server is stopped and stays so."""
    path, known = mark(new, name), journal()
    if known.get("phase") == "upgraded" and known.get("new") == new and not os.path.exists(path):
        return
    if os.path.exists(path):
        drop_unfinished(new, name)
    make_way(old, new, name)
    run("touch", path, user="postgres")
    run("sync")
    start_mode(old, name, "auto")
    method = "--method=clone" if clone else "--method=upgrade"
    stop(old, name)
    try:
        # As postgres, whose folders they are. The configuration is the role's; the port is the same, and only one of them is started.
        run("pg_upgradecluster", method, "--no-start", "--keep-port", "--jobs=%d" % jobs, "--version=%s" % new, old, name, user="postgres")
    except Wrong as wrong:
        stop(old, name)
        start_mode(old, name, "auto")
        run("systemctl", "start", "postgresql@%s-%s.service" % (old, name))
        raise Wrong(
            "%s | PostgreSQL %s runs as before. Mend the cause and run this again, or run it with postgresql_version: %s, which starts the application."
            % (wrong, old, old)
        ) from None
    stop(old, name)
    run("sync")
    note(old=old, new=new, phase="upgraded")
    run("rm", path, user="postgres")


def exchanged(stopped, started, name):
    """Have another cluster of the host be started than until now, both of which are whole."""
    make_way(stopped, started, name)
    stop(stopped, name)
    start_mode(stopped, name, "manual")
    start_mode(started, name, "auto")
    note(old=stopped, new=started, phase="upgraded")


def is_there(version, name):
    """Return whether a host has a cluster, started or not."""
    return os.path.exists("/etc/postgresql/%s/%s/postgresql.conf" % (version, name))


def retired(version, name):
    """Stop the cluster of a standby for good; it stays. Return whether there was one."""
    if not is_there(version, name):
        return False
    stop(version, name)
    start_mode(version, name, "manual")
    return True


def removed(version, serving, name):
    """Remove a cluster that is not started any more, with its configuration, while another one serves; return whether there was one."""
    if not is_there(version, name):
        return False
    forget(serving, version, name)
    run("pg_dropcluster", version, name, user="postgres")
    run("systemctl", "daemon-reload")
    return True


def finished(old, new, port):
    """Bring the extensions up to what the new packages have, and note that the site serves, and from which transaction on."""
    for database in databases(port):
        due = "SELECT format('ALTER EXTENSION %I UPDATE', name) FROM pg_available_extensions WHERE installed_version <> default_version"
        for statement in sql(port, due, database=database).splitlines():
            sql(port, statement, database=database)
    note(old=old, new=new, phase="finished", next=json.loads(sql(port, QUERY))["next"])
