"""What app_requirements asks for: how an entry is read, what it depends on, and what is taken where nobody has said it."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.requirements import Refusal, check_variables, depends, parse, taken

ENTRIES = [
    ("requirements.txt", "requirements.txt", []),
    ("deps/prod.txt", "requirements.txt", []),
    (".", "project", []),
    ("-e .[extra]", "project", []),
    ("--editable=.", "project", []),
    ("uv.lock", "uv.lock", []),
    ("api/uv.lock --extra pg --group=prod", "uv.lock", [["--extra", "pg"], ["--group", "prod"]]),
    ("uv.lock --package web --no-install-project", "uv.lock", [["--package", "web"], ["--no-install-project"]]),
    ("poetry.lock --group prod", "poetry.lock", [["--group", "prod"]]),
    ("pylock.toml", "pylock.toml", []),
    ("pylock.web.toml --extra pg", "pylock.toml", [["--extra", "pg"]]),
    ("pyproject.toml --group prod", "pyproject.toml", [["--group", "prod"]]),
]


@pytest.mark.parametrize(("entry", "kind", "options"), ENTRIES, ids=[entry for entry, *_ in ENTRIES])
def test_an_entry_is_a_file_of_its_kind_with_options(entry, kind, options):
    assert parse(entry) == (kind, entry if kind in ("project", "requirements.txt") else entry.split()[0], options)


@pytest.mark.parametrize(
    "entry",
    ["uv.lock --extra", "uv.lock prod", "uv.lock --dev", "poetry.lock --package web", "uv.lock --extra --group", "uv.lock --extra ../x"],
)
def test_an_option_that_is_not_known_is_refused_with_those_that_are(entry):
    with pytest.raises(Refusal, match=r"app_requirements has '.*': after \S+\.lock may stand --extra NAME"):
        parse(entry)


ANY = '[project]\nname = "x"\ndependencies = ["Django"]\n'
TOOLS = "[tool.ruff]\nline-length = 100\n"
TAKEN = [
    # files of the revision; what is taken, or what the refusal says
    (["requirements.txt", "uv.lock", "pyproject.toml"], ["requirements.txt"]),
    (["uv.lock", "pyproject.toml"], ["uv.lock"]),
    (["poetry.lock", "pyproject.toml"], ["poetry.lock"]),
    (["pylock.toml"], ["pylock.toml"]),
    (["pyproject.toml"], ["pyproject.toml"]),
    (["api/requirements.txt"], ["api/requirements.txt"]),
    (["api/uv.lock", "api/pyproject.toml"], ["api/uv.lock"]),
    (["uv.lock", "api/uv.lock"], ["uv.lock"]),
    (["uv.lock", "poetry.lock"], "This revision has uv.lock and poetry.lock, and no requirements.txt: name one of them in app_requirements."),
    (["requirements/prod.txt", "Pipfile.lock"], r"it has requirements/prod\.txt, Pipfile\.lock; name there what holds its packages\."),
    (["web/uv.lock"], r"it has web/uv\.lock; name there what holds its packages\."),
    (["README.md"], "which this revision does not have, nor a lock file or a pyproject.toml with dependencies in its place: name what holds its packages, or"),
]


@pytest.mark.parametrize(("files", "answer"), TAKEN, ids=[" ".join(files) for files, _ in TAKEN])
def test_without_a_word_of_the_site_the_revision_says_what_holds(files, answer):
    texts = dict.fromkeys(files, ANY)
    if isinstance(answer, list):
        assert taken(["requirements.txt"], texts.get, files, "api", "this revision") == answer
    else:
        with pytest.raises(Refusal, match=answer):
            taken(["requirements.txt"], texts.get, files, "api", "this revision")


def test_a_pyproject_that_only_configures_tools_holds_no_packages():
    with pytest.raises(Refusal, match="a pyproject.toml with dependencies"):
        taken(["requirements.txt"], {"pyproject.toml": TOOLS}.get, ["pyproject.toml"], "", "this revision")
    assert taken(["requirements.txt"], {"pyproject.toml": TOOLS, "api/pyproject.toml": ANY}.get, [], "api", "x") == ["api/pyproject.toml"]


@pytest.mark.parametrize("given", [[], ["uv.lock"], ["requirements.txt", "extra.txt"]])
def test_what_the_site_says_holds(given):
    assert taken(given, {"poetry.lock": ""}.get, ["poetry.lock"], "", "this revision") == given


FILES = {"a/uv.lock": "", "a/pyproject.toml": ANY, "poetry.lock": "", "pylock.toml": "", "pyproject.toml": ANY, "other.txt": ""}
DEPENDS = [
    ("a/uv.lock", {"a/uv.lock", "a/pyproject.toml"}),
    ("poetry.lock", {"poetry.lock", "pyproject.toml"}),
    ("pylock.toml", {"pylock.toml", "pyproject.toml"}),
    ("a/pyproject.toml --group prod", {"a/pyproject.toml"}),
]


@pytest.mark.parametrize(("entry", "files"), DEPENDS)
def test_a_virtualenv_depends_on_a_lock_and_on_its_project(entry, files):
    seen, own = depends([entry], [], FILES.get, "this revision")
    assert set(seen) == files and not own


def package(source):
    return f'[[package]]\nname = "x"\nsource = {source}\n'


OWN = [
    ("uv.lock", package('{ virtual = "." }'), False),
    ("uv.lock", package('{ registry = "https://packages.example.org/simple" }'), False),
    ("uv.lock", package('{ git = "https://git.example.org/x?rev=1#2" }'), False),
    ("uv.lock", package('{ editable = "." }'), True),
    ("uv.lock --no-install-project", package('{ editable = "." }'), False),
    ("uv.lock --no-install-project", package('{ editable = "." }') + package('{ editable = "libs/x" }'), True),
    ("uv.lock", package('{ path = "vendor/x-1.whl" }'), True),
    ("uv.lock", package('{ directory = "vendor/x" }'), True),
    ("poetry.lock", '[[package]]\nname = "x"\nfiles = [{file = "x-1.whl", hash = "sha256:0"}]\n', False),
    ("poetry.lock", '[[package]]\nname = "x"\n[package.source]\ntype = "legacy"\nurl = "https://packages.example.org/simple"\n', False),
    ("poetry.lock", '[[package]]\nname = "x"\n[package.source]\ntype = "directory"\nurl = "libs/x"\n', True),
    ("pylock.toml", '[[packages]]\nname = "x"\nwheels = [{ url = "https://packages.example.org/x-1.whl" }]\n', False),
    ("pylock.toml", '[[packages]]\nname = "x"\nwheels = [{ path = "vendor/x-1.whl" }]\n', True),
    ("pylock.toml", '[[packages]]\nname = "x"\ndirectory = { path = "." }\n', True),
    ("pyproject.toml", ANY, False),
    ("pyproject.toml", ANY + '[tool.uv.sources]\nx = { path = "libs/x" }\n', True),
    ("pyproject.toml", ANY + '[tool.uv.sources]\nx = { git = "https://git.example.org/x" }\n', False),
    ("pyproject.toml", '[project]\ndependencies = ["x @ file:///srv/x.whl"]\n', True),
    ("uv.lock", "this is no TOML", False),
]


@pytest.mark.parametrize(("entry", "text", "own"), OWN)
def test_code_of_the_repository_in_a_lock_makes_the_virtualenv_the_releases_own(entry, text, own):
    assert depends([entry], [], {entry.split()[0]: text}.get, "x")[1] is own


def test_a_lock_that_is_not_there_is_named():
    with pytest.raises(Refusal, match="^app_requirements names uv.lock, which this revision does not have.$"):
        depends(["uv.lock --extra pg"], [], {"pyproject.toml": ANY}.get, "this revision")


def test_a_variable_that_the_installer_does_not_get_is_refused():
    texts = {"a.txt": "--extra-index-url https://x:${TOKEN}@packages.example.org/simple/\n# ${OLD}\n", "uv.lock": "${OLD}"}
    check_variables(texts, ["OLD"])
    with pytest.raises(Refusal, match=r"^a.txt reads TOKEN, which the installer does not get from app_environment: give it in app_build_environment.$"):
        check_variables(texts, ["SECRET_KEY", "TOKEN"])


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("--extra-index-url https://x:${TOKEN}@packages.example.org/simple/", True),
        ("own @ git+ssh://git@git.example.org/own.git", True),
        ("own @ git+https://git.example.org/own.git@${REVISION}", True),
        ("# own @ git+https://${TOKEN}@git.example.org/own.git", True),
        ("own @ git+https://${TOKEN}@git.example.org/own.git", False),
        ("-e git+https://x:${TOKEN}@git.example.org/own.git#egg=own", False),
    ],
)
def test_a_token_that_git_would_show_is_refused(line, good):
    texts = {"requirements.txt": "-r more.txt\n", "more.txt": f"django\n{line}\n"}
    if good:
        assert set(depends(["requirements.txt"], [], texts.get, "x")[0]) == set(texts)
    else:
        with pytest.raises(Refusal, match="^more.txt has a variable in the address of a Git repository"):
            depends(["requirements.txt"], [], texts.get, "x")
