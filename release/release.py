"""Makes the archive of a release out of what is committed: built, judged, summed and signed; or says in a sentence why there is none."""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import semantic_version
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNSIGNED = "none"
# The same rules are judged by `make lint`, with the collections at hand that the importer's own call does not see.
IMPORTER_SETTINGS = {"GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "0", "GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "1"}


class Refusal(Exception):
    """There is no release; the text is a sentence."""


# --- Decisions ------------------------------------------------------------------------------------


def check_tree(status):
    """Refuse what `git status --porcelain` tells of (str): a release is what is committed."""
    if changed := [line[3:] for line in status.splitlines()]:
        raise Refusal(f"The tree is not clean: commit or remove {listed(changed)}.")


def check_fragments(names):
    """Refuse fragments (list of str) that no release tells of yet."""
    if names:
        raise Refusal(f"No release tells of changelogs/fragments/{listed(sorted(names))}: run antsibull-changelog release and commit what it writes.")


def check_version(version, told, heading, tags):
    """Refuse a version (str) that is none, that the changelog does not tell of last, or that is not newer than all before.

    told are the versions of changelogs/changelog.yaml; heading is that of CHANGELOG.rst's newest release; tags are the versions of git's
    tags, but for those of this very commit.
    """
    if not semantic_version.validate(version):
        raise Refusal(f"galaxy.yml says version {version}, which is no semantic version: give one such as 1.2.3.")
    ours = semantic_version.Version(version)
    newest = str(max(map(semantic_version.Version, told), default="none"))
    if newest != version:
        raise Refusal(f"galaxy.yml says version {version}, and changelogs/changelog.yaml tells of {newest} last: make them agree.")
    if heading != version:
        raise Refusal(f"galaxy.yml says version {version}, and CHANGELOG.rst tells of {heading or 'none'} first: run antsibull-changelog generate.")
    if newer := [tag for tag in tags if semantic_version.Version(tag) >= ours]:
        last = max(newer, key=semantic_version.Version)
        raise Refusal(f"Version {version} is not new, since there is a tag of {last}: give a newer one in galaxy.yml and the changelog.")


def check_plugins(version, texts):
    """Refuse plugins (dict of their texts by path) that say that they came with a version that is not out yet."""
    ours = semantic_version.Version(version)
    found = {path: re.search(r"^ *version_added: [\"']?([0-9][^\s\"']*)", text, re.MULTILINE) for path, text in texts.items()}
    if ahead := sorted(path for path, said in found.items() if said and semantic_version.Version.coerce(said[1]) > ours):
        raise Refusal(f"Version {version} is before the version_added of {listed(ahead)}: correct that.")


def versions_of(tags):
    """Return the versions (list of str) that tags (list of str) stand for: v1.2.3 or 1.2.3."""
    return [name for name in (tag.removeprefix("v") for tag in tags) if semantic_version.validate(name)]


def newest_heading(text):
    """Return the version (str) of the first release that CHANGELOG.rst (str) tells of; empty where there is none."""
    found = re.search(r"^v(\S+)\n=+$", text, re.MULTILINE)
    return found[1] if found else ""


def signature(key, archive, is_file):
    """Return the command (list of str) that signs an archive (str) and the file that it writes; an empty one for who wants none.

    key is that of SIGN_KEY (str); is_file tells whether it is the name of a file, and so an SSH key.
    """
    if not key:
        raise Refusal(f"SIGN_KEY is not set: give the file of an SSH key, the name of a gpg key, or {UNSIGNED} for an archive without a signature.")
    if key == UNSIGNED:
        return [], ""
    if is_file:
        return ["ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", "file", archive], f"{archive}.sig"
    if "/" in key or key.startswith(("~", ".")):
        raise Refusal(f"SIGN_KEY names {key}, which is no file: give that of an SSH key, or the name of a gpg key.")
    return ["gpg", "--batch", "--yes", "--armor", "--local-user", key, "--output", f"{archive}.asc", "--detach-sign", archive], f"{archive}.asc"


def check_importer(status, said):
    """Refuse what Galaxy's importer would: it ended with an exit status (int) and said lines (str)."""
    complaints = [line.split(": ", 1)[1] for line in said.splitlines() if line.startswith(("ERROR: ", "WARNING: "))]
    if complaints:
        raise Refusal(f"Galaxy's importer does not take the archive as it is: {listed(complaints, '; ')}")
    if status or "Importer processing completed successfully" not in said:
        raise Refusal(f"Galaxy's importer did not get to its end (exit status {status}): {last_line(said)}")


