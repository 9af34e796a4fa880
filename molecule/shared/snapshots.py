#!/usr/bin/env python3
"""What the lab's hosts are made from, beside the bare images of `engine`.

    snapshots.py choose INVENTORY       prints, as JSON, from what new hosts are made (`origin`), the image of each, and a key;
                                        has `engine` build what is missing
    snapshots.py keep INVENTORY KEY     keeps hosts that were set up a moment ago: shuts them down, commits them, starts them again

`packages` is a bare image with the Debian packages that the roles install, keyed by their list: a host from it spares itself a
minute's work, and finds nothing configured. `converged` are the hosts of one inventory after their first site.yml, keyed by all that they
are made of. Bare is what an inventory with `lab_bare` asks for, and FRESH=1 in the environment.
"""

import concurrent.futures
import datetime
import functools
import hashlib
import json
import os
import pathlib
import subprocess
import sys

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What converged hosts are made of; the rest is told by their inventory and by the images below.
SOURCES = ["roles", "plugins", "playbooks", "molecule/shared", "molecule/inventories/group_vars", "ansible.cfg", "requirements.txt"]
# What only some inventories ask for. Every image has it, so that one serves all of them: each takes minutes to build beside other work.
OF_SOME = {"apprise", "patroni", "python3-etcd", "restic"}
# Backups, certificates and timers of a host that slept for longer would tell of it.
LIFETIME = datetime.timedelta(hours=12)
# A database writes its last checkpoint, a web server lets its visitors go.
SHUTDOWN_SECONDS = 300


# --- Decisions ------------------------------------------------------------------------------------


def installed(tasks):
    """Yield what each of these tasks of a role, and of the blocks among them, asks apt to install: names, or an expression."""
    for task in tasks or []:
        apt = task.get("ansible.builtin.apt", {})
        if "name" in apt and apt.get("state") != "absent":
            yield apt["name"]
        for part in ("block", "rescue", "always"):
            yield from installed(task.get(part))


