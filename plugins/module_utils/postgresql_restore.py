# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Bring a moment of the database back: beside the running cluster, or in its place.

What the modules postgresql_restore_look and postgresql_restore do as root on a database host. All they read and write is postgres', so it is
done as postgres, in a process of its own; root only starts and stops the servers.

look       what there is: servers, repository, space, what an interrupted run left
beside     restore into a second cluster of its own, which is left running
remove     remove what was restored beside: the cluster, the database of a dump
prepare    restore into a directory next to the cluster's own, up to the moment, while production runs on
swap       put the prepared directory in the place of the cluster's own, which is kept
complete   forget that there was a restore in place: all that belongs to it is done
locate     find the dump of a database
room       refuse a dump that is still to come this way where it does not fit, or the database that becomes of it
dump       restore a dump into a database of its own
rename     give that database the name of the one it takes the place of, which is kept under another

Everything is made in a directory of its own, and production's is exchanged for it in one step. So an interrupted run has
either changed nothing yet, or left a journal by which the next one finishes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import time
import traceback
import urllib.parse

from . import postgresql_server
from .paths import read_file, read_text
from .postgresql_names import derived

USER = "postgres"
MB = 1024**2
# In a directory of root's alone, as /run/lock is not.
LOCK = "/run/selfhost-restore.lock"
SOCKETS = "/var/run/postgresql"
# What the server says when the log ends before the moment, and when a backup does not lie on the way to it.
UNREACHED = "recovery ended before configured recovery target was reached"
STRANGER = "is not a child of this server's history"
# Written by pgBackRest for the recovery; a standby made of this cluster later would stop at them.
RECOVERY_SETTINGS = (
    "restore_command", "recovery_target", "recovery_target_action", "recovery_target_inclusive", "recovery_target_lsn",
    "recovery_target_name", "recovery_target_time", "recovery_target_timeline", "recovery_target_xid",
)  # fmt: skip
# Databases that a dump was restored into, and that nobody has taken over. Until it is noted what one is, it takes no connections.
MADE_HERE = (
    "datname ~ '_restor(ed|ing)$' AND shobj_description(oid, 'pg_database') LIKE 'restored from %' OR datname ~ '_restoring$' AND NOT datallowconn"
)
# Of no use in a copy that is to be brought to another moment.
NOT_COPIED = {"pg_wal", "pg_replslot", "pg_stat_tmp", "pg_notify", "pg_subtrans", "pg_snapshots", "postmaster.pid", "postmaster.opts"}
# A segment that the server has just closed is in the archive within seconds; where one of several repositories is away, within some minutes.
ARCHIVE_SECONDS = 200
# How long a lease of a server that was killed may last.
LEASE_SECONDS = 180
# pgBackRest's number for a repository that cannot be read.
UNREADABLE = 99
# What a restore in place lays beside a cluster's directory: these stand behind its name.
MADE_READY, JOURNAL = OF_RESTORES = (".restoring", ".restore.json")
# What the journal of a restore in place says from the moment on when something may be exchanged.
BEGUN = ("swapping", "swapped")
CONFIGURATION = "/etc/pgbackrest/pgbackrest.conf"
RENAME_EXCHANGE = 2
AT_FDCWD = -100
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


class Failure(Exception):
    """A sentence for the operator."""


# --- Commands -----------------------------------------------------------------------------------


def act_as_postgres():
    """Work with postgres' rights, which are taken back for what only root may do."""
    account = pwd.getpwnam(USER)
    os.initgroups(USER, account.pw_gid)
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)


def become_root():
    os.seteuid(0)
    os.setegid(0)
    os.setgroups([0])
    os.setuid(0)


