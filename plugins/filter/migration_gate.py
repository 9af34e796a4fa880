# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What the migration gate answered, and what is said where it stops a release or a rollback."""

from __future__ import annotations

import json

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: gate_refusal
short_description: What is said where the migration gate stops a release or a rollback
version_added: 0.2.0
author: selfhost.django contributors
description:
  - Names each finding on a line of its own, and after them what there is to do.
options:
  _input:
    description: The gate's answer, as P(selfhost.django.gate_answer#filter) returns it.
    type: dict
    required: true
  release:
    description: The release that it is about.
    type: str
    required: true
  is_rollback:
    description: Whether that is what is gone back to, and not what serves.
    type: bool
    default: false
  restored_by:
    description: Words with which the playbook C(restore) puts the site's database in place; empty for a database that is kept elsewhere.
    type: str
    default: ""
"""

EXAMPLES = r"""
- ansible.builtin.fail:
    msg: "{{ gate | selfhost.django.gate_answer | selfhost.django.gate_refusal(release='4f1c2d3e5a6b-0a1b2c3d') }}"
"""

RETURN = r"""
_value:
  description: Lines, in one text.
  type: str
"""

ALLOW = "-e deploy_allow_breaking_migrations=true"


def gate_answer(result):
    """Return the answer of the task that asked the gate; one without findings where it was not asked. What settings print is none."""
    if "stdout" not in result:
        return {"migrations": [], "breaking": [], "known": ""}
    for line in reversed(result["stdout"].splitlines()):
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and {"migrations", "breaking"} <= set(answer):
            return answer
    raise AnsibleFilterError("The migrations could not be judged: the settings ended the program, as with sys.exit(), before it had an answer.")


def gate_refusal(answer, release, is_rollback=False, restored_by=""):
    """Return what is said of an answer with findings; documented above."""
    findings = answer["breaking"]
    lines = [_finding(finding) for finding in findings]
    if is_rollback:
        head = f"Release {release} knows nothing of these migrations, which break it:"
        ways = _ways_back(findings, restored_by)
    else:
        head = f"These migrations break release {release}, which serves until the switch, and again after a rollback:"
        ways = _ways_on(findings)
    return "\n".join([head, *(f"- {line}" for line in lines), "What you can do:", *(f"- {way}" for way in ways)])


def _finding(finding):
    """Return the line of one: what it does, as Django calls it, and when that was done."""
    applied = f", applied {finding['applied']}" if finding.get("applied") else ""
    package = ", of a package" if finding["packaged"] else ""
    return f"{finding['migration']} {finding['why']} ({finding['operation']}{package}{applied})"


def _applications(findings, packaged):
    return ", ".join(dict.fromkeys(finding["migration"].split(".")[0] for finding in findings if finding["packaged"] == packaged))


def _ways_on(findings):
    if own := _applications(findings, False):
        yield (
            f"{own}: ship in two steps. First code that works with both schemas (it no longer names what goes; a new column has a db_default or "
            "takes NULL), and when that serves, the migration."
        )
    if theirs := _applications(findings, True):
        yield (
            f"{theirs}: an upgrade of a package cannot be cut in two by you. Where its notes name a version in between, ship that first; else "
            f"choose a quiet hour, show visitors a page (playbooks/maintenance.yml -e maintenance=on), and ship with {ALLOW}."
        )
    yield f"Accept errors of the serving release from the migration to the switch, and no simple rollback: {ALLOW}."


def _ways_back(findings, restored_by):
    yield "Go forward: ship a release that works with the schema as it is."
    moment = min((finding["before"] for finding in findings if finding.get("before")), default="")
    if moment and restored_by:
        yield (
            "Restore to the moment before, and lose what was written since: playbooks/maintenance.yml -e maintenance=on, then playbooks/restore.yml "
            f"-e 'restore_target_time=\"{moment}\"' {restored_by}, then this rollback again, and maintenance=off."
        )
    elif moment:
        yield f"Restore the database, where it is kept, to the moment before, {moment}, and lose what was written since; then roll back again."
    yield f"Go back regardless, where you know that the old code never meets what has changed: {ALLOW}."


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"gate_answer": gate_answer, "gate_refusal": gate_refusal}
