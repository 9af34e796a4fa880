"""The mirror of a repository: fetched from where it is, and only when something is missing."""

import fcntl
import importlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.selfhost.django.plugins.action.release_fetch import RECENT_BYTES, RECENT_COMMITS, bundle, git, recent
from ansible_collections.selfhost.django.plugins.module_utils import commands, sources
from ansible_collections.selfhost.django.plugins.module_utils.sources import Refusal, commit_of, is_there
from ansible_collections.selfhost.django.plugins.modules.release_fetch import bring, fetched, interpreter_of, keep

IDENTITY = ["-c", "user.name=unit", "-c", "user.email=unit@localhost", "-c", "commit.gpgSign=false"]


def commit(repository, message):
    subprocess.run(["git", *IDENTITY, "-C", repository, "commit", "--quiet", "--allow-empty", "--message", message], check=True)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    directory = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", directory], check=True)
    for message in ("first", "second"):
        commit(directory, message)
    return str(directory)


@pytest.fixture
def fetch(tmp_path):
    """Return a function that brings a mirror up to date as the module does."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()

    def run(repository, commit="", bundle="", key="", host_keys=(), recent=""):
        places = {"key_path": str(tmp_path / "key"), "host_keys_path": str(tmp_path / "host_keys")}
        return bring(str(mirror), repository, commit, recent, str(bundle), key, places["key_path"], host_keys, places["host_keys_path"])

    run.mirror = str(mirror)
    return run


def test_a_repository_of_the_controller_travels_only_when_its_commit_is_missing(repository, fetch, tmp_path):
    head = git(repository, "rev-parse", "main^{commit}")
    assert fetch(repository, head) is None and fetch(repository, "") is None
    bundle(repository, str(tmp_path / "bundle"))
    assert fetch(repository, head, tmp_path / "bundle") is True
    assert git(fetch.mirror, "log", "--format=%s", "refs/remotes/origin/main").split() == ["second", "first"]
    assert fetch(repository, head) is False
    assert fetch(repository, "", tmp_path / "bundle") is False, "nothing is new"
    new = commit(repository, "third")
    assert fetch(repository, new) is None


def test_the_newest_commits_travel_with_the_question(repository, fetch):
    head = git(repository, "rev-parse", "main")
    assert fetch(repository, head, recent=recent(repository, head)) is True, "a small repository is sent whole"
    subprocess.run(["git", "-C", repository, "branch", "other"], check=True)
    fetch(repository, "", recent=recent(repository, head))
    for number in range(RECENT_COMMITS + 1):
        new = commit(repository, f"later {number}")
    assert fetch(repository, new, recent=recent(repository, new)) is None, "the mirror lacks what these follow"
    before = git(repository, "rev-parse", "main~1")
    assert fetch(repository, before, recent=recent(repository, before)) is True
    assert git(fetch.mirror, "rev-parse", "refs/remotes/origin/main") == new, "with it came all that is newer"
    assert git(fetch.mirror, "rev-parse", "refs/remotes/origin/other") == head, "what was not sent is still there"
    assert fetch(repository, new, recent="broken") is False


def test_what_is_many_bytes_or_no_commit_does_not_travel_with_the_question(repository):
    assert recent(repository, "") == ""
    (pathlib.Path(repository) / "film").write_bytes(os.urandom(2 * RECENT_BYTES))
    subprocess.run(["git", "-C", repository, "add", "film"], check=True)
    assert recent(repository, commit(repository, "a film")) == ""


def test_what_is_checked_out_on_no_branch_travels(repository, fetch, tmp_path):
    subprocess.run(["git", "-C", repository, "checkout", "--quiet", "--detach"], check=True)
    detached = commit(repository, "by a job")
    bundle(repository, str(tmp_path / "bundle"))
    fetch(repository, detached, tmp_path / "bundle")
    subprocess.run(["git", "-C", fetch.mirror, "gc", "--quiet", "--prune=now"], check=True)
    assert is_there(fetch.mirror, detached)


def test_a_bare_repository_without_a_checked_out_branch_travels(repository, fetch, tmp_path):
    bare = str(tmp_path / "bare")
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, bare], check=True)
    subprocess.run(["git", "-C", bare, "symbolic-ref", "HEAD", "refs/heads/none"], check=True)
    bundle(bare, str(tmp_path / "bundle"))
    assert fetch(bare, "", tmp_path / "bundle") is True


@pytest.mark.parametrize("name", ["shop@1.0.0", "v1.2.3+build.5", "fix/#123", "bücher", "a,b=c%d"])
def test_a_branch_or_tag_is_found_by_any_name_in_a_folder_of_any_name(repository, fetch, tmp_path, name):
    place = str(tmp_path / "my shop")
    os.rename(repository, place)
    for kind in ("branch", "tag"):
        subprocess.run(["git", "-C", place, kind, f"{name}-{kind}"], check=True)
    head = git(place, "rev-parse", "--verify", f"{name}-branch^{{commit}}")
    bundle(place, str(tmp_path / "bundle"))
    assert fetch(place, head, tmp_path / "bundle") is True
    assert [commit_of(fetch.mirror, f"{name}-{kind}", place) for kind in ("branch", "tag")] == [head, head]


def test_a_shallow_clone_and_no_repository_are_refused_with_what_to_do(repository, tmp_path):
    shallow = str(tmp_path / "shallow")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repository}", shallow], check=True)
    with pytest.raises(AnsibleActionFail, match=f"app_repository {shallow} is a shallow clone: complete it with git fetch --unshallow."):
        bundle(shallow, str(tmp_path / "bundle"))
    with pytest.raises(AnsibleActionFail, match="/nowhere is no Git repository on this machine: give its absolute path here, or a URL."):
        bundle("/nowhere", str(tmp_path / "bundle"))


def test_a_url_is_always_asked_and_says_why_it_refuses(repository, fetch):
    assert fetch(f"file://{repository}", key="one") is True
    assert fetch(f"file://{repository}", key="one") is False
    commit(repository, "third")
    assert fetch(f"file://{repository}", key="one") is True
    with pytest.raises(Refusal, match="does not appear to be a git repository|does not exist"):
        fetch("file:///nowhere")


def test_a_mirror_is_whole_after_a_power_cut(repository, powered):
    mirror = powered.directory / "mirror"
    mirror.mkdir()
    sources.fetch(str(mirror), repository)
    (pathlib.Path(repository) / "code.py").write_text("x = 1\n")
    subprocess.run(["git", "-C", repository, "add", "code.py"], check=True)
    os.sync()
    new = commit(repository, "third")
    sources.fetch(str(mirror), repository)
    powered.cut()
    assert git(mirror, "cat-file", "blob", f"{new}:code.py") == "x = 1"
    subprocess.run(["git", "-C", mirror, "fsck", "--strict"], check=True)


# What a power cut, a git that was killed, or a name that was a folder's before leaves in a mirror.
DAMAGES = [
    ": >refs/remotes/origin/main",
    ": >refs/remotes/origin/main.lock",
    ": >config.lock",
    ": >config",
    ": >HEAD",
    ": >packed-refs.lock",
    "echo x >packed-refs",
    "rm -r refs objects",
    "for pack in objects/pack/*.pack; do : >$pack; done",
    "rm -f objects/pack/*.idx",
    "head=$(git rev-parse refs/remotes/origin/main); rm objects/pack/*; mkdir -p objects/$(echo $head | cut -c1-2); "
    ": >objects/$(echo $head | sed 's|^..|&/|')",
    "git update-ref refs/tags/v2/one refs/remotes/origin/main",
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("is_carried", [True, False])
def test_a_mirror_that_stands_in_the_way_is_made_anew(repository, fetch, tmp_path, damage, is_carried):
    def bring():
        bundle(repository, str(tmp_path / "bundle"))
        return fetch(*((repository, "", tmp_path / "bundle") if is_carried else (f"file://{repository}",)))

    bring()
    (pathlib.Path(fetch.mirror) / "lfs").mkdir()
    subprocess.run(["sh", "-euc", damage], cwd=fetch.mirror, check=True)
    new = commit(repository, "third")
    subprocess.run(["git", "-C", repository, "tag", "v2"], check=True)
    assert bring() is True
    assert git(fetch.mirror, "rev-parse", "refs/remotes/origin/main", "refs/tags/v2").split() == [new, new]
    assert git(fetch.mirror, "log", "--format=%s", new).split() == ["third", "second", "first"]
    assert {"lfs", "objects"} <= set(os.listdir(fetch.mirror)) and sources.ANEW not in os.listdir(fetch.mirror)
    assert bring() is False


def test_where_nothing_answers_a_mirror_stays_as_it_is(repository, fetch):
    fetch(f"file://{repository}")
    before = sorted(pathlib.Path(fetch.mirror).rglob("*"))
    with pytest.raises(Refusal):
        fetch("file:///nowhere")
    assert sorted(pathlib.Path(fetch.mirror).rglob("*")) == before


def kill(*_arguments, **_options):
    raise SystemExit("killed")


@pytest.mark.parametrize("step", ["fetched", "os.rename"])
def test_one_that_was_killed_while_it_made_a_mirror_anew_is_made_good_by_the_next_one(repository, fetch, monkeypatch, step):
    fetch(f"file://{repository}")
    (pathlib.Path(fetch.mirror) / "config.lock").touch()
    (pathlib.Path(fetch.mirror) / "anew/left").mkdir(parents=True)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(f"{sources.__name__}.{step}", kill)
        fetch(f"file://{repository}")
    assert fetch(f"file://{repository}") is not None
    assert git(fetch.mirror, "log", "--format=%s", "refs/remotes/origin/main").split() == ["second", "first"]


def test_a_mirror_is_not_made_anew_while_others_are_at_work_in_it(repository, fetch, monkeypatch):
    monkeypatch.setattr(sources, "WAIT_SECONDS", 1)
    fetch(f"file://{repository}")
    (pathlib.Path(fetch.mirror) / "config.lock").touch()
    with sources.at_work(fetch.mirror), pytest.raises(Refusal, match="File exists / .*/mirror cannot be made anew while another git is at work in it.$"):
        fetch(f"file://{repository}")
    with sources.at_work(fetch.mirror) as descriptor:
        assert sources.is_held(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Refusal, match="Another run has been making .*/mirror anew for 1 seconds: wait until its git has ended, or end it."):
            fetch(f"file://{repository}")
    assert fetch(f"file://{repository}") is True


def test_a_git_that_outlives_its_run_is_still_at_work(repository, fetch, tmp_path, monkeypatch):
    command = tmp_path / "git"
    command.write_text('#!/bin/sh\nsleep 4 >/dev/null 2>&1 &\nexec /usr/bin/git "$@"\n')
    command.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=":")
        fetch(f"file://{repository}")
    monkeypatch.setattr(sources, "WAIT_SECONDS", 1)
    with sources.at_work(fetch.mirror) as descriptor:
        assert not sources.is_held(descriptor, fcntl.LOCK_EX)


def test_of_what_a_server_says_without_an_end_the_last_is_told(fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "MOST_BYTES", 1000)
    (tmp_path / "git").write_text("#!/bin/sh\n[ $1 = init ] || { yes | head --bytes=1M | tr '\\n' y >&2; echo and says no >&2; exit 1; }\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(Refusal, match="^y{900,1000}and says no$"):
        fetch("https://git.example.org/shop.git")


def test_a_key_is_its_owners_alone_and_goes_when_it_is_not_used(tmp_path):
    path = tmp_path / "key"
    assert keep(str(path), "") is False
    assert keep(str(path), "one\n") is True and keep(str(path), "one\n") is False
    assert keep(str(path), "two\n") is True
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o600)
    assert keep(str(path), "") is True and not path.exists()


@pytest.mark.parametrize("plant", ["mkfifo {0}", "mkdir -p {0}/full", "ln -s /etc/hostname {0}", "ln -s nowhere {0}", "mkfifo {0}.new; ln -s nowhere {0}.new2"])
@pytest.mark.parametrize("text", ["one\n", ""])
def test_what_a_build_has_left_in_the_place_of_a_key_stops_nobody(tmp_path, plant, text):
    """Its home is the account's own, and a package that it built may have run there."""
    path = tmp_path / "key"
    subprocess.run(["sh", "-c", plant.format(path)], check=True)
    keep(str(path), text)
    assert path.read_text() == text if text else not os.path.lexists(path)
    assert keep(str(path), text) is False


