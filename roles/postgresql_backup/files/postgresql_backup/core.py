"""What every part needs: the configuration, the user, programs, the server, locks, and failures in one sentence."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pwd
import re
import stat
import subprocess
import sys
import syslog
import time

from . import commands

CONFIGURATION = "/etc/pgbackrest/postgresql-backup.json"
# Beside it, where uploads are copied: what the role media_backup says of them.
UPLOADS = "media-backup.json"
DEVNULL = subprocess.DEVNULL
# Exit status for want of room, and of a repository elsewhere: EX_CANTCREAT and EX_UNAVAILABLE of sysexits.h.
FULL = 73
AWAY = 69
# pgBackRest's own number for a repository that it cannot read.
UNREADABLE = 99
# Set in the environment of what runs in a unit of its own.
WALLED = "POSTGRESQL_BACKUP_WALLED"


# Of a line that is told, and of what a program says besides: more than somebody reads.
MOST_LETTERS, MOST_WORDS = 2000, 16000


def line(text):
    """Return a text as a line that shows itself and nothing else. Names of tables and words of functions are the application's, which may put into them what
    ends a line, or is an order to a terminal."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(text)[: MOST_LETTERS + 1].strip())
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


class Failure(Exception):
    """What an operator has to know, in one line that begins with our words, or a program's of ours. `words` is all that such a program has said."""

    def __init__(self, message, code=1, words=""):
        super().__init__(line(message))
        self.code, self.words = code, words[-MOST_WORDS:]


@dataclasses.dataclass
class Command:
    """A word of the command line."""

    run: callable
    help: str
    # Adds options to the command's parser.
    options: callable = None
    # Who runs it; None for whoever calls.
    user: str = "postgres"
    # Whether it runs in a unit of its own where root calls, walled in by postgresql-backup-.service.d.
    walled: bool = False


class Settings(dict):
    """The configuration; see the vars of the role postgresql_backup for its keys, and those of media_backup for what is in `media`."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def path(self, *parts):
        """Return a path in the directory that holds status, manifests and locks."""
        return os.path.join(self["state"], *parts)

    def program(self, name):
        """Return the path of one of the server's own programs."""
        return os.path.join(self["programs"], name)


def settings(path=None):
    path = path or os.environ.get("POSTGRESQL_BACKUP_CONFIGURATION", CONFIGURATION)
    try:
        with open(path, encoding="utf-8") as file:
            found = Settings(json.load(file))
        with contextlib.suppress(FileNotFoundError), open(os.path.join(os.path.dirname(path), UPLOADS), encoding="utf-8") as file:
            found["media"] = json.load(file)
    except OSError as error:
        raise Failure(f"the configuration {error.filename} cannot be read: {error.strerror}", 78) from None
    return found


def become(name):
    """Work as a user from here on, whoever calls."""
    user = pwd.getpwnam(name)
    if os.geteuid() == 0 and user.pw_uid != 0:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    if os.geteuid() != user.pw_uid:
        raise Failure(f"run this as root or {name}", 77)
    os.environ["HOME"] = user.pw_dir
    os.umask(0o027)
    os.chdir("/")


