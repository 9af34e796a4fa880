#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_look
short_description: Look which release a web host serves, and what runs of it
description:
  - Reads, in one round trip, what decides on a release. It changes nothing.
  - What another account may have put in the place of a file is not followed and not waited for.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.application, selfhost.django.application.units, selfhost.django.application.release]
attributes:
  check_mode: {support: full, description: "Only reads, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
"""

EXAMPLES = r"""
- name: Look what serves
  selfhost.django.release_look:
    root: /srv/shop
    service: shop
    mark: X-Application=shop
  become: true
"""

RETURN = r"""
current:
  description: Release that serves; empty before the first one.
  type: str
  returned: always
running:
  description: Releases whose sockets systemd knows.
  type: list
  elements: str
  returned: always
units:
  description:
    - Units of processes and timers, by name, each with C(active); C(enabled); C(read), whether systemd has read its file as it is; and
      C(current), whether it runs the release that serves from that file.
  type: dict
  returned: always
applied:
  description: What the host was set up with by C(web.yml) and C(site.yml), under C(web) and C(site) digests of inputs by name, as the roles noted it.
  type: dict
  returned: always
is_kept:
  description: Whether O(release) has served before and is whole, with its O(virtualenv).
  type: bool
  returned: always
has_virtualenv:
  description: Whether O(virtualenv) is complete.
  type: bool
  returned: always
is_in_maintenance:
  description: Whether O(maintenance) is there.
  type: bool
  returned: always
is_initial:
  description: Whether the initial data of a new database is not in yet.
  type: bool
  returned: always
records:
  description: Records of the releases that served and are kept, the last one first, each with C(release), C(revision), C(version) and C(previous).
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.releases import APPLICATION, RELEASE, UNITS, look, records


def main():
    """Look, and tell."""
    module = AnsibleModule(argument_spec=APPLICATION | UNITS | RELEASE, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **look(**module.params), records=records(module.params["root"]))
    except OSError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