def test_an_interpreter_is_told_from_the_distributions():
    version, path, kind = interpreter_of("/usr/bin/python3")
    assert (kind, path) == ("system", os.path.realpath("/usr/bin/python3")) and version.startswith("3.")
    for name in ("/bin/false", "/no/such/interpreter"):
        with pytest.raises(Refusal, match=f"app_python {name} does not run on "):
            interpreter_of(name)


def test_a_version_is_the_hosts_interpreter_where_it_has_that_and_uvs_where_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter_of("3.12") == ["3.12", "3.12", "other"]
    with pytest.raises(Refusal, match="^app_python 3.12 is not on .*: install it there, or let uv download it by django_installer: uv.$"):
        interpreter_of("3.12", "pip")
    command = tmp_path / "python3.12"
    command.write_text("#!/bin/sh\nprintf '3.12.9\\n/opt/python3.12\\n'\n")
    command.chmod(0o755)
    assert interpreter_of("3.12") == interpreter_of("3.12.9", "pip") == ["3.12.9", "/opt/python3.12", "other"]
    assert interpreter_of("3.12.1") == ["3.12.1", "3.12.1", "other"], "another one of that version"


# --- By the account that builds ---------------------------------------------------------------

BUILDER = 4711
as_root = pytest.mark.skipif(os.getuid() != 0, reason="runs git as another account")


