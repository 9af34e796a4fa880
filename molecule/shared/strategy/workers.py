"""Tasks that end before they ask a host, without a process of their own: whose condition does not hold, and who include others.

That is most of all tasks, and a fork of a large process is most of what they cost.
"""

import ansible.plugins.strategy
from ansible import constants
from ansible._internal._task import TaskContext
from ansible.errors import AnsibleError
from ansible.executor.process.worker import WorkerProcess
from ansible.executor.task_executor import TaskExecutor
from ansible.executor.task_result import _RawTaskResult

INCLUDES = {*constants._ACTION_INCLUDE_TASKS, *constants._ACTION_INCLUDE_ROLE}


class Worker(WorkerProcess):
    """A worker that becomes a process only for what asks a host."""

    def start(self):
        if self.asks_nobody():
            self.end_here()
        else:
            super().start()

    def asks_nobody(self):
        """Whether the task ends before a connection is made; what is in doubt is left to a process."""
        task = self._task
        if task.loop is not None or task.loop_with:
            return False
        if task.action in INCLUDES:
            return True
        try:
            return bool(task.when) and not task._resolve_conditional(task.when, dict(self._task_vars))
        except AnsibleError:
            # The process says it.
            return False

    def end_here(self):
        """Do as the process would, on copies as its fork would have them."""
        task = self._task.copy(exclude_parent=True, exclude_tasks=True)
        task._parent = self._task._parent
        parts = self._play_context, self._loader, self._shared_loader_obj, self._final_q, self._variable_manager
        with TaskContext(task):
            result = TaskExecutor(self._host, task, dict(self._task_vars), *parts).run()
        self._final_q.send_task_result(_RawTaskResult(host=self._host, task=task, return_data=result, task_fields=task.dump_attrs()))


def spare():
    """Have Ansible's strategies use these workers."""
    ansible.plugins.strategy.WorkerProcess = Worker
