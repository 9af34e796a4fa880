"""What can be known of the collection without a host: its parts agree with each other."""

import ast
import functools
import json
import os
import pathlib
import re
import subprocess
import tarfile

import jinja2
import jinja2.meta
import jinja2.nodes
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/main.yml"))
# Some hosts share a scenario's network and are none of its site.
BESIDE = re.compile("controllers|first_hour|newcomer|second_balancer|.*_outside")
INVENTORIES = sorted(path for path in ROOT.glob("molecule/inventories/*.yml") if not BESIDE.fullmatch(path.stem))


@functools.cache
def load(path):
    path = ROOT / path
    return (yaml.load(path.read_bytes(), yaml.CSafeLoader) or {}) if path.exists() else {}


def options(role):
    return load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["inputs"]["options"]


def defaults(role):
    return load(f"roles/{role}/defaults/main.yml")


def files():
    """Return the files that are tracked, or would be after `git add`; not what the user keeps here of a site."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", ".", ":!group_vars", ":!inventories"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


# --- Roles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_its_papers(role):
    for name in ("README.md", "meta/argument_specs.yml", "defaults/main.yml"):
        assert (ROOT / "roles" / role / name).is_file(), f"{role} has no {name}"


@pytest.mark.parametrize("role", ROLES)
def test_the_spec_names_exactly_the_inputs(role):
    required = {name for name, option in options(role).items() if option.get("required")}
    assert set(options(role)) - required == set(defaults(role))
    assert not required & set(defaults(role)), "required, and yet with a default"


@pytest.mark.parametrize("role", ROLES)
def test_the_spec_tells_the_true_defaults(role):
    for name, value in defaults(role).items():
        if re.search(r"{{|{%", str(value)):
            assert "default" not in options(role)[name], f"{name} is derived: say from what in its description"
        else:
            assert options(role)[name].get("default") == value, name


@pytest.mark.parametrize("role", ROLES)
def test_names_begin_with_the_role(role):
    assert not [name for name in [*defaults(role), *options(role)] if not name.startswith(f"{role}_")]
    assert not [name for name in load(f"roles/{role}/vars/main.yml") if not name.startswith(f"__{role}_")]


@pytest.mark.parametrize("role", ROLES)
def test_the_main_task_file_is_a_table_of_contents(role):
    path = ROOT / f"roles/{role}/tasks/main.yml"
    assert not path.exists() or len(path.read_text().splitlines()) <= 40


# What Ansible itself brings, beside everything named ansible_*.
MAGIC = {
    "group_names", "groups", "hostvars", "inventory_dir", "inventory_hostname", "item", "lookup", "now", "omit",
    "play_hosts", "playbook_dir", "q", "query", "role_name", "role_path", "undef", "vars",
}  # fmt: skip
BARE_EXPRESSIONS = {"when", "until", "changed_when", "failed_when", "that", "var"}


class Anything(dict):
    """Every filter and test exists: only variables are of interest here."""

    def __contains__(self, name):
        return True

    def __getitem__(self, name):
        return lambda value, *arguments: value

    def get(self, name, default=None):
        return self[name]


JINJA = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
JINJA.filters = JINJA.tests = Anything()


def variables_read(text, bare=False):
    return jinja2.meta.find_undeclared_variables(JINJA.parse("{{ " + text + " }}" if bare else text))


def variables_of_tasks(node, read, known):
    """Collect the variables that tasks read, and those that they make themselves by `vars:` or `loop_var:`."""
    if isinstance(node, list):
        for child in node:
            variables_of_tasks(child, read, known)
    elif isinstance(node, dict):
        for key, child in node.items():
            if key == "vars" and isinstance(child, dict):
                known.update(child)
            if key in ("loop_var", "index_var"):
                known.add(child)
            for text in child if isinstance(child, list) else [child]:
                if key in BARE_EXPRESSIONS and isinstance(text, str):
                    read.update(variables_read(text, bare="{{" not in text))
            if key not in BARE_EXPRESSIONS:
                variables_of_tasks(child, read, known)
    elif isinstance(node, str):
        read.update(variables_read(node))


def test_every_internal_name_that_is_read_is_said_somewhere():
    """A name that was taken away, or misspelt, would be met on a host only."""
    texts = [path.read_text() for kind in ("roles/**/*.yml", "roles/**/*.j2", "playbooks/*.yml", "plugins/**/*.py") for path in ROOT.glob(kind)]
    read = {name for text in texts for name in re.findall(rf"\b__(?:{'|'.join(ROLES)})_\w+", text)}
    # As a key, a result, the variable of a loop or of a template.
    saying = re.compile(r"(?m)(?:^\s*(?:- )?{?|[{,] *|\")(__\w+)\"?: |^ *(__\w+):$|(?:register|loop_var): (__\w+)|set (__\w+) =")
    assert not read - {name for text in texts for found in saying.findall(text) for name in found}


@pytest.mark.parametrize("role", ROLES)
def test_tasks_and_templates_read_only_their_own_variables(role):
    """Their own, and those of a role that theirs declares to depend on."""
    directory = ROOT / "roles" / role
    owners = [role, *(row["role"] for row in load(f"roles/{role}/meta/main.yml").get("dependencies", []))]
    read, known = set(), set(MAGIC)
    for path in [*directory.glob("tasks/**/*.yml"), *directory.glob("handlers/*.yml")]:
        variables_of_tasks(load(path), read, known)
    for path in directory.glob("templates/**/*.j2"):
        read |= variables_read(path.read_text())
    own = re.compile(rf"(ansible|__{role}|{'|'.join(owners)})_")
    strangers = {name for name in read - known if not own.match(name)}
    assert not strangers


# --- The collection ---------------------------------------------------------------------------


def arguments(node):
    """Yield each module of tasks, by its full name, with its arguments."""
    if isinstance(node, list):
        for child in node:
            yield from arguments(child)
    elif isinstance(node, dict):
        for key, child in node.items():
            if key == "args" or key.count(".") == 2:
                yield key, child
            yield from arguments(child)


def test_no_template_stands_for_the_arguments_of_a_module():
    """Ansible warns of it wherever facts are variables as well, as they are without our settings. A command may be one."""
    commands = {f"ansible.builtin.{name}" for name in ("command", "raw", "shell", "script", "include_tasks", "import_tasks", "import_playbook")}
    found = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in [*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("playbooks/*.yml")]
        for module, given in arguments(load(path))
        if isinstance(given, str) and given.lstrip().startswith("{{") and module not in commands
    ]
    assert not found


def test_every_filter_is_documented():
    """Beside its code, or in a file of its name. Ansible looks for nothing else, and tells nobody what is missing until somebody asks."""
    documented = {path.stem for path in ROOT.glob("plugins/filter/*.yml")}
    filters = set()
    for path in ROOT.glob("plugins/filter/*.py"):
        text = path.read_text()
        # What looks for documentation takes an assignment to several names amiss, and warns of it.
        assert not [node for node in ast.parse(text).body if isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name)], path
        documented |= set(re.findall(r'^DOCUMENTATION = r"""\nname: (\w+)$', text, re.MULTILINE))
        (registered,) = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name == "filters")
        filters |= {key.value for node in ast.walk(registered) if isinstance(node, ast.Dict) for key in node.keys}
    assert filters and documented == filters


