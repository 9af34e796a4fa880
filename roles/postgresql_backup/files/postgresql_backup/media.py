"""Back uploaded files up, each time at a named moment of the database, by restic.

The copy is made in two passes around the moment's name (a restore point): the first brings all there is and forgets what is gone, the
second only adds what came since. So a file whose row was written before that moment is in the copy, even when it was deleted just after.
"""

import datetime
import json
import math
import os
import pwd
import re
import shlex
import shutil
import stat
import time

from . import child, core, manifest, mirror, paths, physical, room, status

USER = "postgres"
TAG = "point:"
# What rsync ends with where some files could not be read, and where some have gone since they were listed, as uploads do.
PARTIAL, VANISHED = 23, 24
# Of so many files in the last copy one has to be there still, or none is removed from it.
LEFT = 10
# What a release says of itself; more bytes of each than it takes, and more seconds than its handing over.
RELEASE, RELEASE_BYTES, RELEASE_SECONDS = ("release.json", "migrations.txt"), 1 << 20, 300


# --- Which copy belongs to which moment -------------------------------------------------------


def points(snapshots):
    """Return (moment, name, id) of restic's snapshots that were made at a named moment, oldest first."""
    found = []
    for row in snapshots:
        for tag in row.get("tags") or []:
            if when := re.fullmatch(re.escape(TAG) + r"(\S*?(\d{8}T\d{6}Z)\S*)", tag):
                found.append((datetime.datetime.strptime(when[2], "%Y%m%dT%H%M%S%z"), when[1], row["id"]))
    return sorted(found)


def choose(snapshots, name=None, moment=None):
    """Return (name, id) of the copy for a restore point or a moment, by default the newest.

    For a moment it is the first copy made then or later: it holds every file whose row was there, but those deleted in between. After the
    last copy it is the last.
    """
    known = points(snapshots)
    if not known:
        raise core.Failure("there is no backup of the uploads yet; a site is rebuilt without them by -e rebuild_media=false")
    if name:
        known = [row for row in known if row[1] == name]
        if not known:
            raise core.Failure(f"no backup of the uploads was made at the restore point {name}: `postgresql-backup media-list` names them")
        return known[0][1:]
    if moment:
        if moment.tzinfo is None:
            raise core.Failure("the moment has no time zone: give one, such as +00:00")
        return next((row for row in known if row[0] >= moment.replace(microsecond=0)), known[-1])[1:]
    return known[-1][1:]


def present_names(found, hosts):
    """Return, by their names in a copy, the names that directories have now: the only web host may be another one than in those days."""
    former = {name.removeprefix("shared@") for name in found}
    if len(former) == len(hosts) == 1 and former != set(hosts):
        (old,), (new,) = former, hosts
        return {name: name.removesuffix(old) + new for name in found}
    return {name: name for name in found}


def parse(text):
    """Return a moment of ISO 8601, or as PostgreSQL prints it; without a zone it is UTC."""
    text = re.sub(r"Z$", "+00:00", text.strip())
    text = re.sub(r"([+-]\d\d)$", r"\1:00", text)
    text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise core.Failure(f"'{text}' is no moment: give one such as 2026-01-04 03:15:00+00:00") from None
    return when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)


# --- restic -----------------------------------------------------------------------------------


def repository(settings):
    return os.path.join(settings["media"]["path"], "repository")


def restic(settings, *arguments, passphrase_file=None, **options):
    media = settings["media"]
    environment = os.environ | {
        "RESTIC_REPOSITORY": repository(settings),
        "RESTIC_PASSWORD_FILE": passphrase_file or media["passphrase_file"],
        "RESTIC_CACHE_DIR": os.path.join(media["path"], "cache"),
        "RESTIC_PROGRESS_FPS": "0",
    }
    return core.run("restic", *arguments, env=environment, **options)


def is_made(settings):
    """Return whether there is a repository: before the first copy there is none."""
    return os.path.exists(os.path.join(repository(settings), "config"))


def open_repository(settings):
    """Make the repository where there is none. A lock that a killed run left is taken away: nobody else works here."""
    if not is_made(settings):
        restic(settings, "init", "--quiet")
    replace_passphrase(settings)
    restic(settings, "unlock", "--quiet")