def wall_in(name, user):
    """Go on as a transient unit whose input, output and exit status are ours. Without systemd, or for the user itself, there is none."""
    if os.geteuid() != 0 or WALLED in os.environ or not os.path.isdir("/run/systemd/system"):
        return
    os.environ[WALLED] = "yes"
    options = [f"--setenv={variable}" for variable in os.environ if variable.startswith(("PGBACKREST_", "POSTGRESQL_BACKUP_"))]
    # Root named as a user would lose the right to become another.
    options += [f"--uid={user}"] if user else []
    unit = f"--unit=postgresql-backup-{name}-{os.getpid()}"
    os.execvp("systemd-run", ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", unit, *options, *sys.argv])


def as_user(user, command):
    """Return the words that run a command as a user, or as whoever calls."""
    return ["runuser", "-u", user, "--", *command] if user and pwd.getpwnam(user).pw_uid != os.geteuid() else list(command)


def run(*command, user=None, check=True, watch=None, **options):
    """Run a program, as another user where one is named; return it with its output. A failure is told in its own words: in a sentence, and all of them.

    `watch` is asked every second; what it has to say ends the program, and so does what it prints without end.
    """
    program, command = command[0], as_user(user, command)
    try:
        done = commands.hold([str(word) for word in command], watch=lambda: f"was {told}" if watch and (told := watch()) else "", **options)
    except commands.Ended as ended:
        raise Failure(f"{program} {ended}", FULL) from None
    if check and done.returncode:
        said = ((done.stderr or "") + (done.stdout or "")).strip()
        raise Failure(sentence(said) if said else f"{program} ended with {done.returncode}", done.returncode, said)
    return done


def pgbackrest(settings, *arguments, log="warn", **options):
    """Run pgBackRest for this site's backups. What it runs keeps the caller's locks until it has ended."""
    options = {"pass_fds": tuple(HELD)} | options
    return run("pgbackrest", f"--stanza={settings.name}", f"--log-level-console={log}", "--no-log-timestamp", *arguments, **options)


def information(settings, *arguments):
    """Return what the repositories hold, as pgBackRest's `info` has it."""
    done = pgbackrest(settings, *arguments, "--output=json", "info", log="off")
    return json.loads(done.stdout, strict=False)[0]


def part(text, numbers):
    """Return a configuration of pgBackRest with some of its repositories alone."""
    found = ((re.match(r"repo(\d+)-", line), line) for line in text.splitlines(keepends=True))
    return "".join(line for number, line in found if not number or int(number[1]) in numbers)


# --- The server -------------------------------------------------------------------------------


# A database's owner says by ALTER DATABASE what its sessions begin with, and may have functions that are called as the server's are: ours find no others
# than the server's, and wait as long as they have to, but not without an end for somebody's lock. What row security would hide is refused.
SESSION = {
    "search_path": "pg_catalog", "role": "none", "client_encoding": "UTF8", "default_transaction_read_only": "off", "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0", "lock_timeout": "600s", "synchronous_commit": "local", "row_security": "off",
}  # fmt: skip
# The same, of what not every version knows.
SOME = """
SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES ('transaction_timeout', '0'), ('restrict_nonsystem_relation_kind', 'view, foreign-table'))
  AS of_ours (name, wanted) USING (name)
"""


def libpq(connection, **more):
    """Return a connection string. No password is in it: that comes from the password file it names."""
    quoted = {name: str(value).replace("\\", "\\\\").replace("'", "\\'") for name, value in (connection | more).items() if value != ""}
    return " ".join(f"{name}='{value}'" for name, value in quoted.items())


@contextlib.contextmanager
def connect(connection, database="postgres", autocommit=True, **more):
    """Yield a cursor of a session on a server: `settings.connection` leads to the primary."""
    import psycopg2

    ours = {"connect_timeout": 10, "application_name": "postgresql-backup", "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items())}
    try:
        session = psycopg2.connect(libpq(ours | connection, dbname=database, **more))
    except psycopg2.OperationalError as error:
        raise Failure(f"the server cannot be reached: {' '.join(str(error).split())}") from None
    try:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(SOME)
            session.autocommit = autocommit
            yield cursor
    except psycopg2.Error as error:
        raise Failure(f"the server refuses: {' '.join(str(error).split())}") from None
    finally:
        session.close()


def ask(connection, query, parameters=None, database="postgres"):
    """Return the rows of one query."""
    with connect(connection, database) as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []


def databases(settings):
    """Return the names of the databases that somebody can work in."""
    return [row[0] for row in ask(settings.connection, "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname")]


def in_recovery(connection):
    """Whether a server is a standby, or on its way to a moment; None where it does not answer."""
    try:
        return ask(connection, "SELECT pg_is_in_recovery()")[0][0]
    except Failure:
        return None


def is_standby(settings):
    """Whether the only server that this host may ask is a standby; a server that is down is none."""
    return settings.role == "local" and bool(in_recovery(settings.connection))


# --- Locks ------------------------------------------------------------------------------------

HELD = []
# More letters than who holds a lock is told in.
MOST_OF_A_LOCK = 200


@contextlib.contextmanager
def lock(settings, name, what):
    """Keep others out for as long as this runs, and whatever it starts by `pgbackrest`; they are told who is at work."""
    # The directory is postgres': what root opens in it is no link, and nothing to wait for.
    try:
        opened = os.open(settings.path(f"{name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640)
    except OSError as error:
        raise Failure(f"{settings.path(f'{name}.lock')} cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(opened).st_mode) or os.fstat(opened).st_nlink != 1:
        os.close(opened)
        raise Failure(f"{settings.path(f'{name}.lock')} is no file of its own: remove it")
    with os.fdopen(opened, "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"another one is at work: {file.readline(MOST_OF_A_LOCK).decode(errors='replace').strip() or 'not yet named'}", 75) from None
        # On a full disk nobody is named.
        with contextlib.suppress(OSError):
            file.truncate()
            file.write(f"{what}, process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        HELD.append(file.fileno())
        try:
            yield
        finally:
            HELD.remove(file.fileno())
            file.seek(0)
            file.truncate()


# --- Time -------------------------------------------------------------------------------------

DAY = 86400
# What a clock may be ahead by when it is put right; and in days what passes between two copies at most. Where it was more, the host was off, or its clock
# has leapt: nothing is past its time then, and the next copy shows which it was.
AHEAD, LEAP = 3600, 40


def has_leapt(moments, now):
    """Whether the clock may have leapt since the copy before the newest; moments are those of all copies."""
    earlier = sorted(moment for moment in moments if moment <= now + AHEAD)[:-1]
    return bool(earlier) and now - earlier[-1] > LEAP * DAY


def past(copies, days, now):
    """Return the names of copies that are past their days, of pairs of moment and name: as many days before the newest one, or before now."""
    moments = [moment for moment, _name in copies if moment <= now + AHEAD]
    if not moments or has_leapt(moments, now):
        return []
    return [name for moment, name in copies if moment < min(now, max(moments)) - days * DAY]


# --- Words ------------------------------------------------------------------------------------


def human(size):
    """Return a size in bytes as people say it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


# How pgBackRest begins what it says.
SAYS = re.compile(r"(?:P\d+ +)?(WARN|ERROR): ")


def sentence(said):
    """Return the line of what a program says that tells what is wrong, with the next one where it announces it: pgBackRest's error, or else the first line.
    A further line of another program may be the application's, whatever it looks like."""
    lines = [line.strip() for line in said.strip().splitlines()] or ["no message"]
    found = [SAYS.match(line) for line in lines]
    number = next((number for number, match in enumerate(found) if found[0] and match and match[1] == "ERROR"), 0)
    return " ".join(lines[number : number + 2] if lines[number].endswith(":") else lines[number : number + 1])


def say(line, quiet=False):
    """Tell the journal, and whoever looks on."""
    syslog.syslog(syslog.LOG_INFO, line)
    if not quiet:
        print(line)


def complain(failure):
    """Tell the journal in one line, and standard error (where cron mails it from) in full; of what a program said no line passes for ours."""
    syslog.syslog(syslog.LOG_ERR, f"FAILED with {failure.code}: {failure}")
    said = failure.words.strip().splitlines()
    print("\n    ".join([f"postgresql-backup: {failure}", *(map(line, said) if said[1:] else [])]), file=sys.stderr)


def remove(path):
    """Remove a file where there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def write(path, text, mode=0o640):
    """Replace a file as a whole, so that nobody reads half of it."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
