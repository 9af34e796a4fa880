# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether a value is of the kind that the role's argument spec gives for it."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.module_utils.parsing.convert_bool import BOOLEANS

from .values import is_list, listed, matches

WORDS = {str(value).lower() for value in BOOLEANS}
# What has to be given, in words for one and for several, and what it is told by. A text may be written as a number, and a number as a text:
# on the command line all is text.
KINDS = {
    "bool": ("true or false", "true or false", lambda value: str(value).lower() in WORDS),
    "int": ("a whole number", "whole numbers", lambda value: not isinstance(value, bool) and matches(r"-?[0-9]+", value)),
    "float": ("a number", "numbers", lambda value: not isinstance(value, bool) and matches(r"-?[0-9]+(\.[0-9]+)?", value)),
    "str": ("a text", "texts", lambda value: value is not None and not is_list(value) and not isinstance(value, Mapping)),
    "path": ("a path", "paths", lambda value: isinstance(value, str)),
    "list": ("a list", "lists", is_list),
    "dict": ("a mapping", "mappings", lambda value: isinstance(value, Mapping)),
}


def wanted(value, option, is_word=False):
    """Return what a value has to be, as the end of a sentence; empty where it is of the kind that its option (of an argument spec) gives.

    is_word tells that one word may stand for a list of one.
    """
    kind = option.get("type")
    if kind not in KINDS or is_word and isinstance(value, str):
        return ""
    what, _several, is_one = KINDS[kind]
    elements = option.get("elements")
    if not is_one(value):
        return what
    if kind == "list" and elements in KINDS and not all(map(KINDS[elements][2], value)):
        return f"a list of {KINDS[elements][1]}"
    known = option.get("options")
    if known and (strange := dict.fromkeys(str(key) for row in value if isinstance(row, Mapping) for key in row if key not in known)):
        return f"a list of mappings with the keys {listed(known)}, and one has {listed(strange)}"
    if known and (wrong := wrong_column(value, known)):
        return f"a list of mappings in which {wrong}"
    choices = option.get("choices", ())
    if choices and kind == "str" and str(value) not in map(str, choices):
        return f"one of {listed(choices)}"
    return ""


def wrong_column(rows, options):
    """Return what the first value in rows has to be that is of another kind than its column, as "key is a text"; empty where none is."""
    said = (f"{key} is {what}" for row in rows for key, value in row.items() if (what := wanted(value, options[key])))
    return next(said, "")