def replace_passphrase(settings):
    """Have a repository that only the former passphrase opens take the present one in its place; it is the same key that both lead to."""
    former, present = settings["media"].get("former_passphrase_file"), settings["media"]["passphrase_file"]
    if not former or not is_made(settings):
        return
    if restic(settings, "key", "list", "--no-lock", check=False).returncode:
        restic(settings, "key", "add", f"--new-password-file={present}", passphrase_file=former)
    for row in json.loads(restic(settings, "key", "list", "--json", "--no-lock").stdout):
        if not row["current"]:
            restic(settings, "key", "remove", row["id"])


def snapshots(settings):
    if not is_made(settings):
        return []
    return json.loads(restic(settings, "snapshots", "--json", "--no-lock").stdout or "[]") or []


# --- Copies -----------------------------------------------------------------------------------


def staging(settings, *parts):
    return os.path.join(settings["media"]["path"], "staging", *parts)


def place(host, tree):
    """Return where a tree of a web host is below the staging directory. The uploads alone have the host's name: older copies know no others."""
    return os.path.join(f"shared@{host}", tree["name"]) if tree["name"] else host


def make_folder(path, owner):
    """Make a directory in one that is root's alone; what stood in its way goes."""
    if os.path.islink(path) or not os.path.isdir(path):
        core.remove(path)
        os.mkdir(path, 0o700)
    handle = os.open(path, paths.DIRECTORY)
    try:
        os.fchown(handle, pwd.getpwnam(owner).pw_uid, pwd.getpwnam(owner).pw_gid)
        os.fchmod(handle, 0o700)
    finally:
        os.close(handle)


def pull(settings, host, address, sources, target, *options, watch=None, most=0):
    """Fetch from another host's read-only server; both sides prove themselves by the site's certificates. No file gets longer than `most` bytes, if that is
    given, whatever the other side sends. Return what rsync prints, and what could not be read, in words."""
    tls = settings["media"]["tls"]
    program = [
        "openssl", "s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-verify", "4", "-verify_hostname", host,
        "-CAfile", tls["ca"], "-cert", tls["certificate"], "-key", tls["key"], "-connect", f"{address}:{settings['media']['port']}",
    ]  # fmt: skip
    # What is larger is left out, and who said that it was not is cut off.
    bound, cut = ([f"--max-size={most}"], ["prlimit", f"--fsize={most}"]) if most else ([], [])
    # Nothing is said of pipes and the like, of which there may be any number.
    words = ["-rlpt", "--info=nonreg0", "--sparse", "--safe-links", "--timeout=600", *bound, *options, *(f"{host}::{source}" for source in sources), target]
    connect = {"RSYNC_CONNECT_PROG": shlex.join(program)}
    done = core.run(*cut, "rsync", *words, user=USER, check=False, env=os.environ | connect, watch=watch)
    if done.returncode in (0, VANISHED):
        return done.stdout, ""
    complaints = [line for line in done.stderr.splitlines() if re.search("error|failed", line, re.IGNORECASE)][:3] or done.stderr.splitlines()[-1:]
    wrong = f"{host} does not hand over its files ({sources[0].split('/')[0]}): {'; '.join(complaints) or 'no word'}"
    if done.returncode != PARTIAL:
        raise core.Failure(wrong, done.returncode)
    return done.stdout, wrong


def counted(listing, what):
    """Return a number of rsync's statistics: what follows these words; 0 where they are not there."""
    found = re.search(rf"^{what}([\d,.]+)", listing, re.MULTILINE)
    return int(re.sub(r"\D", "", found[1])) if found else 0


def claimed(listing):
    """Return how many bytes the files of a listing claim to have."""
    return counted(listing, "Total file size: ")


def listed(listing):
    """Return how many files a listing has, folders and links apart."""
    return counted(listing, r"Number of files: .*\breg: ")


def share(settings):
    """Return what the copies of uploads may take of their volume: whoever uploads must not fill the archive's, or the server's."""
    media = settings["media"]
    others = [*filter(None, settings["repository_paths"]), settings["dumps"]["path"], settings["data"], settings["receive"]["path"]]
    return room.Share(settings, media["path"], media["share"], others)


