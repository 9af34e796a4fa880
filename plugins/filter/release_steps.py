# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Which steps a release takes, and the task files of each."""

from __future__ import annotations

DOCUMENTATION = r"""
name: release_steps
short_description: Steps of a release, from the checkout to what may be switched to
version_added: 0.2.0
author: selfhost.django contributors
description:
  - A release that is kept whole, from before a rollback, is taken as it is. Of its steps remain its shared files, what the database may need, and
    what every switch asks for.
options:
  _input:
    description: Steps between C(configure) and C(start), in order.
    type: list
    elements: str
    required: true
  is_kept:
    description: Whether a host has the release; without it, the steps that any host may have to take.
    type: bool
"""

EXAMPLES = r"""
steps: "{{ app_release_steps | selfhost.django.release_steps(is_kept=false) }}"
"""

RETURN = r"""
_value:
  description: Names of steps.
  type: list
  elements: str
"""

BEFORE = ["checkout", "virtualenv", "configure"]
AFTER = ["start", "health"]
# What the database may need again, though the release was there before.
AGAIN = ("migrate", "commands")


def release_steps(steps, is_kept=None):
    """Return the steps from the checkout to a release that may be switched to; steps are those between, in order.

    One that is kept whole, from before a rollback, is not made anew: its shared files are written (a step that others have within
    `configure`), and the database is asked. is_kept is None for what any host may have to do: all of it.
    """
    if is_kept:
        return ["files", *(step for step in steps if step in AGAIN), *AFTER]
    # Up to the build it is the account's that builds, from then on nobody's.
    built = steps.index("build") + 1 if "build" in steps else 0
    return [*BEFORE, *(["files"] if is_kept is None else []), *steps[:built], "seal", *steps[built:], *AFTER]


def step_files(steps, hooks):
    """Return the task files of steps, with the hooks around them; hooks are paths by their moment."""
    files = [[hooks.get(f"before_{step}"), f"release/{step}.yml", hooks.get(f"after_{step}")] for step in steps]
    return [path for paths in files for path in paths if path]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"release_steps": release_steps, "step_files": step_files}
