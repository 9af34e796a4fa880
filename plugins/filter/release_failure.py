# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a release says that has failed."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.module_utils.reasons import failure_reason

DOCUMENTATION = r"""
name: release_failure
short_description: Which step of a release failed, and why, in few words
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Of what a program printed, the end says why; of a package that could not be built, the compiler's own first error, further up, and what to do.
  - Of a task that printed nothing, its message.
options:
  _input:
    description: The result of the task that failed, of a loop too; an empty one where another host failed.
    type: dict
    required: true
  task:
    description: Name of that task, as C(release | step | what it does); a hook has a name of its own.
    type: str
    default: ""
"""

EXAMPLES = r"""
failure: "{{ ansible_failed_result | default({}) | selfhost.django.release_failure(task=ansible_failed_task.name | default('')) }}"
"""

RETURN = r"""
_value:
  description: The C(step), empty where another host failed; C(task), what it did; and C(reason), parts of which have slashes between them.
  type: dict
"""

SENTENCE_ENDS = (".", "!", "?", "…", ":")


def release_failure(result, task=""):
    """Return step, task and reason of what failed; documented above."""
    *names, what = task.split(" | ")
    step = (names[-1].partition("_")[0] if names else "hook") if task else ""
    return {"step": result.get("step") or step, "task": what, "reason": failure_reason(result)}


def put_back_words(failure, what, current, serving, is_undone):
    """Return what is told of a release, or another `what`, that failed and was put back.

    failure is what release_failure returns; current is the release that served before; serving is the one that served when the failure was
    seen, empty where none did; is_undone tells whether this run has put the other one back.
    """
    failed = f"The {what} failed in step '{failure['step']}' ({failure['task']}): {failure['reason']}" if failure["step"] else "Another host failed."
    if not serving:
        serves = "No release was serving before."
    elif is_undone and serving != current:
        serves = f"Release {current} serves again."
    else:
        serves = f"Release {serving} keeps serving."
    # A reason of several lines is a list, and what serves stands below it.
    if "\n" in failed:
        return f"{failed}\n{serves}"
    return f"{failed}{'' if failed.endswith(SENTENCE_ENDS) else '.'} {serves}"


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"release_failure": release_failure, "put_back_words": put_back_words}
