"""The fixtures of these tests."""

import pytest
from operating import administrator, manage, reach
from playing import Site

__all__ = ["administrator", "manage", "reach", "site"]


@pytest.fixture(scope="module")
def site(host, inventory):
    """Each host is a site of its own."""
    return Site(inventory, entrance=host.backend.get_hostname())
