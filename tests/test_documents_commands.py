"""Every command that the documents show is one that there is, and a test runs it on hosts; of what no test runs, the reason stands here.

Looked at are the lines of a shell in blocks of code, and in the text what begins with a program of this project or of Ansible. A test runs a
command where its source has the command's words one after the other; a playbook, where one file runs it and has all of its options and variables.
"""

import argparse
import importlib
import os
import re
import shlex
import sys

import pytest
from ansible.cli.playbook import PlaybookCLI
from test_documents import PLAYBOOKS, ROOT, SELFHOST, known_words, pages, program, prose

# By the first words. What README.md leads somebody new by is read from there, and typed, by scenario internet (test_first_hour.py).
NOT_RUN = {
    "python3 -m venv": "read from README.md",
    "pip install": "read from README.md",
    ". .venv/bin/activate": "read from README.md",
    "export PATH": "read from README.md",
    "ssh root@203.0.113.10 true": "read from README.md, with another address",
    "cd ~/shop-site": "read from README.md",
    "git clone …": "needs a place where this checkout is published",
    "cp -a SAVED": "a lost machine's repository comes from wherever it was saved; scenario hostile brings it as an archive",
    "ansible database -b": "gives the whole site another authority, and is one file that is removed",
    "curl -s http://127.0.0.1:2381/metrics": "scenario failover asks for these figures without curl, which a host need not have",
    "grep -E etcd_disk_wal_fsync": "goes with the line before",
    "alias voters=": "asks for root's password at a terminal; the module etcd_member says the same to etcdctl, in scenario failover",
    "voters member": "goes with the line before",
}
OURS = re.compile(r"(?:sudo )?(?:selfhost|ansible-playbook|ansible-doc|make|postgresql-backup) \S")
INIT = program("bin/selfhost-init")
sys.path.insert(0, str(ROOT / "roles/postgresql_backup/files"))
BACKUP = importlib.import_module("postgresql_backup.__main__")
MAKEFILE = (ROOT / "Makefile").read_text()
# What a shell and Python put around words.
PUNCTUATION = re.compile(r"""\bf(?=["'])|["'(),\[\]{}]""")


def plain(text):
    return " ".join(PUNCTUATION.sub(" ", text).split())


SOURCES = [plain(path.read_text()) for path in [*ROOT.glob("molecule/*/tests/*.py"), *ROOT.glob("molecule/*.py")]]


# --- What the documents show ------------------------------------------------------------------


def lines(page):
    """Yield the lines that are typed into a shell."""
    for _blanks, kind, block in re.findall(r"^( *)```(sh|console)\n(.*?)^\1```$", page, flags=re.MULTILINE | re.DOTALL):
        shown = [line.strip() for line in re.sub(r"\n +(?=--)", " ", block).splitlines()]
        # Where there is a prompt, all else is printed.
        yield from [line[2:] for line in shown if re.match("[$#] ", line)] or shown
    yield from (shown for shown in (" ".join(inline.split()) for inline in re.findall(r"`([^`]+)`", prose(page))) if OURS.match(shown))


def commands(page):
    """Yield the commands of a page, each a list of words."""
    for line in lines(page):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words = []
        for word in [*lexer, ";"]:
            if word.strip(";&|"):
                words.append(word)
            elif words:
                yield words
                words = []


SHOWN = {" ".join(words): words for name, page in pages().items() if re.match("README|docs/|roles/", name) for words in commands(page)}


def test_commands_are_found():
    page = "`sudo make a`, `of others b`\n```console\n$ selfhost 'a b' && b      # c\nprinted\n# c | d\n```\n```sh\ne --one\n  --two; f\n```\n```text\ng\n```\n"
    assert list(commands(page)) == [["selfhost", "a b"], ["b"], ["c"], ["d"], ["e", "--one", "--two"], ["f"], ["sudo", "make", "a"]]


# --- Whether there is such a command ----------------------------------------------------------


class Understood(Exception):
    """A program has read its words, and would do now what they say."""


