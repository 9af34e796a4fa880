"""Writes roles/*/meta/argument_specs.yml from the roles' defaults; `make specs` runs it.

An input is said once, in defaults/main.yml:

    # Storage under the data directory. (ssd, san or hdd)
    postgresql_storage: ssd

The comment above it is its description, the value its default and its type. What the value does not show stands in brackets at the end:

    (ssd, san or hdd)      what may be given
    (int), (dict), …       the type; of a value that is a template it is str without this
    (list of dict)         a list of what; of a template or an empty list it is str without this
    (secret), (public)     that it stays out of logs, or that it need not although its name sounds so
    (list; secret)         several of these

A required input has no default, so its name is a comment as well: `# app_name:`. The columns of rows follow the text, each on a line of its own:
`# - protocol (tcp or udp; default tcp): Protocol of the port.` The comment at the top is about the role, and meta/main.yml has that in short.
"""

import pathlib
import re
import sys

import yaml

ROLES = pathlib.Path(__file__).resolve().parent.parent / "roles"
HEAD = "---\n# Written by `make specs` (tests/argument_specs.py): change defaults/main.yml, or what meta/main.yml says in short.\n"
TYPES = {"bool": bool, "int": int, "float": float, "list": list, "dict": dict, "path": (), "raw": (), "str": str}
COLUMN = re.compile(r" - (\w+)(?: \(([^)]+)\))?: ")


def inputs(role, text):
    """Yield the comments of a defaults/main.yml with the name of the input below each, or with "" where there is none."""
    comment = []
    for line in text.removeprefix("---\n").splitlines():
        name = re.match(rf"(?:# (?=\w+:$))?({role}_\w+):", line)
        if name is None and line.startswith("# "):
            comment.append(line[2:].strip())
        elif name or comment:
            yield name[1] if name else "", " ".join(comment)
            comment = []


def kind(value):
    """Return the type of a value, by its name in argument specs."""
    return "path" if str(value).startswith("/") else next(name for name, kinds in TYPES.items() if isinstance(value, kinds))


def notes(text):
    """Return what is said in brackets as entries of a spec; raise ValueError where it is nothing of what may be said there."""
    said = {}
    for note in filter(None, (text or "").split("; ")):
        element = note.removeprefix("list of ")
        if element != note:
            said |= {"elements": "str", "type": "list"} | ({"elements": element} if element in TYPES else {"choices": notes(element)["choices"]})
        elif note in TYPES:
            said["type"] = note
        elif note == "required":
            said["required"] = True
        elif note in ("secret", "public"):
            said["no_log"] = note == "secret"
        elif note.startswith("default "):
            said["default"] = yaml.safe_load(note.removeprefix("default "))
        elif " or " in note:
            said["choices"] = [yaml.safe_load(choice) for choice in re.split(", | or ", note)]
        else:
            raise ValueError(f"({note}) is no type, no choice and no other word of a spec")
    return said


def marked(text, names):
    """Return a text in the markup of ansible-doc, without templates, since Ansible would render them."""
    text = re.sub(r"{{ *(.*?) *}}", r"<\1>", text)
    return re.sub(r"`([^`)]+)`", lambda code: f"{'O' if code[1] in names else 'C'}({code[1]})", text)


def spec(text, said, names):
    """Return the spec of an input, or of a column, from its text and what is said in brackets."""
    said = {"type": kind(said.get("default", said.get("choices", [""])[0]))} | said
    if said["type"] == "list":
        said = {"elements": kind((said.get("default") or [""])[0])} | said
    order = ("type", "elements", "required", "no_log", "choices", "default")
    return {key: said[key] for key in order if key in said} | {"description": marked(text, names)}


def option(comment, value, names):
    """Return the spec of an input from the comment above it and its value, None where it has none. Raise ValueError where something is missing."""
    text, *columns = COLUMN.split(comment)
    if not (parts := re.fullmatch(r"(.*[.…])(?: \(([^()]+)\))?", text)):
        raise ValueError("it needs a comment above it, of whole sentences")
    text, said = parts[1], notes(parts[2])
    columns = {name: spec(words, notes(brackets), names) for name, brackets, words in zip(columns[::3], columns[1::3], columns[2::3])}
    if value is None:
        said["required"] = True
    elif not re.search("{{|{%", str(value)):
        said["default"] = value
    else:
        if isinstance(value, list):
            said = {"type": "list", "elements": kind(value[0])} | said
        if "by default" not in text.lower():
            if not isinstance(value, str) or "{%" in value or len(value) > 100:
                raise ValueError("say in words what it is by default")
            expression = re.sub(r"^{{ ((?:(?!}}|{{).)+?)(?: \| default\((?:''|\[\]|{})\))? }}$", r"\1", value)
            text += f" By default `{expression}`."
    if columns:
        return spec(text, said | {"type": "list", "elements": "dict"}, names) | {"options": columns}
    return spec(text, said, names)


def specs(role, defaults, short):
    """Return the text of a role's argument_specs.yml from that of its defaults/main.yml and a line about the role."""
    (first, about), *rest = inputs(role, defaults)
    comments, values, wrong, options = {name: text for name, text in rest if name}, yaml.safe_load(defaults) or {}, [], {}
    if first or not about:
        wrong.append("it has to begin with a comment about the role, and an empty line after that")
    for name, comment in comments.items():
        try:
            options[name] = option(comment, values.get(name), comments)
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        raise ValueError("\n".join(f"roles/{role}/defaults/main.yml: {sentence}." for sentence in wrong))
    about_role = {"short_description": short, "description": marked(about, comments), "options": options}
    # Under the name `main` Ansible would check it again as a task of each role, once in each play, after all inputs were checked at once.
    return HEAD + yaml.dump({"argument_specs": {"inputs": about_role}}, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=80)


class Dumper(yaml.SafeDumper):
    """Writes YAML as yamllint wants it."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))


def generated():
    """Return the text of every role's argument_specs.yml, by its path."""
    texts = {}
    for path in sorted(ROLES.iterdir()):
        short = yaml.safe_load((path / "meta/main.yml").read_text())["galaxy_info"]["description"]
        texts[path / "meta/argument_specs.yml"] = specs(path.name, (path / "defaults/main.yml").read_text(), short)
    return texts


if __name__ == "__main__":
    try:
        for path, text in generated().items():
            path.write_text(text)
    except ValueError as error:
        sys.exit(str(error))
