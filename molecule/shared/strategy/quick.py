"""The strategy `linear` through one process on each host, by mitogen of PyPI, and with less work on this machine for each task."""

import gc
import os
import sys

import ansible_mitogen.affinity
import ansible_mitogen.loaders
import ansible_mitogen.planner
import ansible_mitogen.strategy

# A strategy is loaded as a file, not as a part of a package.
sys.path.append(os.path.dirname(__file__))
import codes
import workers

# Before each module mitogen looks through all collections of this machine, of which the pip bundle has a hundred; Ansible's own finder
# knows where ours is.
ansible_mitogen.planner._load_collections = lambda invocation: None
# It would bind each of its processes, and all that these start, to one processor.
ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()
codes.keep()
workers.spare()
# Each task is a fork of a large process, which Python would look through for garbage again and again, and copy so.
gc.set_threshold(100_000, 50, 50)


class StrategyModule(ansible_mitogen.strategy.StrategyMixin, ansible_mitogen.loaders.strategy_loader.get("linear", class_only=True)):
    """Plays as `linear` does."""

    def run(self, *arguments):
        gc.collect()
        gc.freeze()
        return super().run(*arguments)
