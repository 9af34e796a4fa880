"""A release begins with its directories and the code of its revision, by the account that builds, and with nothing of an earlier try."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.selfhost.django.plugins.modules import release_checkout
from ansible_collections.selfhost.django.plugins.modules.release_checkout import main, variables

BUILDER, GROUP = 4711, 4712
RELEASE = "0123456789ab-01234567"
TEXT = 'TOKEN="swordfish"\nLANG="C.UTF-8"\n'
BUILD = 'LANG="C.UTF-8"\n'
IDENTITY = ["-c", "user.name=unit", "-c", "user.email=unit@localhost", "-c", "commit.gpgSign=false", "-c", "protocol.file.allow=always"]
# Says whether the lock is held, and that the units run where there is a file that says so.
SYSTEMCTL = """#!/bin/sh
flock --exclusive --nonblock {home}/lock true && held=free || held=held
echo "$held $*" >>{home}/systemctl.log
[ "$1" != is-active ] || [ -e {home}/running ]
"""
LFS = """#!/bin/sh
{{ echo "$*"; id -u; id -g; id -G; umask; pwd; env; }} >>{home}/build/lfs.log
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="runs git as another account")


def git(folder, *words):
    return subprocess.run(["git", *IDENTITY, "-C", folder, *words], check=True, capture_output=True, text=True).stdout.strip()


def repository(folder, files):
    """Make a repository with one commit, and return that."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", folder], check=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    return git(folder, "rev-parse", "HEAD")


class Site:
    """A host's folders, in one that other accounts may enter."""

    def __init__(self, home, capsys):
        self.home, self.capsys, self.release = home, capsys, home / "releases" / RELEASE
        self.revision = repository(home / "origin", {"manage.py": "#", "src/manage.py": "#", "bin/tool": "#!/bin/sh\n"})
        (home / "releases").mkdir()
        for name, text in {"systemctl": SYSTEMCTL, "git-lfs": LFS}.items():
            (home / "bin").mkdir(exist_ok=True)
            (home / "bin" / name).write_text(text.format(home=home))
            (home / "bin" / name).chmod(0o755)
        self.fetch()

    def fetch(self):
        """Let the account have a mirror of what there is."""
        (self.home / "build").mkdir(exist_ok=True)
        mirror = self.home / "build/repository.git"
        shutil.rmtree(mirror, ignore_errors=True)
        subprocess.run(["git", "clone", "--quiet", "--mirror", self.home / "origin", mirror], check=True)
        subprocess.run(["chown", "-R", f"{BUILDER}:{BUILDER}", self.home / "build"], check=True)

    def commit(self, *words):
        git(self.home / "origin", "commit", "--quiet", "--all", "--message=next", *words)
        self.revision = git(self.home / "origin", "rev-parse", "HEAD")
        self.fetch()

    def check_out(self, **given):
        """Run the module, and return what it says."""
        options = {
            "root": f"{self.home}", "service": "shop", "release": RELEASE, "mirror": f"{self.home}/build/repository.git",
            "repository": f"{self.home}/origin", "revision": self.revision, "user": str(BUILDER), "group": str(GROUP), "environment": TEXT,
            "build_environment": BUILD,
            "virtualenv": f"{self.home}/venvs/0a1b2c", "lock": f"{self.home}/lock",
            "git_environment": {"GIT_CONFIG_GLOBAL": "/dev/null", "PATH": f"{self.home}/bin:/usr/bin:/bin", "GIT_ALLOW_PROTOCOL": "file"},
        }  # fmt: skip
        with patch_module_args(options | given), pytest.raises(SystemExit):
            main()
        text = self.capsys.readouterr().out
        assert "swordfish" not in text
        return json.loads(text)

    def systemctl(self):
        log = self.home / "systemctl.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def more_groups():
    """Let this process be in a group beside its own."""
    groups = os.getgroups()
    os.setgroups([*groups, 4713])
    yield
    os.setgroups(groups)


@pytest.fixture
def site(capsys, monkeypatch):
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        monkeypatch.setenv("PATH", f"{home}/bin", prepend=":")
        yield Site(pathlib.Path(home), capsys)


