"""A time that cron does not know stops all that stands in the same file: it is told before it is there."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.schedules import is_schedule

GOOD = [
    "0 2 * * 0", "*/15 * * * *", "*/30 1,2 * * sun", "0 2 * JAN-MAR Mon-Fri", "0\t2\t* *  0", "00 02 01 01 00", "0 2 * * 7", "0 2 * * 5-7", "59 23 31 12 7",
    "1-5,7,10-20/2 * * * *", "*,5 * * * *", "0 */24 * * *", "0 2 * * sun,wed", "0 2 29 2 *", "0 2 30 4 *", "0 2 31 1,2 *",
    # Of day and weekday either will do.
    "0 2 31 2 mon",
]  # fmt: skip
BAD = [
    "daily", "@daily", "0 2 * *", "0 2 * * 0 root", "", "0 2 * * sunday", "0 2 * * 8", "0 2 * * foo", "*/0 * * * *", "1,,2 3 * * *", "1, 3 * * *", ",1 3 * * *",
    "60 2 * * *", "0 24 * * *", "0 2 0 * *", "0 2 32 * *", "0 2 * 0 *", "0 2 * 13 *", "0 2 * jun-feb *", "5-1 2 * * *", "0 2 * * fri-sun", "5/15 * * * *",
    "*/90 * * * *", "*-5 * * * *", "1-5-7 * * * *", "1/ * * * *", "*/ * * * *", "** * * * *", "-1 * * * *", "1--3 * * * *", "sun 2 * * *", "0 2 * mon *",
    "0 2 ? * 0", "0 2 L * *", " 0 2 * * 0", "0 2 * * 0 ", "0 2 * * 0\n", "0 2 *\n* 0", "\u0660 2 * * 0", "*-*-* 02:00",
    # Days that no month has.
    "0 2 31 2 *", "0 2 30-31 2 *", "0 2 31 4,6,9,11 */2",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_time_that_comes(text):
    assert is_schedule(text)


@pytest.mark.parametrize("text", [*BAD, None, 5, ["0", "2", "*", "*", "0"]])
def test_what_cron_does_not_know_or_what_never_comes(text):
    assert not is_schedule(text)