def become_postgres():
    """Give every other right up."""
    os.seteuid(0)
    account = pwd.getpwnam(USER)
    os.initgroups(USER, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    # Nothing that is started here outlives this program.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def run(*command, check=True, user=USER, **options):
    # Whatever the settings of a role or a database: nothing here waits for a standby, which may be away.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": pwd.getpwnam(user).pw_dir, "PGOPTIONS": postgresql_server.OWN}
    done = subprocess.run(
        [str(word) for word in command], cwd="/", env=environment, capture_output=True, text=True, errors="replace", check=False,
        umask=0o077, preexec_fn=become_postgres if user == USER else become_root, **{"input": "", **options},
    )  # fmt: skip
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        told = [line for line in said if "ERROR" in line or "FATAL" in line or "error:" in line] or said[-3:]
        raise Failure(f"{pathlib.Path(command[0]).name} {' '.join(map(str, command[-1:]))} failed: {' '.join(told)}")
    return done


def sql(statement, port, directory=SOCKETS, database="postgres", check=True):
    done = run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", directory, "-p", port, "-d", database, "-c", statement, check=check)
    return done.stdout.strip() if done.returncode == 0 else None


def entries(listing, owner):
    """Return the lines of a dump's list (`pg_restore --list`) that a superuser restores first, and those that the database's owner does then.

    Extensions and the schemas that they may lie in are a superuser's, and run none of the dump's code. Where something belongs to another role
    than the owner, whom an application cannot make it belong to, all are: nobody less may give it away.
    """
    superusers, owners = [], []
    for line in listing.splitlines():
        if line.strip() and not line.startswith(";"):
            _identity, _table, _oid, kind, *rest = line.split(" ")
            early = kind in ("EXTENSION", "SCHEMA") or (kind == "COMMENT" and rest[:2] == ["-", "EXTENSION"])
            if not early and rest[-1] not in ("", owner, "pg_database_owner"):
                owner = USER
            (superusers if early else owners).append(line)
    return (superusers + owners, []) if owner == USER else (superusers, owners)


def leads(port, directory=SOCKETS):
    """Return whether a server is a primary, None where none answers."""
    return {"f": True, "t": False}.get(sql(f"SELECT {postgresql_server.RECOVERY}", port, directory, check=False))


def write(path, text, mode=0o600):
    """Write a file in one step, on the disk when this returns."""
    path = pathlib.Path(path)
    new = path.with_name(f".{path.name}.new")
    with open(new, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)
    synchronize(path.parent)


def synchronize(directory):
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path):
    found = read_file(None, path)
    try:
        return json.loads(found[0]) if found else None
    except ValueError:
        return None


def exchange(one, other):
    """Exchange two directories: whatever happens, the name is never without a cluster."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        error = ctypes.get_errno()
        raise Failure(f"{one} and {other} cannot be exchanged: {os.strerror(error)}")
    synchronize(pathlib.Path(one).parent)


def repositories(configuration):
    """Return, for each repository of pgBackRest's configuration (a path), the options that name it; none where there is no such file."""
    try:
        with open(configuration, encoding="utf-8") as file:
            numbers = {int(number) for number in re.findall(r"^repo([0-9]+)-", file.read(), re.MULTILINE)}
    except FileNotFoundError:
        numbers = set()
    return [[f"--repo={number}"] for number in sorted(numbers)] or [[]]


# --- What an interrupted restore in place has left --------------------------------------------------


def goes_on(journal, words, newest, serves):
    """Return whether a run that asks for these words goes on with what an interrupted one has left, by its journal as it is `seen`.

    newest tells that the newest state is asked for, serves that the server runs. What is in the cluster's place is only to be finished. What was
    made ready before is no longer the newest state, unless the server was stopped for it and nobody has written since.
    """
    if not journal or journal["words"] != words:
        return False
    if journal["exchanged"]:
        return True
    if journal["phase"] == "preparing" or not journal["fits"]:
        return False
    return not newest or journal["phase"] in BEGUN and not serves


