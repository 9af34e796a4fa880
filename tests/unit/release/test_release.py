"""What a release is refused for, and how one is made."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
spec = importlib.util.spec_from_file_location("release", ROOT / "release/release.py")
release = importlib.util.module_from_spec(spec)
# Nothing is left beside the program.
sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
spec.loader.exec_module(release)
sys.dont_write_bytecode = before


def refused(function, *arguments):
    """Return the sentence of a refusal; empty where there is none."""
    try:
        function(*arguments)
    except release.Refusal as refusal:
        assert str(refusal).count("\n") == 0
        return str(refusal)
    return ""


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("", ""),
        (" M galaxy.yml\n", "The tree is not clean: commit or remove galaxy.yml."),
        ("?? a\n?? b\n?? c\n?? d\n?? e\n?? f\n", "The tree is not clean: commit or remove a, b, c, d and 2 more."),
    ],
)
def test_the_tree(status, sentence):
    assert refused(release.check_tree, status) == sentence


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], ""),
        (["tls.yml", "acme.yml"], "No release tells of changelogs/fragments/acme.yml, tls.yml: run antsibull-changelog release"),
    ],
)
def test_fragments(names, sentence):
    said = refused(release.check_fragments, names)
    assert said.startswith(sentence) and bool(said) == bool(sentence)


@pytest.mark.parametrize(
    ("version", "told", "heading", "tags", "sentence"),
    [
        ("0.2.0", ["0.2.0"], "0.2.0", [], ""),
        ("0.10.0", ["0.2.0", "0.9.0", "0.10.0"], "0.10.0", ["0.9.0", "0.2.0"], ""),
        ("1.0.0", ["1.0.0", "1.0.0-rc1"], "1.0.0", ["1.0.0-rc1"], ""),
        ("0.2", ["0.2"], "0.2", [], "galaxy.yml says version 0.2, which is no semantic version"),
        ("v0.2.0", [], "", [], "galaxy.yml says version v0.2.0, which is no semantic version"),
        ("0.3.0", ["0.2.0"], "0.2.0", [], "galaxy.yml says version 0.3.0, and changelogs/changelog.yaml tells of 0.2.0 last"),
        ("0.2.0", ["0.2.0", "0.3.0"], "0.3.0", [], "galaxy.yml says version 0.2.0, and changelogs/changelog.yaml tells of 0.3.0 last"),
        ("0.2.0", [], "", [], "galaxy.yml says version 0.2.0, and changelogs/changelog.yaml tells of none last"),
        ("0.2.0", ["0.2.0"], "0.1.0", [], "galaxy.yml says version 0.2.0, and CHANGELOG.rst tells of 0.1.0 first"),
        ("0.2.0", ["0.2.0"], "", [], "galaxy.yml says version 0.2.0, and CHANGELOG.rst tells of none first"),
        ("0.2.0", ["0.2.0"], "0.2.0", ["0.2.0"], "Version 0.2.0 is not new, since there is a tag of 0.2.0"),
        ("0.2.0", ["0.2.0"], "0.2.0", ["0.1.0", "0.10.0", "0.9.0"], "Version 0.2.0 is not new, since there is a tag of 0.10.0"),
    ],
)
def test_the_version(version, told, heading, tags, sentence):
    said = refused(release.check_version, version, told, heading, tags)
    assert said.startswith(sentence) and bool(said) == bool(sentence)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"a.py": "version_added: 0.2.0\n", "b.yml": "  version_added: 0.1.0\n", "c.py": "import this\n"}, ""),
        ({"a.py": "version_added: 0.2.0\n", "b.yml": "  version_added: '0.10'\n"}, "Version 0.2.0 is before the version_added of b.yml: correct that."),
    ],
)
def test_no_plugin_is_of_a_later_version(texts, sentence):
    assert refused(release.check_plugins, "0.2.0", texts) == sentence


def test_tags_that_are_versions():
    assert release.versions_of(["v0.2.0", "0.1.0", "nightly", "v2"]) == ["0.2.0", "0.1.0"]


@pytest.mark.parametrize(
    ("text", "version"),
    [("Title\n=====\n\nv0.2.0\n======\n\nv0.1.0\n======\n", "0.2.0"), ("Title\n=====\n\nNothing yet.\n", "")],
)
def test_the_newest_release_of_the_page(text, version):
    assert release.newest_heading(text) == version


@pytest.mark.parametrize(
    ("key", "is_file", "program", "written"),
    [
        ("none", False, None, ""), ("/home/me/.ssh/id_ed25519", True, "ssh-keygen", "a.tar.gz.sig"),
        ("0123ABCD", False, "gpg", "a.tar.gz.asc"), ("me@example.org", False, "gpg", "a.tar.gz.asc"),
    ],
)  # fmt: skip
def test_what_signs(key, is_file, program, written):
    words, file = release.signature(key, "a.tar.gz", is_file)
    assert (words[0] if words else None, file) == (program, written)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("", "SIGN_KEY is not set: give the file of an SSH key, the name of a gpg key, or none for an archive without a signature."),
        ("keys/release", "SIGN_KEY names keys/release, which is no file"),
    ],
)
def test_a_signature_is_left_out_only_by_saying_so(key, sentence):
    assert refused(release.signature, key, "a.tar.gz", False).startswith(sentence)


FINE = "Loading role app\nImporter processing completed successfully\n"


@pytest.mark.parametrize(
    ("status", "said", "sentence"),
    [
        (0, FINE, ""),
        (0, f"WARNING: No changelog found.\n{FINE}", "Galaxy's importer does not take the archive as it is: No changelog found."),
        (1, "Loading\nERROR: The import failed: no tags\n", "Galaxy's importer does not take the archive as it is: The import failed: no tags"),
        (1, "Traceback\nImportError: x\n", "Galaxy's importer did not get to its end (exit status 1): ImportError: x"),
        (0, "", "Galaxy's importer did not get to its end (exit status 0): it said nothing"),
    ],
)
def test_what_the_importer_says(status, said, sentence):
    assert refused(release.check_importer, status, said) == sentence


FAILED = "FATAL: The 2 sanity test(s) listed below (out of 24) failed. See error output above for details.\nimport --python 3.11\npep8\n"


@pytest.mark.parametrize(
    ("status", "said", "sentence"),
    [
        (0, "WARNING: shellcheck not found\n", ""),
        (1, f"ERROR: x\n{FAILED}", "The sanity tests failed: import --python 3.11, pep8; log tells more."),
        (1, "ERROR: Python does not have pip available\n", "The sanity tests could not begin, since ansible-test got no pip for its virtualenvs; log has"),
        (1, "ERROR: no such test\n", "The sanity tests failed: ERROR: no such test; log tells more."),
    ],
)
def test_what_the_sanity_tests_say(status, said, sentence):
    text = refused(release.check_sanity, status, said, "log")
    assert text.startswith(sentence) and bool(text) == bool(sentence)


# --- A release of a collection of three files, judged by programs that only take part ---------------


GALAXY = "#!/bin/sh\ntar -czf \"$4/selfhost-django-0.2.0.tar.gz\" .\n"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a checkout that may be released, and the folders of the release and of the importer."""
    programs, folder = tmp_path / "importer/bin", tmp_path / "checkout"
    programs.mkdir(parents=True)
    for name, text in {"ansible-galaxy": GALAXY, "ansible-test": "#!/bin/sh\necho tested\n", "python": f"#!/bin/sh\nprintf '{FINE}'\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(release, "ROOT", folder)
    (folder / "changelogs/fragments").mkdir(parents=True)
    (folder / "changelogs/changelog.yaml").write_text("releases: {0.2.0: {}}\n")
    (folder / "CHANGELOG.rst").write_text("v0.2.0\n======\n")
    (folder / "galaxy.yml").write_text("version: 0.2.0\n")
    (folder / "notes.txt").write_text("Notes.\n")
    (folder / ".gitignore").write_text("/password\n")
    (folder / "changelogs/fragments/.keep").touch()
    (folder / "password").write_text("swordfish\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "--quiet", "--message=One")
    return folder, tmp_path / "release", tmp_path / "importer"


def git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True)


def test_a_signed_release(checkout, tmp_path, capsys):
    _folder, made, importer = checkout
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    # The second one writes over the first.
    for _time in range(2):
        release.make(str(key), made, importer)
    archive = made / "selfhost-django-0.2.0.tar.gz"
    assert f"\n{archive}\n{archive}.sha256\n{archive}.sig\n" in capsys.readouterr().out
    subprocess.run(["sha256sum", "--check", "--status", f"{archive.name}.sha256"], cwd=made, check=True)
    (tmp_path / "signers").write_text(f"me {(tmp_path / 'key.pub').read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "signers", "-I", "me", "-n", "file", "-s", f"{archive}.sig"]
    assert subprocess.run(verify, stdin=archive.open(), capture_output=True, check=False).returncode == 0
    with archive.open("ab") as file:
        file.write(b"more")
    assert subprocess.run(verify, stdin=archive.open(), capture_output=True, check=False).returncode != 0
    names = subprocess.run(["tar", "-tzf", archive], capture_output=True, text=True, check=False).stdout
    assert "notes.txt" in names and "password" not in names, "what git ignores is in the archive"


def test_a_release_is_of_one_commit(checkout):
    folder, made, importer = checkout
    git(folder, "tag", "v0.2.0")
    release.make("none", made, importer)
    assert sorted(path.name for path in made.iterdir()) == ["sanity.log", "selfhost-django-0.2.0.tar.gz", "selfhost-django-0.2.0.tar.gz.sha256"]
    git(folder, "-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "--quiet", "--allow-empty", "--message=Two")
    assert refused(release.make, "none", made, importer).startswith("Version 0.2.0 is not new")


def test_what_was_judged_bad_is_not_there(checkout):
    _folder, made, importer = checkout
    release.make("none", made, importer)
    assert list(made.glob("*.tar.gz*"))
    (importer / "bin/ansible-test").write_text(f"#!/bin/sh\necho '{FAILED}'\nexit 1\n")
    assert refused(release.make, "none", made, importer).startswith("The sanity tests failed: import --python 3.11, pep8;")
    assert not list(made.glob("*.tar.gz*"))


def test_what_cannot_be_signed_is_not_there(checkout, tmp_path):
    _folder, made, importer = checkout
    (tmp_path / "key").write_text("no key\n")
    (tmp_path / "key").chmod(0o600)
    assert refused(release.make, str(tmp_path / "key"), made, importer).startswith("ssh-keygen -Y sign failed: ")
    assert not list(made.glob("*.tar.gz*"))


@pytest.mark.parametrize("name", ["new.txt", "changelogs/fragments/new.yml"])
def test_what_is_not_committed_is_not_released(checkout, name):
    folder, made, importer = checkout
    (folder / name).write_text("{}\n")
    assert refused(release.make, "none", made, importer).startswith("The tree is not clean: commit or remove")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "--quiet", "--message=Two")
    said = refused(release.make, "none", made, importer)
    assert said.startswith("No release tells of changelogs/fragments/new.yml") if "fragments" in name else not said