def copied(settings, host, tree):
    """Return how many files the last copy of a tree holds."""
    target = staging(settings, place(host, tree))
    if not os.path.isdir(target):
        return 0
    handle = os.open(target, paths.DIRECTORY)
    try:
        return mirror.count(handle)
    finally:
        os.close(handle)


def emptied(settings, host, tree, before, files):
    """Return a sentence, in a list, where next to nothing is left of a tree, as where its volume is not mounted: then nothing goes from its copy."""
    if files * LEFT >= before:
        return []
    return [
        f"the files in {host}:{tree['path']} have fallen from {before} to {files}, so none was removed from their copy: mount what is missing; if they were "
        f"deleted on purpose, rm -r {staging(settings, place(host, tree))}"
    ]


def copy(settings, limit, delete, known=()):
    """Bring the files of every web host into the staging directory; return what could not be brought, in sentences, without those that are known."""
    complaints = []
    for host, address in settings["media"]["sources"].items():
        for tree in settings["media"]["trees"]:
            if address:
                complaints += fetch(settings, limit, host, address, tree, delete)
            else:
                complaints += own(settings, limit, host, tree, delete, is_whole=not (known or complaints))
    return complaints


def fetch(settings, limit, host, address, tree, delete):
    """Fetch a tree of another host's, as a user who may write nothing else here. Some files may be for the application alone, and keep no others from it."""
    target, complaints = staging(settings, place(host, tree)), []
    child.call(USER, os.makedirs, target, 0o700, True)
    sources = [f"shared/{tree['name']}/" if tree["name"] else "media/"]
    # The second pass brings what came since the first.
    if delete:
        listing = pull(settings, host, address, sources, target + "/", "--dry-run", "--stats", "--no-human-readable")[0]
        limit.ask(f"{host}:{tree['path']}", claimed(listing))
        complaints = emptied(settings, host, tree, child.call(USER, copied, settings, host, tree), listed(listing))
    _printed, unread = pull(settings, host, address, sources, target + "/", *(["--delete"] if delete and not complaints else []), watch=limit.watch())
    return complaints + ([unread] if unread else [])


def own(settings, limit, host, tree, delete, is_whole=True):
    """Copy a tree of this host's own. It is the application's, which may do there what it likes meanwhile. Older copies make room where all is whole."""
    target, before = staging(settings, place(host, tree)), copied(settings, host, tree) if delete else 0
    try:
        source = paths.open_directory(tree["path"])
    except FileNotFoundError:
        # As before the first release.
        return emptied(settings, host, tree, before, 0)
    except (OSError, paths.UnsafePath) as error:
        raise core.Failure(f"{tree['path']} is not copied: {error}") from None
    os.makedirs(target, mode=0o700, exist_ok=True)
    opened = [source]
    try:
        opened += [os.open(path, paths.DIRECTORY) for path in (target, staging(settings))]
        complaints = emptied(settings, host, tree, before, mirror.count(source, math.ceil(before / LEFT)))
        expire = (lambda: forget(settings)) if is_whole and not complaints else None
        copies = mirror.Mirror(
            opened[2], delete and not complaints,
            lambda size: make_room(settings, limit, target, tree, size, expire), lambda size: limit.ask(tree["path"], size),
        )  # fmt: skip
        copies.copy(source, opened[1])
        os.fchmod(opened[1], stat.S_IMODE(os.fstat(source).st_mode))
    finally:
        for handle in opened:
            os.close(handle)
    return complaints + [f"{tree['path']}{path} lies too deep to be copied" for path in copies.left_out[:1]]


def make_room(settings, limit, target, tree, size, expire):
    room.ask(settings, target, tree["path"], size, expire)
    if trouble := limit.watch()():
        raise core.Failure(f"the copy of {tree['path']} was {trouble}", core.FULL)


def releases(settings):
    """Fetch what the web hosts' current release says of itself, for the drill. Where that fails it knows what it knew."""
    for host, address in settings["media"]["sources"].items():
        if address:
            try:
                child.call(USER, fetch_release, settings, host, address)
            except core.Failure as failure:
                core.complain(failure)


