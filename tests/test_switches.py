"""A switch is what it says, whatever kind of value says it: `-e` and quotes make a text of false, and every text but an empty one is true to Jinja."""

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPECS = [yaml.load(path.read_bytes(), yaml.CSafeLoader)["argument_specs"]["inputs"]["options"] for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
SWITCHES = sorted(name for options in SPECS for name, option in options.items() if option["type"] == "bool")
PATTERNS = ("roles/*/tasks/**/*.yml", "roles/*/handlers/*.yml", "roles/*/vars/*.yml", "roles/*/defaults/*.yml", "roles/*/templates/*", "playbooks/*.yml")
PLACES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
# Made a switch where it is read; the name of a variable; or all that an expression holds, for an argument that makes a switch of it.
READ = r"\b%s\b(\s*\|\s*default\([^()]*\))?\s*\|\s*bool\b|\b%s:|\{\{ %s \}\}"


def unread(line):
    """Return the switches of a line that are taken for what their texts are."""
    code = "" if line.lstrip().startswith("#") else line
    return [name for name in SWITCHES if name in code and re.search(rf"\b{name}\b", re.sub(READ % (name, name, name), "", code))]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_switch_is_read_by_its_text(path):
    assert [(number, names) for number, line in enumerate(path.read_text().splitlines(), 1) if (names := unread(line))] == []
