"""What a release is built from: which files its virtualenv depends on, and whose it is."""

import re
import shutil
import subprocess

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.sources import Refusal, is_there, resolve as resolved


@pytest.fixture
def resolve(tmp_path):
    """Return a function that commits files and returns what is said of the commit, or the refusal."""

    def git(*words):
        identity = ["-c", "user.name=unit", "-c", "user.email=unit@localhost", "-c", "commit.gpgSign=false"]
        return subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=main", "--template=")

    def run(files, requirements=("requirements.txt",), arguments=(), version="main", subdirectory="", python="3.11.2", repository="the-repository"):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message=x")
        try:
            answer = resolved(str(tmp_path), version, repository, subdirectory, python, requirements, arguments)
        except Refusal as refusal:
            return str(refusal)
        assert answer["revision"] == git("rev-parse", "HEAD") and is_there(str(tmp_path), answer["revision"])
        return answer

    return run


FILES = {
    "requirements.txt": "-r deps/base.in\n",
    "deps/base.in": "django==5.2.1 \\\n    --hash=sha256:0\n-c ../pins.txt\n",
    "pins.txt": "sqlparse<1\n",
    "extra.txt": "asgiref<4\n",
    "README.txt": "Read me.\n",
}


@pytest.mark.parametrize(
    ("changed", "matters"),
    [("requirements.txt", True), ("deps/base.in", True), ("pins.txt", True), ("extra.txt", True), ("README.txt", False)],
)
def test_a_virtualenv_depends_on_every_file_that_is_asked_for_and_on_no_other(resolve, changed, matters):
    arguments = ["--constraint", "extra.txt"]
    before = resolve(FILES, arguments=arguments)
    after = resolve({changed: FILES[changed] + "# another line\n"}, arguments=arguments)
    assert (before["digest"] != after["digest"]) is matters
    assert not before["own"] and not after["own"]


@pytest.mark.parametrize(
    ("line", "owner"),
    [
        ("django~=5.2", "shared"),
        ("psycopg[binary]", "shared"),
        ("--index-url https://packages.example.org/simple/", "shared"),
        ("thing @ https://packages.example.org/thing-1.0.whl", "shared"),
        ("git+https://git.example.org/thing.git@v1#egg=thing", "shared"),
        ("-e git+https://git.example.org/thing.git#egg=thing", "shared"),
        ("# ./a comment", "shared"),
        (".", "own"),
        ("-e .", "own"),
        ("--editable=.[postgres]", "own"),
        ("./vendor/thing", "own"),
        ("vendor/thing-1.0-py3-none-any.whl", "own"),
        ("-e vendor/thing", "own"),
    ],
)
def test_code_of_the_repository_makes_the_virtualenv_the_releases_own(resolve, line, owner):
    assert resolve({"requirements.txt": f"{line}\n"})["own"] is (owner == "own")


@pytest.mark.parametrize("entry", [".", ".[postgres]", "-e .", "-e .[postgres]"])
def test_the_project_itself_is_code_of_the_repository(resolve, entry):
    assert resolve({"pyproject.toml": ""}, requirements=[entry])["own"] is True


def pyproject(wanted):
    return f'[project]\nname = "x"\nrequires-python = "{wanted}"\n'


@pytest.mark.parametrize(
    ("files", "arguments", "sentence"),
    [
        ({}, {"version": "nowhere"}, "app_version nowhere is no branch, tag or commit of the-repository."),
        ({}, {"requirements": ["req/prod.txt"]}, "app_requirements names req/prod.txt, which revision "),
        ({"pyproject.toml": pyproject(">=3.12")}, {}, "The project asks for Python >=3.12 (pyproject.toml) and this host's app_python is 3.11.2: "),
        (
            {"pyproject.toml": pyproject(">=3.14")},
            {"python": "3.13"},
            "The project asks for Python >=3.14 (pyproject.toml) and this host's app_python is 3.13: ",
        ),
        ({".gitmodules": ""}, {"repository": "/srv/shop"}, "The revision has submodules, which do not travel with a repository on the controller: "),
        ({"src/pyproject.toml": pyproject("~=3.12.0")}, {"subdirectory": "src"}, "The project asks for Python ~=3.12.0 (src/pyproject.toml) and "),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(resolve, files, arguments, sentence):
    assert resolve({"requirements.txt": ""} | files, **arguments).startswith(sentence)


@pytest.mark.parametrize("text", ["", "[tool.black]\n", pyproject(">=3.9,<4"), pyproject("no specifier"), "this is no TOML"])
def test_a_project_that_asks_for_no_newer_python_passes(resolve, text):
    assert isinstance(resolve({"requirements.txt": "", "pyproject.toml": text}), dict)


def test_a_commit_that_is_not_there_is_told(resolve, tmp_path):
    resolve({"requirements.txt": ""})
    assert not is_there(str(tmp_path), "0" * 40) and not is_there(str(tmp_path / "none"), "HEAD")


LOCKED = '[project]\nname = "x"\nversion = "1"\ndependencies = ["Django"]\n'


def test_a_lock_is_taken_where_there_is_no_requirement_file_and_counts_with_its_project(resolve):
    first = resolve({"uv.lock": "version = 1\n", "pyproject.toml": LOCKED})
    assert first["requirements"] == ["uv.lock"] and not first["own"]
    second = resolve({"uv.lock": "version = 2\n"})
    third = resolve({"pyproject.toml": LOCKED + "# more\n"})
    assert len({answer["digest"] for answer in (first, second, third)}) == 3
    assert resolve({"README.txt": ""})["digest"] == third["digest"]
    assert resolve({"requirements.txt": ""})["requirements"] == ["requirements.txt"]


@pytest.mark.parametrize("wanted", [">=3.13.2", "~=3.13.2", ">=3.13", ">=3.9,<3.14"])
def test_a_version_of_python_stands_for_its_newest(resolve, wanted):
    assert isinstance(resolve({"requirements.txt": "", "pyproject.toml": pyproject(wanted)}, python="3.13"), dict)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n"
KEPT = {"requirements.txt": "", ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": POINTER.format("0" * 64)}


def test_files_of_git_lfs_are_fetched_or_refused_by_number(resolve, tmp_path, monkeypatch):
    tools = tmp_path.parent / f"{tmp_path.name}-tools"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tools))
    assert re.fullmatch(r"Revision [0-9a-f]{12} keeps 1 file in Git LFS: add git-lfs to app_system_packages\.", resolve(KEPT))
    more = {"media/b.bin": POINTER.format("1" * 64)}
    assert "keeps 2 files in Git LFS, which do not travel with a repository on the controller: give" in resolve(more, repository="/srv/shop")
    (tools / "git-lfs").symlink_to("/bin/true")
    assert resolve({})["lfs"] is True
    assert resolve({name: "no pointer" for name in (*more, "a.bin")})["lfs"] is False, "an attribute alone keeps nothing there"
    assert resolve({".gitattributes": "", "docs.txt": POINTER.format("0" * 64)})["lfs"] is False, "a text may quote a pointer"


def test_an_attribute_of_a_folder_counts(resolve):
    answer = resolve({"requirements.txt": "", "data/.gitattributes": KEPT[".gitattributes"], "data/a.bin": KEPT["a.bin"]}, repository="/srv/shop")
    assert "keeps 1 file in Git LFS" in answer
