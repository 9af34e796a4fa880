#!/usr/bin/python3 -IB
"""Keeps two primaries from existing, and turns this host's server round when a switchover asks for it.

postgresql-guard may-start          before every start: exit status 1 where this server must not run
postgresql-guard watch              every few seconds: stops this server where another one has taken its place; exit status 75 where
                                    `may-start` had put its start off and nothing speaks against it any more
postgresql-guard state              what this host knows of itself and of the others, as JSON; changes nothing
postgresql-guard peers              what the others say of themselves, as JSON
postgresql-guard demote             stop cleanly and become a standby
postgresql-guard promote [POSITION] become the primary once everything before POSITION is replayed
postgresql-guard reinstate          undo `demote`, as long as nobody was promoted
postgresql-guard fence REASON       never let this data run again; a fresh copy replaces it
postgresql-guard accept-lost-rows   the operator's word: what was written on a newer timeline is given up, as far as no primary of it runs

Of two primaries the one with the newer timeline is the true one: it was promoted later. A server whose place was taken is
fenced by a file in its data directory, so the fence lasts as long as the data that it is about. Where only a standby that
receives from nobody tells of a newer timeline, the server does not run either, but nothing is given up: no fence. A server
that runs elsewhere and does not say what it is may be the primary, so it is waited for. Where no other server runs,
nothing is known, and this one starts, unless the archive of a backup host, which outlives them, holds a newer timeline.
"""

import contextlib
import inspect
import json
import os
import pathlib
import pwd
import re
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

# What a server is, is told by the same program that the modules ask.
sys.path.insert(0, "/usr/local/lib/selfhost/postgresql_guard")

import postgresql_server  # noqa: E402

CONFIGURATION = pathlib.Path("/etc/selfhost/postgresql-guard.json")
# A server that runs and does not say what it is gets this long to do so. Hosts that lost power together come back together:
# for some time after a boot, a silent one gets it too.
PATIENCE_SECONDS = 30
BOOT_SECONDS = 300
# A standby has this long to replay what the former primary wrote last.
REPLAY_SECONDS = 60
# Where a backup host's archive is named: the witness.
ARCHIVE = pathlib.Path("/etc/pgbackrest/pgbackrest.conf")
ARCHIVE_SECONDS = 2
# Where what it holds is put for a moment: in memory, so that a full disk does not silence it.
SCRATCH = "/dev/shm"
# No data is so many promotions behind; what says more is not asked on and on.
MOST_LATER = 50
# What pgBackRest ends with where the archive does not hold a file.
NOT_HELD = 1
# Exit status of `promote`: nothing was begun, so the former primary may go on.
NOT_BEGUN = 3
# Exit status of `watch`: the server that was put off is to be started.
START = 75


class Refusal(Exception):
    """One sentence for the operator."""

    def __init__(self, sentence, status=1):
        super().__init__(sentence)
        self.status = status


# --- Decisions: nothing here asks or touches anything -----------------------------------------


def speaks(peer):
    """Return whether a server said what it is."""
    return peer.get("recovery") is not None


def leads(own):
    """Return whether this host's server runs as a primary: by its word, or, where it does not say anything, by its files."""
    return own["recovery"] is False or own["recovery"] is None and not own["standby"] and own.get("cluster") == "in production"


def relatives(own, peers):
    """Return the servers of the same cluster that said what they are, by name."""
    return {name: peer for name, peer in peers.items() if speaks(peer) and peer["system"] == own["system"]}


def doubtful(peers):
    """Return the names of the servers that run and do not say what they are."""
    return [name for name, peer in peers.items() if peer.get("alive") and not speaks(peer)]


def successor(own, peers):
    """Return the name of the peer that shows that this data's time as a primary is over, or None.

    A standby counts only while it receives: then there is a primary of that timeline, even if it is not seen from here.
    """
    for name, peer in relatives(own, peers).items():
        if peer["timeline"] > own["timeline"] and (not peer["recovery"] or peer["receiving"]):
            return name
    return None


