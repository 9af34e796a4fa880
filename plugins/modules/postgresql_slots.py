#!/usr/bin/python
# Copyright: selfhost.django contributors
# MIT License (see LICENSE or https://opensource.org/license/mit)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_slots
short_description: Settle the replication slots of a PostgreSQL server's standbys
description:
  - Every host of a cluster has a slot for each of the others, so that a promoted one can serve them at once.
  - On a standby a slot holds back no log. One that was in use before the host became a standby is made anew.
  - Slots whose names do not begin with C(standby_) are somebody else's, and one that is in use stays as it is.
version_added: 0.2.0
author:
  - selfhost.django contributors (@selfhost)
extends_documentation_fragment: [selfhost.django.server]
options:
  slots:
    description: Names of the slots, which begin with C(standby_).
    type: list
    elements: str
    required: true
  state:
    description:
      - V(settled) has these slots and no others. V(renewed) has each of these as if nobody had used it, for a standby that is built anew -
        its slot may be lost, and what that holds back is of no use to anybody. V(absent) has none of these, but those in use. Others stay as they are.
    type: str
    choices: [settled, renewed, absent]
    default: settled
attributes:
  check_mode: {support: full, description: "Tells what would be made and dropped."}
  diff_mode: {support: none, description: "What is made and dropped is told by names."}
"""

EXAMPLES = r"""
- name: Settle the slots of the standbys
  become: true
  become_user: postgres
  selfhost.django.postgresql_slots:
    slots: [standby_db2, standby_db3]
"""

RETURN = r"""
made:
  description: Slots that were made, or made anew.
  returned: always
  type: list
dropped:
  description: Slots that nobody needs any more.
  returned: always
  type: list
lost:
  description: Slots whose standby needs log that this primary no longer has.
  returned: always
  type: list
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_server import RECOVERY

try:
    import psycopg2
except ImportError:
    psycopg2 = None

KNOWN = (
    "SELECT slot_name::text, active, restart_lsn IS NOT NULL, coalesce(wal_status = 'lost', false), %s FROM pg_replication_slots "
    "WHERE slot_name LIKE 'standby\\_%%' ORDER BY slot_name" % RECOVERY
)
DROP = "SELECT pg_drop_replication_slot(%s)"
MAKE = "SELECT pg_create_physical_replication_slot(%s)"


def due(known, slots, state="settled"):
    """Return the slots to drop, to make and the lost ones, from rows of name, in use now, ever used, lost, on a standby."""
    names = {name for name, *_rest in known}
    if state == "absent":
        return [name for name, active, *_rest in known if name in slots and not active], [], []
    if state == "renewed":
        drop = [name for name, active, used, _lost, _standby in known if name in slots and not active and used]
    else:
        drop = [name for name, active, used, _lost, standby in known if not active and (name not in slots or standby and used)]
    make = [name for name in slots if name not in names or name in drop]
    lost = [name for name, _active, _used, lost, standby in known if lost and not standby and name in slots and name not in drop]
    return drop, make, lost


def main():
    """Settle them, and tell."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "default": "/var/run/postgresql"},
            "port": {"type": "int", "default": 5432},
            "slots": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["settled", "renewed", "absent"], "default": "settled"},
        },
        supports_check_mode=True,
    )
    given = module.params
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    try:
        connection = psycopg2.connect(host=given["socket"], port=given["port"], user="postgres", dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(KNOWN)
            drop, make, lost = due(cursor.fetchall(), given["slots"], given["state"])
            for statement, names in ((DROP, drop), (MAKE, make)):
                for name in [] if module.check_mode else names:
                    cursor.execute(statement, (name,))
        connection.close()
    except psycopg2.Error as error:
        module.fail_json(msg="The slots of the standbys are not settled: %s" % str(error).strip())
    module.exit_json(changed=bool(drop or make), made=make, dropped=[name for name in drop if name not in make], lost=lost)


if __name__ == "__main__":
    main()
