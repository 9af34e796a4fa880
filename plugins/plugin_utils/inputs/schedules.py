# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Whether a text is a time that cron knows. One that it does not know stops all that stands in the same file."""

from __future__ import annotations

import re

# Of each field the least, the most, and what may stand for a number (crontab(5)).
FIELDS = (
    (0, 59, ""), (0, 23, ""), (1, 31, ""), (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"), (0, 7, "sun mon tue wed thu fri sat"),
)  # fmt: skip
LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# All, one, or a range, of these two with a step.
PART = re.compile("(?:[*]|(?P<first>[0-9a-z]{1,3})(?:-(?P<last>[0-9a-z]{1,3}))?)(?:/(?P<step>[0-9]{1,3}))?")


def is_schedule(value):
    """Return whether a value is minute, hour, day, month and weekday of a time that comes."""
    words = re.split("[ \t]+", str(value))
    if len(words) != len(FIELDS):
        return False
    fields = [_numbers(word.lower(), *field) for word, field in zip(words, FIELDS)]
    # A day has to be of both, day and weekday, where one of them begins with an asterisk; else of either, and each weekday comes.
    return all(fields) and (words[4][0] != "*" or any(min(fields[2]) <= LENGTHS[month - 1] for month in fields[3]))


def _numbers(word, least, most, names):
    """Return the numbers that a field stands for (set of int), an empty set where cron would not read it."""
    known = {name: least + place for place, name in enumerate(names.split())}
    found = set()
    for part in map(PART.fullmatch, word.split(",")):
        if not part:
            return set()
        first, last = part["first"], part["last"] or part["first"]
        low, high = (known.get(end, int(end) if end.isdigit() else -1) if end else bound for end, bound in ((first, least), (last, most)))
        step = int(part["step"] or 1)
        # A single number has no step, and one that is longer than the field is not what it seems to be.
        if not least <= low <= high <= most or not 1 <= step <= most - least + 1 or part["step"] and first and not part["last"]:
            return set()
        found.update(range(low, high + 1, step))
    return found