def test_names_are_identifiers():
    names = [path.stem for path in ROOT.glob("playbooks/*.yml")] + [path.name for path in ROOT.glob("roles/*")]
    assert not [name for name in names if not name.isidentifier()]


def test_dependencies_are_those_used_and_are_named_once():
    declared = load("galaxy.yml")["dependencies"]
    assert {row["name"]: row["version"] for row in load("requirements.yml")["collections"]} == declared
    sources = [*ROOT.glob("roles/**/*.yml"), *ROOT.glob("roles/**/*.j2"), *ROOT.glob("playbooks/*.yml")]
    used = re.findall(r"\b((?:ansible|community)\.(?!builtin|legacy)[a-z_]+)\.[a-z_]+\b", "\n".join(map(pathlib.Path.read_text, sources)))
    assert set(declared) == set(used)


def test_nothing_here_names_this_machine_or_holds_a_key():
    home = str(pathlib.Path.home())
    here = [f"{ROOT}/", *([f"{home}/"] if home.count("/") > 1 else [])]
    key = re.compile(r"BEGIN [A-Z ]*PRIVATE KEY-----\n")
    for path in files():
        text = path.read_text(errors="replace")
        assert not key.search(text), f"{path} holds a private key"
        assert not [name for name in here if name in text], f"{path} names this machine"


def test_markdown_keeps_to_140_columns():
    """But for the results of the benchmarks, which a program writes."""
    pages = [path for path in files() if path.suffix == ".md" and path != ROOT / "benchmarks/RESULTS.md"]
    assert pages
    lines = [(f"{path.relative_to(ROOT)}:{number}", len(line)) for path in pages for number, line in enumerate(path.read_text().splitlines(), 1)]
    assert not [(place, columns) for place, columns in lines if columns > 140]


