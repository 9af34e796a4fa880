# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Renders and reads the files of a role on the controller and hands them to the module of this name, all in one round trip."""

from __future__ import annotations

import base64
import glob
import json
import os
import pathlib

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

KINDS = ("template", "src", "content")
ENTRY = {
    "dest": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["file", "directory", "link", "kept", "absent"], "default": "file"},
    "template": {"type": "str"},
    "vars": {"type": "dict", "default": {}},
    "src": {"type": "str"},
    "content": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
    "validate": {"type": "str"},
    "secret": {"type": "bool", "default": False},
}


class Variables(dict):
    """What a template reads.

    The lookup copies it for each template, down to the last fact of the host, and then adds a few names of its own at the top. Nothing below is
    changed, so a copy of the top is enough; the other one takes six times as long as all the rest.
    """

    def __deepcopy__(self, memo):
        """Return a copy of the top."""
        return dict(self)


class ActionModule(ActionBase):
    """The task `files`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returns."""
        super().run(tmp, task_vars)
        result = self._execute_module(module_args=self._handed_over(task_vars), task_vars=task_vars)
        if not self._task.diff:
            result.pop("diff", None)
        return result

    def _handed_over(self, task_vars):
        """Return the module's arguments."""
        _result, given = self.validate_argument_spec(
            argument_spec={
                "files": {
                    "type": "list", "elements": "dict", "required": True, "options": ENTRY,
                    "required_if": [("state", "file", KINDS, True), ("state", "link", ["src"])], "mutually_exclusive": [KINDS],
                },
                "reader": {"type": "str"},
            }
        )  # fmt: skip
        return {"payload": json.dumps([entry for row in given["files"] for entry in self._entries(row, task_vars)]), "reader": given["reader"]}

    def _entries(self, row, task_vars):
        """Yield what a row stands for, as module_utils/files.py reads it."""
        return (self._entry(row, path, content) for path, content in self._contents(row, task_vars))

    @staticmethod
    def _entry(row, path, content):
        entry = {name: row[name] for name in ("state", "owner", "group", "validate", "secret")}
        mode = row["mode"] or ("0755" if row["state"] == "directory" else "0644")
        return entry | {"dest": path, "mode": mode, "content": base64.b64encode(content).decode()}

    def _contents(self, row, task_vars):
        """Yield path and content of what a row stands for: of a glob, of each file that it finds."""
        dest = row["dest"]
        if row["state"] == "link":
            yield dest, row["src"].encode()
        elif row["state"] != "file":
            yield dest.rstrip("/"), b""
        elif row["content"] is not None:
            yield dest, row["content"].encode()
        elif row["template"]:
            lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
            (text,) = lookup.run([row["template"]], variables=Variables(task_vars | row["vars"]))
            yield self._named(dest, row["template"].removesuffix(".j2")), str(text).encode()
        elif glob.has_magic(row["src"]):
            folder = self._find_needle("files", os.path.dirname(row["src"]))
            paths = sorted(path for path in pathlib.Path(folder).glob(os.path.basename(row["src"])) if path.is_file())
            if not paths:
                raise AnsibleActionFail(f"No file of the role is {row['src']}.")
            for path in paths:
                yield self._named(dest, path.name), path.read_bytes()
        else:
            path = pathlib.Path(self._find_needle("files", row["src"]))
            yield self._named(dest, path.name), path.read_bytes()

    def _named(self, dest, name):
        return f"{dest}{os.path.basename(name)}" if dest.endswith("/") else dest
