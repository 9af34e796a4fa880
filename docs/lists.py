"""Lets MkDocs read lists as other readers of Markdown do: its own wants four blanks where two are enough elsewhere.

A hook of MkDocs: mkdocs.yml names it.
"""

import re

ITEM = re.compile(r" *([-*]|\d+\.) ")


def on_page_markdown(markdown, **_more):
    """Return the text of a page with four blanks for each level of a list, and an empty line around what begins or ends in one."""
    lines, fence, has_paragraphs = [], None, False
    for line in markdown.splitlines():
        blanks = len(line) - len(line.lstrip(" "))
        is_fence = line.lstrip().startswith("```")
        if fence is not None:
            # Code keeps its own blanks.
            lines.append(" " * deeper(fence) + line[fence:] if line.strip() else "")
            if is_fence:
                lines += [""] if fence else []
                fence = None
            continue
        before = lines[-1] if lines else ""
        # An item after one that has paragraphs would be a line of the last of them.
        if blanks and not before:
            has_paragraphs = True
        elif line and not blanks and not ITEM.match(line):
            has_paragraphs = False
        begins = ITEM.match(line) and (has_paragraphs or not (ITEM.match(before) or before.startswith(" ")))
        if is_fence:
            fence = blanks
        if before and (begins or is_fence and blanks):
            lines.append("")
        lines.append(" " * deeper(blanks) + line[blanks:])
    return "\n".join(lines)


def deeper(blanks):
    """Return how many blanks (int) stand for that many, of which two or three are a level."""
    return 4 * (blanks // 2)