@pytest.fixture
def home():
    """The account's home, in a folder that it may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = pathlib.Path(folder) / "build"
        (path / "repository.git").mkdir(parents=True)
        for name in (path, path / "repository.git"):
            os.chown(name, BUILDER, BUILDER)
        yield path


@pytest.fixture
def by_builder(home):
    """Return a function that fetches as the module does."""
    # That of the tests may lie where the account finds none of its modules.
    for name in ("packaging.specifiers", "tomllib"):
        importlib.import_module(name)

    def run(repository, **given):
        options = {"mirror": f"{home}/repository.git", "key_path": f"{home}/key", "host_keys_path": f"{home}/host_keys", "key": "one", "user": str(BUILDER)}
        options |= {"git_environment": {"GIT_CONFIG_GLOBAL": "/dev/null"}, "timeout_seconds": 60, "requirements": ["requirements.txt"], "version": "main"}
        options |= {"python": "/usr/bin/python3", "installer": "uv"} | {name: [] for name in ("packages", "arguments", "withheld", "host_keys")}
        options |= dict.fromkeys(("commit", "recent", "bundle", "inputs", "server_requirement", "subdirectory"), "")
        return fetched(options | {"repository": repository} | given)

    return run


@pytest.fixture
def project(repository):
    """A repository that can be built."""
    (pathlib.Path(repository) / "requirements.txt").write_text("")
    subprocess.run(["git", "-C", repository, "add", "requirements.txt"], check=True)
    commit(repository, "third")
    return repository


@as_root
def test_a_bundle_is_fetched_by_the_account_from_where_only_root_may_look(by_builder, project, home, tmp_path):
    head, path = git(project, "rev-parse", "main"), tmp_path / "repository.bundle"
    bundle(project, str(path))
    path.chmod(0o600)
    changed, resolved = by_builder(project, commit=head)
    assert changed is None and resolved == {}
    changed, resolved = by_builder(project, commit=head, bundle=str(path))
    assert changed is True and resolved["revision"] == head and resolved["interpreter"][2] == "system"
    found = [file.lstat() for file in home.rglob("*")]
    assert {(row.st_uid, row.st_gid) for row in found} == {(BUILDER, BUILDER)} and (home / "key").stat().st_mode & 0o777 == 0o600
    assert path.exists() and os.listdir("/var/tmp") == [name for name in os.listdir("/var/tmp") if not name.startswith("selfhost-bundle-")]
    new = commit(project, "fourth")
    assert by_builder(project, commit=new, recent=recent(project, new))[0] is True
    with pytest.raises(Refusal, match="^app_version nowhere is no branch, tag or commit of "):
        by_builder(project, bundle=str(path), version="nowhere")


@as_root
def test_what_a_build_has_left_at_home_does_not_run_when_it_is_over(by_builder, project, home, tmp_path, monkeypatch):
    """The account's Python would run what is in a .pth, and git what its configuration says."""
    bundle(project, str(tmp_path / "repository.bundle"))
    question = ["/usr/bin/python3", "-c", "import site; print(site.getusersitepackages())"]
    site = pathlib.Path(subprocess.run(question, env={"HOME": str(home)}, capture_output=True, text=True, check=True).stdout.strip())
    site.mkdir(parents=True)
    (site / "x.pth").write_text(f"import os; os.mkdir('{home}/ran')\n")
    (home / ".gitconfig").write_text(f"[core]\n\tfsmonitor = mkdir {home}/ran\n\thooksPath = {home}\n")
    (home / "reference-transaction").write_text(f"#!/bin/sh\nmkdir {home}/ran\n")
    (home / "reference-transaction").chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    by_builder(project, commit=git(project, "rev-parse", "main"), bundle=str(tmp_path / "repository.bundle"), git_environment={})
    assert interpreter_of("/usr/bin/python3")
    assert not (home / "ran").exists()


@as_root
def test_a_host_that_takes_the_connection_and_says_nothing_is_given_up(by_builder):
    before = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Refusal, match=r"^Git was stopped after 2 seconds \(django_step_timeout_seconds\): "):
        by_builder(f"git://127.0.0.1:{server.getsockname()[1]}/shop", timeout_seconds=2)
    left = subprocess.run(["ps", "-eo", "uid=,stat=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in left if line.split()[0] == str(BUILDER) and not line.split()[1].startswith("Z")] == []
    assert time.monotonic() - before < 20


@as_root
def test_of_what_goes_wrong_there_root_hears(by_builder, project, home):
    with pytest.raises(Refusal, match="does not exist|not appear to be a git"):
        by_builder("file:///nowhere")
    os.chown(home, 0, 0)
    home.chmod(0o700)
    with pytest.raises(Refusal, match="Permission denied"):
        by_builder(f"file://{project}")
    with pytest.raises(ValueError, match="There is no user nobody-of-this-name on this host."):
        by_builder(project, user="nobody-of-this-name")
