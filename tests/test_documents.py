"""What the documents promise is there: pages and headings that they link to, commands, playbooks, variables; and the site that is built of them."""

import functools
import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/main.yml"))
PLAYBOOKS = sorted(path.stem for path in ROOT.glob("playbooks/*.yml"))


def program(path):
    """Return a program of this checkout as a module; nothing is left beside it."""
    loader = importlib.machinery.SourceFileLoader(path.replace("/", "_").replace(".", "_"), str(ROOT / path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


SELFHOST, VARIABLES, LISTS = program("bin/selfhost"), program("docs/variables.py"), program("docs/lists.py")
COMMANDS = {*SELFHOST.COMMANDS, "init", *PLAYBOOKS}


@functools.cache
def pages():
    """Return the pages of this checkout (str) by their path: those that are tracked, or would be after `git add`."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md", ":!group_vars", ":!inventories"]
    listing = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: (ROOT / name).read_text() for name in listing if (ROOT / name).is_file()}


def prose(text):
    """Return a page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code(text):
    """Return all that stands as code on a page, in its lines and in blocks."""
    blocks = re.findall(r"^( *)```\w*\n(.*?)^\1```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for _blanks, block in blocks] + re.findall(r"`([^`]+)`", prose(text))


@functools.cache
def anchors(name):
    """Return what the headings of a page are reached by, as readers of Markdown make it of them."""
    titles = re.findall(r"^#+ +(.*?) *$", prose(pages()[name]), flags=re.MULTILINE)
    titles = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def leads_nowhere(name):
    """Yield the links of a page that lead to no file of this checkout, or to no heading there."""
    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", prose(pages()[name])):
        if re.match(r"\w+:", target):
            continue
        path, _mark, anchor = target.partition("#")
        aim = pathlib.Path(*pathlib.PurePath(name).parent.parts)
        for step in pathlib.PurePath(path).parts:
            aim = aim.parent if step == ".." else aim / step
        aim = name if not path else str(aim)
        if not (aim in pages() or (ROOT / aim).exists()) or (anchor and anchor not in anchors(aim)):
            yield target


@pytest.mark.parametrize("name", pages())
def test_links_lead_somewhere(name):
    assert not list(leads_nowhere(name))


def test_a_link_that_leads_nowhere_is_found(monkeypatch):
    known = pages() | {"docs/false.md": "[a](../README.md#try-it) [b](../README.md#nothing) [c](none.md) [d](#here)\n\n## Here\n\n```\n[e](none)\n```\n"}
    monkeypatch.setitem(globals(), "pages", lambda: known)
    anchors.cache_clear()
    assert list(leads_nowhere("docs/false.md")) == ["../README.md#nothing", "none.md"]


# --- Commands and variables -------------------------------------------------------------------


def commands(text):
    """Yield what stands after `selfhost` where it is typed."""
    for piece in code(text):
        for line in piece.splitlines():
            for found in re.finditer(r"(?:^|[;&|] |\$ |/)selfhost((?: +-\S+ +\S+)*) +(?!-)(\S+)", line):
                yield found[2].strip(";,")


@pytest.mark.parametrize("name", [name for name in pages() if "selfhost " in pages()[name]])
def test_a_command_that_is_named_exists(name):
    # A word in capitals stands for any.
    assert not [word for word in commands(pages()[name]) if word not in COMMANDS and not word.isupper()]


def test_a_command_that_does_not_exist_is_found():
    assert list(commands("`selfhost -i a.yml deploy v1`; `selfhost nonsense`\n```\n$ selfhost --on db1 pslq -X\n```\nselfhost is a word\n")) == [
        "pslq", "deploy", "nonsense",
    ]  # fmt: skip


@pytest.mark.parametrize("name", pages())
def test_a_playbook_that_is_named_exists(name):
    named = re.findall(r"\bplaybooks/(\w+)\.yml|ansible-playbook selfhost\.django\.(\w+)", pages()[name])
    assert {one or other for one, other in named} - {"NAME"} <= set(PLAYBOOKS)


def test_every_playbook_and_command_is_told_of():
    said = "\n".join(text for name, text in pages().items() if name.startswith("docs/"))
    assert not [name for name in PLAYBOOKS if not re.search(rf"\b{name}(\.yml)?\b", said)]
    assert not [name for name in SELFHOST.COMMANDS if not re.search(rf"\bselfhost (-\S+ \S+ )?{name}\b", said)]


@functools.cache
def known_words():
    """Return the names of all that a playbook may be given by `-e`."""
    known = {name for role in ROLES for name in VARIABLES.load(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["inputs"]["options"]}
    words = vars(program("plugins/plugin_utils/inputs/names.py")).values()
    return known | {name for value in words if isinstance(value, (set, frozenset, tuple, list)) for name in value if isinstance(name, str)}


def test_what_is_given_by_an_option_is_a_word_that_a_playbook_knows():
    given = {found for name, text in pages().items() if name.startswith(("docs/", "README")) for found in re.findall(r"-e '?(\w+)=", text)}
    assert "deploy_version" in given and not given - known_words()


# --- The site ---------------------------------------------------------------------------------


def leaves(node):
    return [node] if isinstance(node, str) else [leaf for child in (node if isinstance(node, list) else node.values()) for leaf in leaves(child)]


def test_the_site_has_every_page_and_no_other():
    generated = {f"docs/variables/{role}.md" for role in ROLES}
    there = {name for name in pages() if re.fullmatch(r"[A-Z]+\.md|docs/.*|roles/[^/]+/README\.md|(molecule|benchmarks)/[A-Z]+\.md", name)}
    assert sorted(leaves(yaml.safe_load((ROOT / "docs/mkdocs.yml").read_text())["nav"])) == sorted(there | generated)


def test_every_variable_has_its_place_on_a_page_of_its_role(tmp_path):
    VARIABLES.main(tmp_path)
    for role in ROLES:
        text = (tmp_path / f"{role}.md").read_text()
        options = VARIABLES.load(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["inputs"]["options"]
        assert re.findall(r"^### (.*)$", text, flags=re.MULTILINE) == list(options)
        assert "{%" not in text, "a program in place of a default"


def test_the_page_of_a_variable_says_what_its_default_is():
    option = {"type": "int", "description": "See O(app_name), C(<app>-run) and <this>. By default a third of it."}
    assert list(VARIABLES.variable("a", option, {"a": "{{ b // 3 }}"})) == [
        "### a\n", "See `app_name`, `<app>-run` and &lt;this>. By default a third of it.\n", "*int*, derived\n",
    ]  # fmt: skip
    assert VARIABLES.told([]) == "`[]`" and VARIABLES.told("") == 'empty (`""`)' and VARIABLES.told(False) == "`false`"


def test_the_site_reads_lists_as_others_do():
    page = "Text:\n- one\n  more\n\n  ```sh\n  a\n    b\n  ```\n  then\n- two\n\n```\n- code\n  code\n```\n"
    assert LISTS.on_page_markdown(page) == (
        "Text:\n\n- one\n    more\n\n    ```sh\n    a\n      b\n    ```\n\n    then\n\n- two\n\n```\n- code\n  code\n```"
    )


# --- README -----------------------------------------------------------------------------------


def test_the_readme_is_read_in_ten_minutes():
    assert len(pages()["README.md"].splitlines()) <= 150


def test_the_readme_leads_to_every_role_and_to_the_site():
    links = re.findall(r"\]\(([^)#]+)", pages()["README.md"])
    assert {f"roles/{role}/README.md" for role in ROLES} <= set(links)
    assert {name for name in pages() if name.startswith("docs/")} <= set(links)


@pytest.mark.parametrize("name", ["README.md", "docs/operations/watching.md"])
def test_the_status_page_that_is_shown_has_the_titles_of_the_real_one(name):
    source = (ROOT / "plugins/module_utils/site_report.py").read_text() + (ROOT / "plugins/module_utils/certificate_rows.py").read_text()
    (block,) = [piece for piece in code(pages()[name]) if "WEB HOSTS" in piece]
    titles = re.findall(r"^[A-Z ]{6,}$", block, flags=re.MULTILINE)
    assert titles and not [title for title in titles if f'"{title.capitalize()}"' not in source]