def key(*parts):
    """Return a name for what these texts (str or bytes) stand for, in 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:12]


def sources(root, inventory):
    """Return name and content (bytes) of every file below `root` that makes hosts of this inventory (a path) what they are, in order."""
    places = [root / name for name in SOURCES]
    files = {path for place in places for path in ([place] if place.is_file() else place.rglob("*"))} | {inventory}
    return [
        (str(path.relative_to(root)), path.read_bytes())
        for path in sorted(files)
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    ]


def usable(images, wanted, now):
    """Tell whether these images (what the engine says of each, or None) were kept under this key, and not too long ago."""
    return all(
        image
        and (image["Config"]["Labels"] or {}).get("selfhost.converged") == wanted
        and now - datetime.datetime.fromisoformat(image["Created"][:19] + "+00:00") < LIFETIME
        for image in images
    )


def origin(bare, standing, converged):
    """Return what new hosts are made from, where some may stand already: `bare`, `packages`, or `converged`, which are all or none."""
    return "bare" if bare else "converged" if converged and not standing else "packages"


@functools.cache
def roles():
    """Return of all roles what they ask apt to install, their defaults and their constants: three lists, yet to be rendered."""
    loader = DataLoader()
    tasks, defaults, constants = (
        [loader.load_from_file(str(path), trusted_as_template=True) or {} for path in sorted(ROOT.glob(f"roles/*/{pattern}"))]
        for pattern in ("tasks/**/*.yml", "defaults/main.yml", "vars/main.yml")
    )
    return [name for some in tasks for name in installed(some)], defaults, constants


# --- The lab --------------------------------------------------------------------------------------


class Lab:
    """The hosts of an inventory."""

    def __init__(self, inventory):
        self.inventory = pathlib.Path(inventory).resolve()
        self.loader = DataLoader()
        manager = InventoryManager(self.loader, sources=[str(self.inventory)])
        variables = VariableManager(self.loader, manager)
        self.hosts = {host.name: variables.get_vars(host=host) for host in manager.get_hosts("lab")}
        first = next(iter(self.hosts.values()))
        self.bare = first.get("lab_bare", False) or bool(os.environ.get("FRESH"))
        self.name = first["lab_name"]

    def container(self, host):
        return f"selfhost-{self.name}-{host}"

    def converged_image(self, host):
        return f"selfhost-lab-{self.name}:{host}"

    @functools.cached_property
    def packages(self):
        """The sorted names of the Debian packages that the roles install here, by bare image.

        Of all roles: a host of another part finds them too, and one image serves all.
        """
        wanted, defaults, constants = roles()
        names = {}
        for variables in self.hosts.values():
            # What these lists ask a host, and its image can answer.
            facts = {
                "distribution_major_version": variables["lab_image"].removeprefix("debian-"),
                "virtualization_role": "guest",
                "virtualization_type": "docker",
            }
            known = {name: value for some in (*defaults, variables, *constants) for name, value in some.items()}
            rendered = Templar(self.loader, variables=known | {"ansible_facts": facts}).template(wanted)
            names.setdefault(variables["lab_image"], set(OF_SOME)).update(
                name for entry in rendered for name in ([entry] if isinstance(entry, str) else entry)
            )
        return {image: sorted(some) for image, some in names.items()}

    @functools.cached_property
    def images(self):
        """What a new host is made from where no converged one is kept, by host."""
        if self.bare:
            return {host: f"selfhost-lab:{variables['lab_image']}" for host, variables in self.hosts.items()}
        recipe = (ROOT / "molecule/shared/engine").read_bytes()
        names = {image: f"selfhost-lab:{image}-{key(recipe, *some)}" for image, some in self.packages.items()}
        return {host: names[variables["lab_image"]] for host, variables in self.hosts.items()}

    @functools.cached_property
    def key(self):
        """The key of these hosts, made from these images and then converged."""
        parts = [part for pair in sources(ROOT, self.inventory) for part in pair]
        # Which machine may enter them, whose passwords lie beside its key.
        public_key = (ROOT / ".cache/lab/id_ed25519.pub").read_bytes()
        return key(*parts, public_key, json.dumps(self.images, sort_keys=True))


# --- The engine -----------------------------------------------------------------------------------


def docker(*words):
    return subprocess.run(["docker", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def inspect(image):
    """Return what the engine says of an image; None where there is none."""
    done = subprocess.run(["docker", "image", "inspect", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def all_at_once(function, arguments):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(function, arguments))


# --- Commands -------------------------------------------------------------------------------------


def choose(lab):
    """Return what `main` prints of new hosts: origin, image of each, key."""
    standing = set(docker("ps", "--all", "--format", "{{.Names}}").split()) & {lab.container(host) for host in lab.hosts}
    converged = {host: lab.converged_image(host) for host in lab.hosts}
    now = datetime.datetime.now(datetime.timezone.utc)
    found = origin(lab.bare, standing, usable(all_at_once(inspect, converged.values()), lab.key, now))
    missing = {lab.images[host]: variables["lab_image"] for host, variables in lab.hosts.items() if lab.container(host) not in standing}
    if found == "packages":
        for image, bare in missing.items():
            subprocess.run([ROOT / "molecule/shared/engine", "packaged", bare, image, *lab.packages[bare]], check=True, stdout=sys.stderr)
    return {"origin": found, "images": converged if found == "converged" else lab.images, "key": lab.key}


def keep(lab, wanted):
    """Keep hosts that were made from what has this key, and return a sentence that says whether it was done."""
    if lab.key != wanted:
        return "Not kept: what the hosts are made of has changed meanwhile"
    containers = {host: lab.container(host) for host in lab.hosts}
    old = all_at_once(inspect, map(lab.converged_image, lab.hosts))
    docker("stop", "--time", str(SHUTDOWN_SECONDS), *containers.values())
    try:
        killed = [name for name in containers.values() if docker("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "137"]
        if killed:
            return f"Not kept: {', '.join(killed)} did not shut down within {SHUTDOWN_SECONDS} s"
        label = f"LABEL selfhost.converged={wanted}"
        all_at_once(lambda host: docker("commit", "--change", label, containers[host], lab.converged_image(host)), lab.hosts)
    finally:
        docker("start", *containers.values())
    for image in filter(None, old):
        subprocess.run(["docker", "image", "rm", image["Id"]], capture_output=True)
    return "Kept"


def main(command, inventory, *arguments):
    init_plugin_loader([str(ROOT / ".collections")])
    lab = Lab(inventory)
    print(json.dumps(choose(lab)) if command == "choose" else keep(lab, *arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
