"""The fixtures of these tests."""

import pytest
from replicating import Cluster


class Machines(Cluster):
    """A cluster of virtual machines, which may be emulated and slow."""

    def healthy(self, seconds=600):
        super().healthy(seconds)


@pytest.fixture(scope="session")
def kind():
    return Machines
