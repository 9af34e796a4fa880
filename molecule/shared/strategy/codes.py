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

import ansible_mitogen.module_finder
import jinja2
import mitogen.minify
from ansible._internal._templating import _jinja_bits
from ansible.utils.collection_loader import _collection_finder

FOLDER = pathlib.Path(__file__).resolve().parents[3] / ".cache/codes"
VERSIONS = [sys.version, *(importlib.metadata.version(name) for name in ("ansible-core", "jinja2", "mitogen"))]
# What is not the same the next time; Jinja works out at once what depends on no variable.
IMPURE = re.compile(r"\b(random|shuffle|strftime|exists)\b|\b(is |is not |name=')(file|directory|link|mount)\b")
# What the code of a template depends on beside its text.
SYNTAX = ("block_start_string", "block_end_string", "variable_start_string", "variable_end_string", "comment_start_string", "comment_end_string",
          "line_statement_prefix", "line_comment_prefix", "trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline")  # fmt: skip


def kept(key, make):
    """Return what make() returns for a key, whatever has a repr: code or a text; it is asked for once."""
    path = FOLDER / hashlib.sha256(repr((VERSIONS, key)).encode()).hexdigest()
    try:
        return marshal.loads(path.read_bytes())
    except (OSError, EOFError, ValueError, TypeError):
        made = make()
    FOLDER.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(marshal.dumps(made))
    new.replace(path)
    return made


def once(function):
    """Return a function of texts alone, such as compile(), that keeps what it returns."""
    return lambda *texts, **options: kept((function.__name__, texts, options), lambda: function(*texts, **options))


def keep():
    """Have what is compiled kept: templates, plugins of collections, and what mitogen sends to a host."""
    compile_template = jinja2.Environment.compile

    def of_template(self, source, *arguments, **options):
        text = source if isinstance(source, str) else repr(source)
        if IMPURE.search(text):
            return compile_template(self, source, *arguments, **options)
        context = _jinja_bits._TemplateCompileContext.current(optional=True)
        key = (type(self).__name__, str(text), context and context.escape_backslashes, arguments, options, [getattr(self, name) for name in SYNTAX])
        return kept(key, lambda: compile_template(self, source, *arguments, **options))

    jinja2.Environment.compile = of_template
    # Names of these modules that stand before Python's own.
    _collection_finder.compile = ansible_mitogen.module_finder.compile = once(compile)
    mitogen.minify.minimize_source = once(mitogen.minify.minimize_source)
