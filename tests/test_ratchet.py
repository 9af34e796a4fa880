"""What the house has too much of may only become less: each number is today's, and one that has fallen is lowered here."""

import functools
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
YAML = sorted([*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("roles/*/vars/*.yml"),
               *ROOT.glob("roles/*/defaults/*.yml"), *ROOT.glob("playbooks/*.yml")])  # fmt: skip
ROLES = sorted(path.name for path in ROOT.glob("roles/*"))
# Programs that take the application's own interpreter.
OF_THE_APPLICATION = ("migrations.py",)


def values(node):
    """Yield every text of a YAML document."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from values(key)
            yield from values(value)
    elif isinstance(node, list):
        for value in node:
            yield from values(value)
    elif isinstance(node, str):
        yield node


@functools.cache
def texts():
    return [text for path in YAML for text in values(yaml.load(path.read_bytes(), yaml.CSafeLoader))]


def is_shell(text):
    """Whether a text of several lines is a program for a shell: no prose and no template alone."""
    return bool(re.search(r"^\s*(set -|if \[|for |while |exec |until |\w+=\$\()", text, re.MULTILINE))


def expressions(text):
    return re.findall(r"\{\{.*?\}\}|\{%.*?%\}", text, re.DOTALL)


COUNTS = {
    "assignments in Jinja": lambda: sum(len(re.findall(r"\{%-? *set ", text)) for text in texts()),
    "expressions over 240 characters": lambda: sum(len(" ".join(expression.split())) > 240 for text in texts() for expression in expressions(text)),
    "shell over three lines in YAML": lambda: sum(is_shell(text) and len(text.strip().splitlines()) > 3 for text in texts()),
    "programs on standard input": lambda: sum(
        "lookup('ansible.builtin.file'" in text and ".py'" in text and not any(name in text for name in OF_THE_APPLICATION) for text in texts()
    ),
    "lines of vars beyond a hundred": lambda: sum(
        max(0, len(path.read_text().splitlines()) - 100) for path in ROOT.glob("roles/*/vars/main.yml")
    ),
    "private names of another role": lambda: sum(
        len({name for name in re.findall(r"\b__([a-z]+(?:_[a-z]+)*)_\w+", path.read_text()) if owner(name) not in (None, role_of(path))})
        for path in YAML
    ),
}  # fmt: skip


def owner(name):
    """Return the role whose private name it is, of several the one with the longest name."""
    return max((role for role in ROLES if name == role or name.startswith(f"{role}_")), key=len, default=None)


def role_of(path):
    return path.relative_to(ROOT).parts[1] if path.is_relative_to(ROOT / "roles") else None


MOST = {
    "assignments in Jinja": 9,
    "expressions over 240 characters": 8,
    "shell over three lines in YAML": 9,
    "programs on standard input": 1,
    "lines of vars beyond a hundred": 125,
    "private names of another role": 11,
}


@pytest.mark.parametrize("what", COUNTS)
def test_there_is_no_more_of_it_and_the_number_is_todays(what):
    assert COUNTS[what]() == MOST[what]
