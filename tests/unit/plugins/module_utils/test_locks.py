"""The lock of a release: one holder, who is alive or not, and who learns when he has lost it."""

import fcntl
import os

import pytest
from ansible_collections.selfhost.django.plugins.module_utils import locks


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "selfhost/shop/release.lock")


class Time:
    """Seconds that pass while somebody waits; something may happen in each."""

    def __init__(self, happens=lambda second: None):
        self.seconds, self.happens = 0, happens

    def sleep(self, seconds):
        self.seconds += seconds
        self.happens(self.seconds)


def test_it_is_taken_kept_and_released_by_its_holder_alone(path):
    token = locks.take(path, "Ann ships main", 60)
    assert locks.keep(path, token) and not locks.keep(path, "another")
    assert not locks.release(path, "another") and locks.keep(path, token)
    assert locks.release(path, token) and not locks.keep(path, token)
    assert not locks.release(path, "") and not locks.keep(path, "")


def test_a_path_in_its_place_is_not_followed(path, tmp_path):
    os.makedirs(os.path.dirname(path))
    os.symlink(tmp_path / "victim", path)
    with pytest.raises(OSError):
        locks.take(path, "Ann", 60)
    assert not (tmp_path / "victim").exists()


def test_only_root_opens_it(path):
    locks.take(path, "Ann", 60)
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_command_that_runs_keeps_others_out(path):
    locks.take(path, "Ann ships main", 60)
    with locks.alive(path), pytest.raises(locks.Held, match="^Ann ships main$"):
        locks.take(path, "Ben", 60)


@pytest.mark.parametrize("sign", ["touch", "command"])
def test_a_sign_of_life_keeps_others_out(path, sign):
    token = locks.take(path, "Ann", 60)
    held = []

    def happens(second):
        if second == 7 and sign == "touch":
            os.utime(path, ns=(0, 0))
            assert locks.keep(path, token)
        elif second == 7:
            held.append(os.open(path, os.O_RDWR))
            fcntl.flock(held[0], fcntl.LOCK_SH)

    time = Time(happens)
    with pytest.raises(locks.Held):
        locks.take(path, "Ben", 60, sleep=time.sleep)
    assert time.seconds == 7 and locks.keep(path, token)


def test_a_holder_without_a_sign_of_life_is_replaced_and_learns_it(path):
    token, time = locks.take(path, "Ann", 60), Time()
    other = locks.take(path, "Ben", 60, sleep=time.sleep)
    assert time.seconds == 60
    assert not locks.keep(path, token) and not locks.release(path, token) and locks.keep(path, other)


def test_of_two_who_wait_one_gets_it(path):
    locks.take(path, "Ann", 60)
    taken = []

    def happens(second):
        if second == 60:
            taken.append(locks.take(path, "Cid", 0))

    with pytest.raises(locks.Held, match="Cid"):
        locks.take(path, "Ben", 60, sleep=Time(happens).sleep)
    assert locks.keep(path, taken[0])


def test_one_that_is_let_go_is_taken_at_once(path):
    token = locks.take(path, "Ann", 60)
    time = Time(lambda second: locks.release(path, token) if second == 3 else None)
    assert locks.keep(path, locks.take(path, "Ben", 60, sleep=time.sleep)) and time.seconds == 3


def test_it_can_be_broken_while_a_command_runs(path):
    token = locks.take(path, "Ann", 60)
    with locks.alive(path):
        other = locks.take(path, "Ben", 60, breaks=True)
    assert locks.keep(path, other) and not locks.keep(path, token)


def test_without_a_lock_nobody_is_alive():
    with locks.alive(None):
        pass
