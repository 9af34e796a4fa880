"""How far the services of these hosts are walled in."""

from sandboxes import test_services_are_walled_in

testinfra_hosts = ["ansible://all"]

__all__ = ["test_services_are_walled_in"]
