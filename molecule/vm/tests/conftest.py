"""What these tests share: the hosts and the playbooks."""

import pytest
from playing import Site


@pytest.fixture(scope="session")
def site(request):
    return Site(request.config.getoption("ansible_inventory"))
