# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of an application's Python and its packages."""

from __future__ import annotations

import re

from ansible_collections.selfhost.django.plugins.module_utils.requirements import KINDS, PYTHON, Refusal, parse

from .values import is_list, listed, matches, misread

# In an address: a user name of SSH is none.
LOGIN = re.compile(r"https?://[^/\s]*@")


def packages(site):
    """Say what is wrong with interpreter and packages, without any secret."""
    python, give = site["app_python"], 'give a path, a command (python3), or a version such as "3.13"'
    if wrong := misread(python, give, "3.1 of 3.10"):
        yield f"app_python is {wrong}."
    elif not matches(rf"/\S+|[a-z][a-z0-9._-]*|{PYTHON.pattern}", python):
        yield f"app_python is '{python}': {give}."
    for variable in ("app_pip_arguments", "app_pip_packages", "app_requirements"):
        if is_list(site[variable]) and any(LOGIN.search(str(word)) for word in site[variable]):
            name = "PIP_EXTRA_INDEX_URL" if site["django_installer"] == "pip" else "UV_EXTRA_INDEX_URL"
            yield f"{variable} holds a login, which every list of processes would show: give the address as {name} in app_build_environment."
    yield from _requirements(site)


def _requirements(site):
    entries = site["app_requirements"]
    if not is_list(entries):
        return
    if strange := [entry for entry in entries if not isinstance(entry, str) or not entry.strip()]:
        yield f"app_requirements holds {listed(strange)}: give texts, each a file of the repository or the project itself (.)."
        return
    kinds = []
    for entry in entries:
        try:
            kinds.append(parse(entry)[0])
        except Refusal as refusal:
            yield str(refusal)
    if site["django_installer"] == "pip" and (locked := [kind for kind in kinds if kind in KINDS]):
        yield f"app_requirements names {listed(locked)}, and django_installer is pip, which does not read it: leave that at uv."
