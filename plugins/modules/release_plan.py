#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_plan
short_description: Plan a release or a rollback over all hosts of the play
description:
  - Decides from what was seen on the hosts what each of them has to do, in which order they switch, and to which release a rollback leads; or fails with
    one sentence on why it must not begin. Hosts that cannot be reached are such a reason.
  - Runs on the controller alone. In check mode it tells the same.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
options:
  looks:
    description: Names under which the hosts have registered what M(selfhost.django.release_fetch), M(selfhost.django.release_look) or
      M(selfhost.django.release_begin) saw. Of several the last one counts.
    type: list
    elements: str
    required: true
  order:
    description: Hosts in the order in which they switch.
    type: list
    elements: str
    required: true
  steps:
    description: Steps of a release between C(configure) and C(start).
    type: list
    elements: str
    required: true
  hooks:
    description: Task files by their moment, as C(before_build) or C(after_switch).
    type: dict
    default: {}
  serial:
    description: How many hosts switch at once, as a number or a percentage.
    type: str
    default: "1"
  first:
    description: Host that chooses the release of a rollback.
    type: str
    required: true
  is_rollback:
    description: Whether to go back to a release that is kept.
    type: bool
    default: false
  wanted:
    description: Release to go back to, the beginning of a revision, or a version. Without it, the one that was replaced by the one that serves.
    type: str
    default: ""
  is_static_shared:
    description: Whether all releases collect their static files into one folder, so that none can be taken as it is.
    type: bool
    default: false
  is_built:
    description: Whether there are commands to build with.
    type: bool
    default: true
attributes:
  action: {support: full, description: "Runs on the controller."}
  check_mode: {support: full, description: "Only decides, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Plan the release
  selfhost.django.release_plan:
    looks: [fetched]
    order: [web1, web2]
    steps: [build, migrate, collectstatic]
    first: web1
  register: plan
"""

RETURN = r"""
is_due:
  description: Whether any host has to do something.
  type: bool
  returned: success
files:
  description: Task files that the hosts go through together.
  type: list
  elements: str
  returned: success
batches:
  description: Hosts in the groups in which they switch.
  type: list
  elements: list
  returned: success
mine:
  description:
    - What this host has to do. C(release), which is to serve, with C(revision), C(version), and C(virtualenv), the name of what it runs in; C(current),
      what serves now; C(replaced), what else runs; C(is_due), whether anything is to be done; C(is_kept), whether the release is there already; C(files),
      the task files that it takes; C(record), what is noted of it; and C(sentence), which says it all.
    - C(is_sealed_early), whether C(configure) seals the code, since nothing is built after it; C(is_initial), whether the initial data of a new
      database is not in yet; C(has_units), whether there are processes or timers; and C(is_in_maintenance), whether visitors see another page.
  type: dict
  returned: success
"""
