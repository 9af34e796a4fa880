"""How far the services of a host that tells somebody are walled in."""

from sandboxes import test_services_are_walled_in

__all__ = ["test_services_are_walled_in"]
testinfra_hosts = ["ansible://probe"]