def state(path):
    information = path.lstat()
    return information.st_uid, information.st_gid, f"{information.st_mode & 0o7777:04o}"


def test_directories_code_and_environment_are_whose_they_have_to_be(site):
    answer = site.check_out()
    assert answer["changed"] and [words[:2] for words in answer["commands"]] == [["git", "clone"], ["git", "remote"], ["git", "checkout"]]
    assert {str(path.relative_to(site.release)): state(path) for path in site.release.glob("*")} == {
        "code": (BUILDER, GROUP, "0750"), "tmp": (BUILDER, GROUP, "0700"), "environment": (0, GROUP, "0640"), "build-environment": (0, GROUP, "0640"),
        "venv": (0, 0, "0777"),
    }  # fmt: skip
    assert state(site.release) == (0, GROUP, "0711")
    assert state(site.release / "code/bin") == (BUILDER, BUILDER, "0750") and state(site.release / "code/manage.py") == (BUILDER, BUILDER, "0640")
    assert (site.release / "environment").read_text() == TEXT and (site.release / "build-environment").read_text() == BUILD
    assert os.readlink(site.release / "venv") == "../../venvs/0a1b2c"


def test_the_code_knows_where_it_comes_from(site):
    site.check_out()
    config = (site.release / "code/.git/config").read_text()
    assert f"url = {site.home}/origin\n" in config and f"storage = {site.home}/build/repository.git/lfs\n" in config
    assert (site.release / "code/.git/HEAD").read_text() == f"{site.revision}\n"


def test_where_a_link_is_another_file_objects_are_copied(site):
    (site.home / "bin/git").write_text("""#!/bin/sh
case " $* " in *" clone "*) case " $* " in *" --no-hardlinks "*) ;; *)
  echo "fatal: hardlink different from source at 'pack'" >&2
  mkdir .git && rmdir .git
  exit 128 ;;
esac ;; esac
exec /usr/bin/git "$@"
""")
    (site.home / "bin/git").chmod(0o755)
    answer = site.check_out()
    assert answer["changed"] and answer["commands"][0][-1] == "--no-hardlinks"
    assert (site.release / "code/manage.py").exists()


def test_objects_are_those_of_the_mirror(site):
    site.check_out()
    (found,) = (site.release / "code/.git/objects").glob(f"{site.revision[:2]}/{site.revision[2:]}")
    assert found.samefile(site.home / "build/repository.git/objects" / site.revision[:2] / site.revision[2:])


def test_nobody_makes_the_mirror_anew_meanwhile(site):
    mirror = site.home / "build/repository.git"
    (site.home / "bin/git").write_text(f'''#!/bin/sh
flock --exclusive --nonblock {mirror} true && echo free >>{mirror}/log || echo held >>{mirror}/log
exec /usr/bin/git "$@"
''')
    (site.home / "bin/git").chmod(0o755)
    assert site.check_out()["changed"]
    assert set((mirror / "log").read_text().split()) == {"held"}


def test_in_the_usual_case_systemd_is_asked_once_while_the_lock_is_held(site):
    site.check_out()
    assert site.systemctl() == [f"held is-active --quiet shop@{RELEASE}.socket shop@{RELEASE}.service"]


def test_what_runs_of_an_interrupted_release_is_stopped(site):
    (site.home / "running").touch()
    answer = site.check_out()
    assert site.systemctl()[1:] == [f"held stop shop@{RELEASE}.socket shop@{RELEASE}.service"]
    assert answer["commands"][0][:2] == ["systemctl", "stop"]


def test_what_is_left_of_an_interrupted_release_is_stopped_and_cleared(site):
    (site.home / "victim").mkdir()
    (site.home / "victim/file").touch()
    (site.release / "code").mkdir(parents=True)
    (site.release / "code/left").touch()
    (site.release / "code/link").symlink_to(site.home / "victim")
    site.check_out()
    assert site.systemctl() == [f"held stop shop@{RELEASE}.socket shop@{RELEASE}.service"]
    assert not os.path.lexists(site.release / "code/left") and not os.path.lexists(site.release / "code/link")
    assert (site.home / "victim/file").exists() and (site.release / "code/manage.py").exists()


