"""A site under test, as its operator and its visitors see it: what the tests of every scenario share."""

import contextlib
import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import re
import secrets
import subprocess
import time

import requests
import testinfra
from load import Load

ROOT = pathlib.Path(__file__).resolve().parent.parent
SSH_CONFIG = ROOT / ".cache/lab/ssh_config"

# These are run a hundred times here, and take half the time where one process on a host runs all tasks (mitogen, of PyPI). What is killed or
# rebooted meanwhile is run as users do it; with PLAIN=1 in the environment all is.
QUICK = {"backup", "balancer", "database", "deploy", "maintenance", "restore", "restore_drill", "restore_media", "rollback", "status", "web"}
QUICK |= {"upgrade_postgresql"}

# What else may run on such hosts, and what is often forgotten.
OFTEN_OPEN = {21, 22, 23, 25, 53, 80, 111, 323, 443, 2375, 3000, 3031, 3306, 5000, 5355, 5432, 5433, 6379}
OFTEN_OPEN |= {8000, 8001, 8080, 8081, 8404, 8432, 8443, 8873, 9000, 9090, 9100, 9191, 11211}
SCAN = """
import concurrent.futures, json, socket, sys
address, ports = json.loads(sys.argv[1])
def answers(port):
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return None
    return port
with concurrent.futures.ThreadPoolExecutor(len(ports)) as pool:
    print(*filter(None, pool.map(answers, ports)))
"""


@dataclasses.dataclass
class Run:
    """What came of a playbook."""

    code: int
    output: str

    @property
    def text(self):
        """The output with its line breaks folded, to look for sentences in."""
        return " ".join(self.output.split())


def quick():
    """Return the environment of a run whose tasks share a process; without a warning that users of the lab can do nothing about."""
    return {
        "ANSIBLE_STRATEGY": "quick", "ANSIBLE_STRATEGY_PLUGINS": str(ROOT / "molecule/shared/strategy"),
        "ANSIBLE_DEPRECATION_WARNINGS": "false", "ANSIBLE_HOST_KEY_CHECKING": "false",
    }  # fmt: skip


def finish(process, timeout_seconds=3600):
    """Wait for a playbook that was started."""
    output, _nothing = process.communicate(timeout=timeout_seconds)
    return Run(process.returncode, output)


def command(*words):
    """Return what one of Ansible's commands prints."""
    return subprocess.run(
        words, cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}, capture_output=True, text=True, check=True
    ).stdout