def check_sanity(status, said, log):
    """Refuse what Ansible's sanity tests (exit status and lines) do not pass; log is the name of the file that has it all."""
    if not status:
        return
    if "does not have pip available" in said:
        raise Refusal(f"The sanity tests could not begin, since ansible-test got no pip for its virtualenvs; {log} has the rest.")
    failed = re.search(r"^FATAL: The \d+ sanity test\(s\) listed below.*\n((?:.+\n?)*)", said, re.MULTILINE)
    which = listed(failed[1].split("\n")[:-1] or [failed[1]]) if failed else last_line(said)
    raise Refusal(f"The sanity tests failed: {which}; {log} tells more.")


def listed(names, separator=", "):
    """Return the first of several names, and how many more there are (str)."""
    return separator.join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def last_line(said):
    return (said.strip().splitlines() or ["it said nothing"])[-1]


def sum_of(path):
    """Return the line (str) that `sha256sum --check` reads, of a file beside it."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


# --- Actions --------------------------------------------------------------------------------------


def output(*words, directory=None):
    """Return what a command prints, of the checkout unless another directory is named."""
    done = subprocess.run(words, cwd=directory or ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"{' '.join(map(str, words[:3]))} failed: {last_line(done.stderr)}")
    return done.stdout


def judged(words, directory, environment):
    """Return the exit status of a command and all that it said."""
    done = subprocess.run(words, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def check_papers():
    """Refuse a collection whose papers do not agree on what is released."""
    check_tree(output("git", "status", "--porcelain"))
    fragments = ROOT / "changelogs/fragments"
    check_fragments([path.name for path in [*fragments.glob("*.yml"), *fragments.glob("*.yaml")]])
    changelog = ROOT / "changelogs/changelog.yaml"
    told = list(yaml.safe_load(changelog.read_text())["releases"]) if changelog.is_file() else []
    version = str(yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"])
    here = set(output("git", "tag", "--points-at", "HEAD").split())
    others = [tag for tag in output("git", "tag").split() if tag not in here]
    check_version(version, told, newest_heading((ROOT / "CHANGELOG.rst").read_text()), versions_of(others))
    plugins = [*ROOT.glob("plugins/*/*.py"), *ROOT.glob("plugins/*/*.yml")]
    check_plugins(version, {str(path.relative_to(ROOT)): path.read_text() for path in plugins})


def make(key, folder, importer):
    """Make the files of a release in a folder; importer is the virtualenv of Galaxy's importer."""
    # What is missing or mistaken is said before anything takes long.
    is_file = pathlib.Path(key).is_file()
    signature(key, "", is_file)
    check_papers()
    folder.mkdir(parents=True, exist_ok=True)
    # What is refused below leaves no archive, nor one of another time.
    for old in folder.glob("*.tar.gz*"):
        old.unlink()
    # The settings of a checkout are none of the archive's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    with tempfile.TemporaryDirectory() as scratch:
        # What is ignored by git, somebody's vault password among it, is not in a clone; and the sanity tests ask for such a place.
        clone = pathlib.Path(scratch, "ansible_collections/selfhost/django")
        output("git", "clone", "--quiet", ROOT, clone)
        output("ansible-galaxy", "collection", "build", "--output-path", scratch, directory=clone)
        (built,) = pathlib.Path(scratch).glob("*.tar.gz")
        built.with_name(f"{built.name}.sha256").write_text(sum_of(built))
        words, _signed = signature(key, str(built), is_file)
        if words:
            output(*words)
        print(f"== Galaxy's importer reads {built.name} (a minute)", flush=True)
        path = {"PATH": f"{importer}/bin:{environment['PATH']}"}
        check_importer(*judged([f"{importer}/bin/python", "-m", "galaxy_importer.main", str(built)], scratch, environment | IMPORTER_SETTINGS | path))
        print("== Ansible's sanity tests (minutes)", flush=True)
        status, said = judged(["ansible-test", "sanity", "--local", "--python", f"3.{sys.version_info.minor}"], clone, environment)
        (folder / "sanity.log").write_text(said)
        check_sanity(status, said, folder / "sanity.log")
        made = [shutil.copy(path, folder) for path in sorted(pathlib.Path(scratch).glob("*.tar.gz*"))]
    print("", *made, *([] if words else ["unsigned, as was asked for"]), sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sign-key", default="")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--importer", type=pathlib.Path, required=True)
    given = parser.parse_args()
    try:
        make(os.path.expanduser(given.sign_key), given.folder.absolute(), given.importer.absolute())
    except (Refusal, OSError) as refusal:
        print(f"release: {refusal}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
