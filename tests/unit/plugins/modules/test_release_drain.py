"""Visitors in the queue of a release that was replaced are answered before it goes."""

import pytest
from ansible_collections.selfhost.django.plugins.modules.release_drain import drained, waiting

LINE = "u_str LISTEN %d 128 /srv/shop/releases/abc-1/app.sock 4711 * 0\n"


@pytest.mark.parametrize(("listing", "number"), [("", 0), (LINE % 0, 0), (LINE % 7, 7)])
def test_the_queue_is_the_third_column(listing, number):
    assert waiting(listing) == number


@pytest.mark.parametrize(("queue", "timeout_seconds", "in_time"), [([0], 0, True), ([2, 1, 0], 5, True), ([1, 1, 1, 1], 2, False), ([1, 0], 0, False)])
def test_it_waits_as_long_as_it_may(queue, timeout_seconds, in_time):
    queue, clock = list(queue), iter(range(100))
    assert drained(lambda: LINE % queue.pop(0), timeout_seconds, lambda: next(clock), lambda seconds: None) is in_time
