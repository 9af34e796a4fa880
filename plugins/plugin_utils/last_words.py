# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What is told of failures and of tasks that take long: pure functions of what tasks returned."""

from __future__ import annotations

import textwrap
import typing

# What these fail with is a sentence for the operator, and so is what our own modules and actions fail with.
OF_SENTENCES = ("assert", "fail", "ansible.builtin.assert", "ansible.builtin.fail")
OURS = "selfhost.django."
# So begins what Ansible itself says, of a variable that is not there and the like.
BEFORE_IT_BEGAN = "Task failed: "
LINES_OF_OUTPUT = 20


class Failure(typing.NamedTuple):
    """What a task failed with: our sentence, or what a module said and the end of what a program printed."""

    task: str
    path: str
    words: str
    output: str
    is_sentence: bool
    is_of_all: bool


def failure(name, task, results):
    """Return the Failure of a task: its name, the task, and its results (dictionaries), of a loop those of the items that failed."""
    outputs = [_output(result) for result in results]
    words = [_words(result, output) for result, output in zip(results, outputs)]
    # A module of ours that fails with what a command said has no sentence of its own.
    ours = task.action in OF_SENTENCES or (task.action.startswith(OURS) and not any("cmd" in result for result in results))
    is_sentence = ours and not any(str(result.get("msg")).startswith(BEFORE_IT_BEGAN) for result in results)
    end = [] if is_sentence else "\n".join(dict.fromkeys(outputs)).strip().splitlines()[-LINES_OF_OUTPUT:]
    return Failure(name, task.get_path() or "", "\n".join(dict.fromkeys(words)).strip(), "\n".join(end), is_sentence, bool(task.run_once))


def _output(result):
    return str(result.get("stderr") or result.get("stdout") or "").strip()


def _words(result, output):
    words = result.get("msg") or result.get("reason") or result.get("censored") or "no reason was given"
    words = "\n".join(map(str, words)) if isinstance(words, list) else str(words)
    # What the program said says more.
    return "" if "non-zero return code" in words and output else words.removeprefix(BEFORE_IT_BEGAN).strip()


def last_words(failures, final, width=0):
    """Return what is told when all is over: texts, the last of which is what failed in the end.

    failures are lists of Failure by host, in their order; final says of how many no rescue went on. Those come last. Of those before them a
    module's words are told, since they explain it; a sentence is told again by what failed in the end. Lines are wrapped at width, or never.
    """
    before, last = {}, {}
    for host, known in failures.items():
        rescued = len(known) - final.get(host, 0)
        for number, one in enumerate(known if rescued < len(known) else ()):
            if number >= rescued:
                last.setdefault(one, []).append(host)
            elif not one.is_sentence:
                before.setdefault(one, []).append(host)
    return [_text(one, ", ".join(dict.fromkeys(hosts)), width) for one, hosts in [*before.items(), *last.items()]]


def _text(one, hosts, width):
    head = "" if one.is_of_all else f"{hosts}:"
    if not one.is_sentence:
        head = f"{one.task} failed on {hosts}{f' ({one.path})' if one.path else ''}:"
    lines = one.words.splitlines()
    if len(lines) < 2:
        lines = [" ".join([head, *lines]).strip()]
    elif head:
        lines = [head, *(f"  {line}" for line in lines)]
    return "\n".join([*(part for line in lines for part in _wrapped(line, width)), *(f"    {line}" for line in one.output.splitlines())])


def _wrapped(line, width):
    """Return the lines of one. Words stay whole: they may be commands."""
    return textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) if width else [line]


def still_running(running, now):
    """Return a line for each task that runs; running has its name and when it began, in seconds, by host."""
    tasks = {}
    for host, (name, began) in running.items():
        tasks.setdefault(name, {})[host] = now - began
    return [f"still running: [{', '.join(hosts)}]: {name}, {max(hosts.values()):.0f} s" for name, hosts in tasks.items()]