def since(journal):
    """Return when that was made ready which a journal tells of."""
    return re.sub(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", r"\1-\2-\3 \4:\5:\6+00", journal["stamp"])


def told(journal, is_finished):
    """Return what a host serves after a restore in place; is_finished tells that an interrupted one was finished and nothing else was done."""
    if not is_finished:
        return journal["words"]
    return (
        f"{journal['words']}, as it was made ready at {since(journal)}: the restore in place that was interrupted is finished, and nothing newer was "
        "restored. To restore again, run it again"
    )


class Restore:
    """The clusters of a host and what is to become of them."""

    def __init__(self, specification):
        self.asked = specification
        self.version = str(specification["version"])
        self.base = pathlib.Path("/var/lib/postgresql") / self.version
        self.main = self.base / specification["cluster"]
        self.new = self.base / f"{specification['cluster']}{MADE_READY}"
        self.journal = self.base / f"{specification['cluster']}{JOURNAL}"
        self.beside_data = self.base / "restore"
        self.beside_note = self.base / "restore.json"
        self.beside_settings = pathlib.Path("/etc/postgresql") / self.version / "restore"
        self.programs = pathlib.Path("/usr/lib/postgresql") / self.version / "bin"
        # Where Patroni runs the server, what it reads.
        self.patroni = specification.get("patroni", "")
        self.name = f"{self.version}-{specification['cluster']}"
        self.unit = f"{'patroni' if self.patroni else 'postgresql'}@{self.name}.service"
        self.beside_unit = f"postgresql@{self.version}-restore.service"
        self.port = specification["port"]
        self.log = pathlib.Path(f"/var/log/postgresql/postgresql-{self.version}-{specification['cluster']}-restoring.log")

    def pgbackrest(self, *arguments, **options):
        return run("pgbackrest", f"--stanza={self.asked['stanza']}", *arguments, **options)

    def program(self, name):
        return self.programs / name

    def control(self, directory):
        return run(self.program("pg_controldata"), "-D", directory).stdout

    # --- Look -----------------------------------------------------------------------------------

    def look(self):
        primary = leads(self.port)
        note = read(self.beside_note)
        common = run("timeout", "60", "patronictl", "-c", self.patroni, "show-config", check=False) if self.patroni else None
        information, unanswered = self.information()
        space = os.statvfs(self.base if self.base.exists() else "/")
        tablespaces = self.main / "pg_tblspc"
        return {
            "running": primary is not None,
            "primary": bool(primary),
            "paused": bool(common) and "pause: true" in common.stdout.splitlines(),
            "voters": not common or common.returncode == 0,
            "journal": self.seen(read(self.journal)),
            "beside": next((found for found in (one.stands_beside() for one in self.every_version()) if found), None),
            "kept": sorted(glob.glob(f"{self.main}.before-*")),
            "tablespaces": tablespaces.is_dir() and any(tablespaces.iterdir()),
            "free_bytes": space.f_bavail * space.f_frsize + self.size(self.new),
            "beside_bytes": self.size(self.beside_data) * bool(note),
            "information": information,
            "histories": self.histories(information),
            "trouble": self.trouble(information) if information["repo"] else unanswered,
        }

    def information(self):
        """Return what the repositories hold, as pgBackRest tells it of all, and what it said where it did not.

        Each is asked for by itself: of several that another host opens, pgBackRest takes all but the first for not encrypted.
        """
        told, unanswered = [], ""
        for option in repositories(CONFIGURATION):
            done = self.pgbackrest(*option, "--output=json", "--log-level-console=off", "--log-level-stderr=error", "info", check=False)
            told += json.loads(done.stdout, strict=False)[:1] if done.returncode == 0 else []
            unanswered = unanswered if done.returncode == 0 else (done.stderr or done.stdout).strip()
        return {key: [row for one in told for row in one.get(key, [])] for key in ("archive", "backup", "db", "repo")}, unanswered

    def stands_beside(self):
        """Return what is noted of what was restored beside, in this version; None where there is nothing."""
        return read(self.beside_note) or ({"words": "something else", "finished": True} if self.beside_data.exists() or self.beside_settings.exists() else None)

    def every_version(self):
        """Return the same for each version of the server that the host has or had: a moment before an upgrade is of another one."""
        others = {path.name for path in self.base.parent.glob("[1-9]*") if path.is_dir()} - {self.version}
        return [self, *(Restore(self.asked | {"version": version}) for version in sorted(others))]

    @staticmethod
    def newest(information, repository=0):
        """Return what the archive holds of the cluster that serves, not of those before an upgrade; with a number, in that repository."""
        archives = [row for row in information.get("archive", []) if repository in (0, row["database"]["repo-key"])]
        last = {row["database"]["repo-key"]: row["database"]["id"] for row in sorted(archives, key=lambda row: row["database"]["id"])}
        return [row["max"] or "" for row in archives if last[row["database"]["repo-key"]] == row["database"]["id"]]

    @staticmethod
    def trouble(information):
        """Return what a repository says that cannot be read; one that holds nothing yet is none."""
        states = [repository["status"] for repository in information.get("repo", [])]
        unread = [state["message"] for state in states if state["code"] == UNREADABLE]
        return " ".join(" ".join(unread).split()) if unread and len(unread) == len(states) else ""

    @staticmethod
    def size(directory):
        return sum(
            os.lstat(os.path.join(folder, name)).st_blocks * 512
            for folder, _folders, names in os.walk(directory)
            for name in names
            if os.path.lexists(os.path.join(folder, name))
        )

    def histories(self, information):
        """Return what the archive says of the newest timeline's ancestors."""
        newest = max(self.newest(information), default="")[:8]
        if not newest or int(newest, 16) < 2:
            return ""
        target = self.base / f".{newest}.history"
        try:
            done = self.pgbackrest(f"--pg1-path={self.main}", "archive-get", f"{newest}.history", target, check=False)
            return target.read_text(encoding="utf-8") if done.returncode == 0 else ""
        finally:
            target.unlink(missing_ok=True)

    # --- Recover --------------------------------------------------------------------------------

    def flush(self):
        """Have the archive hold the log up to now, with a commit behind the moment that is asked for: recovery stops at that."""
        if not leads(self.port):
            return not self.asked.get("complete_log")
        if self.is_stranger():
            return True
        sql("SELECT pg_current_xact_id()", self.port)
        segment = sql("SELECT pg_walfile_name(pg_switch_wal())", self.port)
        deadline = time.monotonic() + ARCHIVE_SECONDS
        while time.monotonic() < deadline:
            if max(self.newest(self.information()[0], self.asked.get("repository") or 0), default="") >= segment:
                return True
            time.sleep(1)
        return False

    def is_stranger(self):
        """Whether the server that runs is none whose history the repository holds, as on a new host in the place of a lost one."""
        known = [str(row["system-id"]) for row in self.information()[0]["db"]]
        return bool(known) and sql("SELECT system_identifier FROM pg_control_system()", self.port) not in known

    def stop_private(self, directory):
        """Stop a server that an interrupted run left at work in a directory that is not yet anybody's."""
        if (directory / "postmaster.pid").exists():
            run(self.program("pg_ctl"), "-D", directory, "-m", "immediate", "-t", "300", "stop", check=False)
            (directory / "postmaster.pid").unlink(missing_ok=True)

    def copy(self):
        """Start from a copy of what is there: only what differs has to come from the repository."""
        if not (self.main / "PG_VERSION").exists() or (self.new / "PG_VERSION").exists():
            return
        for path in sorted(self.main.iterdir()):
            if path.name not in NOT_COPIED and path.name != "PG_VERSION" and not path.is_symlink():
                # Files of the running server come and go; each is checked against the backup afterwards.
                run("cp", "--archive", "--reflink=auto", "--no-target-directory", path, self.new / path.name, check=False)
        run("cp", "--archive", self.main / "PG_VERSION", self.new / "PG_VERSION")

    def fetch(self, directory, label, archiving):
        kind = self.asked["type"]
        arguments = [f"--repo={self.asked['repository']}"] if self.asked.get("repository") else []
        arguments += [f"--set={label}", f"--type={kind}", f"--pg1-path={directory}", f"--process-max={self.asked['processes']}"]
        if kind in ("time", "name"):
            arguments.append(f"--target={self.asked['target']}")
        if kind != "default":
            arguments.append("--target-action=promote")
        if self.asked["timeline"]:
            arguments.append(f"--target-timeline={self.asked['timeline']}")
        if not archiving:
            arguments += ["--archive-mode=off", f"--tablespace-map-all={directory}.tablespaces"]
        if (directory / "PG_VERSION").exists():
            arguments.append("--delta")
        self.pgbackrest(*arguments, "--log-level-console=warn", "restore")

    def recover(self, directory, archiving):
        """Restore one of the backups and replay the log up to the moment; return what came of it."""
        for label in self.asked["sets"]:
            self.fetch(directory, label, archiving)
            complaint, reached = self.replay(directory, archiving)
            if not complaint:
                return {"set": label, "reached": reached}
            # Further back lies the name that is looked for, or a backup of the history that is asked for.
            if STRANGER not in complaint and not (UNREACHED in complaint and self.asked["type"] == "name"):
                break
        ended = re.search(r"last completed transaction was at log time (.*)", read_text(self.log, last=True))
        if UNREACHED in complaint:
            raise Failure(
                f"{self.asked['words']} cannot be reached: the archive ends before it"
                + (f", with a transaction of {ended[1]}." if ended else ".")
            )
        raise Failure(f"{self.asked['words']} cannot be reached: {complaint} (the server's log is {self.log})")

    def private_settings(self, directory, archiving):
        return postgresql_server.limits(self.control(directory)) | {
            "config_file": directory / "restore.conf",
            "hba_file": directory / "restore.hba",
            "ident_file": directory / "restore.ident",
            "listen_addresses": "",
            "port": self.port,
            "unix_socket_directories": directory,
            "hot_standby": "off",
            # Kept for the archive until the cluster has taken its place, and never sent by a copy beside it.
            "archive_mode": "on" if archiving else "off",
            "archive_command": "/bin/false",
            "archive_library": "",
            "autovacuum": "off",
            "synchronous_standby_names": "",
            "max_logical_replication_workers": "0",
            "shared_preload_libraries": "",
            "logging_collector": "off",
            "log_destination": "stderr",
            "lc_messages": "C",
            "ssl": "off",
        }

    def replay(self, directory, archiving):
        """Run the server by itself until it has recovered; return its complaint, or none and what was reached."""
        write(directory / "restore.conf", "")
        write(directory / "restore.ident", "")
        write(directory / "restore.hba", "local all postgres peer\n")
        settings = [word for name, value in self.private_settings(directory, archiving).items() for word in ("-c", f"{name}={value}")]
        self.log.unlink(missing_ok=True)
        write(self.log, "", mode=0o640)
        # An opening that may create is refused even to root where others write too: fs.protected_regular, proc_sys_fs(5).
        with self.log.open("r+b") as log:
            server = subprocess.Popen(
                [self.program("postgres"), "-D", directory, *settings],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=become_postgres, umask=0o077,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/var/lib/postgresql"},
            )  # fmt: skip
            try:
                while server.poll() is None and not leads(self.port, directory):
                    time.sleep(0.5)
                if server.poll() is not None:
                    said = read_text(self.log, last=True).splitlines()
                    fatal = [line.partition("FATAL:")[2].strip() for line in said if "FATAL:" in line]
                    return next((line for line in fatal if not line.startswith(("terminating", "the database system"))), "the server ended"), None
                for name in RECOVERY_SETTINGS:
                    sql(f"ALTER SYSTEM RESET {name}", self.port, directory)
                reached = sql("SELECT json_build_object('last_commit', pg_last_xact_replay_timestamp())", self.port, directory)
            finally:
                if server.poll() is None:
                    server.send_signal(signal.SIGINT)
                server.wait()
        for name in ("restore.conf", "restore.hba", "restore.ident"):
            (directory / name).unlink()
        if postgresql_server.control(self.control(directory))["cluster"] != "shut down":
            return "the recovered server did not stop cleanly", None
        return "", json.loads(reached)

    def make(self, directory):
        directory.mkdir(mode=0o700, exist_ok=True)

    # --- Beside ---------------------------------------------------------------------------------

    def beside(self):
        if not self.program("postgres").exists():
            raise Failure(f"{self.asked['words']} is of PostgreSQL {self.version}, which is not installed here any more: install postgresql-{self.version}.")
        self.base.mkdir(mode=0o755, exist_ok=True)
        for other in self.every_version()[1:]:
            other.remove_beside()
        self.flush()
        run("systemctl", "stop", self.beside_unit, user="root", check=False)
        self.stop_private(self.beside_data)
        write(self.beside_note, json.dumps({"words": self.asked["words"], "finished": False}))
        self.make(self.beside_data)
        try:
            result = self.recover(self.beside_data, archiving=False)
            self.start_beside()
            result |= {"owners": self.let_in_owners()}
        except BaseException:
            self.remove_beside()
            raise
        write(self.beside_note, json.dumps({"words": self.asked["words"], "finished": True, **result}))
        return result

    def start_beside(self):
        settings = {
            "data_directory": self.beside_data,
            "hba_file": self.beside_settings / "pg_hba.conf",
            "ident_file": self.beside_settings / "pg_ident.conf",
            "external_pid_file": f"{SOCKETS}/{self.version}-restore.pid",
            "cluster_name": f"{self.version}/restore",
            "listen_addresses": "",
            "port": self.asked["beside_port"],
            "unix_socket_directories": SOCKETS,
            "archive_mode": "off",
            "synchronous_standby_names": "",
            "shared_preload_libraries": "",
            "max_logical_replication_workers": "0",
            "autovacuum": "off",
            "shared_buffers": "128MB",
            "logging_collector": "off",
            "ssl": "off",
        } | postgresql_server.limits(self.control(self.beside_data))
        # What ALTER SYSTEM set in production would win over these: its port, its archive, its libraries.
        write(self.beside_data / "postgresql.auto.conf", "")
        self.beside_settings.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name, text in {
            "postgresql.conf": "".join(f"{name} = '{value}'\n" for name, value in settings.items()),
            "pg_hba.conf": "local all all peer map=owner\n",
            "pg_ident.conf": f"owner {USER} {USER}\n",
            "environment": "",
            "start.conf": "manual\n",
            "pg_ctl.conf": "pg_ctl_options = ''\n",
        }.items():
            write(self.beside_settings / name, text, mode=0o640 if name.startswith("pg_hba") else 0o644)
        run("systemctl", "start", self.beside_unit, user="root")
        self.wait(self.asked["beside_port"])

    def let_in_owners(self):
        """Have postgres log in as owners of databases, too: whoever looks into one as a superuser runs what the application has put there. Return the owners by
        database."""
        port = self.asked["beside_port"]
        owners = json.loads(sql("SELECT json_object_agg(datname, pg_get_userbyid(datdba)) FROM pg_database", port))
        rows = "".join(f'owner {USER} "{name}"\n' for name in sorted({USER, *owners.values()}))
        write(self.beside_settings / "pg_ident.conf", rows, mode=0o644)
        sql("SELECT pg_reload_conf()", port)
        return owners

    def wait(self, port):
        deadline = time.monotonic() + 300
        while not leads(port):
            if time.monotonic() > deadline:
                raise Failure(f"the server on port {port} does not answer; its log is in /var/log/postgresql")
            time.sleep(0.5)

    def remove(self):
        if leads(self.port):
            for name in self.made_here():
                sql(f'DROP DATABASE "{name}" WITH (FORCE)', self.port)
        for one in self.every_version():
            one.remove_beside()
        return {}

    def remove_beside(self):
        run("systemctl", "stop", self.beside_unit, user="root", check=False)
        self.stop_private(self.beside_data)
        for path in (self.beside_settings, pathlib.Path(f"{self.beside_data}.tablespaces"), self.beside_data):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self.beside_note, pathlib.Path(f"/var/log/postgresql/postgresql-{self.version}-restore.log")):
            path.unlink(missing_ok=True)
        run("systemctl", "reset-failed", self.beside_unit, user="root", check=False)

    # --- In place -------------------------------------------------------------------------------

    def note(self, phase, **more):
        journal = {"words": self.asked["words"], "phase": phase, **more}
        write(self.journal, json.dumps(journal))
        return journal

    def abandon(self):
        """Take away what never came to anything; production was not touched by it."""
        self.stop_private(self.new)
        # The journal first: nobody may go on with half of a directory.
        self.journal.unlink(missing_ok=True)
        shutil.rmtree(self.new, ignore_errors=True)

    def forget(self):
        """Give up an interrupted restore in place which had not changed anything yet: something else is wanted now."""
        if (read(self.journal) or {"phase": "preparing"})["phase"] in ("preparing", "prepared"):
            self.abandon()

    def mark(self, journal):
        """Return the file by which the cluster that came is told from the one that goes, while they are exchanged."""
        return f"restored-{journal['stamp']}"

    def seen(self, journal):
        """Return a journal and, beside what it says, whether what it tells of is in its place, and whether it fits there."""
        if not journal or journal["phase"] == "preparing":
            return journal and journal | {"exchanged": False, "fits": False}
        is_exchanged = journal["phase"] == "swapped" or (self.main / self.mark(journal)).exists()
        return journal | {"exchanged": is_exchanged, "fits": is_exchanged or self.fits()}

    def fits(self):
        """Whether what was made ready is on a later timeline than the cluster. Where another one has begun meanwhile their log would meet in the archive."""
        try:
            made, served = (postgresql_server.control(self.control(directory))["timeline"] for directory in (self.new, self.main))
        except (Failure, LookupError):
            return False
        return made > served

    def prepare(self):
        journal, words = read(self.journal), self.asked["words"]
        if goes_on(self.seen(journal), words, self.asked.get("complete_log"), leads(self.port) is not None):
            return journal
        if journal and journal["phase"] in BEGUN and journal["words"] != words:
            raise Failure(f"a restore in place to {journal['words']} is not finished")
        if journal and journal["words"] != words:
            self.abandon()
        self.stop_private(self.new)
        if not self.flush() and self.asked.get("complete_log"):
            raise Failure("the archive does not hold the log up to now, so the newest transactions would be lost")
        self.note("preparing")
        self.make(self.new)
        try:
            self.copy()
            result = self.recover(self.new, archiving=True)
        except BaseException:
            self.abandon()
            raise
        return self.note("prepared", stamp=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), **result)

    def swap(self):
        journal = read(self.journal)
        if not journal or journal["phase"] == "preparing" or journal["words"] != self.asked["words"] or self.asked.get("complete_log"):
            journal = self.prepare()
        kept, mark = pathlib.Path(f"{self.main}.before-{journal['stamp']}"), self.mark(journal)
        serves = told(journal, is_finished=journal["phase"] in BEGUN)
        if journal["phase"] == "swapped":
            (self.main / mark).unlink(missing_ok=True)
            return journal | {"serves": serves}
        if journal["phase"] == "prepared":
            write(self.new / mark, "")
            self.keep_common_settings()
            journal = journal | {"phase": "swapping", "kept": str(kept)}
            write(self.journal, json.dumps(journal))
        # As after a boot. It may have taken rows since, so it is not stopped, and not put back.
        is_served = (self.main / mark).exists() and leads(self.port)
        try:
            if not is_served:
                run("systemctl", "stop", self.unit, user="root")
                self.stop_private(self.main)
            if not (self.main / mark).exists():
                self.make(self.main)
                exchange(self.main, self.new)
            if self.new.exists():
                os.rename(self.new, kept)
                synchronize(self.base)
            if not is_served:
                self.forget_servers()
                self.start()
        except Exception as failure:
            if is_served:
                raise
            self.put_back(kept, mark)
            raise Failure(f"{failure} The cluster is as it was before.") from failure
        journal = journal | {"phase": "swapped"}
        write(self.journal, json.dumps(journal))
        (self.main / mark).unlink()
        return journal | {"serves": serves}

    def put_back(self, kept, mark):
        run("systemctl", "stop", self.unit, user="root", check=False)
        self.stop_private(self.main)
        if (self.main / mark).exists():
            if kept.exists():
                os.rename(kept, self.new)
            exchange(self.main, self.new)
        # Voters that do not answer have forgotten nothing.
        with contextlib.suppress(Failure):
            self.forget_servers()
        self.start()
        self.abandon()

    def start(self):
        """Start the server on what has its name now."""
        run("systemctl", "reset-failed", self.unit, user="root", check=False)
        run("systemctl", "start", self.unit, user="root")
        self.wait(self.port)

    def forget_servers(self):
        """Where there are voters, have them forget the servers: by the newest timeline and log that they know of, what was restored may not lead.

        Nobody else's Patroni runs. That of this host enters its server anew, as it does after a new version's `pg_upgrade`.
        """
        deadline = time.monotonic() + LEASE_SECONDS
        while self.patroni:
            # As long as there is a lease it asks for its holder, too; that of a server that was killed ends by itself.
            done = run("patronictl", "-c", self.patroni, "remove", self.name, input=f"{self.name}\nYes I am aware\n", check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise Failure(f"the voters do not forget the servers: {' '.join((done.stderr or done.stdout).split()[-30:])}")
            time.sleep(2)

    def keep_common_settings(self):
        """Keep what all servers have in common as it is: Patroni enters it anew from this file, and the backup has a former one."""
        cached = self.main / "patroni.dynamic.json"
        if self.patroni and cached.exists():
            write(self.new / cached.name, cached.read_text(encoding="utf-8"))

    def complete(self):
        self.journal.unlink(missing_ok=True)
        return {}

    # --- Dumps ----------------------------------------------------------------------------------

    def locate(self):
        database, path = self.asked["database"], self.asked["dump"]
        if path == "latest":
            name = urllib.parse.quote(database, safe=" ") + ".dump"
            found = sorted(pathlib.Path(self.asked["dumps"]).glob(f"[0-9]*Z/{name}"))
            if not found:
                raise Failure(f"restore_dump is 'latest', and {self.asked['dumps']} holds no dump of {database}")
            path = found[-1]
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise Failure(f"restore_dump is '{path}', which is not there, or not for {USER} to read: {error.strerror}") from None
        return {"path": str(path), "bytes": os.path.getsize(path)}

    def databases(self):
        return set(sql("SELECT datname FROM pg_database", self.port).splitlines())

    def made_here(self):
        return set(sql(f"SELECT datname FROM pg_database WHERE {MADE_HERE}", self.port).splitlines())

    def room(self):
        """Ask on a host for what comes by there: the dump where it is on its way, the database where it is restored."""
        size, spool = int(self.asked["bytes"]), self.asked["spool"]
        is_restored = "database" in self.asked
        is_one_disk = is_restored and spool and os.stat(spool).st_dev == os.stat(self.base).st_dev
        if spool and not is_one_disk:
            self.refuse(f"the dump takes {size // MB} MB on its way and", size, spool, f" in {spool}")
        if is_restored:
            there = self.databases()
            # A restore that was killed has left it, and it goes before anything is made.
            left = {derived(self.asked["database"], "_restoring")} & there & self.made_here()
            self.ask(size, there, laid=size if is_one_disk else 0, freed=sum(map(self.bytes, left)))
        return {}

    def bytes(self, database):
        return int(sql(f"SELECT pg_database_size('{database}')", self.port))

    def ask(self, size, there, laid=0, freed=0):
        """Refuse the database of a dump of so many bytes where it does not fit; `laid` of them are still to come to the same disk, `freed` will go from it."""
        # A dump is compressed, and has no indexes.
        becomes = max(self.bytes(self.asked["database"]) if self.asked["database"] in there else 0, 4 * size)
        way = f", the dump {laid // MB} MB until then," if laid else ""
        self.refuse(f"the restored database takes about {becomes // MB} MB{way} and", becomes + laid - freed, self.base)

    def refuse(self, what, needed, folder, where=""):
        """Refuse what would not fit into a folder and leave what is to stay free."""
        space = os.statvfs(folder)
        free, headroom = space.f_bavail * space.f_frsize, int(self.asked["headroom_mb"])
        if needed + headroom * MB > free:
            raise Failure(f"{what} {headroom} MB are to stay free (postgresql_restore_headroom_mb), but only {free // MB} MB are{where}")

    def dump(self):
        database, source = self.asked["database"], self.asked["file"]
        new, beside = derived(database, "_restoring"), derived(database, "_restored")
        there, made_here = self.databases(), self.made_here()
        in_the_way = there & ({new} if self.asked["in_place"] else {new, beside})
        for name in sorted(in_the_way - made_here):
            raise Failure(f"the database {name} is there, and no restore made it: give it another name first")
        if beside in in_the_way:
            raise Failure(f"the database {beside} is there already: remove it first, by -e restore_remove=true")
        if new in there:
            sql(f'DROP DATABASE "{new}" WITH (FORCE)', self.port)
        self.ask(os.path.getsize(source), there)
        owner = sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{database}'", self.port) or "postgres"
        sql(f'CREATE DATABASE "{new}" OWNER "{owner}" TEMPLATE template0 ALLOW_CONNECTIONS false', self.port)
        sql(f'REVOKE ALL ON DATABASE "{new}" FROM PUBLIC', self.port)
        sql(f"""COMMENT ON DATABASE "{new}" IS 'restored from {self.asked["words"]}'""", self.port)
        sql(f'ALTER DATABASE "{new}" ALLOW_CONNECTIONS true', self.port)
        try:
            self.fill(new, owner, source)
            sql("ANALYZE", self.port, database=new)
            if not self.asked["in_place"]:
                sql(f'ALTER DATABASE "{new}" RENAME TO "{beside}"', self.port)
        except BaseException:
            sql(f'DROP DATABASE IF EXISTS "{new}" WITH (FORCE)', self.port)
            raise
        return {"database": beside, "owner": owner}

    def fill(self, database, owner, source):
        """Restore a dump with the rights of the database's owner: what it has called meanwhile, such as a CHECK's function, is the owner's code."""
        superusers, owners = entries(run(self.program("pg_restore"), "--list", source).stdout, owner)
        asked = owners and run("psql", "-XAtqw", "-h", SOCKETS, "-p", self.port, "-U", owner, "-d", database, "-c", "SELECT", check=False)
        if asked and asked.returncode:
            raise Failure(
                f"a dump of {self.asked['database']} is restored as its owner {owner}, by a rule that database.yml writes for each of postgresql_databases, "
                f"and the server says: {' '.join(asked.stderr.split())}"
            )
        for role, some in ((USER, superusers), (owner, owners)):
            if some:
                words = ("--exit-on-error", f"--jobs={self.asked['processes']}", "--use-list=/dev/stdin", "-w", "-h", SOCKETS, "-p", self.port, "-U", role)
                run(self.program("pg_restore"), *words, "-d", database, source, input="\n".join(some))

    def rename(self):
        database = self.asked["database"]
        new, kept = derived(database, "_restoring"), derived(database, f"_before_{time.strftime('%Y%m%dt%H%M%Sz', time.gmtime())}")
        former = database in self.databases()
        steps = [f'ALTER DATABASE "{database}" RENAME TO "{kept}"'] if former else []
        steps += [f'ALTER DATABASE "{new}" RENAME TO "{database}"', f'COMMENT ON DATABASE "{database}" IS NULL']
        close = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'"
        for attempt in range(10):
            # Both names in one transaction: the database is never away.
            sql(close, self.port)
            if sql(f"BEGIN; {'; '.join(steps)}; COMMIT", self.port, check=attempt == 9) is not None:
                break
            time.sleep(1)
        return {"kept": f"the database {kept}" if former else "none", "serves": self.asked["words"]}


# What changes nothing.
QUESTIONS = ("locate", "room")
# What changes something.
STEPS = ("beside", "remove", "prepare", "swap", "complete", "dump", "rename")
# The option of modules that says which cluster it is about.
SERVER = {
    "type": "dict",
    "required": True,
    "options": {
        "version": {"type": "str", "required": True},
        "cluster": {"type": "str", "required": True},
        "stanza": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "beside_port": {"type": "int", "required": True},
        "processes": {"type": "int", "default": 1},
        "patroni": {"type": "str", "default": ""},
    },
}


def perform(step, specification):
    """Do a step with postgres' rights, and return what came of it."""
    restore = Restore(specification)
    if step == "look":
        act_as_postgres()
        return restore.look()
    # The process of a run whose connection was lost may still be at work.
    with open(LOCK, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        act_as_postgres()
        if step in ("beside", "remove", "dump"):
            restore.forget()
        return getattr(restore, step)()


def answer(function, *arguments):
    """Return what a function returns, or how it failed, as JSON."""
    try:
        return json.dumps({"result": function(*arguments)})
    except Failure as failure:
        return json.dumps({"failure": str(failure)})
    except Exception:
        return json.dumps({"failure": traceback.format_exc()})


def apart(step, specification):
    """Do a step in a process of its own, which `ps` shows as restore-<step>; return what came of it, or raise Failure.

    Its rights are postgres' from then on, those of the caller stay; and it goes on when the caller's connection is lost.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            ctypes.CDLL(None).prctl(PR_SET_NAME, f"restore-{step}".encode())
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nothing, number)
            os.dup2(writer, 3)
            os.closerange(4, os.sysconf("SC_OPEN_MAX"))
            said = answer(perform, step, specification)
            with os.fdopen(3, "w", encoding="utf-8") as pipe:
                pipe.write(said)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    said = json.loads(text or '{"failure": "the restore was killed"}')
    if "failure" in said:
        raise Failure(said["failure"])
    return said["result"]
