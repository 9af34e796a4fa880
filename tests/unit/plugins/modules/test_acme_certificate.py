"""What the module starts, by what the program on the host tells."""

import pytest
from ansible_collections.selfhost.django.plugins.modules.acme_certificate import unit_to_start


@pytest.mark.parametrize(
    ("reason", "to_install", "unit"),
    [
        ("there is none yet", False, "selfhost-acme.service"),
        ("its end is near", True, "selfhost-acme.service"),
        # Obtained by a run that was killed before it was shown.
        ("", True, "selfhost-acme-install.service"),
        ("", False, ""),
    ],
)
def test_what_is_due_is_done_and_nothing_else(reason, to_install, unit):
    assert unit_to_start({"reason": reason, "to_install": to_install}) == unit
