# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""One page on how every host of a site is."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.module_utils.site_report import site_report

DOCUMENTATION = r"""
name: site_report
short_description: One page on how every host of a site is
version_added: 0.1.0
author: selfhost.django contributors
description:
  - Judges what M(selfhost.django.site_status) found on each host, and lays it out in tables.
options:
  _input:
    description:
      - What M(selfhost.django.site_status) returned of each host, by name, in the order of the inventory.
    type: dict
    required: true
  limits:
    description: From where on something is a problem, C(disk_percent), C(memory_percent), C(certificate_days),
      C(backup_hours) and C(lag_seconds); what is left out is as by default in the role C(status).
    type: dict
    required: true
"""

EXAMPLES = r"""
page: "{{ hosts | selfhost.django.site_report({'disk_percent': 85, 'certificate_days': 21, 'backup_hours': 26}) }}"
"""

RETURN = r"""
_value:
  description:
    - C(problems), each with C(host), C(level) (C(bad), C(warn), or C(note), which is no problem), C(about) and C(text), the worst first.
    - C(sections), each with C(title), C(columns) and C(rows) of cells, a cell with C(text) and C(level).
    - C(text), the whole as lines for a terminal, and C(headline), the page in one sentence.
  type: dict
"""


class FilterModule:
    """Give the filter its name."""

    def filters(self):
        return {"site_report": site_report}