def fetch_release(settings, host, address):
    """Keep what a web host says of its release, of plain files by their names: whoever has taken it over may hand over what they like."""
    folder, target = settings.path("release", f".{host}"), settings.path("release", host)
    full, end = room.watch(settings, settings.path()), time.monotonic() + RELEASE_SECONDS
    late = f"stopped, since it took longer than {RELEASE_SECONDS} s"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, 0o700)
    try:
        _printed, unread = pull(
            settings, host, address, [f"release/{name}" for name in RELEASE], folder + "/", "--no-recursive", "--no-links", "--ignore-missing-args",
            watch=lambda: full() or (late if time.monotonic() > end else ""), most=RELEASE_BYTES,
        )  # fmt: skip
        os.makedirs(target, 0o755, exist_ok=True)
        for name in RELEASE:
            if text := paths.read_text(os.path.join(folder, name), RELEASE_BYTES):
                core.write(os.path.join(target, name), text, 0o644)
        if unread:
            raise core.Failure(unread)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def name_moment(settings):
    """Name the present moment of the database in its log; return the name and where it is."""
    with core.connect(settings.connection) as cursor:
        return manifest.restore_point(cursor, "media")


def archive_moment(settings):
    """Have the log up to now archived, so that the moment can be gone back to."""
    with core.connect(settings.connection) as cursor:
        cursor.execute("SELECT pg_switch_wal()")
    # It is no failure of the uploads that a repository elsewhere is away: while it is, old copies would pile up.
    physical.archived(settings)


# --- Commands ---------------------------------------------------------------------------------


def media(settings, arguments):
    refuse(settings)
    if child.call(USER, core.is_standby, settings):
        return core.say("this server is a standby: the primary names the moments", arguments.quiet)
    with core.lock(settings, "media", "a backup of the uploads"):
        started, fields = time.monotonic(), {}
        try:
            make(settings, fields)
        except BaseException as error:
            message = str(error) if isinstance(error, core.Failure) else f"interrupted by {type(error).__name__}"
            fields |= {"seconds": time.monotonic() - started, "message": message}
            child.call(USER, status.write, settings, "media", "failed", **fields)
            raise
        fields["seconds"] = time.monotonic() - started
        child.call(USER, status.write, settings, "media", "ok", **fields)
    return core.say(
        f"uploads backed up at {fields['label']}: {fields['files']} files, {core.human(fields['size'])}, "
        f"added to the repository {core.human(fields['added_bytes'])}, {fields['seconds']:.0f} s",
        arguments.quiet,
    )


def prepare(settings):
    """Have a directory for every web host, and none that is not copied any more."""
    owners = {
        place(host, tree).split("/")[0]: USER if address else "root"
        for host, address in settings["media"]["sources"].items()
        for tree in settings["media"]["trees"]
    }
    for name in os.listdir(staging(settings)):
        if name not in owners:
            remove_folder(staging(settings), name)
    for name, owner in owners.items():
        make_folder(staging(settings, name), owner)
    for host, address in settings["media"]["sources"].items():
        shared = staging(settings, f"shared@{host}")
        kept = {tree["name"].split("/")[0] for tree in settings["media"]["trees"] if tree["name"]}
        for name in os.listdir(shared) if os.path.isdir(shared) else []:
            if name not in kept:
                child.call(USER, remove_folder, shared, name) if address else remove_folder(shared, name)


def remove_folder(path, name):
    handle = os.open(path, paths.DIRECTORY)
    try:
        mirror.remove(name, handle)
    finally:
        os.close(handle)


def make_room_for_all(settings, expire):
    """Refuse a copy that would not fit: what restic is to add is what came since the last one. What is past its time goes first, where there is a way."""
    last = (status.read(settings)["kinds"].get("media") or {}).get("size_bytes") or 0
    room.ask(settings, settings["media"]["path"], "a copy of the uploads", max(0, size(staging(settings)) - last), expire)


def size(path):
    return sum(row.st_blocks * 512 for row in paths.below(path))


def forget(settings):
    copies = [(when.timestamp(), snapshot) for when, _name, snapshot in points(snapshots(settings))]
    if gone := core.past(copies, settings["media"]["keep_days"], time.time()):
        restic(settings, "forget", "--quiet", "--prune", *gone)


