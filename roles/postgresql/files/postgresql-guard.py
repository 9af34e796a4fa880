#!/usr/bin/python3
"""Keeps two primaries from existing, and turns this host's server round when a switchover asks for it.

postgresql-guard may-start          before every start: exit status 1 where this server must not run
postgresql-guard watch              every few seconds: stops this server where another one has taken its place
postgresql-guard state              what this host knows of itself and of the others, as JSON; changes nothing
postgresql-guard demote             stop cleanly and become a standby
postgresql-guard promote [POSITION] become the primary once everything before POSITION is replayed
postgresql-guard reinstate          undo `demote`, as long as nobody was promoted
postgresql-guard fence REASON       never let this data run again; a fresh copy replaces it

Of two primaries the one with the newer timeline is the true one: it was promoted later. A server whose place was taken is
fenced by a file in its data directory, so the fence lasts as long as the data that it is about. Where no other host
answers, nothing is known, and the server starts.
"""

import concurrent.futures
import json
import os
import pathlib
import pwd
import subprocess
import sys
import time

CONFIGURATION = pathlib.Path("/etc/selfhost/postgresql-guard.json")
# Hosts that lost power together come back together: for this long after a boot, a silent one is asked again.
BOOT_SECONDS = 300
PATIENCE_SECONDS = 30
# A standby has this long to replay what the former primary wrote last.
REPLAY_SECONDS = 60
# Exit status of `promote`: nothing was begun, so the former primary may go on.
NOT_BEGUN = 3

QUESTION = """
SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'system', (SELECT system_identifier::text FROM pg_control_system()),
  -- The control file of a server that was promoted a moment ago still names the former timeline.
  'timeline', CASE WHEN pg_is_in_recovery()
    THEN (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) FROM pg_control_checkpoint() c, pg_control_recovery() r)
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
  'receiving', EXISTS (SELECT FROM pg_stat_wal_receiver),
  'position', (CASE WHEN pg_is_in_recovery()
    THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END - '0/0')::bigint,
  'replayed', (pg_last_wal_replay_lsn() - '0/0')::bigint)
"""


class Refusal(Exception):
    """One sentence for the operator."""

    def __init__(self, sentence, status=1):
        super().__init__(sentence)
        self.status = status


# --- Decisions: nothing here asks or touches anything -----------------------------------------


def successor(own, peers):
    """Return the name of the peer that shows that this data's time as a primary is over, or None.

    A standby counts only while it receives: then there is a primary of that timeline, even if it is not seen from here.
    """
    for name, peer in peers.items():
        if peer.get("system") != own["system"]:
            continue
        if peer["timeline"] > own["timeline"] and (not peer["recovery"] or peer["receiving"]):
            return name
    return None


def why_not_start(own, peers):
    """Return why this server must not start, or None."""
    if own["fenced"]:
        return f"it is fenced: {own['fenced']}"
    if own["standby"]:
        return None
    name = successor(own, peers)
    if name:
        return f"{name} has taken its place (timeline {peers[name]['timeline']}, here {own['timeline']})"
    for name, peer in peers.items():
        # A primary of an older timeline is the one that has to go, and its own guard sees to that.
        if peer.get("system") == own["system"] and not peer["recovery"] and peer["timeline"] == own["timeline"]:
            return f"{name} is the primary already"
    return None


def why_stop(own, peers, order):
    """Return why this running server must stop at once, or None; `order` holds the names of all hosts."""
    if not own["running"]:
        return None
    if own["fenced"]:
        return f"it is fenced: {own['fenced']}"
    if own["recovery"] is not False:
        return None
    name = successor(own, peers)
    if name:
        return f"{name} has taken its place (timeline {peers[name]['timeline']}, here {own['timeline']})"
    for name, peer in peers.items():
        # Two that were promoted apart from each other: the one that stands first in the inventory stays, the same on both.
        if (
            peer.get("system") == own["system"]
            and not peer["recovery"]
            and peer["timeline"] == own["timeline"]
            and order.index(name) < order.index(own["host"])
        ):
            return f"{name} is a primary too, of the same timeline, and comes first"
    return None


def control(text):
    """Return what matters of pg_controldata's output, for a server that does not run."""
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    high, low = rows["Latest checkpoint location"].split("/")
    return {
        "system": rows["Database system identifier"],
        "cluster": rows["Database cluster state"],
        "timeline": max(int(rows["Latest checkpoint's TimeLineID"]), int(rows["Min recovery ending loc's timeline"])),
        # One byte into the last record that is known of: whoever is past that has it.
        "position": (int(high, 16) << 32) + int(low, 16) + 1,
    }


