"""Bring dumps and the copies of uploads to the repositories that are elsewhere, by restic: what would be lost with this machine.

What a repository has not yet it gets, also what it missed while it was away. Dumps are read and written as the account that they belong to.
"""

import json
import os
import socket
import ssl
import tempfile
import time

from . import child, core, logical, media, physical, room, status

PLACES = "/etc/pgbackrest/places.json"
USER = "postgres"
DUMP = "dump:"
# Seconds in which who is asked has to say something.
PATIENCE = 20
# Seconds for which who has answered is not asked again: a server that is knocked at too often without a login shuts the door (PerSourcePenalties).
TRUST = 60
ANSWERED = {}
# What a drill reads back of all that is kept.
READ_BACK = "--read-data-subset=256M"


# --- restic -----------------------------------------------------------------------------------


def places():
    """Return how each repository that is elsewhere is reached, with its secrets; none where there is none."""
    try:
        with open(PLACES, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return []


def place(number):
    for row in places():
        if row["number"] == number:
            return row
    raise core.Failure(f"repository {number} keeps no dumps and no uploads: known are {', '.join(str(row['number']) for row in places()) or 'none'}")


def restic(row, *arguments, **options):
    """Run restic on a repository. It asks for a quarter of an hour or longer where nobody answers, so whether somebody does is asked first."""
    if time.monotonic() > ANSWERED.get(row["number"], -TRUST) + TRUST:
        reach(row)
        ANSWERED[row["number"]] = time.monotonic()
    environment = os.environ | row["environment"] | {"RESTIC_PROGRESS_FPS": "0", "TZ": "UTC"}
    environment |= {"RESTIC_CACHE_DIR": os.environ["CACHE_DIRECTORY"]} if os.environ.get("CACHE_DIRECTORY") and os.geteuid() == 0 else {}
    words = [] if "RESTIC_CACHE_DIR" in environment else ["--no-cache"]
    return core.run("restic", *row["options"], *words, *arguments, env=environment, **options)


def reading(row):
    """Return a place as who can only read it sees it, where there is such an account."""
    return {**row, "environment": row["environment"] | row.get("reader", {})}


def reach(row):
    """Have who keeps a place say something, be it that nobody is let in: one that only accepts connections could be waited for without end."""
    host, port = row["address"]
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as connection:
            word = web_word(connection, host) if row["environment"]["RESTIC_REPOSITORY"].startswith("s3:") else connection.recv(1)
        wrong = "" if word else "it hangs up"
    except TimeoutError:
        wrong = f"it says nothing for {PATIENCE} s"
    except OSError as error:
        wrong = error.strerror or str(error)
    if wrong:
        raise core.Failure(f"{host}, port {port}, does not answer: {wrong}", core.AWAY)


def web_word(connection, host):
    """Return the first word of a web server. Nothing is asked for by it, and whether it is the right one is for who sends it secrets."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connection, server_hostname=host) as channel:
        channel.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return channel.recv(1)


def away():
    """Return, by number of repository, what is wrong with those elsewhere that nobody answers for."""
    found = {}
    for row in places():
        try:
            reach(row)
        except core.Failure as failure:
            found[row["number"]] = str(failure)
    return found


def open_repository(row):
    """Make the repository where there is none; a lock that a killed run left is taken away."""
    done = restic(row, "cat", "config", "--no-lock", check=False)
    if done.returncode and restic(row, "init", "--quiet", check=False).returncode:
        raise core.Failure(f"it cannot be opened: {' '.join(done.stderr.split())[-300:]}")
    restic(row, "unlock", "--quiet")


def snapshots(row, host):
    """Return what a repository holds of dumps or uploads; nothing where it has not been made."""
    done = restic(row, "snapshots", "--json", "--no-lock", f"--host={host}", check=False)
    if done.returncode:
        if restic(row, "cat", "config", "--no-lock", check=False).returncode:
            raise core.Failure(f"repository {row['number']} cannot be read: {' '.join(done.stderr.split())[-300:]}")
        raise core.Failure(" ".join(done.stderr.split())[-300:])
    return json.loads(done.stdout or "[]") or []


def forget(row, gone):
    """Forget snapshots, of which there may be none."""
    if gone:
        restic(row, "forget", "--quiet", *gone)


def held(found):
    """Return the dumps among snapshots, by name."""
    return {tag.removeprefix(DUMP): snapshot["id"] for snapshot in found for tag in snapshot.get("tags") or [] if tag.startswith(DUMP)}


# --- What is brought --------------------------------------------------------------------------


def uploads(settings, row):
    """Bring the copies of uploads that are not there yet; return the moment of the newest, in seconds since 1970."""
    if not settings.get("media") or not media.is_made(settings):
        return None
    with core.lock(settings, "media", "the copies of uploads are brought elsewhere"):
        source = {"RESTIC_FROM_REPOSITORY": media.repository(settings), "RESTIC_FROM_PASSWORD_FILE": settings["media"]["passphrase_file"]}
        restic({**row, "environment": row["environment"] | source}, "copy", "--quiet", "--host=uploads")
    known = media.points(snapshots(row, "uploads"))
    # Where the last copy lacks something older ones may be the only ones of it, here as there.
    if status.read(settings)["kinds"].get("media", {}).get("verdict") == "ok":
        forget(row, core.past([(when.timestamp(), snapshot) for when, _name, snapshot in known], settings["media"]["keep_days"], time.time()))
    return int(known[-1][0].timestamp()) if known else None


def dumps(settings, row):
    """Bring the dumps that are not there yet; return the moment of the newest, in seconds since 1970."""
    path, there = settings.dumps["path"], held(snapshots(row, "dumps"))
    names = sorted(name for name in os.listdir(path) if logical.FINISHED.fullmatch(name))
    gone = core.past([(logical.moment_of(name), name) for name in {*there, *names}], settings.dumps["keep_days"], time.time())
    for name in names:
        if name not in there and name not in gone:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(name, logical.STAMP))
            restic(row, "backup", "--quiet", "--host=dumps", f"--tag={DUMP}{name}", f"--time={when}", os.path.join(path, name))
    forget(row, [there[name] for name in gone if name in there])
    newest = max([*there, *names], default=None)
    return logical.moment_of(newest) if newest else None


def bring(settings, row):
    """Bring all that one repository lacks, and have go what is past its time."""
    open_repository(row)
    moments = {"dumps": child.call(USER, dumps, settings, row), "uploads": uploads(settings, row)}
    # What only these forget is still there: it goes when all has been brought.
    restic(row, "prune", "--quiet")
    return moments


def offsite(settings, arguments):
    physical.refuse_elsewhere(settings)
    if os.geteuid():
        raise core.Failure("run this as root", 77)
    if child.call(USER, core.is_standby, settings):
        return core.say("this server is a standby: the primary makes the backups", arguments.quiet)
    with core.lock(settings, "offsite", "dumps and uploads are brought elsewhere"):
        started, failures, brought = time.monotonic(), [], []
        try:
            for row in places():
                try:
                    moments = bring(settings, row)
                    child.call(USER, status.keep, settings, row["number"], moments)
                    brought.append(settings["places"][row["number"] - 1])
                except core.Failure as failure:
                    failures.append(f"repository {row['number']}: {failure}")
        except BaseException as error:
            failures.append(f"interrupted by {type(error).__name__}")
            raise
        finally:
            fields = {"seconds": time.monotonic() - started, "message": "; ".join(failures), "label": ", ".join(brought)}
            child.call(USER, status.write, settings, "offsite", "failed" if failures else "ok", **fields)
    if failures:
        raise core.Failure("; ".join(failures))
    return core.say(f"dumps and uploads brought to {fields['label'] or 'nowhere'}, {fields['seconds']:.0f} s", arguments.quiet)


# --- The way back -----------------------------------------------------------------------------


def fetch_dump(settings, arguments):
    """Bring a dump back to where dumps are kept, from which it is restored as any other."""
    row = place(arguments.repository)
    there = held(snapshots(row, "dumps"))
    name = max(there, default=None) if arguments.dump == "latest" else arguments.dump
    if name not in there:
        raise core.Failure(f"repository {row['number']} holds no dump {arguments.dump}: it has {', '.join(sorted(there)) or 'none'}")
    path = os.path.join(settings.dumps["path"], name)
    if not os.path.exists(path):
        size = json.loads(restic(row, "stats", "--json", "--no-lock", "--mode=restore-size", there[name]).stdout)["total_size"]
        room.ask(settings, settings.dumps["path"], f"the dump {name}", size)
        with tempfile.TemporaryDirectory(dir=settings.dumps["path"], prefix="fetch-") as folder:
            restic(row, "restore", "--quiet", "--no-lock", "--verify", f"--target={folder}", there[name])
            (found,) = [where for where, folders, _files in os.walk(folder) if os.path.basename(where) == name]
            # What has the name is whole, whenever the power fails.
            core.run("sync", "--file-system", folder)
            os.rename(found, path)
    print(path)


def prove(settings, row, folder):
    """Have what is kept elsewhere read back: the structure of all, data of some of it, and the newest dump as what it is."""
    row = reading(row)
    restic(row, "check", "--quiet", "--no-lock", READ_BACK)
    there = held(snapshots(row, "dumps"))
    if there:
        restic(row, "restore", "--quiet", "--no-lock", "--verify", f"--target={folder}", there[max(there)])
        for where, _folders, files in os.walk(folder):
            for name in files:
                if name.endswith(".dump"):
                    core.run(settings.program("pg_restore"), "--list", os.path.join(where, name), stdout=core.DEVNULL)
    return len(there)


def fetching(parser):
    parser.add_argument("--repository", type=int, required=True, help="its number, in the order of postgresql_backup_repositories")
    parser.add_argument("dump", help="its name, as that of its folder, or latest")


COMMANDS = {
    "offsite": core.Command(offsite, "bring dumps and uploads to the repositories elsewhere", physical.quiet, user=None, walled=True),
    "fetch-dump": core.Command(fetch_dump, "bring a dump back from a repository elsewhere", fetching),
}