def test_a_release_that_is_cleared_in_part_is_no_whole_one(site, monkeypatch):
    (site.release / "code").mkdir(parents=True)
    (site.release / "release.json").write_text("{}")

    def killed(path):
        raise OSError(f"killed in {path}")

    monkeypatch.setattr(release_checkout, "clear", killed)
    assert site.check_out()["msg"].startswith("killed in ")
    assert os.listdir(site.release) == ["code"]


def test_a_release_that_cannot_be_stopped_is_not_cleared(site):
    (site.release / "code").mkdir(parents=True)
    (site.home / "bin/systemctl").write_text("#!/bin/sh\necho 'Job canceled.' >&2\nexit 1\n")
    answer = site.check_out()
    assert (answer["stderr"], answer["rc"], answer["cmd"][:2]) == ("Job canceled.\n", 1, ["systemctl", "stop"])
    assert list((site.release / "code").iterdir()) == []


def test_files_of_git_lfs_are_fetched_by_the_account_with_nothing_of_roots(site, monkeypatch, more_groups):
    monkeypatch.setenv("SECRET_OF_ROOT", "1")
    answer = site.check_out(lfs=True)
    assert answer["commands"][3:] == [["git", "lfs", "install", "--local", "--skip-repo"], ["git", "lfs", "pull"]]
    first, uid, gid, gids, mask, folder, *environment = (site.home / "build/lfs.log").read_text().splitlines()
    account = (str(BUILDER), str(BUILDER), str(BUILDER))
    assert (first, uid, gid, gids, int(mask, 8), folder) == ("install --local --skip-repo", *account, 0o027, f"{site.release}/code")
    assert {"HOME=/nonexistent", "LANG=C.UTF-8", "GIT_CONFIG_GLOBAL=/dev/null"} <= set(environment)
    assert not [line for line in environment if line.startswith(("SECRET_OF_ROOT", "GIT_LFS_SKIP_SMUDGE"))]


def test_a_checkout_alone_fetches_no_file_of_git_lfs(site):
    (site.home / "origin/.gitattributes").write_text("bin/* filter=probe\n")
    git(site.home / "origin", "add", ".gitattributes")
    site.commit()
    probe = f"sh -c 'echo \"$GIT_LFS_SKIP_SMUDGE\" >>{site.home}/build/smudge.log; cat'"
    environment = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "filter.probe.smudge", "GIT_CONFIG_VALUE_0": probe}
    site.check_out(git_environment=environment)
    assert (site.home / "build/smudge.log").read_text() == "1\n"


def test_submodules_come_from_beside_the_repository(site):
    repository(site.home / "fruit", {"apple.py": "#"})
    git(site.home / "origin", "submodule", "--quiet", "add", "../fruit", "fruit")
    subprocess.run(["chown", "-R", f"{BUILDER}:{BUILDER}", site.home / "fruit"], check=True)
    site.commit()
    answer = site.check_out()
    assert answer["commands"][-1][:3] == ["git", "submodule", "--quiet"]
    assert state(site.release / "code/fruit/apple.py") == (BUILDER, BUILDER, "0640")


@pytest.mark.parametrize("subdirectory, path", [("", "manage.py"), ("src", "src/manage.py")])
def test_a_revision_without_manage_py_is_refused(site, subdirectory, path):
    assert site.check_out(subdirectory=subdirectory)["changed"]
    git(site.home / "origin", "rm", "--quiet", path)
    site.commit()
    answer = site.check_out(subdirectory=subdirectory)
    assert answer["msg"] == f"Revision {site.revision} has no {path}: give app_subdirectory the folder of manage.py."
    assert not os.path.lexists(site.release / "environment")


def test_of_git_its_own_words_are_told(site):
    answer = site.check_out(revision="0" * 40)
    assert answer["stderr"] == f"fatal: reference is not a tree: {'0' * 40}\n" and answer["msg"] == "git failed with code 128."
    assert (answer["rc"], answer["cmd"]) == (128, ["git", "checkout", "--quiet", "--detach", "0" * 40])


def test_an_account_that_is_not_there_is_named(site):
    assert site.check_out(user="nobody-of-this-name")["msg"] == "There is no user nobody-of-this-name on this host."


