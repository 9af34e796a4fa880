# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a run prints: as Ansible does, but nothing of what was left out; and a failure is told once, last, in a sentence."""

from __future__ import annotations

DOCUMENTATION = r"""
name: calm
type: stdout
short_description: Tell a failure once, last, in a sentence
version_added: 0.2.0
author: selfhost.django contributors (@selfhost)
description:
  - Prints what C(ansible.builtin.default) prints, with these differences.
  - A task that fails is marked where it fails. What it said is told after the recap, once for all hosts that said the same. Where a rescue went
    on from it, what failed in the end is told last. What a module or a program said comes with its task and the end of its output.
  - A task that was skipped is not told, nor what was included, nor what of a loop was as it is to be, nor a play without more than that.
  - A task that takes long says every while that it goes on, and on which hosts. How often it was polled or tried is not told.
  - That a directory for temporary files was made is not told.
  - With C(-v), all is told that Ansible tells, and a failure last, too.
extends_documentation_fragment: [default_callback, result_format_callback]
options:
  progress_seconds:
    description: How often a task that takes long says that it goes on, in seconds.
    type: int
    default: 60
    env: [{name: ANSIBLE_CALM_PROGRESS_SECONDS}]
    ini: [{section: callback_calm, key: progress_seconds}]
requirements: [stdout_callback = selfhost.django.calm in ansible.cfg]
"""

import shutil
import sys
import threading
import time

from ansible import constants
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.plugins.loader import filter_loader, test_loader
from ansible_collections.selfhost.django.plugins.plugin_utils.last_words import failure, last_words, still_running

# Who waits for longer is told for what.
ANNOUNCED_SECONDS = 1


class CallbackModule(Default):
    """The callback `calm`."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "selfhost.django.calm"

    def __init__(self):
        super().__init__()
        # By host: what it failed with, which items of a loop did, and what it runs since when.
        self._failures, self._items, self._running = {}, {}, {}
        self._began = threading.Event()
        self._clock = threading.Thread(target=self._tell_progress, daemon=True)
        self._banner, self._untold_play = threading.Lock(), None

    def set_options(self, *arguments, **options):
        super().set_options(*arguments, **options)
        if not self._display.verbosity:
            # So no task is told before it is known what comes of it.
            self.set_option("display_skipped_hosts", False)

    def _print_task_banner(self, task):
        # The clock may tell it, too.
        with self._banner:
            if self._last_task_banner != task._uuid:
                if self._untold_play:
                    super().v2_playbook_on_play_start(self._untold_play)
                    self._untold_play = None
                super()._print_task_banner(task)

    def v2_playbook_on_play_start(self, play):
        # One of which nothing is told need not be named.
        self._play = self._untold_play = play
        if self._display.verbosity:
            self._untold_play = None
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_no_hosts_matched(self):
        if self._display.verbosity:
            super().v2_playbook_on_no_hosts_matched()

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._running.pop(result.host.get_name(), None)
        if not ignore_errors:
            self._remember(result)
        if ignore_errors or self._display.verbosity:
            super().v2_runner_on_failed(result, ignore_errors)
        elif not (result.task.loop and "results" in result.result):  # whose items are marked
            self._mark(result, f"fatal: [{self.host_label(result)}]: FAILED!")

    def v2_runner_item_on_failed(self, result):
        self._items.setdefault(result.host.get_name(), []).append(dict(result.result))
        if result.task.ignore_errors or self._display.verbosity:
            super().v2_runner_item_on_failed(result)
        else:
            self._mark(result, f"failed: [{self.host_label(result)}] (item={self._get_item_label(result.result)})")

    def v2_runner_on_unreachable(self, result):
        self._running.pop(result.host.get_name(), None)
        if not result.task.ignore_unreachable:
            self._remember(result)
        if result.task.ignore_unreachable or self._display.verbosity:
            super().v2_runner_on_unreachable(result)
        else:
            self._mark(result, f"fatal: [{self.host_label(result)}]: UNREACHABLE!")

    def v2_playbook_on_stats(self, stats):
        super().v2_playbook_on_stats(stats)
        counts = {host: stats.summarize(host) for host in self._failures}
        final = {host: count["failures"] + count["unreachable"] for host, count in counts.items()}
        # A log is searched for sentences: these stay whole.
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        for text in last_words(self._failures, final, width):
            self._display.display(f"{text}\n\n", color=constants.COLOR_ERROR, stderr=self.get_option("display_failed_stderr"))

    def _remember(self, result):
        host = result.host.get_name()
        self._failures.setdefault(host, []).append(failure(result.task_name, result.task, self._items.get(host) or [result.result]))

    def _mark(self, result, text):
        """Print where something failed; what it said is told last, and Ansible's account of the exception with -v."""
        if self._last_task_banner != result.task._uuid:
            self._print_task_banner(result.task)
        result.result.pop("exception", None)
        self._handle_warnings_and_exception(result)
        self._display.display(text, color=constants.COLOR_ERROR, stderr=self.get_option("display_failed_stderr"))

    def _handle_warnings_and_exception(self, result):
        warnings = result.result.get("warnings") or []
        if not self._display.verbosity and all("Module remote_tmp" in str(warning) for warning in warnings):
            result.result.pop("warnings", None)
        super()._handle_warnings_and_exception(result)

    def v2_playbook_on_start(self, playbook):
        super().v2_playbook_on_start(playbook)
        # Who asks for one of a collection's filters loads all of them, and every task is a fork of this process.
        filter_loader.get("selfhost.django.site_names")
        test_loader.get("selfhost.django.host")
        if not self._clock.is_alive():
            self._clock.start()

    def _tell_progress(self):
        while True:
            self._began.wait()
            self._began.clear()
            if self._began.wait(ANNOUNCED_SECONDS):
                continue
            for task in {id(task): task for task, _since in list(self._running.values())}.values():
                self._print_task_banner(task)
            while not self._began.wait(self.get_option("progress_seconds")):
                running = {host: (task.get_name(), since) for host, (task, since) in list(self._running.items())}
                for line in still_running(running, time.monotonic()):
                    self._display.display(line, color=constants.COLOR_VERBOSE)
                    # A pipe gets nothing by itself before there is a lot of it.
                    sys.stdout.flush()

    def v2_runner_on_start(self, host, task):
        self._items.pop(host.get_name(), None)
        self._running[host.get_name()] = (task, time.monotonic())
        self._began.set()
        super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result):
        self._running.pop(result.host.get_name(), None)
        if self._display.verbosity or not isinstance(result.task, TaskInclude):
            super().v2_runner_on_ok(result)

    def v2_runner_item_on_ok(self, result):
        said = result.result
        if said.get("changed") or said.get("warnings") or said.get("deprecations") or self._run_is_verbose(result):
            super().v2_runner_item_on_ok(result)

    def v2_playbook_on_include(self, included_file):
        if self._display.verbosity:
            super().v2_playbook_on_include(included_file)

    def v2_runner_on_skipped(self, result):
        self._running.pop(result.host.get_name(), None)
        super().v2_runner_on_skipped(result)

    def v2_runner_on_async_poll(self, result):
        if self._display.verbosity:
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result):
        if self._display.verbosity:
            super().v2_runner_on_async_ok(result)

    def v2_runner_on_async_failed(self, result):
        if self._display.verbosity:
            super().v2_runner_on_async_failed(result)

    def v2_runner_retry(self, result):
        if self._display.verbosity:
            super().v2_runner_retry(result)
