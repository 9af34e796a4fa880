"""How far the services of the host that asks are walled in."""

from sandboxes import test_services_are_walled_in

testinfra_hosts = ["ansible://web"]

__all__ = ["test_services_are_walled_in"]