CRLF = "* text eol=crlf\n"


@pytest.mark.parametrize("left", [{".config/git/attributes": CRLF}, {".gitconfig": "[core]\n\tattributesFile = ~/all\n", "all": CRLF}], ids=list)
def test_what_an_earlier_build_has_left_at_home_changes_no_checkout(site, left):
    for path, text in left.items():
        (site.home / "build" / path).parent.mkdir(parents=True, exist_ok=True)
        (site.home / "build" / path).write_text(text)
    # By the role it is told to ask none of its configuration.
    site.check_out(git_environment={"PATH": f"{site.home}/bin:/usr/bin:/bin"})
    assert (site.release / "code/bin/tool").read_bytes() == b"#!/bin/sh\n"


@pytest.mark.parametrize("hook", ["post-checkout", "reference-transaction", "post-index-change"])
def test_no_hook_runs_that_somebody_puts_there_meanwhile(site, hook):
    (site.home / "bin/git").write_text(f"""#!/bin/sh
[ "$1" != checkout ] || {{ echo 'touch {site.home}/build/hooked' >.git/hooks/{hook} && chmod +x .git/hooks/{hook}; }}
exec /usr/bin/git "$@"
""")
    (site.home / "bin/git").chmod(0o755)
    assert site.check_out()["changed"]
    assert (site.release / "code/.git/hooks" / hook).exists() and not (site.home / "build/hooked").exists()


def test_a_host_that_takes_the_connection_and_says_nothing_is_given_up(site):
    with socket.create_server(("127.0.0.1", 0)) as server:
        git(site.home / "origin", "config", "--file", ".gitmodules", "submodule.fruit.path", "fruit")
        git(site.home / "origin", "config", "--file", ".gitmodules", "submodule.fruit.url", f"git://127.0.0.1:{server.getsockname()[1]}/fruit")
        (site.home / "origin/fruit").mkdir()
        git(site.home / "origin", "add", ".gitmodules")
        git(site.home / "origin", "update-index", "--add", "--cacheinfo", f"160000,{site.revision},fruit")
        site.commit()
        answer = site.check_out(timeout_seconds=2, git_environment={"PATH": f"{site.home}/bin:/usr/bin:/bin", "GIT_ALLOW_PROTOCOL": "file:git"})
    assert answer["stderr"].endswith("It was stopped after 2 seconds (django_step_timeout_seconds).\n") and answer["cmd"][:2] == ["git", "submodule"]
    left = subprocess.run(["ps", "-eo", "uid=,stat=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in left if line.split()[0] == str(BUILDER) and not line.split()[1].startswith("Z")] == []


def test_the_way_out_of_the_host_is_gits_too():
    inherited = {"https_proxy": "http://127.0.0.1:3128", "NO_PROXY": "localhost", "HOME": "/root", "SSH_AUTH_SOCK": "/tmp/agent"}
    assert variables({"GIT_TERMINAL_PROMPT": "0"}, inherited).items() >= {
        "https_proxy": "http://127.0.0.1:3128", "NO_PROXY": "localhost", "HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0",
    }.items()  # fmt: skip
    assert [name for name in variables({}, inherited) if not name.startswith("GIT_CONFIG_")] == ["https_proxy", "NO_PROXY", "HOME", "PATH", "LANG"]


@pytest.mark.parametrize("first", [0, 1, 3])
def test_what_git_is_told_beside_its_files_is_told_further(first):
    """As the token of an index is, by app_build_environment."""
    given = {"GIT_CONFIG_COUNT": str(first), **{f"GIT_CONFIG_{part}_{number}": f"a.b{number}" for number in range(first) for part in ("KEY", "VALUE")}}
    environment = variables(given, {}) | {"GIT_CONFIG_NOSYSTEM": "1"}
    told = subprocess.run(["git", "config", "--list"], env=environment, capture_output=True, text=True, cwd="/", check=False).stdout
    assert told.splitlines() == [f"a.b{number}=a.b{number}" for number in range(first)] + [
        "core.hookspath=/dev/null", "http.lowspeedlimit=1", "http.lowspeedtime=120",
    ]  # fmt: skip