def make(settings, fields):
    prepare(settings)
    limit = share(settings)
    # Before the copy, which may need the room of what is past its time.
    open_repository(settings)
    complaints = copy(settings, limit, delete=True)
    # Older copies may be the only ones of what is not there any more, so none goes.
    make_room_for_all(settings, None if complaints else lambda: forget(settings))
    name, lsn = child.call(USER, name_moment, settings)
    complaints += copy(settings, limit, delete=False, known=complaints)
    releases(settings)
    done = restic(settings, "backup", "--quiet", "--json", "--host=uploads", f"--tag={TAG}{name}", f"--tag=lsn:{lsn}", staging(settings), watch=limit.watch())
    summary = next(row for row in map(json.loads, reversed(done.stdout.splitlines())) if row.get("message_type") == "summary")
    fields |= {
        "label": name, "size": summary["total_bytes_processed"], "files": summary["total_files_processed"],
        "added_bytes": summary["data_added"], "snapshot": summary["snapshot_id"], "lsn": lsn,
    }  # fmt: skip
    child.call(USER, archive_moment, settings)
    if complaints:
        raise core.Failure(f"what is left was backed up, but {'; '.join(dict.fromkeys(complaints))}")
    forget(settings)


def locate(settings, number, name, moment):
    """Return name and id of the copy that is asked for, and a function that runs restic where it is: here, or else in the first repository
    elsewhere that has it; where a number is given, there."""
    from . import offsite

    replace_passphrase(settings)
    here = [] if number else [(lambda: snapshots(settings), lambda *words, **more: restic(settings, *words, **more))]
    there = [
        (lambda row=row: offsite.snapshots(row, "uploads"), lambda *words, row=row, **more: offsite.restic(row, *words, **more))
        for row in ([offsite.place(number)] if number else offsite.places())
    ]
    failures = []
    for known, ask in here + there:
        try:
            return *choose(known(), name, moment), ask
        except core.Failure as failure:
            failures.append(failure)
    raise failures[0]


def restore(settings, arguments):
    """Bring back one copy: into a directory per web host."""
    refuse(settings)
    target = arguments.target
    if os.path.exists(target) and os.listdir(target):
        raise core.Failure(f"{target} is not empty")
    name, snapshot, ask = locate(settings, arguments.repository, arguments.name, parse(arguments.time) if arguments.time else None)
    held = json.loads(ask("stats", "--json", "--no-lock", "--mode=restore-size", snapshot).stdout)["total_size"]
    room.ask(settings, target, "the uploads of that moment", held)
    os.makedirs(target, mode=0o700, exist_ok=True)
    ask("restore", "--quiet", "--no-lock", "--verify", f"--target={target}", snapshot, watch=room.watch(settings, settings["media"]["path"]))
    brought = os.path.join(target, staging(settings).lstrip("/"))
    for former, present in present_names(os.listdir(brought), settings["media"]["sources"]).items():
        os.rename(os.path.join(brought, former), os.path.join(target, present))
    shutil.rmtree(os.path.join(target, staging(settings).lstrip("/").split("/")[0]))
    if any(settings["media"]["sources"].values()):
        # Who hands them over to the web hosts.
        shutil.chown(target, USER, USER)
    print(name)


def listing(settings, arguments):
    refuse(settings)
    for when, name, snapshot in points(snapshots(settings)):
        print(f"{when:%Y-%m-%d %H:%M:%S}+00:00 {name} {snapshot[:8]}")


def refuse(settings):
    if os.geteuid():
        raise core.Failure("run this as root", 77)
    if not settings.get("media"):
        raise core.Failure(f"the uploads are backed up by {', '.join(settings.get('backup_hosts', [])) or 'nobody'}")


def quiet(parser):
    parser.add_argument("--quiet", action="store_true", help="nothing on standard output")


def target(parser):
    parser.add_argument("target", help="an empty directory, or one that is not there")
    parser.add_argument("--name", help="restore point")
    parser.add_argument("--time", help="moment")
    parser.add_argument("--repository", type=int, default=0, help="number of one that is elsewhere, in the order of postgresql_backup_repositories")


COMMANDS = {
    "media": core.Command(media, "back the uploads up, at a named moment of the database", quiet, user=None, walled=True),
    "media-list": core.Command(listing, "list the moments at which the uploads were backed up", user=None),
    "media-restore": core.Command(restore, "bring the uploads of a moment back, into a directory", target, user=None),
}
