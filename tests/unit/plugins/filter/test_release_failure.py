"""What is said of a task that failed: outputs as uv, pip and Django print them."""

import pytest
from ansible_collections.selfhost.django.plugins.filter.release_failure import put_back_words, release_failure
from ansible_collections.selfhost.django.plugins.module_utils.reasons import PACKAGES, STATIC, failure_reason, lacks_settings

UV = """\
error: Failed to build `psycopg2==2.9.9`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

         [stdout]
         running build_ext
         gcc -Wall -fPIC -I/srv/shop/venvs/1/include -c psycopg/adapter.c -o build/adapter.o

         [stderr]
         warning: no previously-included files found matching 'setup.cfg'
         ./psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory
            36 | #include <libpq-fe.h>
               |          ^~~~~~~~~~~~
         compilation terminated.
         error: command '/usr/bin/gcc' failed with exit code 1

hint: This error likely indicates that you need to install a library that provides `libpq-fe.h` for `psycopg2@2.9.9`
"""
UV_SCRIPT = """\
error: Failed to build `psycopg2==2.9.9`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

         [stderr]
         Error: pg_config executable not found.

         pg_config is required to build psycopg2 from source.

hint: Build failures usually indicate a problem with the package or the build environment
"""
UV_COMPILER = """\
error: Failed to build `needs==1`
  cause: The build backend returned an error
         [stderr]
         error: [Errno 2] No such file or directory: 'gcc'

hint: Build failures usually indicate a problem with the package or the build environment
"""
UV_SILENT = "error: Failed to build `needs==1`\n  cause: The build backend returned an error\n\n       [stderr]\n       it is Friday\n"
PIP = """\
  error: subprocess-exited-with-error
  
  × python setup.py bdist_wheel did not run successfully.
  │ exit code: 1
  ╰─> [12 lines of output]
      building 'needs' extension
      needs.c:1:10: fatal error: libpq-fe.h: No such file or directory
      compilation terminated.
      error: command '/usr/bin/gcc' failed with exit code 1
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
  ERROR: Failed building wheel for needs
ERROR: Could not build wheels for needs, which is required to install pyproject.toml-based projects
"""  # noqa: W293
TRACEBACK = """\
Traceback (most recent call last):
  File "manage.py", line 22, in <module>
    main()
django.db.utils.ProgrammingError: relation "a" does not exist
LINE 1: SELECT 1
        ^
"""
CHECKS = """\
SystemCheckError: System check identified some issues:

ERRORS:
shop.Item.words: (postgres.E005) 'django.contrib.postgres' must be in INSTALLED_APPS in order to use SearchVectorField.
\tHINT: Add it.

WARNINGS:
?: (security.W004) a
?: (security.W008) b
?: (security.W012) c
?: (security.W016) d

System check identified 5 issues (0 silenced).
"""
CHECK = "shop.Item.words: (postgres.E005) 'django.contrib.postgres' must be in INSTALLED_APPS in order to use SearchVectorField."
FETCHED = "error: a\n  cause: Failed to fetch: `https://pypi.org/simple/x/`\n  cause: b\n  cause: c\n  cause: d\n  cause: e\n"
REASONS = {
    "a compiler": (UV, "error: Failed to build `psycopg2==2.9.9` / ./psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory / " + PACKAGES),
    "a script": (UV_SCRIPT, "error: Failed to build `psycopg2==2.9.9` / Error: pg_config executable not found. / " + PACKAGES),
    "no compiler": (UV_COMPILER, "error: Failed to build `needs==1` / error: [Errno 2] No such file or directory: 'gcc' / " + PACKAGES),
    "pip's": (PIP, "ERROR: Failed building wheel for needs / needs.c:1:10: fatal error: libpq-fe.h: No such file or directory / " + PACKAGES),
    "a traceback": (TRACEBACK, 'Traceback (most recent call last): / django.db.utils.ProgrammingError: relation "a" does not exist / LINE 1: SELECT 1'),
    "what was not fetched": (FETCHED, "cause: Failed to fetch: `https://pypi.org/simple/x/` / cause: b / cause: c / cause: d / cause: e"),
    "a check of Django's": (CHECKS, CHECK),
    "a check without warnings": (CHECKS.partition("\nWARNINGS")[0], CHECK),
    "what only looks like one": ("ERRORS:\na\nWARNINGS:\nb\n", "ERRORS: / a / WARNINGS: / b"),
    "details alone": ("a\x1f\n", "a"),
    "no static files": (
        "Unknown command: 'collectstatic'\nType 'manage.py help' for usage.\n",
        "Unknown command: 'collectstatic' / Type 'manage.py help' for usage. / " + STATIC,
    ),
    "another command": ("Unknown command: 'compress'\n", "Unknown command: 'compress'"),
    "one line": ("no module named shop\n", "no module named shop"),
}


