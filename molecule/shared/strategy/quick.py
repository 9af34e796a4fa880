"""The strategy `linear` through one process on each host, by mitogen of PyPI, which knows its own strategies' names alone."""

import ansible_mitogen.loaders
import ansible_mitogen.planner
import ansible_mitogen.strategy

# Before each module mitogen looks through all collections of this machine, of which the pip bundle has a hundred; Ansible's own finder
# knows where ours is.
ansible_mitogen.planner._load_collections = lambda invocation: None


class StrategyModule(ansible_mitogen.strategy.StrategyMixin, ansible_mitogen.loaders.strategy_loader.get("linear", class_only=True)):
    """Nothing is ours but the above."""
