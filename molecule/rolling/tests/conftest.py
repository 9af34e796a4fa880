"""The fixtures of these tests."""

import pytest
from balancing import Balanced


@pytest.fixture(scope="session")
def kind():
    return Balanced
