"""The specs of the roles are those that their defaults say."""

import re

import pytest
import yaml
from argument_specs import generated, specs

FILES = generated()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.parent.name)
def test_generated_again_nothing_changes(path):
    assert path.read_text() == FILES[path], "run `make specs`"


def options(text):
    """Return the options of the role `box` with these lines in its defaults."""
    written = specs("box", f"---\n# A box, and `box_lid`.\n\n{text}", "A box")
    main = yaml.safe_load(written)["argument_specs"]["inputs"]
    assert (main["short_description"], main["description"][:10]) == ("A box", "A box, and")
    return main["options"]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("# Its width.\nbox_width: 3\n", {"type": "int", "default": 3, "description": "Its width."}),
        ("# Its\n# width, ….\nbox_width: 0.5\n", {"type": "float", "default": 0.5, "description": "Its width, …."}),
        ("# Whether it is `open`, `box_open`.\nbox_open: true\n",
         {"type": "bool", "default": True, "description": "Whether it is C(open), O(box_open)."}),
        ('# A note.\nbox_note: ""\n', {"type": "str", "default": "", "description": "A note."}),
        ("# A note.\nbox_note: |\n  One.\n\n  # Two.\n", {"type": "str", "default": "One.\n\n# Two.\n", "description": "A note."}),
        ("# Where.\nbox_place: /srv\n", {"type": "path", "default": "/srv", "description": "Where."}),
        ("# Labels.\nbox_labels: []\n", {"type": "list", "elements": "str", "default": [], "description": "Labels."}),
        ("# Labels.\nbox_labels:\n  - {a: 1}\n", {"type": "list", "elements": "dict", "default": [{"a": 1}], "description": "Labels."}),
        ("# Labels. (list of path; secret)\nbox_labels: []\n",
         {"type": "list", "elements": "path", "no_log": True, "default": [], "description": "Labels."}),
        ("# Labels. (list of red, blue or green)\nbox_labels: [red]\n",
         {"type": "list", "elements": "str", "choices": ["red", "blue", "green"], "default": ["red"], "description": "Labels."}),
        ("# Its kind (card, wood). (card or wood)\nbox_kind: card\n",
         {"type": "str", "choices": ["card", "wood"], "default": "card", "description": "Its kind (card, wood)."}),
        ('# Its number. (1 or 2)\nbox_number: "{{ number }}"\n',
         {"type": "int", "choices": [1, 2], "description": "Its number. By default C(number)."}),
        ("# Its key.\n# (secret)\nbox_key: \"{{ vault_key | default('') }}\"\n",
         {"type": "str", "no_log": True, "description": "Its key. By default C(vault_key)."}),
        ("# Owners. (list)\nbox_owners: \"{{ owners | default(['a']) }}\"\n",
         {"type": "list", "elements": "str", "description": "Owners. By default `owners | default(['a'])`."}),
        ("# Where, in `{{ root }}`.\nbox_place: /srv/{{ box_name }}\n",
         {"type": "str", "description": "Where, in C(<root>). By default C(/srv/<box_name>)."}),
        ('# Owners, by default those that are in.\nbox_owners: ["{{ one }}"]\n',
         {"type": "list", "elements": "str", "description": "Owners, by default those that are in."}),
        ("# Its name.\n# box_name:\n", {"type": "str", "required": True, "description": "Its name."}),
        ("# Things.\n# - name (required): Its\n#   name.\n# - keys (list; public): Keys.\n# - size (1 or 2; default 1): `size`.\n# box_things:\n",
         {"type": "list", "elements": "dict", "required": True, "description": "Things.", "options": {
             "name": {"type": "str", "required": True, "description": "Its name."},
             "keys": {"type": "list", "elements": "str", "no_log": False, "description": "Keys."},
             "size": {"type": "int", "choices": [1, 2], "default": 1, "description": "C(size)."}}}),
    ],
)  # fmt: skip
def test_what_is_said_of_an_input_is_its_spec(text, spec):
    (found,) = options(text).values()
    assert found == spec


def test_a_heading_is_of_no_input():
    found = options("# --- Lid ---\n\n# Its lid.\nbox_lid: 1\n\n# --- Rows ---\n\n# Its rows.\nbox_rows:\n  # The first.\n  - 1\n")
    assert {name: spec["description"] for name, spec in found.items()} == {"box_lid": "Its lid.", "box_rows": "Its rows."}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("box_width: 3\n", "box_width: it needs a comment above it, of whole sentences."),
        ("# Its width\nbox_width: 3\n", "box_width: it needs a comment above it, of whole sentences."),
        ("# Its width. (wide)\nbox_width: 3\n", "box_width: (wide) is no type, no choice and no other word of a spec."),
        ("# Its width.\nbox_width: '{% if wide %}3{% endif %}'\n", "box_width: say in words what it is by default."),
        ("# Its owners.\nbox_owners: ['{{ one }}']\n", "box_owners: say in words what it is by default."),
    ],
)
def test_what_is_not_said_is_asked_for(text, sentence):
    with pytest.raises(ValueError, match=re.escape(f"roles/box/defaults/main.yml: {sentence}")):
        options(text)


def test_a_role_without_a_comment_at_the_top_is_refused():
    with pytest.raises(ValueError, match="it has to begin with a comment about the role"):
        specs("box", "---\n# Its width.\nbox_width: 3\n", "A box")
