# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Paths of URLs as a web server compares them."""

from __future__ import annotations

from urllib.parse import unquote

DOCUMENTATION = r"""
name: decoded_paths
short_description: Rows with the paths of their URLs as nginx compares them
version_added: 0.2.0
author: selfhost.django contributors
description:
  - A browser sends C(/caf%C3%A9%20au%20lait/), and nginx compares C(/café au lait/) with the paths of its configuration (nginx's manual, C($uri)).
positional: _input, column
options:
  _input:
    description: Rows, each a mapping.
    type: list
    elements: dict
    required: true
  column:
    description: Column that holds the path, written in either way.
    type: str
    required: true
"""

EXAMPLES = r"""
# [{"from": "/a b", "to": "/c"}]
redirects: "{{ [{'from': '/a%20b', 'to': '/c'}] | selfhost.django.decoded_paths('from') }}"
"""

RETURN = r"""
_value:
  description: The rows, with that column decoded.
  type: list
  elements: dict
"""


def decoded(path):
    """Return the path of a URL without its percent signs; UnicodeDecodeError for one that is no text."""
    return unquote(str(path), errors="strict")


def decoded_paths(rows, column):
    """Return the rows with a column decoded; documented above."""
    return [{**row, column: decoded(row[column])} for row in rows]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"decoded_paths": decoded_paths}