@pytest.mark.parametrize("name", REASONS)
def test_the_words_that_say_why_are_found(name):
    output, reason = REASONS[name]
    assert failure_reason({"failed": True, "stderr": output, "stdout": "more", "msg": "non-zero return code"}) == reason


def test_what_a_build_command_lacks_is_told_after_what_it_said():
    sentence = "Where it imports the settings, write {command: make words, imports_settings: true} in app_build_commands: it has "
    assert lacks_settings("make words\nmore", "KeyError: 'SECRET_KEY'", ["DEBUG", "SECRET_KEY"]) == f"\n{sentence}no SECRET_KEY.\n"
    assert lacks_settings("make words", "ImproperlyConfigured: …", []) == f"\n{sentence}none of the application's variables.\n"
    assert lacks_settings("make words", "MY_SECRET_KEY2 and no other", ["SECRET_KEY"]) == ""
    said = "KeyError: 'SECRET_KEY'\n" + lacks_settings("make words", "SECRET_KEY", ["SECRET_KEY"])
    assert failure_reason({"stderr": said}) == f"KeyError: 'SECRET_KEY' / {sentence}no SECRET_KEY."


def test_what_a_package_says_that_has_no_word_for_an_error_is_told():
    assert failure_reason({"stderr": UV_SILENT + "\nhint: look"}) == "error: Failed to build `needs==1` / it is Friday / " + PACKAGES


def test_of_a_loop_the_item_that_failed_is_told_and_of_a_silent_task_its_message():
    assert failure_reason({"results": [{"stdout": "fine"}, {"failed": True, "stdout": "broken"}]}) == "broken"
    assert failure_reason({"failed": True, "msg": "- a\n- b", "stdout": "", "stderr": "\n"}) == "- a\n- b"
    assert failure_reason({"failed": True}) == "no reason was given"
    assert failure_reason({}) == "another host failed"


@pytest.mark.parametrize(
    ("result", "task", "step", "what"),
    [
        ({"msg": "no"}, "release | build | Run the build commands", "build", "Run the build commands"),
        ({"msg": "no"}, "visit | Ask as a visitor does", "visit", "Ask as a visitor does"),
        ({"msg": "no"}, "release | put_back | Let it serve", "put", "Let it serve"),
        ({"msg": "no"}, "Tell the chat", "hook", "Tell the chat"),
        # A module of several steps says which it was.
        ({"msg": "no", "step": "drain"}, "release | finish | Stop what was replaced", "drain", "Stop what was replaced"),
        ({}, "", "", ""),
    ],
)
def test_the_step_is_named_as_the_operator_knows_it(result, task, step, what):
    told = release_failure(result, task)
    assert (told["step"], told["task"], told["reason"]) == (step, what, "no" if result else "another host failed")


FAILURE = {"step": "build", "task": "Run the build commands", "reason": "npm: not found"}
SAID = "The release failed in step 'build' (Run the build commands): npm: not found."


@pytest.mark.parametrize(
    ("failure", "current", "serving", "is_undone", "words"),
    [
        (FAILURE, "a-1", "a-1", False, f"{SAID} Release a-1 keeps serving."),
        (FAILURE, "a-1", "a-1", True, f"{SAID} Release a-1 keeps serving."),
        (FAILURE, "a-1", "b-1", True, f"{SAID} Release a-1 serves again."),
        # Somebody else's by now.
        (FAILURE, "a-1", "c-1", False, f"{SAID} Release c-1 keeps serving."),
        (FAILURE, "", "", False, f"{SAID} No release was serving before."),
        (FAILURE | {"reason": "two\n- lines"}, "a-1", "a-1", False, f"{SAID[:-15]}two\n- lines\nRelease a-1 keeps serving."),
        (FAILURE | {"reason": "npm: not found."}, "a-1", "a-1", False, f"{SAID} Release a-1 keeps serving."),
        (FAILURE | {"step": ""}, "a-1", "b-1", True, "Another host failed. Release a-1 serves again."),
    ],
)
def test_what_is_told_when_all_is_put_back(failure, current, serving, is_undone, words):
    assert put_back_words(failure, "release", current, serving, is_undone) == words