def repositories():
    """The module that makes the repositories of the tests' projects."""
    specification = importlib.util.spec_from_file_location("probe_repository", ROOT / "molecule/shared/probe_repository.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def fresh(word):
    """A version that no site has served yet, with a word in it that says whose it is."""
    return f"{word}-{secrets.token_hex(3)}"


@dataclasses.dataclass
class Site:
    """The hosts of an inventory, as an operator and a visitor see them."""

    inventory: str
    # The host where visitors arrive; by default the balancer, or else the first web host.
    entrance: str = None

    @functools.cached_property
    def variables(self):
        """What the inventory says, by host."""
        return json.loads(command("ansible-inventory", "-i", self.inventory, "--list", "--vars"))

    @functools.cached_property
    def groups(self):
        """Names of the hosts of each group, and of the groups below it, in their order."""

        def members(name):
            group = self.variables.get(name, {})
            return list(dict.fromkeys([*group.get("hosts", []), *(host for child in group.get("children", []) for host in members(child))]))

        return {name: members(name) for name in self.variables if name != "_meta"}

    @property
    def web(self):
        """Names of the web hosts, in their order."""
        return self.groups["web"]

    @functools.cached_property
    def addresses(self):
        """Of every host, by name, in the inventory's order."""
        return {name: self.variables["_meta"]["hostvars"][name]["ansible_host"] for name in self.groups["all"]}

    @functools.cached_property
    def hosts(self):
        """Every host, by name, with root's rights."""
        options = {"ansible_inventory": self.inventory, "ssh_config": f"{SSH_CONFIG}_tests", "sudo": True}
        return {name: testinfra.get_host(f"ansible://{name}", **options) for name in self.addresses}

    @functools.cached_property
    def repository(self):
        """The probe's, whose revisions are deployed."""
        (name,) = {values["lab_name"] for values in self.variables["_meta"]["hostvars"].values()}
        return repositories().Repository(ROOT / ".cache/probe" / name)

    # --- Playbooks ----------------------------------------------------------------------------

    def start(self, playbook, *arguments, **environment):
        """Start a playbook in a session of its own, so that all of it can be killed."""
        # Whatever the hosts of this scenario were set up with.
        inherited = {name: value for name, value in os.environ.items() if name not in quick()}
        return subprocess.Popen(
            ["ansible-playbook", "-i", self.inventory, ROOT / "playbooks" / f"{playbook}.yml", *arguments],
            cwd=ROOT,
            env=inherited | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "10000"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, playbook, *arguments):
        """Run a playbook to its end, whatever that is."""
        environment = quick() if playbook in QUICK and not os.environ.get("PLAIN") else {}
        return finish(self.start(playbook, *arguments, **environment))

    def apply(self, playbook, *arguments):
        """Run a playbook, which has to succeed."""
        run = self.play(playbook, *arguments)
        assert run.code == 0, run.output[-6000:]
        return run

    # --- Releases of the probe ----------------------------------------------------------------

    def ship(self, version, variant="good", *arguments):
        """Commit a revision, deploy it, and see it served."""
        self.repository.commit(variant, version)
        run = self.apply("deploy", *arguments)
        assert self.version() == version
        return run

    def versions(self):
        """The version that visitors of each web host see."""
        return {name: self.get("/status/", name).json()["version"] for name in self.web}

    def version(self):
        """The version that all web hosts serve."""
        versions = self.versions()
        assert len(set(versions.values())) == 1, versions
        return next(iter(versions.values()))

    def current(self):
        """The release that serves, by web host."""
        return self.each("basename $(readlink /srv/probe/current)")

    def running(self):
        """The releases whose units run, by web host."""
        units = "systemctl list-units --plain --no-legend --state=active 'probe@*.service'"
        return {name: re.findall(r"probe@(\S+)\.service", listed) for name, listed in self.each(units).items()}

    def assert_one_release_runs(self):
        """Assert that on each web host one release runs, and that it is the current one."""
        assert self.running() == {name: [release] for name, release in self.current().items()}

    def forget_migrations(self, *columns):
        """Take away the columns of notes, and the records, of migrations after the probe's own: with a breaking one nobody could go back."""
        statement = "DELETE FROM django_migrations WHERE app = 'pages' AND name <> '0001_initial'; ALTER TABLE pages_note "
        statement += ", ".join(f"DROP COLUMN IF EXISTS {column}" for column in columns)
        self.each("cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d probe -c %s", statement)

    # --- Hosts --------------------------------------------------------------------------------

    def each(self, command, *arguments):
        """What a command prints on each web host, by host; it has to succeed."""
        return {name: self.hosts[name].check_output(command, *arguments) for name in self.web}

    def healthy(self):
        """Wait until visitors of every web host are served."""
        self.wait("every web host to serve", lambda: all(self.serves(name) for name in self.web))

    def reboot(self, name):
        """Reboot a host, and wait until it takes commands again."""
        before = self.boot(name)
        assert before
        with contextlib.suppress(RuntimeError):
            self.hosts[name].run("systemctl reboot")
        self.wait(f"{name} after its reboot", lambda: self.boot(name) not in (before, None), seconds=600)

    def boot(self, name):
        """The identifier of the boot that a host is in; None while it takes no commands."""
        with contextlib.suppress(RuntimeError):
            # A container keeps its kernel's; its first process is another one.
            return self.hosts[name].check_output("cat /proc/sys/kernel/random/boot_id; cut -d ' ' -f 22 /proc/1/stat")

    # --- Ports --------------------------------------------------------------------------------

    def listening(self, name):
        """Ports of a host on which something listens beyond the loopback, over TCP."""
        sockets = [line.split()[3].rpartition(":") for line in self.hosts[name].check_output("ss -H -tln").splitlines()]
        return {int(port) for address, _colon, port in sockets if not address.startswith(("127.", "[::1]"))}

    def own_addresses(self, name, version):
        """Addresses of a host that are reached from elsewhere, of IPv4 or of IPv6."""
        found = re.findall(r" inet6? (\S+)/", self.hosts[name].check_output(f"ip -{version} -o address show scope global"))
        assert found, f"{name} has no address of IPv{version}"
        return found

    def open_ports(self, name, seen_from=None):
        """Return the ports of a host that answer this machine, or another host of the site, by version of the protocol.

        Asked for are those on which something listens, and those that are often open.
        """
        ports = sorted(self.listening(name) | OFTEN_OPEN)
        asker = self.hosts[seen_from] if seen_from else testinfra.get_host("local://")
        found = {}
        for version in (4, 6):
            scans = [asker.check_output("python3 -c %s %s", SCAN, json.dumps([own, ports])) for own in self.own_addresses(name, version)]
            found[version] = {int(port) for scan in scans for port in scan.split()}
        return found

    # --- Visitor ------------------------------------------------------------------------------

    @property
    def address(self):
        """Where visitors arrive."""
        return self.addresses[self.entrance or (self.groups.get("balancer") or self.web)[0]]

    @property
    def url(self):
        return f"https://{self.address}"

    def get(self, path="/", host=None, **arguments):
        """Ask where visitors arrive, or a host; redirects are not followed."""
        return self.request("GET", path, host, **arguments)

    def post(self, path, host=None, **arguments):
        return self.request("POST", path, host, **arguments)

    def request(self, method, path, host=None, timeout=60, **arguments):
        address = self.addresses[host] if host else self.address
        with self.session() as session:
            return session.request(method, f"https://{address}{path}", allow_redirects=False, timeout=timeout, **arguments)

    def upload(self, name):
        """Upload a file through the probe, as a visitor does, and write a row that goes with it."""
        token = self.get("/upload/").cookies["csrftoken"]
        answer = self.post(
            "/upload/", files={"file": (name, f"content of {name}")}, data={"csrfmiddlewaretoken": token}, cookies={"csrftoken": token},
            headers={"Referer": f"{self.url}/upload/"},
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        assert self.post("/write/", data={"text": name}).status_code == 200

    @staticmethod
    def session():
        """Return a visitor with cookies, who accepts the self-signed certificate, and whom no proxy of this machine serves."""
        session = requests.Session()
        session.trust_env, session.verify = False, False
        return session

    def serves(self, host=None):
        """Whether a visitor gets the start page."""
        with contextlib.suppress(requests.RequestException):
            return self.get(host=host).status_code == 200

    @contextlib.contextmanager
    def visitors(self, pause_seconds=0.3):
        """Visitors of each web host, by host, of whom nobody may be disappointed."""
        loads = {name: Load(f"https://{self.addresses[name]}", pause_seconds=pause_seconds) for name in self.web}
        with contextlib.ExitStack() as stack:
            for load in loads.values():
                stack.enter_context(load)
            yield loads
        for load in loads.values():
            load.check()

    # --- Time ---------------------------------------------------------------------------------

    @staticmethod
    def wait(what, predicate, seconds=120, every=1):
        """Wait until something holds, and return its value."""
        deadline = time.monotonic() + seconds
        while not (value := predicate()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
            time.sleep(every)
        return value