def newest(own, peers):
    """Return the name of the peer on the newest timeline, if that is newer than this data's, or None.

    Whoever made that timeline was promoted after this data's time as a primary, even if it does not run just now. One that the operator
    has given up counts no more, unless its primary runs.
    """
    known = max(own["timeline"], own.get("accepted", 0))
    later = {name: peer["timeline"] for name, peer in relatives(own, peers).items() if peer["timeline"] > known}
    return max(later, key=later.get, default=None)


def why_no_primary(own, peers):
    """Return what the others say that forbids this data to be a primary, or None."""
    name = successor(own, peers)
    if name:
        return f"{name} has taken its place (timeline {peers[name]['timeline']}, here {own['timeline']})"
    name = newest(own, peers)
    if name:
        return (
            f"{name} is on a newer timeline ({peers[name]['timeline']}, here {own['timeline']}), so another server was promoted after this one: "
            f"start that one, or, to give up what it wrote: postgresql-guard accept-lost-rows, and rebuild {name}"
        )
    archived = own.get("archived") or 0
    if archived > max(own["timeline"], own.get("accepted", 0)):
        return (
            f"the archive of the backups holds a newer timeline ({archived}, here {own['timeline']}), so another server was promoted after this one: "
            "start that one, or, to give up what it wrote: postgresql-guard accept-lost-rows"
        )
    return None


def why_never_start(own, peers):
    """Return why this server must not start, whatever is still to be heard, or None."""
    if own["fenced"]:
        return f"it is fenced: {own['fenced']}"
    if own["standby"]:
        return None
    reason = why_no_primary(own, peers)
    if reason:
        return reason
    for name, peer in relatives(own, peers).items():
        # A primary of an older timeline is the one that has to go, and its own guard sees to that.
        if not peer["recovery"] and peer["timeline"] == own["timeline"]:
            return f"{name} is the primary already"
    return None


def why_not_start(own, peers):
    """Return why this server must not start now, or None."""
    reason = why_never_start(own, peers)
    doubts = doubtful(peers)
    if reason or own["standby"] or not doubts:
        return reason
    names = " and ".join(doubts)
    return (
        f"a server runs on {names} and does not say what it is ({peers[doubts[0]].get('error')}), so it may be the primary: this one starts by itself "
        f"once that is known not to be so; where it cannot be mended, stop the server of {names} and start this one"
    )


def why_not_promoted(own, peers):
    """Return why this server must not be made the primary, or None."""
    if not own["running"] or own["recovery"] is None or own["fenced"]:
        return "it is no standby that runs and answers"
    return why_no_primary(own, peers)


def why_stop(own, peers, order):
    """Return why this running server must stop at once, or None; `order` holds the names of all hosts.

    One that does not say what it is stops nobody: every restart of a standby would take the site down.
    """
    if not own["running"]:
        return None
    if own["fenced"]:
        return f"it is fenced: {own['fenced']}"
    if not leads(own):
        return None
    reason = why_no_primary(own, peers)
    if reason:
        return reason
    for name, peer in relatives(own, peers).items():
        # Two that were promoted apart from each other: the one that stands first in the inventory stays, the same on both.
        if not peer["recovery"] and peer["timeline"] == own["timeline"] and order.index(name) < order.index(own["host"]):
            return f"{name} is a primary too, of the same timeline, and comes first"
    return None


def witness(text):
    """Return under which name the archive of a backup host holds this server's log, by pgBackRest's configuration, or None."""
    sections = [name for name in re.findall(r"^\[([^\]\n]+)\]", text, re.MULTILINE) if name != "global"]
    return sections[0] if sections and re.search(r"^repo\d+-host=", text, re.MULTILINE) else None


# --- This host --------------------------------------------------------------------------------


