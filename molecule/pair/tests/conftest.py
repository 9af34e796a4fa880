"""What the trials of a pair share: its hosts, and a client that keeps a record."""

import os
import time

import pytest
from recording import Recorded


@pytest.fixture(scope="session")
def kind():
    return Recorded


@pytest.fixture(scope="session")
def seed():
    """What the order of the faults is made from: FAILOVER_SEED in the environment says it again."""
    return int(os.environ.get("FAILOVER_SEED") or time.time())