def test_python_files_are_valid_for_the_oldest_python():
    for path in ROOT.glob("plugins/**/*.py"):
        ast.parse(path.read_text(), feature_version=(3, 11))


def test_every_scenario_has_its_own_network():
    inventories = [load(path)["lab"]["vars"] for path in INVENTORIES]
    assert {row["lab_name"] for row in inventories} == {path.stem for path in INVENTORIES}
    assert len({row["lab_network"] for row in inventories}) == len(inventories)
    scenarios = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
    assert scenarios == {row["lab_name"] for row in inventories} - {"demo", "demo_vm"}
    run = re.search(r"^SCENARIOS \?= (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    by_hand = {"pair", "projects", "interruptions", "upgrade", "upgrade_voters", "vm", "vm_replication"}
    assert sorted(run) == sorted(scenarios - by_hand), "make scenarios leaves one out"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    directory = tmp_path_factory.mktemp("build")
    subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", directory, ROOT], check=True, capture_output=True)
    (path,) = directory.iterdir()
    return path


def test_the_archive_holds_what_runs_a_site_and_nothing_else(archive):
    with tarfile.open(archive) as contents:
        top = {name.split("/")[0] for name in contents.getnames()}
    assert top == {
        "CHANGELOG.rst", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "bin", "meta", "playbooks", "plugins",
        "requirements.yml", "roles",
    }  # fmt: skip


def test_what_an_execution_environment_needs_is_in_the_archive(archive):
    with tarfile.open(archive) as contents:
        assert set(load("meta/execution-environment.yml")["dependencies"].values()) <= set(contents.getnames())


@pytest.fixture(scope="module")
def installed(archive, tmp_path_factory):
    """A directory away from the checkout in which the collection is installed, and the environment to run it in."""
    directory = tmp_path_factory.mktemp("installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(directory / "collections")
    subprocess.run(
        ["ansible-galaxy", "collection", "install", archive, "--no-deps", "--collections-path", directory / "collections"],
        check=True, cwd=directory, env=environment, capture_output=True,
    )  # fmt: skip
    (directory / "hosts.yml").write_text("web: {hosts: {site1: }}\ndatabase: {hosts: {site1: }}\n")
    return directory, environment


def test_root_works_in_no_folder_that_everybody_writes_to():
    """There somebody else may have put a file or a link of the name before."""
    kinds = re.compile("roles/[^/]+/(tasks|vars|handlers|templates|files)/")
    sources = [path for path in files() if kinds.match(str(path.relative_to(ROOT)))]
    shared = re.compile(r"(?<![\w.}/])/(?:(?:var/)?tmp|run/lock|dev/shm)/\w")
    found = {str(path.relative_to(ROOT)): shared.findall(path.read_text(errors="replace")) for path in [*sources, *ROOT.glob("playbooks/*.yml")]}
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_no_task_runs_as_the_account_that_builds():
    """Its Python and its shell would read what a build has left at its home, outside of the sandbox of builds."""
    sources = [*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/*.yml")]
    assert not [path for path in sources if re.search(r"become_user:.*build", path.read_text())]


PLAYBOOKS = sorted(path.stem for path in ROOT.glob("playbooks/*.yml"))


@pytest.fixture(scope="module")
def listings(installed):
    """What the installed playbooks tell of themselves, by name; one process lists them all, since most of its time goes into its start."""
    directory, environment = installed
    result = subprocess.run(
        ["ansible-playbook", "--inventory", "hosts.yml", "--list-tasks", *(f"selfhost.django.{name}" for name in PLAYBOOKS)],
        cwd=directory, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    _nothing, *parts = re.split(r"(?m)^playbook: (.*)$", result.stdout)
    folder = f"{directory}/collections/ansible_collections/selfhost/django/playbooks"
    return {path.removeprefix(f"{folder}/").removesuffix(".yml"): listing for path, listing in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_an_installed_playbook_runs_away_from_the_checkout(listings, playbook):
    assert re.search(r"^  play #1 .*\n    tasks:\n      \S", listings[playbook], re.MULTILINE)
    assert "selfhost.django." in listings[playbook] or playbook in ("preflight", "look", "packages"), "no task of a role"


def test_an_installed_role_tells_its_inputs(installed):
    directory, environment = installed
    names = [f"selfhost.django.{role}" for role in ROLES]
    result = subprocess.run(["ansible-doc", "--json", "--type", "role", *names], cwd=directory, env=environment, capture_output=True, text=True)
    told = {name: json.loads(result.stdout)[name]["entry_points"]["inputs"]["options"].keys() for name in names}
    assert told == {f"selfhost.django.{role}": options(role).keys() for role in ROLES}, result.stderr


def test_an_installed_playbook_refuses_away_from_the_checkout(installed):
    directory, environment = installed
    result = subprocess.run(
        ["ansible-playbook", "--inventory", "hosts.yml", "selfhost.django.preflight"], cwd=directory, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode != 0
    assert "app_name is not set: give an identifier" in result.stdout + result.stderr


# --- Whoever has the archive alone --------------------------------------------------------------

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG2s8m8sZ4HC5p3RT3iVg2943hjpF8cQ9ITTlFH3VA6c me@laptop"
OFTEN = ["site", "deploy", "backup", "status", "doctor", "preflight"]


def program(installed, folder, *words):
    """Run a program in a folder, by the settings that lie there; one of the collection's by its name."""
    directory, environment = installed
    first, *rest = words
    own = directory / "collections/ansible_collections/selfhost/django/bin" / first
    return subprocess.run(
        [own if own.is_file() else first, *rest], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(installed, tmp_path_factory):
    """A folder that the installed `selfhost init` has made, for an application of two files."""
    repository = tmp_path_factory.mktemp("code") / "shop"
    (repository / "shop").mkdir(parents=True)
    (repository / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n')
    (repository / "shop/wsgi.py").touch()
    for words in (["init", "--quiet", "--initial-branch=main"], ["add", "."], ["-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "-qm1"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    site = tmp_path_factory.mktemp("home") / "site"
    made = program(
        installed, site.parent, "selfhost-init", site, "--repository", repository, "--host", "127.0.0.1", "--admin", "ops", "--key", KEY,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()} == {
        ".gitignore", ".vault-password", "ansible.cfg", "hosts.yml", *(f"group_vars/all/{name}.yml" for name in ("app", "network", "vault")),
    }  # fmt: skip
    return site


@pytest.mark.parametrize("question", ["--syntax-check", "--list-tasks"])
def test_playbooks_are_understood_in_a_folder_of_init(installed, folder, question):
    asked = program(installed, folder, "ansible-playbook", question, *(f"selfhost.django.{name}" for name in OFTEN))
    assert asked.returncode == 0 and "WARNING" not in asked.stderr, asked.stdout + asked.stderr
    playbooks = f"{installed[0]}/collections/ansible_collections/selfhost/django/playbooks"
    assert re.findall(r"(?m)^playbook: (.*)$", asked.stdout) == [f"{playbooks}/{name}.yml" for name in OFTEN]


def test_the_inputs_of_a_folder_of_init_are_good(installed, folder):
    asked = program(installed, folder, "selfhost", "preflight")
    assert asked.returncode == 0, asked.stdout + asked.stderr


def test_doctor_tells_of_a_host_that_does_not_answer(installed, folder):
    # Nobody listens on port 1.
    asked = program(installed, folder, "selfhost", "doctor", "-e", "ansible_port=1")
    assert asked.returncode == 2
    assert asked.stdout.rstrip().endswith("Nothing answers on port 1 of 127.0.0.1 (site): start its SSH server, or correct ansible_port.")


@pytest.mark.parametrize("version", ["2.19", "2.21"])
def test_the_sanity_tests_overlook_what_they_would_find_and_nothing_else(version):
    """Of what needs none of their own tools; they take minutes, and run before a release alone."""
    rows = [line.split()[:2] for line in (ROOT / f"tests/sanity/ignore-{version}.txt").read_text().splitlines()]
    told = {rule: {name for name, one in rows if one == rule} for _name, rule in rows}
    sources = [path for path in files() if path.suffix == ".py" and not path.is_symlink()]
    long = {str(path.relative_to(ROOT)) for path in sources if any(len(line) > 160 for line in path.read_text().splitlines())}
    assert told["pep8:E501"] ^ long == set()
    modules = {str(path.relative_to(ROOT)) for path in sources if path.is_relative_to(ROOT / "plugins/modules")}
    assert modules - told["validate-modules:missing-gplv3-license"] == set()
    assert [name for name, _rule in rows if not (ROOT / name).exists()] == []
