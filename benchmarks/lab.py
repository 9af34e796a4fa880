"""The hosts that are measured, as one run of benchmarks sees them: a site of one host or more, and the floor, a host made by hand."""

import base64
import json
import os
import pathlib
import resource
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
SHARED = ROOT / "molecule/shared"
# Two levels below the checkout, as the lab's variables expect of an inventory.
CACHE = ROOT / ".cache/bench"
SSH = ["ssh", "-F", str(ROOT / ".cache/lab/ssh_config"), "-o", "ControlMaster=no"]

PREFIX = "selfhost-bench"
SITE = {f"h{number}": f"10.88.42.{10 + number}" for number in range(1, 9)}
FLOOR = {"floor": "10.88.42.30"}
# The same site twice: a primary, its standby and a web host, and in the second these vote.
PAIR = {f"p{number}": f"10.88.42.{40 + number}" for number in range(1, 4)}
VOTERS = {f"v{number}": f"10.88.42.{50 + number}" for number in range(1, 4)}
EVERY = SITE | FLOOR | PAIR | VOTERS
# The third host of a site and all further ones start as copies of the second.
COPY = "bench-web"
# What PostgreSQL is tuned for; containers would count on all of this machine.
MEMORY_MB = 2048
# What the floor needs by name, whatever the roles install.
BY_HAND = {"nginx", "postgresql", "uwsgi-core", "uwsgi-plugin-python3", "git", "python3-venv", "curl", "openssl"}

# Until it has archived what it was filled with, a server is not at rest; one that archives nothing has nothing to wait for.
ARCHIVED = "while ls $(runuser -u postgres -- psql -At --command 'show data_directory')/pg_wal/archive_status/*.ready >/dev/null 2>&1; do sleep 1; done\n"

VIEW = """
from django.http import HttpResponse

urlpatterns.insert(0, path("trivial/", lambda request: HttpResponse("ok")))
"""


class Failed(Exception):
    """A command that had to succeed did not."""


