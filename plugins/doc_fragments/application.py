# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Options that modules of releases share; their specs are in module_utils/releases.py."""

from __future__ import annotations


class ModuleDocFragment:
    """An application on its host, and with C(.units) how its processes and timers are known."""

    DOCUMENTATION = r"""
options:
  root:
    description: Directory of the application, with C(current), C(releases) and C(venvs).
    type: str
    required: true
  service:
    description: Name that all units of the application begin with.
    type: str
    required: true
"""

    UNITS = r"""
options:
  mark:
    description: Line by which a unit of its processes and timers is known.
    type: str
    required: true
"""

    STATIC = r"""
options:
  run:
    description: Command that runs another one as the application, in the environment of a release.
    type: str
    default: ""
  program:
    description: Text of the program that knows the static files of all releases (C(files/static_files.py) of the role django).
    type: str
    default: ""
  store:
    description: Folder from which the web server serves static files; empty where it serves none.
    type: str
    default: ""
"""

    RELEASE = r"""
options:
  release:
    description: Release that is about to be made; whether it is kept whole is told.
    type: str
    default: ""
  virtualenv:
    description: Name of its virtualenv.
    type: str
    default: ""
  maintenance:
    description: File that is there while visitors see another page.
    type: str
    default: ""
"""
