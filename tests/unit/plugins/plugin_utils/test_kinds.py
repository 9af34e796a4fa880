"""A value is of the kind that the role's spec gives: what YAML makes of a slip of the pen is told."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.kinds import wanted


@pytest.mark.parametrize(
    ("value", "option", "expected"),
    [
        (True, {"type": "bool"}, ""), ("no", {"type": "bool"}, ""), ("True", {"type": "bool"}, ""), (0, {"type": "bool"}, ""),
        ("maybe", {"type": "bool"}, "true or false"), (2, {"type": "bool"}, "true or false"), (None, {"type": "bool"}, "true or false"),
        ([True], {"type": "bool"}, "true or false"),
        (5, {"type": "int"}, ""), ("-5", {"type": "int"}, ""), ("many", {"type": "int"}, "a whole number"), (1.5, {"type": "int"}, "a whole number"),
        (True, {"type": "int"}, "a whole number"), ("", {"type": "int"}, "a whole number"), ([5], {"type": "int"}, "a whole number"),
        (0.5, {"type": "float"}, ""), (1, {"type": "float"}, ""), ("half", {"type": "float"}, "a number"),
        ("", {"type": "str"}, ""), (5, {"type": "str"}, ""), (["a"], {"type": "str"}, "a text"), ({"a": 1}, {"type": "str"}, "a text"), (None, {"type": "str"}, "a text"),
        ("/srv", {"type": "path"}, ""), (5, {"type": "path"}, "a path"),
        ([], {"type": "list"}, ""), ("a", {"type": "list"}, "a list"), ({"a": 1}, {"type": "list"}, "a list"), (None, {"type": "list"}, "a list"),
        (["a", 5], {"type": "list", "elements": "str"}, ""), (["a", None], {"type": "list", "elements": "str"}, "a list of texts"),
        ([{"a": 1}], {"type": "list", "elements": "str"}, "a list of texts"), (["a"], {"type": "list", "elements": "dict"}, "a list of mappings"),
        (["a", {"command": "b"}], {"type": "list", "elements": "raw"}, ""),
        ({}, {"type": "dict"}, ""), (["a"], {"type": "dict"}, "a mapping"),
        ("b", {"type": "str", "choices": ["a", "b"]}, ""), (1, {"type": "str", "choices": ["1"]}, ""), ("c", {"type": "str", "choices": ["a", "b"]}, "one of a, b"),
        ([1], {"type": "raw"}, ""),
        ([{"a": 1}, {}], {"type": "list", "elements": "dict", "options": {"a": {}, "b": {}}}, ""),
        ([{"a": 1}, {"c": 1, 5: 1}], {"type": "list", "elements": "dict", "options": {"a": {}, "b": {}}},
         "a list of mappings with the keys a, b, and one has c, 5"),
        ([{"a": ["x"]}, {"a": "x"}], {"type": "list", "elements": "dict", "options": {"a": {"type": "str"}}}, "a list of mappings in which a is a text"),
        ([{}, {"a": ["x", ["y"]]}], {"type": "list", "elements": "dict", "options": {"a": {"type": "list", "elements": "str"}}},
         "a list of mappings in which a is a list of texts"),
        ([{"a": "many"}], {"type": "list", "elements": "dict", "options": {"a": {"type": "int"}}}, "a list of mappings in which a is a whole number"),
        ([{"a": "x"}], {"type": "list", "elements": "dict", "options": {"a": {"type": "raw"}}}, ""),
    ],
)  # fmt: skip
def test_what_it_has_to_be(value, option, expected):
    assert wanted(value, option) == expected


def test_one_word_may_stand_for_a_list_where_it_is_said_so():
    assert wanted("db1", {"type": "list"}, is_word=True) == "" and wanted(5, {"type": "list"}, is_word=True) == "a list"
