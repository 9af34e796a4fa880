"""What Python and Jinja compile on this machine, kept for the next task.

Ansible runs each task in a fork of its own, which compiles all templates and plugins that the task reads, and ends: half of what a task costs here.
"""

import hashlib
import importlib.metadata
import marshal
import os
import pathlib
import re
import sys

import jinja2
from ansible._internal._templating import _jinja_bits
from ansible.utils.collection_loader import _collection_finder

FOLDER = pathlib.Path(__file__).resolve().parents[3] / ".cache/codes"
VERSIONS = [sys.version, *(importlib.metadata.version(name) for name in ("ansible-core", "jinja2"))]
# What is not the same the next time; Jinja works out at once what depends on no variable.
IMPURE = re.compile(r"\b(random|shuffle|strftime|exists)\b|\b(is |is not |name=')(file|directory|link|mount)\b")
# What the code of a template depends on beside its text.
SYNTAX = ("block_start_string", "block_end_string", "variable_start_string", "variable_end_string", "comment_start_string", "comment_end_string",
          "line_statement_prefix", "line_comment_prefix", "trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline")  # fmt: skip


def kept(key, make):
    """Return the code that make() returns for a key, whatever has a repr; it is asked for once."""
    path = FOLDER / hashlib.sha256(repr((VERSIONS, key)).encode()).hexdigest()
    try:
        return marshal.loads(path.read_bytes())
    except (OSError, EOFError, ValueError, TypeError):
        code = make()
    FOLDER.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(marshal.dumps(code))
    new.replace(path)
    return code


def keep():
    """Have Jinja and the loader of collections keep what they compile."""
    compile_template, get_code = jinja2.Environment.compile, _collection_finder._AnsibleCollectionPkgLoaderBase.get_code

    def of_template(self, source, *arguments, **options):
        text = source if isinstance(source, str) else repr(source)
        if IMPURE.search(text):
            return compile_template(self, source, *arguments, **options)
        context = _jinja_bits._TemplateCompileContext.current(optional=True)
        key = (type(self).__name__, str(text), context and context.escape_backslashes, arguments, options, [getattr(self, name) for name in SYNTAX])
        return kept(key, lambda: compile_template(self, source, *arguments, **options))

    def of_plugin(self, fullname):
        if not self._compiled_code and self.get_source(fullname) is not None:
            self._compiled_code = kept((self.get_filename(fullname), self.get_source(fullname)), lambda: get_code(self, fullname))
        return self._compiled_code or get_code(self, fullname)

    jinja2.Environment.compile = of_template
    _collection_finder._AnsibleCollectionPkgLoaderBase.get_code = of_plugin