class Somewhere:
    """In the place of a site."""

    def __init__(self, _inventory):
        pass

    def __getattr__(self, _name):
        raise Understood


def understood(main, *words):
    """Let a program read words; return those of the program that it becomes by them, if it does."""
    became = []

    def become(_path, words=()):
        became.extend(words)
        raise Understood

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        for place, name in ((os, "execv"), (os, "execvp"), (INIT, "answers_of")):
            patch.setattr(place, name, become)
        patch.setattr(SELFHOST, "Site", Somewhere)
        patch.setattr(sys, "argv", ["program", *words])
        with pytest.raises(Understood):
            main()
    return became


def selfhost(*words):
    became = understood(SELFHOST.main, *words)
    if became[:1] == ["ansible-playbook"]:
        return ansible_playbook(*became[1:])
    if became:
        understood(INIT.main, *became[2:])
    return words[2 if words[0].startswith("-") else 0], set()


def ansible_playbook(*words):
    cli = PlaybookCLI(["ansible-playbook", *words])
    cli.init_parser()
    given = cli.parser.parse_args(words)
    (path,) = given.args
    name = re.sub(r"^selfhost\.django\.|^playbooks/|\.yml$", "", path)
    variables = {found for text in given.extra_vars or [] for found in re.findall(r'(?:^|[{ ])"?([a-z_]+)"?[=:]', text)}
    assert name in PLAYBOOKS and variables <= known_words()
    return name, variables | set(re.findall("--(?:check|diff|limit)", " ".join(words)))


def make(*words):
    for target, sign, _value in (word.partition("=") for word in words):
        assert re.search(rf"^{target} \?=" if sign else rf"^{target}:.* ##", MAKEFILE, re.MULTILINE)


def ansible_doc(*words):
    kind, name = words[1:] if len(words) == 3 else ("modules", *words)
    name = name.removeprefix("selfhost.django.")
    assert [*ROOT.glob(f"roles/{name}/meta/argument_specs.yml" if kind == "role" else f"plugins/{kind}/{name}.*")]


def postgresql_backup(name, *words):
    command, parser = BACKUP.commands()[name], argparse.ArgumentParser()
    if command.options:
        command.options(parser)
    parser.parse_args(words)
    return f"postgresql-backup {name}"


PROGRAMS = {
    "selfhost": selfhost, "ansible-playbook": ansible_playbook, "make": make, "ansible-doc": ansible_doc, "postgresql-backup": postgresql_backup,
}  # fmt: skip


def is_run(wanted):
    """Whether a test runs it: a text, or the name of a command or playbook and the words that it is given."""
    if wanted is None or isinstance(wanted, str):
        return wanted is None or any(plain(wanted) in source for source in SOURCES)
    name, given = wanted
    run = re.compile(rf"\b(?:apply|play|start|PROGRAM|selfhost site|site\.inventory) {name}\b")
    return any(run.search(source) and all(word in source for word in given) for source in SOURCES)


@pytest.mark.parametrize("shown", [shown for shown in SHOWN if not re.search("NAME|--help", shown)])
def test_there_is_such_a_command_and_a_test_runs_it(shown):
    program, *words = SHOWN[shown][1:] if shown.startswith("sudo ") else SHOWN[shown]
    wanted = PROGRAMS[program](*words) if program in PROGRAMS else shown
    assert is_run(wanted) is not any(shown.startswith(words) for words in NOT_RUN), wanted


def test_the_tasks_at_which_a_scenario_kills_a_run_are_there():
    """It would wait for one of another name to the end of the run."""
    named = re.findall(r'"(\w+ \| [^"]+)"', (ROOT / "molecule/interruptions/tests/test_interruptions.py").read_text())
    tasks = "\n".join(path.read_text() for path in ROOT.glob("roles/*/tasks/**/*.yml"))
    assert len(named) > 9 and [name for name in named if f"| {name}" not in tasks and f"name: {name}" not in tasks] == []
