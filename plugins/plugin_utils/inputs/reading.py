# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""The variables of hosts as the roles will see them, before any role runs."""

from __future__ import annotations

import collections
import functools
import json
import pathlib

import yaml

from . import PARTS
from .facts import VARIABLES
from .values import Site

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"


def read(hosts, hostvars, templar, loader, play):
    """Return a Site for each of the hosts.

    hostvars are Ansible's; templar renders; loader reads the roles' files; play are the variables of the play itself.
    """
    defaults, constants = _of_roles(loader, "defaults"), _of_roles(loader, "vars")
    inputs = _options()
    sites = []
    for host in hosts:
        given = hostvars.raw_get(host)
        variables = _merged(*defaults, given, *constants, play, {"hostvars": hostvars})
        if "app_name" not in variables and not set(PARTS) & set(variables["group_names"]):
            # It is in no part of the site; what is for all hosts derives from some name all the same.
            variables["app_name"] = "app"
        render, render_by_example = (
            templar.copy_with_new_env(available_variables=known).template for known in (variables, collections.ChainMap(VARIABLES, variables))
        )
        sites.append(Site(host, variables, render, inputs, given, render_by_example))
    return sites


def _of_roles(loader, kind):
    return [loader.load_from_file(str(path), unsafe=True, trusted_as_template=True) or {} for path in sorted(ROLES.glob(f"*/{kind}/main.yml"))]


def definitions(loader):
    """Return the text of every variable of the roles by its name."""
    return {name: json.dumps(value, default=str) for kind in ("defaults", "vars") for one in _of_roles(loader, kind) for name, value in one.items()}


def secrets():
    """Return the names of inputs that nothing is told of."""
    return {name for name, option in _options().items() if option.get("no_log")}


@functools.cache
def _options():
    """Return what the specs say of every input, by its name, and whose it is: `role`."""
    specs = {path.parts[-3]: yaml.load(path.read_bytes(), yaml.CSafeLoader) for path in sorted(ROLES.glob("*/meta/argument_specs.yml"))}
    return {
        name: option | {"role": role} for role, spec in specs.items() for name, option in spec["argument_specs"]["inputs"]["options"].items()
    }  # fmt: skip


def _merged(*mappings):
    return {name: value for mapping in mappings for name, value in mapping.items()}