# --- This host --------------------------------------------------------------------------------


class Host:
    """The server of this host, and the others by their addresses."""

    def __init__(self, configuration):
        self.name = configuration["host"]
        self.hosts = configuration["hosts"]
        self.data = pathlib.Path(configuration["data"])
        self.programs = configuration["programs"]
        self.unit = configuration["unit"]
        self.local = configuration["local"]
        self.remote = configuration["remote"]

    def run(self, *command, timeout=30, **options):
        """Run as postgres, whoever runs this."""
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": os.getgrouplist("postgres", account.pw_gid)}
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/var/lib/postgresql", "LC_ALL": "C"}
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=timeout, **options)

    def ask(self, target, statement, timeout=10):
        """Return the answer of a server; ConnectionError where there is none."""
        dsn = " ".join(f"{name}='{value}'" for name, value in target.items())
        try:
            result = self.run(f"{self.programs}/psql", "-XAtqwd", dsn, "-v", "ON_ERROR_STOP=1", "-c", statement, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ConnectionError("no answer in time") from error
        if result.returncode != 0:
            raise ConnectionError(" ".join(result.stderr.split()))
        return result.stdout.strip()

    def peer(self, address):
        """Return what another host's server says of itself, or that it says nothing."""
        target = self.remote | {"host": address}
        try:
            return json.loads(self.ask(target, QUESTION)) | {"alive": True}
        except ConnectionError as error:
            # 0: accepts connections, 1: starts or stops. Both mean that it runs.
            ready = self.run(f"{self.programs}/pg_isready", "-q", "-t", "3", "-h", address, "-p", str(target["port"]))
            return {"alive": ready.returncode in (0, 1), "error": str(error)}

    def peers(self):
        """Return all others' answers."""
        others = {name: address for name, address in self.hosts.items() if name != self.name}
        with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(others))) as pool:
            return dict(zip(others, pool.map(self.peer, others.values())))

    def processes(self):
        """Return the processes of this data directory, also those that outlive a killed postmaster."""
        found = []
        data = str(self.data.resolve())
        for entry in pathlib.Path("/proc").glob("[0-9]*/cwd"):
            try:
                if os.readlink(entry) == data:
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found

    def own(self):
        """Return what there is to know of this host's server without asking the others."""
        known = {
            "host": self.name,
            "exists": (self.data / "PG_VERSION").exists(),
            "running": bool(self.processes()),
            "standby": any((self.data / name).exists() for name in ("standby.signal", "recovery.signal")),
            "fenced": self.fence_reason(),
            "recovery": None,
            "receiving": False,
            "replayed": None,
            "cluster": None,
        }
        if known["running"]:
            try:
                return known | json.loads(self.ask(self.local, QUESTION))
            except ConnectionError as error:
                known["error"] = str(error)
        # What is fenced, or was never made, has nothing to say.
        if known["exists"] and not known["fenced"]:
            known |= control(self.controldata())
        return known

    def controldata(self):
        """Return the control file in words."""
        result = self.run(f"{self.programs}/pg_controldata", "-D", str(self.data))
        if result.returncode != 0:
            raise Refusal(" ".join(result.stderr.split()))
        return result.stdout

    # --- The fence ---

    def fence_reason(self):
        try:
            return json.loads((self.data / "fenced").read_text())["reason"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, OSError):
            # Whatever is in it, somebody meant it.
            return "the reason is not readable"

    def write(self, name, text):
        """Put a file into the data directory so that it survives a power cut; True where it was not there."""
        if (self.data / name).exists():
            return False
        scratch = self.data / f".{name}.new"
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.owner(scratch)
        scratch.chmod(0o600)
        scratch.rename(self.data / name)
        self.sync()
        return True

    def owner(self, path):
        """Give a file to whom the data belongs."""
        directory = self.data.stat()
        os.chown(path, directory.st_uid, directory.st_gid)

    def sync(self):
        directory = os.open(self.data, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def fence(self, reason):
        """Keep this data from running as a primary, however it is started; True where that is new."""
        reason = f"{reason}; fenced at {time.strftime('%Y-%m-%d %H:%M:%S %z')}"
        new = self.write("fenced", json.dumps({"reason": reason}) + "\n")
        # Started behind systemd's back it is read-only from its first moment on.
        return self.write("standby.signal", "") or new

    def halt(self):
        """Stop the server at once; what it has not acknowledged is nobody's loss."""
        self.run(f"{self.programs}/pg_ctl", "-D", str(self.data), "-m", "immediate", "-t", "60", "stop", timeout=90)


# --- What it is called for --------------------------------------------------------------------


def uptime():
    """Return how many seconds this host is up."""
    return float(pathlib.Path("/proc/uptime").read_text().split()[0])


def may_start(host):
    own = host.own()
    peers = {}
    if own["exists"] and not own["standby"] and not own["fenced"]:
        peers = host.peers()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while uptime() < BOOT_SECONDS and time.monotonic() < deadline and any("error" in peer for peer in peers.values()):
            time.sleep(2)
            peers = host.peers()
    reason = why_not_start(own, peers)
    if not reason:
        return
    if not own["fenced"] and successor(own, peers):
        host.fence(reason)
    raise Refusal(f"The server of {host.name} does not start: {reason}.")


def watch(host):
    own = host.own()
    if not own["running"] or (own["recovery"] is not False and not own["fenced"]):
        return
    reason = why_stop(own, {} if own["fenced"] else host.peers(), list(host.hosts))
    if not reason:
        return
    host.fence(reason)
    host.halt()
    raise Refusal(f"The server of {host.name} was stopped: {reason}.")


def state(host):
    print(json.dumps(host.own() | {"peers": host.peers()}))


def demote(host):
    own = host.own()
    if own["fenced"]:
        raise Refusal(f"The server of {host.name} is fenced: {own['fenced']}.")
    if own["running"] and own["recovery"] is False:
        host.ask(host.local, "CHECKPOINT", timeout=3600)
    started = time.time()
    if own["running"] and own["recovery"] is False:
        subprocess.run(["systemctl", "stop", host.unit], check=False)
        if host.processes():
            # It was not systemd that started it.
            host.run(f"{host.programs}/pg_ctl", "-D", str(host.data), "-m", "fast", "-t", "3600", "stop", timeout=3700)
    own = host.own()
    if own["running"] and own["recovery"] is False:
        raise Refusal(f"The server of {host.name} did not stop.", NOT_BEGUN)
    if not own["running"] and not own["standby"] and own["cluster"] != "shut down":
        subprocess.run(["systemctl", "start", host.unit], check=False)
        raise Refusal(f"The server of {host.name} did not stop cleanly (its state is '{own['cluster']}'): it was started again.", NOT_BEGUN)
    # Before anybody is promoted: from here on, this host cannot come back as a primary.
    changed = host.write("standby.signal", "")
    print(json.dumps({"changed": changed, "position": own["position"], "stopped": started}))


def promote(host, position="0"):
    own = host.own()
    if own["recovery"] is False:
        print(json.dumps({"changed": False, "timeline": own["timeline"], "promoted": time.time()}))
        return
    if not own["running"] or own["recovery"] is None or own["fenced"]:
        raise Refusal(f"The server of {host.name} is no running standby.", NOT_BEGUN)
    # The last look before the point of no return.
    rivals = [name for name, peer in host.peers().items() if peer["alive"] and not peer.get("recovery")]
    if rivals:
        raise Refusal(f"{' and '.join(rivals)} may still be a primary.", NOT_BEGUN)
    deadline = time.monotonic() + REPLAY_SECONDS
    while True:
        replayed = int(host.ask(host.local, "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint"))
        if replayed >= int(position):
            break
        if time.monotonic() > deadline:
            raise Refusal(f"The standby on {host.name} lacks {int(position) - replayed} bytes of the log.", NOT_BEGUN)
        time.sleep(0.1)
    host.ask(host.local, "SELECT pg_promote(true, 300)", timeout=330)
    own = host.own()
    if own["recovery"] is not False:
        raise Refusal(f"The server of {host.name} was told to become the primary and has not yet.")
    print(json.dumps({"changed": True, "timeline": own["timeline"], "promoted": time.time()}))


def reinstate(host):
    own = host.own()
    if own["running"] or own["fenced"] or own["cluster"] != "shut down":
        raise Refusal(f"The server of {host.name} is not as `demote` left it.")
    (host.data / "standby.signal").unlink(missing_ok=True)
    host.sync()
    subprocess.run(["systemctl", "start", host.unit], check=True)


def fence(host, reason):
    print(json.dumps({"changed": host.fence(reason)}))


COMMANDS = {
    "may-start": may_start,
    "watch": watch,
    "state": state,
    "demote": demote,
    "promote": promote,
    "reinstate": reinstate,
    "fence": fence,
}


def main(arguments):
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    os.umask(0o077)
    try:
        COMMANDS[arguments[0]](Host(json.loads(CONFIGURATION.read_text())), *arguments[1:])
    except (Refusal, ConnectionError) as refusal:
        print(f"postgresql-guard: {refusal}", file=sys.stderr)
        return getattr(refusal, "status", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
