#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_units
short_description: Let the processes and timers of an application follow the release that serves
description:
  - Processes and timers are units, which are made from the templates of the role django. What is no longer asked for is stopped and removed before
    anything starts; what has changed is written; processes that do not run the release that serves, from the file in place, are restarted.
  - What a host knows decides, not what a run did, so that what a killed one left undone is done by the next. A job that a timer started is let finish.
  - Fails where a process that was restarted has gone a while later, or came back, with the last that it said.
  - The action plugin of the same name does what happens on the controller.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.application, selfhost.django.application.units]
options:
  processes:
    description: As in O(selfhost.django.app#role:main:app_processes). A process is a service on all hosts, unless its C(hosts) says otherwise.
    type: list
    elements: dict
    required: true
  timers:
    description: As in O(selfhost.django.app#role:main:app_timers). A timer is one with its service, on the first host, unless its C(hosts) says otherwise.
    type: list
    elements: dict
    required: true
  is_first:
    description: Whether this is the host of what runs on one host only.
    type: bool
    required: true
  watch_seconds:
    description: How long processes that were restarted are watched.
    type: int
    required: true
  lock:
    description: Lock of the release that serves, whose holder is alive meanwhile.
    type: path
  payload:
    description: The units as the action plugin hands them to the host.
    type: str
attributes:
  check_mode: {support: full, description: "Says what it would do."}
  diff_mode: {support: full, description: "Shows the units that differ."}
"""

EXAMPLES = r"""
- name: Let the worker follow
  selfhost.django.release_units:
    root: /srv/shop
    service: shop
    mark: X-Application=shop
    processes: [{name: worker, command: celery --app=shop worker}]
    timers: []
    is_first: true
    watch_seconds: 10
"""

RETURN = r"""
commands:
  description: Command lines that ran, or would in check mode.
  type: list
  elements: str
  returned: success
fallen:
  description: Processes that did not stay up.
  type: list
  elements: str
  returned: when one did not
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.files import place
from ansible_collections.selfhost.django.plugins.module_utils.locks import alive
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, UNIT_FOLDER, UNITS, current_of, units_of

# Enough for a traceback.
LINES = 20


def steps_for(units, seen, differing):
    """Return what is to be done, in order: pairs of words of systemctl, or `files`, and names.

    units are those that are asked for, dicts of `unit` and `kind`; seen says of each that is there what units_of does; differing are names of
    those whose files are not as they have to be.
    """
    wanted = [row["unit"] for row in units]
    removed = sorted(set(seen) - set(wanted), reverse=True)
    files = removed + [name for name in wanted if name in differing]
    processes = [row["unit"] for row in units if row["kind"] == "process"]
    timers = [name for name in wanted if name.endswith(".timer")]

    def lacking(names, *words):
        return [name for name in names if not all(seen.get(name, {}).get(word) for word in words)]

    steps = [
        # Before any host starts it: what may run on one host only has left the others. No timer starts again what is stopped.
        ("disable --now", [name for name in removed if name.endswith(".timer")]),
        ("disable --now", [name for name in removed if not name.endswith(".timer")]),
        # A unit that systemd has no more in mind is no match of a pattern, while its name would be an error.
        ("reset-failed", [name + "*" for name in removed]),
        ("files", files),
        ("daemon-reload", files or lacking(seen, "read")),
        # A process is started with the application; a timer has to run by itself.
        ("enable", lacking(processes + timers, "enabled")),
        ("start", lacking(timers, "active")),
        # One command for all of them, so that they finish their work side by side.
        ("restart", [name for name in processes if name in differing or name in lacking(processes, "active", "read", "current")]),
    ]
    return [(verb, names) for verb, names in steps if names]


def command(verb, names):
    """Return the words of a step that systemctl takes."""
    return ["systemctl", *verb.split(), *([] if verb == "daemon-reload" else names)]


def follow(units, seen, run, check=False, folder=UNIT_FOLDER):
    """Let units follow; return the steps, and the differences of their files. run runs a command, which succeeds or raises."""
    files = {name: {"dest": os.path.join(folder, name), "state": "absent"} for name in seen} | {row["unit"]: row["file"] for row in units}
    differences = {name: row for name, row in ((name, place(file, True, run)) for name, file in files.items()) if row}
    steps = steps_for(units, seen, differences)
    for verb, names in [] if check else steps:
        if verb == "files":
            for name in names:
                place(files[name], False, run)
        else:
            run(command(verb, names))
    return steps, list(differences.values())


def fallen(shown):
    """Return the units that have gone or came back, of what `systemctl show` says of several."""
    units = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.strip().split("\n\n")]
    return [unit["Id"] for unit in units if unit.get("ActiveState") != "active" or unit.get("NRestarts", "0") != "0"]


def main():
    """Let them follow, and see that they stay up."""
    entries = {"type": "list", "elements": "dict"}
    module = AnsibleModule(
        argument_spec=APPLICATION
        | UNITS
        | {"processes": entries, "timers": entries, "is_first": {"type": "bool"}, "payload": {"type": "str"}}
        | {"watch_seconds": {"type": "int", "required": True}, "lock": {"type": "path"}},
        supports_check_mode=True,
    )
    given = module.params
    if not given["payload"]:
        module.fail_json(msg="The module release_units needs its action plugin: call it as selfhost.django.release_units.")

    def run(words):
        return module.run_command(words, check_rc=True)[1]

    os.umask(0o022)
    try:
        seen = units_of(given["service"], given["mark"], current_of(given["root"]))
        with alive(None if module.check_mode else given["lock"]):
            steps, differences = follow(json.loads(given["payload"]), seen, run, module.check_mode)
            restarted = [] if module.check_mode else dict(steps).get("restart", [])
            time.sleep(given["watch_seconds"] if restarted else 0)
    except (OSError, UnsafePath, ValueError) as error:
        module.fail_json(msg=str(error))
    names = fallen(run(["systemctl", "show", "--property=Id,ActiveState,NRestarts", *restarted])) if restarted else []
    if names:
        journal = ["journalctl", "--output", "cat", "--lines", str(LINES), "--no-pager"]
        said = "".join(run([*journal, "_SYSTEMD_UNIT=%s" % name]) for name in names)
        sentence = "These do not stay up on the new release: %s." % " ".join(names)
        module.fail_json(msg=sentence, stderr=said + sentence, fallen=names)
    commands = [" ".join(command(verb, names)) for verb, names in steps if verb != "files"]
    module.exit_json(changed=bool(steps), commands=commands, diff=differences)


if __name__ == "__main__":
    main()
