#!/usr/bin/python
# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: site_status
short_description: What a host of the site knows about itself
description:
  - Reads releases, units, certificates, backups, the database server, the balancer and the machine, and changes nothing.
  - What is not on the host is left out; what cannot be read is given as a sentence in the place of its value.
version_added: 0.1.0
author:
  - selfhost.django contributors (@selfhost)
options:
  questions:
    description: What the host is asked; what is left out or null is not asked.
    type: dict
    required: true
    suboptions:
      root:
        description: Directory of the application; without it the host is asked for no releases.
        type: path
      service:
        description: Name of the application's units.
        type: str
      mark:
        description: Line in the unit file of each process and timer of the application.
        type: str
      units:
        description: Names of the processes and timers that are to be there.
        type: list
        elements: str
        default: []
      run:
        description: Command that runs another in the current release. For the migrations that are pending; without it nobody asks for them.
        type: path
      log:
        description: File with a line of JSON for each deploy.
        type: path
      maintenance:
        description: File that is there while visitors see the maintenance page.
        type: path
      port:
        description: Port of the web server or the balancer, whose certificate is told.
        type: int
      proxy_protocol:
        description: Whether the PROXY protocol is expected on O(questions.port).
        type: bool
        default: false
      host:
        description: Name that visitors ask for.
        type: str
      certificates:
        description: Files of further certificates.
        type: list
        elements: path
        default: []
      tls:
        description: Where the certificate on O(questions.port) comes from. Without it nobody is said to renew it.
        type: str
      acme:
        description: Directory with the file in which is said how the last asking for a certificate went.
        type: path
      paths:
        description: Paths whose space is told, each file system once.
        type: list
        elements: path
        default: []
      backup:
        description: File that the backups write their verdicts to.
        type: path
      unkept:
        description: Paths that are in no backup; told are those that hold something.
        type: list
        elements: path
        default: []
      database_port:
        description: Port of this host's PostgreSQL server; without it no server is asked.
        type: int
      database_hosts:
        description: Names of the hosts whose servers are one cluster with it, its own among them.
        type: list
        elements: str
        default: []
      patroni:
        description: Address and port of the API of this server's Patroni; without it none is asked.
        type: str
      patroni_others:
        description: Those of the other servers of the cluster, by the names of their hosts, which are asked whether theirs is a primary, too.
        type: dict
        default: {}
      patroni_certificates:
        description: Directory with the certificates by which it lets somebody in.
        type: path
      voter:
        description: Address of this host's voter; without it none is asked.
        type: str
      balancer:
        description: Runtime socket of HAProxy; without it no balancer is asked.
        type: path
      notify:
        description: File that says whom the host tells of problems; without it nobody asks.
        type: path
      logs:
        description: File whose time is when what is logged last reached the host that keeps it; without it nobody asks.
        type: path
      at_length:
        description: Whether to ask what takes its time or root's rights, too, which is apt for security upgrades, and nftables for its tables.
        type: bool
        default: true
      timeout_seconds:
        description: Seconds that a single question may take.
        type: int
        default: 30
      release:
        description: What the current release is asked, as options of M(selfhost.django.health_check); nothing where none is current.
        type: dict
      visitor:
        description: What is asked as a visitor does, likewise.
        type: dict
"""

EXAMPLES = r"""
- name: Ask the host
  selfhost.django.site_status:
    questions:
      root: /srv/shop
      service: shop
      mark: X-Application=shop
      run: /usr/local/bin/shop-run
"""

RETURN = r"""
status:
  description: What was found, by subject.
  returned: always
  type: dict
  sample: {"machine": {"reboot_required": false}, "application": {"current": "3f2a9c1d0b4e-1a2b3c4d"}}
release:
  description: What the current release answered, as M(selfhost.django.health_check) returns it, with C(msg) where something is wrong.
  returned: always
  type: dict
visitor:
  description: What a visitor was answered, likewise.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhost.django.plugins.module_utils.site_look import look

PATHS = ("acme", "root", "run", "log", "maintenance", "backup", "patroni_certificates", "balancer", "notify", "logs")
NUMBERS = ("port", "database_port")
LISTS = {"units": "str", "database_hosts": "str", "certificates": "path", "paths": "path", "unkept": "path"}


def main():
    """Ask, and return the answers."""
    options = {name: {"type": "path"} for name in PATHS} | {name: {"type": "int"} for name in NUMBERS}
    options |= {name: {"type": "list", "elements": kind, "default": []} for name, kind in LISTS.items()}
    options |= {name: {"type": "str"} for name in ("service", "mark", "host", "tls", "patroni", "voter")}
    options |= {name: {"type": "dict"} for name in ("release", "visitor")} | {"patroni_others": {"type": "dict", "default": {}}}
    options |= {"proxy_protocol": {"type": "bool", "default": False}, "at_length": {"type": "bool", "default": True}}
    options |= {"timeout_seconds": {"type": "int", "default": 30}}
    required = {"root": ["service", "mark"], "patroni": ["patroni_certificates"]}
    module = AnsibleModule(
        argument_spec={"questions": {"type": "dict", "required": True, "options": options, "required_by": required}},
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **look(module.params["questions"]))


if __name__ == "__main__":
    main()
