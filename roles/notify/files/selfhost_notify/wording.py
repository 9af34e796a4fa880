# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""A message, made of what has begun, ended and happened: pure functions."""

from __future__ import annotations

from .advice import STATUS, advice
from .telling import MOST_IN_A_MESSAGE

TITLE_LETTERS = 120


def span(seconds):
    """Return a span in its largest fitting unit."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} s"


def counted(count, word):
    return f"{count} {word}{'s' if count > 1 else ''}" if count else ""


def title(begun, ended, events):
    """Return all of it in one line."""
    if len(begun) + len(ended) + len(events) == 1:
        line = begun[0]["text"] if begun else f"Over: {ended[0]['text']}" if ended else events[0]
        return line if len(line) <= TITLE_LETTERS else line[: TITLE_LETTERS - 1] + "…"
    parts = [counted(len(begun), "problem"), f"{len(ended)} over" if ended else "", counted(len(events), "event")]
    return ", ".join(part for part in parts if part)


def message(settings, now, begun, ended, events):
    """Return the message, as JSON has it; None where there is nothing to tell."""
    if not begun and not ended and not events:
        return None
    site, host, application = settings["site"], settings["host"], settings["application"]
    problems = [{"about": row["about"], "level": row["level"], "text": row["text"], "advice": advice(row["about"], application)} for row in begun]
    over = [{"about": row["about"], "text": row["text"], "seconds": row["seconds"]} for row in ended]
    lines = [line for row in problems[:MOST_IN_A_MESSAGE] for line in (f"Problem: {row['text']}", f"  {row['advice']}") if line.strip()]
    lines += [f"Over after {span(row['seconds'])}: {row['text']}" for row in over[:MOST_IN_A_MESSAGE]]
    lines += events[:MOST_IN_A_MESSAGE]
    left = sum(max(0, len(rows) - MOST_IN_A_MESSAGE) for rows in (problems, over, events))
    lines += [f"And {left} more: {STATUS}"] if left else []
    return {
        "site": site,
        "host": host,
        "at": now,
        "level": "problem" if problems else "over" if over else "event",
        "title": f"{site}, {host}: {title(begun, ended, events)}",
        "text": "\n".join(lines),
        "problems": problems[:MOST_IN_A_MESSAGE],
        "over": over[:MOST_IN_A_MESSAGE],
        "events": events[:MOST_IN_A_MESSAGE],
    }
