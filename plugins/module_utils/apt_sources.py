# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Where apt fetches packages from: which of it is Debian's own, and the same of the next Debian. Texts in, texts out."""

from __future__ import annotations

import glob
import os
import re

# Parts of Debian's own archive.
COMPONENTS = {"main", "contrib", "non-free", "non-free-firmware"}
SUITES = ("", "-updates", "-security", "-backports")
LINE = re.compile(r"^(?P<head>\s*deb(?:-src)?\s+(?:\[[^]]*\]\s+)?)(?P<uri>\S+)(?P<gap>\s+)(?P<suite>\S+)(?P<rest>[^#\n]*)")
FIELD = re.compile(r"(?mi)^(?P<name>Suites|Components|URIs|Enabled):(?P<value>(?:.*)(?:\n[ \t]+.*)*)")


def files(root="/"):
    """Return the texts of the files that apt reads, by their paths; of a link, what it leads to."""
    paths = [os.path.join(root, "etc/apt/sources.list")]
    paths += sorted(path for ending in ("list", "sources") for path in glob.glob(os.path.join(root, "etc/apt/sources.list.d/*." + ending)))
    found = {}
    for path in paths:
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                found["/" + os.path.relpath(path, root)] = file.read()
    return found


def is_of_debian(suite, components, codename):
    """Return whether a source is Debian's own of that name: other people's have parts or names of their own."""
    return suite in [codename + ending for ending in SUITES] and set(components) <= COMPONENTS


def _stanzas(text):
    """Return the parts of a file in deb822's form, with what stands between them."""
    return re.split(r"(\n[ \t]*\n)", text)


def _stanza(text, change):
    """Return a stanza with its suites changed, and what it fetches: rows of address, suite and components."""
    bare = re.sub(r"(?m)^#.*\n?", "", text)
    fields = {match["name"].lower(): match["value"].split() for match in FIELD.finditer(bare)}
    if fields.get("enabled", ["yes"])[:1] == ["no"] or not fields.get("suites"):
        return text, []
    components = fields.get("components", [])
    rows = [(uri, suite, components) for uri in fields.get("uris", [""]) for suite in fields["suites"]]

    def suites(match):
        if match["name"].lower() != "suites":
            return match[0]
        return match["name"] + ":" + re.sub(r"\S+", lambda word: change(word[0], components), match["value"])

    return FIELD.sub(suites, text), rows


def _changed(path, text, change):
    """Return the text of a file with its suites changed, and what it fetches."""
    rows, parts = [], []
    if path.endswith(".sources"):
        for part in _stanzas(text):
            changed, found = _stanza(part, change)
            parts.append(changed)
            rows += found
        return "".join(parts), rows
    for line in text.splitlines(keepends=True):
        match = LINE.match(line)
        if match:
            components = match["rest"].split()
            rows.append((match["uri"], match["suite"], components))
            line = match["head"] + match["uri"] + match["gap"] + change(match["suite"], components) + line[match.end("suite") :]
        parts.append(line)
    return "".join(parts), rows


def upgraded(path, text, old, new, is_named=False):
    """Return the text of a file as it is for the next Debian. One that the operator named goes along by the beginning of its suites."""

    def change(suite, components):
        if is_of_debian(suite, components, old) or is_named and re.fullmatch(re.escape(old) + r"(?:[-/].*)?", suite):
            return new + suite[len(old) :]
        return suite

    return _changed(path, text, change)[0]


def strange(path, text, names):
    """Return what a file fetches that is not of Debian's own of one of these names: `address suite`, each once."""
    rows = _changed(path, text, lambda suite, _components: suite)[1]
    others = ["%s %s" % (uri, suite) for uri, suite, components in rows if not any(is_of_debian(suite, components, name) for name in names)]
    return list(dict.fromkeys(others))