def run(words, name="command", text=None, **environment):
    """Run a command to its end and return (seconds, output); its processes die with this one."""
    started = time.monotonic()
    with subprocess.Popen(
        [str(word) for word in words], cwd=ROOT, env=os.environ | environment, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            output, _nothing = process.communicate(text)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    seconds = time.monotonic() - started
    if process.returncode:
        raise Failed(f"{name} ended with status {process.returncode}: {' / '.join(output.strip().splitlines()[-12:])}")
    return seconds, output


def processor_seconds():
    """Return the processor time of all processes that were started here and have ended: what hosts do in containers is none of it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Lab:
    """`runs`: how often each figure is taken. `scale`: 1, or a part of the seconds and megabytes for a trial."""

    def __init__(self, runs, scale):
        self.runs, self.scale = runs, scale
        self.images = {}
        # How many hosts the site has now, and whether the floor stands.
        self.hosts, self.floored = 0, False
        self.commits = 0
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "output.log").write_text("")
        group_vars = CACHE / "group_vars"
        if not group_vars.exists():
            group_vars.symlink_to("../../molecule/inventories/group_vars")
        (CACHE / "pings.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}] * 190}]))

    # --- Hosts --------------------------------------------------------------------------------

    def inventory(self, hosts, groups=None, **variables):
        """Write the inventory of hosts and return its path; groups are names of hosts by name, of a site whose part they are."""
        values = {
            "lab_name": "bench", "lab_network": "10.88.42.0/24", "lab_bare": True, "wagtail_directory": str(CACHE / "wagtail"),
            # All visitors of a benchmark come from one address.
            "nginx_requests_per_address": 0,
            "postgresql_memory_mb": MEMORY_MB, **variables,
        }  # fmt: skip
        lab = {name: {"ansible_host": address, "lab_image": self.images.get(name, "debian-13")} for name, address in hosts.items()}
        children = {name: {"hosts": dict.fromkeys(members)} for name, members in (groups or {}).items()}
        path = CACHE / f"{'-'.join(lab)}.yml"
        path.write_text(json.dumps({"all": {"children": {"lab": {"hosts": {name: lab[name] | values for name in lab}}, **children}}}, indent=1))
        return path

    def serving(self, hosts):
        """Return the groups of hosts that all serve the site; the first one has its database."""
        return {"wagtail": list(hosts), "web": list(hosts), "database": list(hosts)[:1]}

    def create(self, hosts, groups=None, **variables):
        """Boot what is missing of hosts, bare; return their inventory."""
        inventory = self.inventory(hosts, groups, **variables)
        self.play(inventory, SHARED / "create.yml", *([SHARED / "prepare.yml"] if groups else []))
        if groups and not self.commits:
            self._begin_repository()
        return inventory

    def remove(self, hosts):
        """Remove hosts, whether they are there or not; their network stays for the others."""
        subprocess.run(["docker", "rm", "--force", "--volumes", *(f"{PREFIX}-{name}" for name in hosts)], capture_output=True, check=False)
        self.hosts, self.floored = self.hosts * ("h1" not in hosts), self.floored and "floor" not in hosts

    def clear(self):
        """Remove everything that a run makes."""
        self.remove(EVERY)
        self.images = {}
        for kind, name in (("network", PREFIX), ("image", f"selfhost-lab:{COPY}")):
            subprocess.run(["docker", kind, "rm", name], capture_output=True, check=False)

    def site(self, hosts=1):
        """Return the inventory of a site with so many hosts, converged."""
        names = dict(list(SITE.items())[:hosts])
        if self.hosts == hosts:
            return self.inventory(names, self.serving(names))
        if hosts > 2 and not self.images:
            self.site(2)
            run(["docker", "commit", f"{PREFIX}-h2", f"selfhost-lab:{COPY}"])
            self.images = {name: COPY for name in list(SITE)[2:]}
        inventory = self.create(names, self.serving(names))
        self.play(inventory, "site")
        self.hosts = hosts
        return inventory

    def floor(self):
        """Make the floor unless it stands; return the seconds that its script took, without the boot of the bare host."""
        if self.floored:
            return None
        self.site()
        packages = sorted(self.packages() | BY_HAND)
        self.remove(FLOOR)
        self.create(FLOOR)
        seconds, _output = self.by_hand("floor.sh", packages=" ".join(packages))
        self.floored = True
        return seconds

    def by_hand(self, script, **values):
        """Run one of our scripts on the floor, with values as variables and the site's code as a bundle; return (seconds, output)."""
        values |= {"address": FLOOR["floor"], "bundle": base64.b64encode(self._bundle()).decode(), "revision": self.revision()}
        assignments = "".join(f"{name}='{value}'\n" for name, value in values.items())
        return self.ssh("floor", assignments + (HERE / script).read_text())

    def packages(self):
        """Names of the packages that the site's first host has and a bare one has not."""
        query = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Package}\n"]
        _seconds, bare = run(["docker", "run", "--rm", "selfhost-lab:debian-13", *query])
        _seconds, ours = self.ssh("h1", f"{' '.join(query[:3])} '{query[3]}'")
        return {line.split()[1] for line in set(ours.splitlines()) - set(bare.splitlines()) if line.startswith("ii")}

    def limit_memory(self, host, megabytes):
        """Give a host so much memory, its page cache included."""
        run(["docker", "update", f"--memory={megabytes}m", f"--memory-swap={megabytes}m", f"{PREFIX}-{host}"])

    # --- Commands -----------------------------------------------------------------------------

    def play(self, inventory, *words):
        """Run playbooks, ours by their names; return what they cost: seconds, processor_seconds of this machine alone, ok, changed, modules, roles' seconds."""
        tally = CACHE / "tally.json"
        for path in (tally, tally.with_name("tally.json.modules")):
            path.unlink(missing_ok=True)
        words = [ROOT / f"playbooks/{word}.yml" if word in ("site", "deploy", "status", "backup", "restore") else word for word in words]
        before = processor_seconds()
        seconds, output = run(
            ["ansible-playbook", "-i", inventory, *words], " ".join(pathlib.Path(word).name for word in words),
            ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1", COLUMNS="10000", TALLY=str(tally),
            ANSIBLE_CALLBACK_PLUGINS=str(HERE / "callback_plugins"), ANSIBLE_CALLBACKS_ENABLED="tally",
        )  # fmt: skip
        with open(CACHE / "output.log", "a") as log:
            log.write(output)
        return {"seconds": seconds, "processor_seconds": processor_seconds() - before, **json.loads(tally.read_text())}

    def ssh(self, host, script):
        """Run a script on a host as root, in one session; return (seconds, output)."""
        user = "root" if host == "floor" else "ops"
        return run([*SSH, f"{user}@{EVERY[host]}", "sudo -n bash -s"], f"the script on {host}", script)

    # --- Repository ---------------------------------------------------------------------------

    @property
    def repository(self):
        return CACHE / "wagtail/site"

    def git(self, *words):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgSign=false"]
        return run(["git", "-C", self.repository, *identity, *words], "git", GIT_CONFIG_GLOBAL=os.devnull)[1].strip()

    def commit(self):
        """Change one template and commit it; return the mark that the login page shows from then on."""
        self.commits += 1
        template = self.repository / "demo/templates/wagtailadmin/login.html"
        template.parent.mkdir(parents=True, exist_ok=True)
        mark = f"change-{self.commits}"
        template.write_text(f'{{% extends "wagtailadmin/login.html" %}}{{% block branding_login %}}{mark}{{% endblock %}}\n')
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", f"--message={mark}")
        return mark

    def revision(self):
        return self.git("rev-parse", "HEAD")

    def _begin_repository(self):
        """The site as its generator made it, a small file, a trivial view, and a template to change."""
        self.git("reset", "--quiet", "--hard", self.git("rev-list", "--max-parents=0", "HEAD"))
        style = self.repository / "demo/static/bench/style.css"
        style.parent.mkdir(parents=True, exist_ok=True)
        style.write_text("".join(f".class-{number} {{ margin: {number}px }}\n" for number in range(128)))
        with open(self.repository / "demo/urls.py", "a") as urls:
            urls.write(VIEW)
        self.commit()

    def _bundle(self):
        path = CACHE / "site.bundle"
        self.git("bundle", "create", "--quiet", path, "HEAD", "main")
        return path.read_bytes()


def check_shown(host, mark):
    """Fail unless the login page of a host shows a mark."""
    page = run(["curl", "--silent", "--insecure", f"https://{(SITE | FLOOR)[host]}/admin/login/"])[1]
    if mark not in page:
        raise Failed(f"the login page of {host} does not show {mark}")
