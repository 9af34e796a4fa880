"""Writes a page of variables for each role, into the folder that is named; `make docs` runs it.

What a page says is taken from the role's meta/argument_specs.yml, which `make specs` writes from its defaults, and from the defaults
themselves, for those that are derived. Nothing is written here by hand, and so nothing of it is kept in the repository.
"""

import pathlib
import re
import sys

import yaml

ROLES = pathlib.Path(__file__).resolve().parent.parent / "roles"
# In the order in which one meets them.
ORDER = ["app", "django", "uwsgi", "nginx", "acme", "haproxy", "postgresql", "etcd", "postgresql_backup", "postgresql_restore", "media_backup"]
# A list or mapping of at most so many characters stands in its line.
SHORT = 100


def load(path):
    return (yaml.load(path.read_bytes(), yaml.CSafeLoader) or {}) if path.exists() else {}


def roles():
    """Return the names of all roles, those that describe the application first."""
    names = {path.parent.parent.name for path in ROLES.glob("*/meta/argument_specs.yml")}
    return [*ORDER, *sorted(names - set(ORDER))]


def markdown(text):
    """Return a text in the markup of ansible-doc as Markdown."""
    parts = re.split(r"(\b[COVEM]\([^)]*\)|`[^`]+`)", " ".join(str(text).split()))
    # What stands outside of code may look like a tag.
    return "".join(f"`{part[2:-1] if part[0] != '`' else part[1:-1]}`" if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def told(value):
    """Return a default as Markdown: in its line, or as a block below it."""
    line = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).strip().removesuffix("\n...").strip()
    if isinstance(value, str) and "\n" not in value and len(value) <= SHORT:
        return f"`` {value} ``" if "`" in value else f"`{value}`" if value else 'empty (`""`)'
    if not isinstance(value, str) and len(line) <= SHORT:
        return f"`{line}`"
    block = value.rstrip("\n") if isinstance(value, str) else yaml.safe_dump(value, width=110, sort_keys=False, allow_unicode=True).rstrip()
    return f"\n\n```yaml\n{block}\n```"


def kind(option):
    words = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
    return words + (f", one of {', '.join(f'`{choice}`' for choice in option['choices'])}" if "choices" in option else "")


def variable(name, option, defaults):
    """Yield the lines of a variable."""
    yield f"### {name}\n"
    yield f"{markdown(option['description'])}\n"
    value = defaults.get(name)
    if option.get("required"):
        yield f"*{kind(option)}*, has no default\n"
    elif isinstance(value, str) and "{" in value and "by default" in option["description"].lower():
        yield f"*{kind(option)}*, derived\n"
    else:
        yield f"*{kind(option)}*, by default {told(value)}\n"
    rows = option.get("options", {})
    for column, about in rows.items():
        default = f"; by default {told(about['default'])}" if "default" in about else "; required" if about.get("required") else ""
        yield f"- `{column}` ({kind(about)}{default}): {markdown(about['description'])}"
    if rows:
        yield ""


def page(role):
    """Return the page of a role (str)."""
    spec = load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["inputs"]
    defaults = load(ROLES / role / "defaults/main.yml")
    lines = [f"# Variables of {role}\n", f"{markdown(spec['description'])}\n", f"What the role does: [{role}](../../roles/{role}/README.md).\n"]
    for name, option in spec["options"].items():
        lines += variable(name, option, defaults)
    return "\n".join(lines) + "\n"


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for role in roles():
        (folder / f"{role}.md").write_text(page(role))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