class Host(postgresql_server.Server):
    """The server of this host, and the others by their addresses."""

    def __init__(self, configuration):
        super().__init__(configuration["data"], configuration["programs"], configuration["local"])
        self.name = configuration["host"]
        self.hosts = configuration["hosts"]
        self.unit = configuration["unit"]
        self.remote = configuration["remote"]

    def systemctl(self, verb):
        """Have systemd do something with the server's unit, as whoever called this; False where that failed."""
        back = {"user": 0, "group": 0} if os.getuid() == 0 and os.geteuid() != 0 else {}
        return subprocess.run(["systemctl", verb, self.unit], check=False, **back).returncode == 0

    def peer(self, address):
        """Return what another host's server says of itself, or that it says nothing."""
        target = self.remote | {"host": address}
        try:
            return self.question(target) | {"alive": True}
        except ConnectionError as error:
            return {"alive": listens(address, target["port"]), "error": str(error)}

    def peers(self):
        """Return all others' answers."""
        others = {name: address for name, address in self.hosts.items() if name != self.name}
        with ThreadPoolExecutor(max_workers=max(1, len(others))) as pool:
            return dict(zip(others, pool.map(self.peer, others.values())))

    def archived(self, timeline):
        """Return the newest timeline that the archive of a backup host holds from this one on, or None where it does not say.

        Where another server was promoted its history is there at once, and it stays there when both are gone.
        """
        try:
            name = witness(ARCHIVE.read_text(encoding="utf-8"))
        except OSError:
            name = None
        if not name:
            return None
        command = ["pgbackrest", f"--stanza={name}", "--log-level-file=off", "--log-level-console=off", f"--io-timeout={ARCHIVE_SECONDS}",
                   f"--db-timeout={ARCHIVE_SECONDS}", f"--protocol-timeout={ARCHIVE_SECONDS + 1}", "archive-get"]  # fmt: skip
        try:
            with tempfile.TemporaryDirectory(prefix="postgresql-guard-", dir=SCRATCH) as place:
                for later in range(timeline + 1, timeline + 1 + MOST_LATER):
                    status = self.run(*command, f"{later:08X}.history", f"{place}/{later}").returncode
                    if status:
                        return later - 1 if status == NOT_HELD else None
        except (OSError, subprocess.TimeoutExpired):
            return None
        return timeline + MOST_LATER

    def own(self):
        """Return what there is to know of this host's server without asking the others."""
        return {"host": self.name, "accepted": self.accepted()} | super().own()

    # --- Files of the data directory ---

    def write(self, name, text):
        """Put a file into the data directory so that it survives a power cut; True where it was not there."""
        if (self.data / name).exists():
            return False
        scratch = self.data / f".{name}.new"
        try:
            scratch.unlink(missing_ok=True)
            # Always a file of one's own, and never what somebody has put in its place.
            with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            scratch.rename(self.data / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                scratch.unlink()
            raise OSError(error.errno, error.strerror, str(self.data / name)) from error
        self.sync()
        return True

    def remove(self, name):
        """Take a file out of the data directory for good."""
        (self.data / name).unlink(missing_ok=True)
        self.sync()

    def sync(self):
        directory = os.open(self.data, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    # --- What the operator has given up ---

    def accepted(self):
        """Return up to which timeline the operator has given up what others wrote; 0 for none."""
        try:
            return int(self.read("lost-rows-accepted")["timeline"])
        except (ValueError, LookupError, TypeError, OSError):
            return 0

    def accept(self, timeline):
        self.remove("lost-rows-accepted")
        self.write("lost-rows-accepted", json.dumps({"timeline": timeline, "at": time.strftime("%Y-%m-%d %H:%M:%S %z")}) + "\n")

    # --- A start that was put off ---

    def put_off(self, names):
        """Remember whom the start of this server waits for; an empty list: for nobody."""
        if self.waits_for() != names:
            self.remove("start-put-off")
            if names:
                self.write("start-put-off", json.dumps(names) + "\n")

    def waits_for(self):
        """Return whom the start of this server was put off for."""
        try:
            return list(self.read("start-put-off"))
        except (ValueError, TypeError, OSError):
            return []

    # --- Fence and stop ---

    def fence(self, reason):
        """Keep this data from running as a primary, however it is started; True where that is new."""
        reason = f"{reason}; fenced at {time.strftime('%Y-%m-%d %H:%M:%S %z')}"
        try:
            new = self.write("fenced", json.dumps({"reason": reason}) + "\n")
        except OSError:
            # That the file is there is the fence, whatever is in it: on a full disk there is room for an empty one.
            new = self.write("fenced", "")
        # Started behind systemd's back it is read-only from its first moment on.
        return self.write("standby.signal", "") or new

    def halt(self):
        """Stop the server at once; what it has not acknowledged is nobody's loss. Whether it has stopped is to be seen by its processes."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.run(f"{self.programs}/pg_ctl", "-D", str(self.data), "-m", "immediate", "-t", "60", "stop", timeout=90)


# --- What it is called for --------------------------------------------------------------------


def uptime():
    """Return how many seconds this host is up."""
    return float(pathlib.Path("/proc/uptime").read_text().split()[0])


def listens(address, port):
    """Return whether a server takes connections at all, however slow it is, and whatever it says to them."""
    try:
        socket.create_connection((address.encode(), port), timeout=3).close()
    except OSError:
        return False
    return True


def words(error):
    """Return an error as words, of a file with its name."""
    return f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else str(error)


def noted(host, awaited, reason=None):
    """Write down whom a start waits for, and the fence where there is a reason for one; return a sentence on what the disk does not take of that."""
    troubles = []
    for what, step, word in (("whom its start waits for", host.put_off, awaited), ("the fence", host.fence, reason)):
        try:
            if word is not None:
                step(word)
        except OSError as error:
            troubles.append(f"{what} ({words(error)})")
    return f" Its disk does not take {' and '.join(troubles)}." if troubles else ""


def hear(host, own):
    """Return what the others say, after some patience with those that do not."""
    heard = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        for name, peer in host.peers().items():
            # Silence takes nothing back: who was seen to run a moment ago may run again in another.
            if speaks(peer) or peer["alive"] or name not in doubtful(heard):
                heard[name] = peer
        awaited = [name for name, peer in heard.items() if not speaks(peer)] if uptime() < BOOT_SECONDS else doubtful(heard)
        if why_never_start(own, heard) or not awaited or time.monotonic() >= deadline:
            return heard
        time.sleep(2)


def may_start(host):
    own = host.own()
    peers, trouble = {}, ""
    if own["exists"] and not own["standby"] and not own["fenced"]:
        own["archived"] = host.archived(own["timeline"])
        peers = hear(host, own)
        never = why_never_start(own, peers)
        trouble = noted(host, [] if never else doubtful(peers), never if successor(own, peers) else None)
    reason = why_not_start(own, peers)
    if reason:
        raise Refusal(f"The server of {host.name} does not start: {reason}.{trouble}")


def resume(host, own):
    """Return START where nothing speaks any more against the start that was put off."""
    awaited = host.waits_for()
    if not awaited or own["standby"] or own["fenced"]:
        return 0
    own["archived"] = host.archived(own["timeline"])
    peers = host.peers()
    # They have to say it themselves: a primary that is only restarted falls silent too.
    if any(name in peers and not speaks(peers[name]) for name in awaited):
        return 0
    reason = why_never_start(own, peers)
    if not reason:
        return 0 if doubtful(peers) else START
    trouble = noted(host, [], reason if successor(own, peers) else None)
    raise Refusal(f"The server of {host.name} does not start: {reason}.{trouble}")


def watch(host):
    own = host.own()
    if not own["running"]:
        return resume(host, own)
    peers = host.peers() if leads(own) and not own["fenced"] else {}
    reason = why_stop(own, peers, list(host.hosts))
    if not reason:
        host.put_off([])
        return 0
    # Before anything is written: its disk may be full, and it goes on acknowledging rows all the while.
    host.halt()
    # What only a standby tells that receives from nobody is no ground to give the data up.
    is_given_up = own["fenced"] or successor(own, peers) or not newest(own, peers)
    trouble = noted(host, [], reason if is_given_up else None)
    raise Refusal(f"The server of {host.name} {'does not stop' if host.processes() else 'was stopped'}: {reason}.{trouble}")


def state(host):
    own = host.own()
    print(json.dumps(own | {"peers": host.peers(), "archived": host.archived(own["timeline"]) if own.get("timeline") else None}))


def peers(host):
    print(json.dumps(host.peers()))


def goes_on(host, trouble):
    """Start a server again that was stopped to become a standby, and say why."""
    again = "it was started again" if host.systemctl("start") else f"it does not start again, and its journal says why (journalctl -u {host.unit})"
    raise Refusal(f"The server of {host.name} {trouble}: {again}.", NOT_BEGUN)


def demote(host):
    own = host.own()
    if own["fenced"]:
        raise Refusal(f"The server of {host.name} is fenced: {own['fenced']}.")
    if own["running"] and own["recovery"] is None:
        # It may be a primary at work. The file alone would stop nobody, and keep it from being one at its next start.
        raise Refusal(f"The server of {host.name} runs and does not say what it is ({own['error']}): nothing was done.", NOT_BEGUN)
    if own["running"] and own["recovery"] is False:
        try:
            host.ask(host.local, "CHECKPOINT", timeout=3600)
        except ConnectionError as error:
            raise Refusal(f"The server of {host.name} does not write down what it holds ({error}): nothing was done.", NOT_BEGUN) from error
    started = time.time()
    if own["running"] and own["recovery"] is False:
        host.systemctl("stop")
        if host.processes():
            # It was not systemd that started it.
            host.run(f"{host.programs}/pg_ctl", "-D", str(host.data), "-m", "fast", "-t", "3600", "stop", timeout=3700)
    own = host.own()
    if own["running"] and own["recovery"] is not True:
        raise Refusal(f"The server of {host.name} did not stop.", NOT_BEGUN)
    if not own["running"] and not own["standby"] and own["cluster"] != "shut down":
        goes_on(host, f"did not stop cleanly (its state is '{own['cluster']}')")
    try:
        # Before anybody is promoted: from here on, this host cannot come back as a primary.
        changed = host.write("standby.signal", "")
    except OSError as error:
        goes_on(host, f"cannot be made a standby ({words(error)})")
    print(json.dumps({"changed": changed, "position": own["position"], "stopped": started}))


def promote(host, position="0"):
    if not position.isdecimal():
        raise Refusal(f"{position} is no position: give it as a number of bytes, as `demote` does.", NOT_BEGUN)
    own = host.own()
    if own["recovery"] is False:
        print(json.dumps({"changed": False, "timeline": own["timeline"], "promoted": time.time()}))
        return
    # The last look before the point of no return.
    peers = host.peers()
    rivals = [name for name, peer in peers.items() if peer["alive"] and not peer.get("recovery")]
    if rivals:
        raise Refusal(f"{' and '.join(rivals)} may still be a primary.", NOT_BEGUN)
    reason = why_not_promoted(own, peers)
    if reason:
        raise Refusal(f"The server of {host.name} is not promoted: {reason}.", NOT_BEGUN)
    deadline = time.monotonic() + REPLAY_SECONDS
    while True:
        try:
            replayed = host.ask(host.local, "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint")
        except ConnectionError as error:
            raise Refusal(f"The server of {host.name} is not promoted: it does not say what it has replayed ({error}).", NOT_BEGUN) from error
        if not replayed:
            # Nobody may go on as the primary beside it.
            raise Refusal(f"The server of {host.name} is no standby any more: somebody else has promoted it. See `postgresql-guard state`.")
        lacking = int(position) - int(replayed)
        if lacking <= 0:
            break
        if time.monotonic() > deadline:
            raise Refusal(f"The standby on {host.name} lacks {lacking} bytes of the log.", NOT_BEGUN)
        time.sleep(0.1)
    # What has been replayed just now may have led to another timeline.
    own = host.own()
    own["archived"] = host.archived(own["timeline"]) if own.get("timeline") else None
    reason = why_not_promoted(own, peers)
    if reason:
        raise Refusal(f"The server of {host.name} is not promoted: {reason}.", NOT_BEGUN)
    # Its answer may be lost; what it is tells.
    with contextlib.suppress(ConnectionError):
        host.ask(host.local, "SELECT pg_promote(true, 300)", timeout=330)
    own = host.own()
    if own["recovery"] is not False:
        raise Refusal(f"The server of {host.name} was told to become the primary and has not yet.")
    print(json.dumps({"changed": True, "timeline": own["timeline"], "promoted": time.time()}))


def reinstate(host):
    own = host.own()
    if own["running"] or own["fenced"] or own["cluster"] != "shut down":
        raise Refusal(f"The server of {host.name} is not as `demote` left it.")
    host.remove("standby.signal")
    if not host.systemctl("start"):
        raise Refusal(f"The server of {host.name} is a primary again and did not start: its journal says why (journalctl -u {host.unit}).")


def accept_lost_rows(host):
    """Have this host's data be good enough for a primary, though another one was promoted after it and wrote since."""
    own = host.own()
    if not own["exists"] or own["fenced"]:
        raise Refusal(f"The data of {host.name} is {'fenced: ' + own['fenced'] if own['exists'] else 'not there'}.")
    peers = host.peers()
    own["archived"] = host.archived(own["timeline"])
    name = successor(own, peers)
    if name:
        raise Refusal(f"{name} has taken the place of {host.name} and runs: nothing of it is given up while it does.")
    doubts = doubtful(peers)
    if doubts:
        raise Refusal(f"A server runs on {' and '.join(doubts)} and does not say what it is: nothing is given up while it may be a primary, so stop it first.")
    later = {name: peer["timeline"] for name, peer in relatives(own, peers).items() if peer["timeline"] > own["timeline"]}
    newest_of_all = max([*later.values(), own["archived"] or 0])
    if newest_of_all <= own["timeline"]:
        raise Refusal(f"Nobody that answers knows of a newer timeline than that of {host.name} ({own['timeline']}): there is nothing to give up.")
    host.accept(newest_of_all)
    print(
        f"What was written on the timelines {own['timeline'] + 1} to {newest_of_all} is given up. Start this server (systemctl start {host.unit}) or make it "
        f"the primary by switchover.yml{', rebuild ' + ' and '.join(later) if later else ''}, and make a full backup."
    )


def fence(host, reason):
    try:
        print(json.dumps({"changed": host.fence(reason)}))
    except OSError as error:
        raise Refusal(f"The data of {host.name} cannot be fenced ({words(error)}): switch that host off, and name it in switchover_dead.") from error


COMMANDS = {
    "may-start": may_start,
    "watch": watch,
    "state": state,
    "peers": peers,
    "demote": demote,
    "promote": promote,
    "reinstate": reinstate,
    "fence": fence,
    "accept-lost-rows": accept_lost_rows,
}


def is_known(words):
    """Return whether these words are a command with as many words as it takes."""
    try:
        inspect.signature(COMMANDS[words[0]]).bind(None, *words[1:])
    except (LookupError, TypeError):
        return False
    return True


def main(arguments):
    if not is_known(arguments):
        print(__doc__, file=sys.stderr)
        return 2
    os.umask(0o077)
    if os.geteuid() == 0:
        # But for what systemd is asked: in its own folders postgres could lead root's hand elsewhere.
        postgresql_server.become(pwd.getpwnam(postgresql_server.ACCOUNT))
    try:
        return COMMANDS[arguments[0]](Host(json.loads(CONFIGURATION.read_text())), *arguments[1:]) or 0
    except (Refusal, OSError, subprocess.TimeoutExpired, postgresql_server.Unreadable) as refusal:
        print(f"postgresql-guard: {words(refusal)}", file=sys.stderr)
        return getattr(refusal, "status", 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
