"""What a release is built from: which files its virtualenv depends on, and whose it is."""

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

    def run(files, requirements=("requirements.txt",), arguments=(), version="main", subdirectory="", python="3.11.2"):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message=x")
        try:
            answer = resolved(str(tmp_path), version, "the-repository", subdirectory, python, requirements, arguments)
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
